"""If, Loop and Scan: their bodies are lowered in place.

1. Of an If with a known condition only that branch is there; else both are, and the results are joined.
2. A loop of a known small number of rounds is unrolled: exact, and each round shows that it shares its weights with the others.
3. Any other loop shows one round of its body, and its results are a bound: at least what one round reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.values import Value

MOST_ROUNDS = 16

_ROUNDS = "how often a loop runs depends on the data, or it runs too often to be unrolled"


def body_of(call: Call, name: str) -> GraphProto:
    """A subgraph that the node has to have."""
    graph = call.attributes.graph(name)
    if graph is None:
        call.refuse("missing-subgraph", f"it has no {name}")
    return graph


def branch(call: Call) -> Sequence[Value]:
    """If."""
    then, other = body_of(call, "then_branch"), body_of(call, "else_branch")
    condition = call.known(0)
    if condition is not None and condition.size == 1:
        return call.host.inline(call, then if condition.ravel()[0] else other, [], f"{call.name}/")
    left = call.host.inline(call, then, [], f"{call.name}/then/")
    right = call.host.inline(call, other, [], f"{call.name}/else/")
    if len(left) != len(right):
        call.refuse("branch-mismatch", f"its branches have {len(left)} and {len(right)} outputs")
    return [_joined(call, a, b) for a, b in zip(left, right, strict=True)]


def _joined(call: Call, left: Value, right: Value) -> Value:
    """What one of two branches gives: it depends on both, and on the condition."""
    if left.constant is not None and right.constant is not None and left.shape == right.shape and call.input(0).constant is not None:
        return call.opaque(left.shape, left.dtype)
    sources = [v for v in (left, right) if v.items is None and (v.constant is None or v.shape is not None)]
    if left.shape is None or left.shape != right.shape or left.items is not None:
        reason = f"its branches give results of the shapes {left.shape} and {right.shape}"
        return call.unknown([Value("", None, left.dtype)], reason, sources)[0]
    condition = call.input(0)
    operands = [left, right]
    if condition.constant is None and condition.shape in ((), (1,)):
        operands.append(call.reshape(condition, ()))
    return call.elementwise("join", *operands)


@dataclass(slots=True)
class _Round:
    """What one round of a loop gives: whether it goes on (None where the data say), the states, and a slice of each collected output."""

    proceed: bool | None
    states: list[Value]
    slices: list[Value]


def loop(call: Call) -> Sequence[Value]:
    """Loop: the body takes the number of the round, the condition and the states, and gives the condition, the states and slices."""
    body = body_of(call, "body")
    states = [call.input(index) for index in range(2, len(call.inputs))]
    limit = call.known_integers(0)
    start = call.known(1) if call.optional(1) is not None else np.array(True)
    known = limit is not None and len(limit) == 1 and start is not None
    rounds = limit[0] if known and limit is not None else -1
    if start is not None and start.size == 1 and not start.ravel()[0]:
        rounds = 0
    if 0 <= rounds <= MOST_ROUNDS and call.host.affords(body, rounds):
        unrolled = _unrolled(call, body, states, rounds)
        if unrolled is not None:
            return unrolled
    return _once(call, body, states, rounds if rounds > 0 else None)


def _round(call: Call, body: GraphProto, number: Value, states: list[Value], prefix: str, repeated: bool) -> _Round:
    going = call.constant(np.array(True))
    results = call.host.inline(call, body, [number, going, *states], prefix, repeated)
    known = call.host.known(results[0]) if results[0].constant is not None else None
    proceed = None if known is None or known.size != 1 else bool(known.ravel()[0])
    return _Round(proceed, results[1 : 1 + len(states)], results[1 + len(states) :])


def _unrolled(call: Call, body: GraphProto, states: list[Value], rounds: int) -> list[Value] | None:
    """All rounds one after the other; None where it turns out that the data decide how many there are."""
    collected: list[list[Value]] = [[] for _ in range(len(body.output) - 1 - len(states))]
    for number in range(rounds):
        count = call.constant(np.array(number, dtype=np.int64))
        done = _round(call, body, count, states, f"{call.name}/{number}/", repeated=True)
        if done.proceed is None and number + 1 < rounds:
            return None
        states = done.states
        for gathered, piece in zip(collected, done.slices, strict=True):
            gathered.append(piece)
        if done.proceed is False:
            break
    return [*states, *(_stacked(call, pieces) for pieces in collected)]


def _stacked(call: Call, pieces: list[Value], axis: int = 0) -> Value:
    """The slices that the rounds gave, along a new axis."""
    if not pieces:
        return call.unknown([Value("", None, "undefined")], "the loop never runs, so what it collects has no known shape", [])[0]
    if any(piece.shape is None for piece in pieces):
        return call.unknown([Value("", None, pieces[0].dtype)], "the shape of what the loop collects is unknown", pieces)[0]
    place = call.normal_axis(axis, pieces[0].rank + 1)
    raised = [call.reshape(p, (*p.dims[:place], 1, *p.dims[place:])) for p in pieces]
    return raised[0] if len(raised) == 1 else call.emit(core.Concatenation(place), *raised)


def _once(call: Call, body: GraphProto, states: list[Value], rounds: int | None) -> list[Value]:
    """One round of the body on states that any round may have."""
    changed = _changed(body, len(states))
    inner = list(states)
    carried = _any_round(call, [v for v, c in zip(states, changed, strict=True) if c], states)
    for index, value in zip([i for i, c in enumerate(changed) if c], carried, strict=True):
        inner[index] = value
    number = call.opaque((), "int64")
    done = _round(call, body, number, inner, f"{call.name}/", repeated=False)
    call.host.note("loop-bound", call, "one round of its body is shown, since " + _ROUNDS)
    results = [
        initial if not c else _bounded(call, initial.shape if initial.shape == last.shape else None, [initial, last])
        for initial, last, c in zip(states, done.states, changed, strict=True)
    ]
    for piece in done.slices:
        results.append(_bounded(call, None if rounds is None or piece.shape is None else (rounds, *piece.shape), [piece, *inner]))
    return results


def _changed(body: GraphProto, count: int) -> list[bool]:
    """Which states of a Loop a round may change: those that it does not give on as they came."""
    same = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity" and node.input and node.output}
    given = [same.get(info.name, info.name) for info in list(body.output)[1 : 1 + count]]
    taken = [info.name for info in list(body.input)[2 : 2 + count]]
    return [a != b for a, b in zip(given, taken, strict=True)]


def _any_round(call: Call, like: Sequence[Value], sources: Sequence[Value]) -> list[Value]:
    """States as any round may find them: of known shape, read from the sources in a way that is not followed."""

    def build(prelude: Call) -> list[Value]:
        flat = [v for v in sources if v.items is None and v.constant is None and v.shape is not None]
        return [prelude.emit(core.DataDependent((v.dims,), _ROUNDS), *flat, dtype=v.dtype) for v in like]

    return call.host.prelude(call, build) if like else []


def _bounded(call: Call, shape: Shape | None, sources: list[Value]) -> Value:
    """A result of which only what one round reads is known."""
    flat = [v for v in sources if v.items is None and v.constant is None]
    dtype = sources[0].dtype
    if shape is None:
        return call.unknown([Value("", None, dtype)], "the shape of a result of the loop depends on how often it runs", flat)[0]
    if any(v.shape is None for v in flat):
        return call.unknown([Value("", shape, dtype)], "the shape of a state of the loop is unknown", flat)[0]
    return call.emit(core.DataDependent((shape,), _ROUNDS), *flat, dtype=dtype)


def scan(call: Call) -> Sequence[Value]:
    """Scan: the body runs over slices of its inputs. In opset 8 there is a batch axis before everything."""
    inputs = [v for v in call.inputs[1 if call.version < 9 else 0 :] if v is not None]
    if call.version >= 9:
        return _scan(call, inputs)
    if any(v.dims[:1] != (1,) for v in inputs):
        raise ShapeError("a Scan of opset 8 over several samples is not followed")
    results = _scan(call, [call.reshape(v, v.dims[1:]) for v in inputs])
    return [call.reshape(v, (1, *v.dims)) for v in results]


def _scan(call: Call, inputs: list[Value]) -> list[Value]:
    body = body_of(call, "body")
    count = call.attributes.integer("num_scan_inputs")
    if not 0 < count <= len(inputs):
        call.refuse("scan-inputs", f"num_scan_inputs is {count}, it has {len(inputs)} inputs")
    states, scanned = inputs[:-count], inputs[-count:]
    stated = call.attributes.integers("scan_input_axes") or (0,) * count
    if len(stated) != count:
        call.refuse("scan-inputs", f"scan_input_axes has {len(stated)} entries for {count} inputs")
    axes = [call.normal_axis(axis, value.rank) for axis, value in zip(stated, scanned, strict=True)]
    steps = {value.dims[axis] for value, axis in zip(scanned, axes, strict=True)}
    if len(steps) != 1:
        call.misfit("scan-lengths", f"it runs over inputs of {sorted(steps)} slices")
    length = steps.pop()
    if 0 < length <= MOST_ROUNDS and call.host.affords(body, length):
        return _scan_unrolled(call, body, states, list(zip(scanned, axes, strict=True)), length)
    return _scan_once(call, body, states, list(zip(scanned, axes, strict=True)), length)


def _output_axes(call: Call, count: int) -> Sequence[int]:
    return call.attributes.integers("scan_output_axes") or (0,) * count


def _scan_unrolled(call: Call, body: GraphProto, states: list[Value], scanned: list[tuple[Value, int]], length: int) -> list[Value]:
    turned = call.attributes.integers("scan_output_directions") or ()
    collected: list[list[Value]] = [[] for _ in range(len(body.output) - len(states))]
    for number, slices in enumerate(_slices(call, scanned, length)):
        results = call.host.inline(call, body, [*states, *slices], f"{call.name}/{number}/", repeated=True)
        states = results[: len(states)]
        for gathered, piece in zip(collected, results[len(states) :], strict=True):
            gathered.append(piece)
    axes = _output_axes(call, len(collected))
    pieces = [list(reversed(p)) if i < len(turned) and turned[i] else p for i, p in enumerate(collected)]
    return [*states, *(_stacked(call, p, axis) for p, axis in zip(pieces, axes, strict=False))]


def _slices(call: Call, scanned: list[tuple[Value, int]], length: int) -> list[list[Value]]:
    """For every round, its slice of each input."""
    backwards = call.attributes.integers("scan_input_directions") or call.attributes.integers("directions") or (0,) * len(scanned)
    reversed_ = [bool(backwards[i]) if i < len(backwards) else False for i in range(len(scanned))]

    def build(prelude: Call) -> list[Value]:
        """The slices of all rounds, one round after the other."""
        return [
            _slice(prelude, value, axis, length - 1 - number if reverse else number)
            for number in range(length)
            for (value, axis), reverse in zip(scanned, reversed_, strict=True)
        ]

    pieces = call.host.prelude(call, build)
    return [pieces[i : i + len(scanned)] for i in range(0, len(pieces), len(scanned))]


def _slice(call: Call, value: Value, axis: int, place: int) -> Value:
    """One unit of an axis, without that axis; of a constant, a constant."""
    shape = (*value.dims[:axis], *value.dims[axis + 1 :])
    if value.constant is None:
        return call.reshape(call.emit(core.Slicing(axis, place, 1, 1), value), shape)
    known = call.host.known(value)
    return call.opaque(shape, value.dtype) if known is None else call.constant(np.take(known, place, axis))


def _scan_once(call: Call, body: GraphProto, states: list[Value], scanned: list[tuple[Value, int]], length: int) -> list[Value]:
    given = [*states, *(v for v, _ in scanned)]
    shapes = [Value("", (*v.dims[:axis], *v.dims[axis + 1 :]), v.dtype) for v, axis in scanned]
    inner = _any_round(call, [*states, *shapes], given)
    results = call.host.inline(call, body, inner, f"{call.name}/")
    call.host.note("loop-bound", call, "one round of its body is shown, since " + _ROUNDS)
    final = [_bounded(call, initial.shape, [last, *given]) for initial, last in zip(states, results, strict=False)]
    pieces = results[len(states) :]
    for piece, axis in zip(pieces, _output_axes(call, len(pieces)), strict=False):
        shape = None
        if piece.shape is not None:
            place = call.normal_axis(axis, piece.rank + 1)
            shape = (*piece.dims[:place], length, *piece.dims[place:])
        final.append(_bounded(call, shape, [piece, *given]))
    return final


def sequence_map(call: Call) -> Sequence[Value]:
    """SequenceMap: the body on every element of known sequences."""
    body = body_of(call, "body")
    first = call.input(0)
    if first.items is None:
        raise ShapeError("how long the sequence is depends on the data")
    if not call.host.affords(body, len(first.items)):
        raise ShapeError("the sequence is too long to be followed element by element")
    collected: list[list[Value]] = [[] for _ in body.output]
    for number in range(len(first.items)):
        elements = [v if v.items is None else v.items[number] for v in call.inputs if v is not None]
        results = call.host.inline(call, body, elements, f"{call.name}/{number}/", repeated=True)
        for gathered, value in zip(collected, results, strict=True):
            gathered.append(value)
    return [Value("", None, "sequence", items=tuple(gathered)) for gathered in collected]


RULES = {
    "If": Rule(branch, structural=True),
    "Loop": Rule(loop, structural=True),
    "Scan": Rule(scan, structural=True),
    "SequenceMap": Rule(sequence_map, structural=True),
}
