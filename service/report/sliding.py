"""The window of a layer, as its attributes say it: kernel, strides, dilations and padding along every axis, and the groups of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.report.document import Layer, Shape


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Kernel, strides, dilations and pads (before, after), each with an entry for every axis; None for one that is open."""

    kernel: Shape
    strides: Shape
    dilations: Shape
    pads: tuple[Shape, ...]
    groups: int

    @property
    def is_known(self) -> bool:
        """Whether nothing of it depends on an open length."""
        return all(None not in lengths for lengths in (self.kernel, self.strides, self.dilations, *self.pads))


def sliding_window(layer: Layer) -> SlidingWindow | None:
    """The window that slides over the input of a layer; None where there is none."""
    kernel, strides, dilations = (lengths_of(layer.attributes, key) for key in ("kernel", "strides", "dilations"))
    pads = layer.attributes.get("pads")
    if kernel is None or strides is None or dilations is None or not isinstance(pads, list | tuple):
        return None
    ends = tuple(_lengths(pad) or (None, None) for pad in pads)
    return SlidingWindow(kernel, strides, dilations, ends, whole(layer.attributes, "groups") or 1)


def lengths_of(attributes: Mapping[str, object], key: str) -> Shape | None:
    """An attribute that is a list of lengths; None where it is none."""
    return _lengths(attributes.get(key))


def whole(attributes: Mapping[str, object], key: str) -> int | None:
    """An attribute that is a whole number; None where it is none."""
    value = attributes.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _lengths(value: object) -> Shape | None:
    if not isinstance(value, list | tuple) or not all(length is None or isinstance(length, int) for length in value):
        return None
    return tuple(value)


def tied_groups(layer: Layer) -> tuple[tuple[int, ...], ...]:
    """The groups of inputs of a dense layer that share one weight; none where every input has its own."""
    ties = layer.attributes.get("ties")
    groups = [_lengths(group) for group in ties] if isinstance(ties, list | tuple) else []
    return tuple(tuple(member for member in group if member is not None) for group in groups if group is not None)


def connection_table(layer: Layer) -> tuple[tuple[int, ...], ...]:
    """The input maps that each filter of a convolution reads, where a table chooses them; none where it reads all."""
    rows = layer.attributes.get("connection_table")
    maps = [_lengths(row) for row in rows] if isinstance(rows, list | tuple) else []
    return tuple(tuple(each for each in row if each is not None) for row in maps if row is not None)
