"""A JSON layer spec becomes a graph: names are resolved, repeats expanded, and every layer lowered by the rule of its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from service.edits import Editing
from service.faults import Detail, Refused
from service.graph.network import Graph, Layer, Tensor, Weight
from service.graph.operators import Embedding, Shape
from service.limits import MAX_LAYERS
from service.options import Options
from service.readers.naming import Names
from service.readers.spec.draft import Draft, Refusal, check_size, shape_of
from service.readers.spec.editing import with_settings
from service.readers.spec.layers import TYPES
from service.readers.spec.record import LayerType
from service.readers.spec.schema import invalid_spec, load_document
from service.readers.spec.values import InlineWeights
from service.suggestions import did_you_mean

UNKNOWN = TYPES["unknown"]
MAX_SUGGESTIONS = 10
"""Wrong references for which the nearest name is looked up: that takes a comparison with every name."""


@dataclass
class Reading:
    """The state of one reading. A name maps to None where its layer was refused: what reads it is skipped without another error.

    `places` says which entry of the document a layer's name stands at; `guessed` are the tensors whose shape follows from that of an
    unknown layer.
    """

    names: Names
    places: Mapping[str, int]
    editing: Editing
    varied: bool
    tensors: dict[str, Tensor | None] = field(default_factory=dict)
    every: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Mapping[str, Weight]] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    notes: list[tuple[str, str | None, str]] = field(default_factory=list)
    errors: list[Detail] = field(default_factory=list)
    guessed: set[str] = field(default_factory=set)

    def keep(self, stored: str, array: np.ndarray) -> None:
        """Keep the values of a stored weight."""
        self.values[stored] = array

    def refuse(self, pointer: str, code: str, detail: str) -> None:
        """Note what is wrong at a place of the document."""
        self.errors.append(Detail(pointer, detail, code))

    def known(self, name: str, index: int, pointer: str) -> bool:
        """Whether the name is an input or a layer before entry `index`; an error otherwise."""
        if name in self.tensors:
            return True
        place = self.places.get(name)
        if place is None:
            known = (*self.tensors, *self.places) if len(self.errors) < MAX_SUGGESTIONS else ()
            self.refuse(pointer, "unknown-layer", f"there is no layer or input of the name {name!r}{did_you_mean(name, known)}")
        elif place == index:
            self.refuse(pointer, "self-reference", f"{name!r} cannot read itself")
        else:
            self.refuse(pointer, "forward-reference", f"{name!r} comes later; a layer reads what stands before it")
        return False


def graph_of(document: object, options: Options, standin: int) -> tuple[Graph, InlineWeights]:
    """The graph of a parsed spec, and its inline weights. An open input axis that the options do not fix has `standin` units.

    Refused `invalid-spec` with a JSON pointer for every wrong place; `unknown-input`, `input-shape-rank` or `input-shape-conflict`
    where the options do not fit the inputs.
    """
    spec = load_document(document)
    inputs = spec["inputs"] if "inputs" in spec else (spec["input"],)
    names = [layer.get("name", f"{layer['type']}_{index}") for index, layer in enumerate(spec["layers"])]
    copies = [_copy_names(name, layer["repeat"]) for name, layer in zip(names, spec["layers"], strict=True)]
    places = {name: index for index, own in enumerate(copies) for name in (names[index], *own)}
    reading = Reading(Names({*places, *(entry["name"] for entry in inputs)}), places, Editing(options.edits), options.varied)
    symbolic = _read_inputs(reading, inputs, "inputs" in spec, options, standin)
    _check_names(reading, names, copies)
    before = inputs[0]["name"] if len(inputs) == 1 else None
    for index, fields in enumerate(spec["layers"]):
        _read_layer(reading, index, fields, copies[index], before)
        before = names[index]
        reading.tensors.setdefault(before, reading.tensors[copies[index][-1]])
        reading.weights.setdefault(before, reading.weights.get(copies[index][-1], {}))
    outputs = _outputs(reading, spec, [own[-1] for own in copies])
    if reading.errors:
        raise invalid_spec(reading.errors)
    reading.editing.check_done()
    return _graph(reading, spec, inputs, outputs, symbolic), InlineWeights(reading.values)


def _copy_names(name: str, repeat: int) -> tuple[str, ...]:
    """The names of the copies of a repeated layer: name_1 to name_n; a layer that is not repeated keeps its name."""
    return (name,) if repeat == 1 else tuple(f"{name}_{number}" for number in range(1, repeat + 1))


def _read_inputs(
    reading: Reading, inputs: Sequence[Mapping[str, Any]], listed: bool, options: Options, standin: int
) -> frozenset[tuple[str, int]]:
    """The input tensors; the (name, axis) of those lengths that are stand-ins."""
    symbolic: set[tuple[str, int]] = set()
    names = [entry["name"] for entry in inputs]
    fixed, resized = _named(names, options.input_shapes), _named(names, options.resized)
    for index, entry in enumerate(inputs):
        name, shape = entry["name"], entry["shape"]
        pointer = f"/inputs/{index}" if listed else "/input"
        if name in reading.tensors:
            reading.refuse(f"{pointer}/name", "duplicate-name", f"there are two inputs of the name {name!r}")
        chosen = _fixed(name, shape, fixed[name]) if name in fixed else shape
        chosen = _resized(name, chosen, resized[name]) if name in resized else chosen
        symbolic.update((name, axis) for axis, length in enumerate(chosen, start=1) if length is None)
        tensor = Tensor(name, (1, *(standin if length is None else length for length in chosen)))
        try:
            check_size(shape_of(tensor))
        except Refusal as refusal:
            reading.refuse(f"{pointer}/shape", refusal.code, refusal.detail)
        reading.tensors[name] = reading.every[name] = tensor
    return frozenset(symbolic)


def _named(names: Sequence[str], shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The client's shapes by the names of inputs; "" is the only one."""
    result = {}
    for name, shape in shapes.items():
        own = names[0] if name == "" and len(names) == 1 else name
        if own not in names:
            raise _unfit("unknown-input", name, f"the spec has no input {name[:100]!r}; it has {', '.join(names)[:500]}")
        result[own] = shape
    return result


def _fixed(name: str, shape: tuple[int | None, ...], wanted: Shape) -> tuple[int | None, ...]:
    """The shape with its open lengths taken from the options; -1 leaves a length open."""
    lengths = _unbatched(name, shape, wanted)
    if any(b == 0 or (b > 0 and a not in (None, b)) for a, b in zip(shape, lengths, strict=True)):
        stated = ", ".join("?" if length is None else str(length) for length in shape)
        raise _unfit("input-shape-conflict", name, f"input {name!r} is ({stated}) without the batch; {tuple(wanted)} does not fit")
    return tuple(a if b < 0 else b for a, b in zip(shape, lengths, strict=True))


def _resized(name: str, shape: tuple[int | None, ...], wanted: Shape) -> tuple[int | None, ...]:
    """The shape that a variant has in the place of what the spec states; -1 leaves a length as it is."""
    return tuple(a if b < 0 else b for a, b in zip(shape, _unbatched(name, shape, wanted), strict=True))


def _unbatched(name: str, shape: tuple[int | None, ...], wanted: Shape) -> Shape:
    """A shape of the options, which may have the batch axis in front, without it."""
    lengths = wanted[1:] if len(wanted) == len(shape) + 1 else wanted
    if len(lengths) != len(shape):
        raise _unfit("input-shape-rank", name, f"input {name!r} has {len(shape)} axes without the batch, input_shapes gives {len(wanted)}")
    return lengths


def _unfit(code: str, pointer: str, detail: str) -> Refused:
    return Refused("invalid", code, detail, [Detail(pointer[:100], detail, code)])


def _check_names(reading: Reading, names: Sequence[str], copies: Sequence[tuple[str, ...]]) -> None:
    seen = set(reading.tensors)
    for index, (name, own) in enumerate(zip(names, copies, strict=True)):
        for used in dict.fromkeys((name, *own)):
            if used in seen:
                reading.refuse(f"/layers/{index}/name", "duplicate-name", f"the name {used!r} is taken")
                break
        seen.update((name, *own))


def _read_layer(reading: Reading, index: int, fields: Mapping[str, Any], copies: tuple[str, ...], before: str | None) -> None:
    """Lower one entry of the document and its copies; whatever is wrong becomes an error, and its name then has no tensor."""
    pointer = f"/layers/{index}"
    inputs = _inputs(reading, index, fields, before)
    if inputs is not None and len(inputs) > 1 and len(copies) > 1:
        reading.refuse(f"{pointer}/repeat", "conflict", f"{fields['type']} has several inputs and cannot follow itself")
        inputs = None
    shared = None
    if "share_with" in fields and reading.known(fields["share_with"], index, f"{pointer}/share_with"):
        shared = reading.weights.get(fields["share_with"], {})
        if reading.tensors[fields["share_with"]] is None:
            inputs = None
    for name in copies:
        output = None
        if inputs is not None:
            output = _read_copy(reading, pointer, name, fields, inputs, shared)
            inputs = None if output is None else (output,)
        reading.tensors[name] = output


def _read_copy(
    reading: Reading, pointer: str, name: str, fields: Mapping[str, Any], inputs: tuple[Tensor, ...], shared: Mapping[str, Weight] | None
) -> Tensor | None:
    """Lower one layer, as its edit has it; where that removes it, what it reads takes the place of what it gives."""
    kind, edit = TYPES[fields["type"]], reading.editing.of(name)
    draft = Draft(name, kind.kind, fields, inputs, reading.names, reading.keep, shared, reading.varied)
    if edit is None:
        return _lower(reading, pointer, draft, kind)
    if edit.remove:
        if len(inputs) > 1:
            raise reading.editing.refused(
                name, "remove", "not-removable", f"it joins {len(inputs)} tensors, and none takes its place alone"
            )
        return inputs[0]
    return _lower(reading, pointer, with_settings(draft, kind, edit, reading.editing), kind)


def _lower(reading: Reading, pointer: str, draft: Draft, kind: LayerType) -> Tensor | None:
    try:
        layers, tensors, output = draft.finish(kind.rule(draft), draft.fields["type"])
    except Refusal as refusal:
        if kind is not UNKNOWN and any(tensor.name in reading.guessed for tensor in draft.inputs):
            return _lower(reading, pointer, _guess(reading, draft, refusal), UNKNOWN)
        reading.refuse(f"{pointer}/{refusal.field}" if refusal.field else pointer, refusal.code, refusal.detail)
        return None
    if kind is UNKNOWN or any(tensor.name in reading.guessed for tensor in draft.inputs):
        reading.guessed.update(tensor.name for tensor in (output, *draft.results.values()))
    reading.layers += layers
    reading.notes += draft.notes
    reading.every.update((tensor.name, tensor) for tensor in tensors)
    reading.weights[draft.name] = draft.weights
    for suffix, tensor in draft.results.items():
        reading.tensors.setdefault(f"{draft.name}/{suffix}", tensor)
    return output


def _guess(reading: Reading, draft: Draft, refusal: Refusal) -> Draft:
    """A layer that does not fit the guessed shape of what it reads, as one that nothing is known of."""
    reason = f"{draft.fields['type']} does not fit the shape that was taken for its input ({refusal.detail})"
    return Draft(draft.name, UNKNOWN.kind, {"type": draft.fields["type"], "reason": reason}, draft.inputs, reading.names, reading.keep)


def _inputs(reading: Reading, index: int, fields: Mapping[str, Any], before: str | None) -> tuple[Tensor, ...] | None:
    """The input tensors of a layer; None where one is missing, which is an error unless it was one already."""
    pointer, kind = f"/layers/{index}/inputs", TYPES[fields["type"]]
    joins, (fewest, most) = kind.joins, kind.inputs
    if "inputs" not in fields and (before is None or joins):
        message = f"{fields['type']} joins two tensors or more" if joins else "of several inputs the first layer must name its own"
        reading.refuse(pointer, "required", message)
        return None
    named = fields.get("inputs", (before,))
    if not fewest <= len(named) <= most:
        wanted = "one input" if most == 1 else f"{fewest} inputs or more" if most == MAX_LAYERS else f"{fewest} to {most} inputs"
        reading.refuse(pointer, "wrong-length", f"{fields['type']} takes {wanted}, not {len(named)}")
        return None
    known = [reading.known(name, index, f"{pointer}/{place}") for place, name in enumerate(named)]
    tensors = [reading.tensors[name] for name in named] if all(known) else [None]
    found = tuple(tensor for tensor in tensors if tensor is not None)
    return found if len(found) == len(named) else None


def _outputs(reading: Reading, spec: Mapping[str, Any], last: Sequence[str]) -> tuple[str, ...]:
    """The outputs that the spec names, else every layer that no other reads."""
    if "outputs" not in spec:
        read = {name for layer in reading.layers for name in layer.inputs}
        given = (tensor.name if (tensor := reading.tensors[name]) else name for name in last)
        return tuple(dict.fromkeys(name for name in given if name not in read))
    outputs = []
    for place, name in enumerate(spec["outputs"]):
        if reading.known(name, len(last), f"/outputs/{place}"):
            tensor = reading.tensors[name]
            outputs.append(tensor.name if tensor else name)
    return tuple(dict.fromkeys(outputs))


def _graph(
    reading: Reading,
    spec: Mapping[str, Any],
    inputs: Sequence[Mapping[str, Any]],
    outputs: tuple[str, ...],
    symbolic: frozenset[tuple[str, int]],
) -> Graph:
    """The graph of what was read without an error. What an embedding reads are indices."""
    nodes = [node for layer in reading.layers for node in layer.nodes]
    indices = {name for node in nodes if isinstance(node.operator, Embedding) for name in node.inputs}
    for name in indices:
        reading.every[name] = replace(reading.every[name], dtype="int64")
    stored = {weight.stored: weight for layer in reading.layers for weight in (*layer.kernel, *layer.bias, *layer.other, *layer.statistics)}
    return Graph(
        name=spec.get("name", ""),
        inputs=tuple(reading.every[entry["name"]] for entry in inputs),
        outputs=outputs,
        layers=tuple(reading.layers),
        tensors=reading.every,
        stored=tuple(stored.values()),
        symbolic=symbolic,
        notes=tuple(reading.notes),
        batched=True,
    )
