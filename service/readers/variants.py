"""Reading a variant: where it is no network any more, the edit from which on it is none is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from service.edits import Edit, invalid_edit
from service.faults import Refused, pointer_to
from service.graph import Graph
from service.graph.model import Model
from service.options import Options

Read = Callable[[Options], Model]

UNFIT = "shape-unknown"
"""The code of the note that a layer does not fit what it reads."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a network cannot be read with some edits."""

    code: str
    detail: str


def read_variant(options: Options, read: Read) -> Model:
    """Read a network with the edits of `options`.

    Refused `invalid-edit` where layers no longer fit each other, at the edit (or the input's shape) from which on they do not.
    """
    model, unfit = _tried(options, read)
    if model is not None:
        return model
    fits, fails = -1, len(options.edits)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        found, why = _tried(replace(options, edits=options.edits[:middle]), read)
        if found is not None:
            fits = middle
        else:
            fails, unfit = middle, why
    if fails == 0:
        raise invalid_edit(pointer_to("input_shapes", next(iter(options.resized), "")), unfit.code, unfit.detail)
    raise invalid_edit(_pointer(replace(options, edits=options.edits[:fails]), read), unfit.code, unfit.detail)


def _pointer(options: Options, read: Read) -> str:
    """Where the last of the edits stands, which does not fit: the one field without which it would, where there is such a field."""
    *before, last = options.edits
    place = len(before)
    if last.remove:
        return pointer_to("edits", place, "remove")
    for name in last.settings:
        rest = Edit(last.layer, {other: value for other, value in last.settings.items() if other != name})
        kept = (*before, rest) if rest.settings else tuple(before)
        if not rest.settings or _tried(replace(options, edits=kept), read)[0] is not None:
            return pointer_to("edits", place, "set", name)
    return pointer_to("edits", place, "set")


def _tried(options: Options, read: Read) -> tuple[Model | None, Unfit]:
    """The model, or why it cannot be read; an edit that is refused by itself is said at once."""
    try:
        model = read(options)
    except Refused as refused:
        if refused.code == "invalid-edit" or not options.varied:
            raise
        return None, Unfit(refused.errors[0].code if refused.errors else refused.code, refused.detail)
    reasons = _reasons(model.graphs[0])
    if reasons:
        known = _reasons(read(replace(options, edits=(), resized={})).graphs[0])
        for layer, reason in reasons.items():
            if layer not in known:
                return None, Unfit("does-not-fit", reason)
    return model, Unfit("", "")


def _reasons(graph: Graph) -> dict[str | None, str]:
    """Why layers do not fit what they read, or give nothing at all, by their names."""
    found = {layer: message for code, layer, message in graph.notes if code == UNFIT}
    for layer in graph.layers:
        shapes = [graph.tensors[name].shape for name in layer.outputs]
        if any(shape is not None and 0 in shape for shape in shapes):
            found.setdefault(layer.name, f"{layer.op} {layer.name!r} would give a tensor of shape {shapes[0]}, which has no units.")
    return found
