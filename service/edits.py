"""Edits: what is to be changed in a network before its shapes are inferred.

1. An edit names a layer as the report does and sets its geometry, or removes it. What comes later in a list of edits is put on top.
2. `kernel`, `stride` and `dilation` are one number for every spatial axis, or a list with one for each. `padding` is either too, or a list
   of [before, after], or one of the words PADDINGS.
3. An edit that is not possible is refused `invalid-edit`, with a JSON pointer to it in the list (/edits/0/set/stride) and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.faults import Detail, Refused, pointer_to
from service.suggestions import did_you_mean

PADDINGS = ("valid", "same", "same_lower", "causal")
GEOMETRY = ("kernel", "stride", "dilation", "padding")
"""What an edit may set."""

MAX_EDITS, MAX_LENGTH, MAX_SPATIAL_AXES = 200, 2**31 - 1, 8
"""Edits at the most, the largest number that one may set, and the entries of a list in it."""

Setting = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: what is set of a layer, or that it is removed."""

    layer: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    remove: bool = False


def invalid_edit(pointer: str, code: str, detail: str) -> Refused:
    """The error for an edit that is not possible; `code` says why at that place."""
    return Refused("invalid", "invalid-edit", f"{pointer}: {detail}", [Detail(pointer, detail, code)])


class Editing:
    """The edits of one reading, each asked for where its layer is read."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = tuple(edits)
        self._waiting = {edit.layer for edit in edits}

    def of(self, layer: str) -> Edit | None:
        """All that is to be done to a layer, in one edit; None where nothing is."""
        if layer not in self._waiting:
            return None
        self._waiting.discard(layer)
        own = [edit for edit in self._edits if edit.layer == layer]
        settings = {name: value for edit in own for name, value in edit.settings.items()}
        return Edit(layer, settings, any(edit.remove for edit in own))

    def refused(self, layer: str, field: str, code: str, detail: str) -> Refused:
        """The error for what an edit sets of a layer, or for its removal (the field `remove`)."""
        return invalid_edit(self._pointer(layer, field), code, f"{layer}: {detail}")

    def check_done(self) -> None:
        """Refused where an edit names a layer that was not read as one of its own."""
        for layer in self._waiting:
            detail = "the reader makes this layer out of another, and it cannot be changed alone"
            raise invalid_edit(self._pointer(layer, ""), "not-editable", f"{layer}: {detail}")

    def _pointer(self, layer: str, field: str) -> str:
        """Where the last edit that sets the field of the layer stands."""
        places = [place for place, edit in enumerate(self._edits) if edit.layer == layer]
        for place in reversed(places):
            if field in self._edits[place].settings:
                return pointer_to("edits", place, "set", field)
            if field == "remove" and self._edits[place].remove:
                return pointer_to("edits", place, "remove")
        return pointer_to("edits", places[-1], "layer")


# -- from JSON and back --------------------------------------------------------------------------------------------


def read_edits(document: object) -> tuple[Edit, ...]:
    """The edits that a JSON array says. Refused `invalid-edit` where it says none."""
    if not isinstance(document, list):
        raise invalid_edit("/edits", "not-a-list", "must be a list of edits")
    if len(document) > MAX_EDITS:
        raise invalid_edit("/edits", "too-many-edits", f"there are {len(document)} edits; {MAX_EDITS} are the most")
    return tuple(_edit(entry, pointer_to("edits", place)) for place, entry in enumerate(document))


def _edit(entry: object, pointer: str) -> Edit:
    if not isinstance(entry, dict):
        raise invalid_edit(pointer, "not-an-object", 'must be an object such as {"layer": "conv1", "set": {"stride": 1}}')
    for key in entry:
        if key not in ("layer", "set", "remove"):
            detail = f"there is no field {key[:60]!r}{did_you_mean(key, ('layer', 'set', 'remove'))}"
            raise invalid_edit(f"{pointer}{pointer_to(key[:60])}", "unknown-field", detail)
    layer, remove = entry.get("layer"), entry.get("remove", False)
    if isinstance(layer, bool) or not isinstance(layer, str | int):
        raise invalid_edit(f"{pointer}/layer", "required", "must be the name of a layer or its index")
    if not isinstance(remove, bool):
        raise invalid_edit(f"{pointer}/remove", "not-a-boolean", "must be true or false")
    if ("set" in entry) == remove:
        raise invalid_edit(pointer, "required", "must have either `set` or `remove`: true")
    return Edit(str(layer), _settings(entry["set"], f"{pointer}/set") if "set" in entry else {}, remove)


def _settings(value: object, pointer: str) -> dict[str, Setting]:
    if not isinstance(value, dict) or not value:
        raise invalid_edit(pointer, "not-an-object", f"must be an object with some of {', '.join(GEOMETRY)}")
    settings = {}
    for name, setting in value.items():
        place = f"{pointer}{pointer_to(name[:60])}"
        if name not in GEOMETRY:
            detail = f"there is no field {name[:60]!r}{did_you_mean(name, GEOMETRY)}; an edit sets {', '.join(GEOMETRY)}"
            raise invalid_edit(place, "unknown-field", detail)
        settings[name] = _setting(name, setting, place)
    return settings


def _setting(name: str, value: object, pointer: str) -> Setting:
    """A number, a list of numbers, or of a padding a list of pairs or a word."""
    if name == "padding" and isinstance(value, str):
        if value not in PADDINGS:
            detail = f"must be a number, a list or one of {', '.join(PADDINGS)}{did_you_mean(value, PADDINGS)}"
            raise invalid_edit(pointer, "unknown-value", detail)
        return value
    least = 0 if name == "padding" else 1
    if not isinstance(value, list):
        return _number(value, least, pointer)
    if not 1 <= len(value) <= MAX_SPATIAL_AXES:
        raise invalid_edit(pointer, "wrong-length", "must have one entry for each spatial axis")
    if name == "padding" and all(isinstance(entry, list) and len(entry) == 2 for entry in value):
        return tuple((_number(entry[0], 0, pointer), _number(entry[1], 0, pointer)) for entry in value)
    return tuple(_number(entry, least, pointer) for entry in value)


def _number(value: object, least: int, pointer: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_LENGTH:
        raise invalid_edit(pointer, "out-of-range", f"must be a whole number from {least} to {MAX_LENGTH:,}")
    return value


def plain_setting(value: Setting) -> object:
    """What an edit sets, as JSON data."""
    if not isinstance(value, tuple):
        return value
    return [list(entry) if isinstance(entry, tuple) else entry for entry in value]


def plain_edits(edits: Sequence[Edit]) -> list[dict[str, object]]:
    """The JSON array that `read_edits` reads."""
    return [
        {"layer": edit.layer, "remove": True}
        if edit.remove
        else {"layer": edit.layer, "set": {name: plain_setting(value) for name, value in edit.settings.items()}}
        for edit in edits
    ]


def with_names(edits: Sequence[Edit], layers: Sequence[str]) -> tuple[Edit, ...]:
    """The edits with the names of their layers, of which some may say the index, from 0 or, as -1, from the end.

    Refused `invalid-edit` where there is no such layer.
    """
    known = set(layers)
    return tuple(Edit(_named(edit.layer, layers, known, place), edit.settings, edit.remove) for place, edit in enumerate(edits))


def _named(wanted: str, layers: Sequence[str], known: set[str], place: int) -> str:
    if wanted in known:
        return wanted
    digits = wanted.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 10 and -len(layers) <= int(wanted) < len(layers):
        return layers[int(wanted)]
    detail = f"the model has no layer {wanted[:200]!r}{did_you_mean(wanted, layers)}"
    raise invalid_edit(pointer_to("edits", place, "layer"), "unknown-layer", detail)
