"""The geometry of a layer as a reader types it: 3, or 3,5 along two axes; 1:2 is one unit before and two after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.report.document import Layer

FIELDS = ("kernel", "stride", "dilation", "padding")
_ATTRIBUTES = {"kernel": "kernel", "stride": "strides", "dilation": "dilations", "padding": "pads"}
_KINDS = ("convolution", "transposed-convolution", "pooling")


def has_window(layer: Layer) -> bool:
    """Whether a layer slides a window that can be changed."""
    return layer.kind in _KINDS and isinstance(layer.attributes.get("kernel"), Sequence)


def geometry_texts(layer: Layer) -> Mapping[str, str]:
    """What the fields of a layer's window hold, by their names; one that it does not have is left out."""
    return {name: _text(value) for name, key in _ATTRIBUTES.items() if isinstance(value := layer.attributes.get(key), Sequence)}


def _text(values: Sequence[object]) -> str:
    texts = [_entry(value) for value in values]
    return texts[0] if len(set(texts)) == 1 and ":" not in texts[0] else ",".join(texts)


def _entry(value: object) -> str:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return str(value)
    before, after = value
    return str(before) if before == after else f"{before}:{after}"
