"""The layers of a report: which one is meant, and where in the report's text each of them lies."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from service.faults import Refused
from service.report.document import Layer
from service.report.plain import of_plain
from service.suggestions import did_you_mean

_INDEX = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_BLANKS = re.compile(r"[ \t\r\n]*")

MAX_COMPARED = 10_000
"""Names with which a misspelt one is compared."""


def find_layer(layers: Sequence[Layer], wanted: str) -> Layer:
    """The layer of that index, counted from the end where it is negative, or of that name. `layer-not-found` where there is none."""
    index = int(wanted) if _INDEX.fullmatch(wanted) else None
    if index is not None and -len(layers) <= index < len(layers):
        return layers[index]
    for layer in layers:
        if layer.name == wanted:
            return layer
    near = did_you_mean(wanted, (layer.name for layer in layers[:MAX_COMPARED]))
    expected = f"its layers are 0 to {len(layers) - 1}" if layers else "it has no layers"
    raise Refused("invalid", "layer-not-found", f"The model has no layer {wanted[:200]!r}{near or f'; {expected}.'}")


def layer_places(text: bytes) -> list[int]:
    """Where each layer begins in the text of a report, and where the last one ends. The text is ASCII."""
    decode, document, at = json.JSONDecoder().raw_decode, text.decode("ascii"), 1
    while True:
        key, at = decode(document, _past(document, at, ""))
        at = _past(document, at, ":")
        if key == "layers":
            break
        _, at = decode(document, at)
        at = _past(document, at, ",")
    at, places = _past(document, at, "["), []
    while document[at] != "]":
        places.append(at)
        _, at = decode(document, at)
        at = _past(document, at, "," if document[at] == "," else "")
    return [*places, at]


def _past(document: str, at: int, mark: str) -> int:
    """Where something begins behind a mark and blanks. ValueError where the mark is not there."""
    if not document.startswith(mark, at):
        raise ValueError(f"expected {mark!r} in the report at {at}")
    found = _BLANKS.match(document, at + len(mark))
    return found.end() if found else at + len(mark)


def layers_of(text: bytes) -> list[Layer]:
    """The layers that a part of a report's text holds: from where one begins to where one begins, or the last one ends."""
    return [of_plain(Layer, each) for each in json.loads(b"[" + text.rstrip(b", \t\r\n") + b"]")]
