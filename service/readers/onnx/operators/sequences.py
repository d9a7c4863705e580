"""Sequences and optionals: values of values. The reader knows their elements, so that they cost the analysis nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.values import Value

MOST_ITEMS = 4096


def sequence(*items: Value) -> Value:
    """A sequence of known elements."""
    return Value("", None, "sequence", items=items)


def items_of(call: Call, index: int = 0) -> tuple[Value, ...]:
    """The elements of an input; ShapeError where they are not known."""
    items = call.input(index).items
    if items is None:
        raise ShapeError("the elements of the sequence are not known")
    return items


def construct(call: Call) -> Sequence[Value]:
    """SequenceConstruct."""
    return [sequence(*(v for v in call.inputs if v is not None))]


def empty(call: Call) -> Sequence[Value]:
    """SequenceEmpty."""
    return [sequence()]


def _position(call: Call, index: int, length: int) -> int:
    place = call.required_integers(index, "the position in the sequence")[0]
    if not -length <= place < max(length, 1):
        raise ShapeError(f"a sequence of {length} has no element {place}")
    return place % length if length else 0


def at(call: Call) -> Sequence[Value]:
    """SequenceAt."""
    items = items_of(call)
    if not items:
        raise ShapeError("the sequence is empty")
    return [items[_position(call, 1, len(items))]]


def insert(call: Call) -> Sequence[Value]:
    """SequenceInsert: at the end unless a position is stated."""
    items = list(items_of(call))
    place = len(items) if call.optional(2) is None else call.required_integers(2, "the position in the sequence")[0]
    items.insert(place, call.input(1))
    return [sequence(*items)]


def erase(call: Call) -> Sequence[Value]:
    """SequenceErase: the last element unless a position is stated."""
    items = list(items_of(call))
    if not items:
        raise ShapeError("the sequence is empty")
    del items[len(items) - 1 if call.optional(1) is None else _position(call, 1, len(items))]
    return [sequence(*items)]


def length(call: Call) -> Sequence[Value]:
    """SequenceLength."""
    return [call.constant(np.array(len(items_of(call)), dtype=np.int64))]


def split(call: Call) -> Sequence[Value]:
    """SplitToSequence: parts of stated lengths, of one length, or single units without their axis."""
    data = call.input(0)
    axis = call.axis(data.rank)
    whole = data.dims[axis]
    stated = (1,) if call.optional(1) is None else call.required_integers(1, "the lengths of the parts")
    sizes: Sequence[int] = stated
    if call.optional(1) is None or call.input(1).shape == ():
        if stated[0] < 1 or whole > MOST_ITEMS * stated[0]:
            raise ShapeError(f"an axis of {whole} is not followed in parts of {stated[0]}")
        sizes = [min(stated[0], whole - i) for i in range(0, whole, stated[0])]
    if sum(sizes) != whole or any(n < 0 for n in sizes) or len(sizes) > MOST_ITEMS:
        raise ShapeError(f"an axis of {whole} is not followed in {len(sizes)} parts")
    parts, start = [], 0
    for size in sizes:
        parts.append(call.emit(core.Slicing(axis, start, 1, size), data))
        start += size
    if call.optional(1) is None and not call.attributes.integer("keepdims", 1):
        parts = [call.reshape(p, (*data.dims[:axis], *data.dims[axis + 1 :])) for p in parts]
    return [sequence(*parts)]


def concatenate(call: Call) -> Sequence[Value]:
    """ConcatFromSequence: along an axis of the elements, or a new one."""
    items = items_of(call)
    if not items:
        raise ShapeError("the sequence is empty")
    new = bool(call.attributes.integer("new_axis"))
    axis = call.axis(items[0].rank + new)
    if new:
        items = tuple(call.reshape(v, (*v.dims[:axis], 1, *v.dims[axis:])) for v in items)
    return [call.emit(core.Concatenation(axis), *items)]


def optional(call: Call) -> Sequence[Value]:
    """Optional: the value itself, or nothing."""
    value = call.optional(0)
    return [sequence() if value is None else value]


def optional_element(call: Call) -> Sequence[Value]:
    """OptionalGetElement: the value itself."""
    return [call.input(0)]


def optional_has(call: Call) -> Sequence[Value]:
    """OptionalHasElement: known where the value is; a graph input may be missing."""
    value = call.optional(0)
    return [call.constant(np.array(value is not None and value.items != (), dtype=np.bool_))]


RULES = {
    "SequenceConstruct": Rule(construct, structural=True),
    "SequenceEmpty": Rule(empty, structural=True),
    "SequenceAt": Rule(at, structural=True),
    "SequenceInsert": Rule(insert, structural=True),
    "SequenceErase": Rule(erase, structural=True),
    "SequenceLength": Rule(length, structural=True),
    "SplitToSequence": Rule(split, "reshape", structural=True),
    "ConcatFromSequence": Rule(concatenate, "reshape", structural=True),
    "Optional": Rule(optional, structural=True),
    "OptionalGetElement": Rule(optional_element, structural=True),
    "OptionalHasElement": Rule(optional_has, structural=True),
}
