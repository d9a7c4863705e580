"""Which stored tensors a computed constant goes back to, and how many independent scalars it has.

1. What an operator keeps of its operands stands in its rule (`Keeps`).
2. An operator that moves, retypes or scales the scalars of one operand gives them on under their name, so that two layers that read one
   stored tensor by way of such operators are known to share it. Any other operator makes scalars of its own, with a name of their own.
3. Whatever is made of stored tensors remembers all of them, each with the part of it that can have been read. Operands of another element
   type than the result (indices, shapes, conditions) say where scalars go and are none of them.
4. There are never more independent scalars than the operands have together, nor more than the result has entries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from service.graph import Shape, Source
from service.readers.onnx.call import Call
from service.readers.onnx.constants.evaluation import apply
from service.readers.onnx.constants.folding import Array
from service.readers.onnx.constants.movement import constant_of_shape, slices, split
from service.readers.onnx.values import Keeps, Operation, Origin, Value


def origin_of(keeps: Keeps, call: Call, result: Value, operation: Operation | None, index: int = 0) -> Origin:
    """The origin of output `index` of an operator over constants, which `operation` computes where that is known."""
    entries = 0 if result.shape is None else math.prod(result.shape)
    operands = [value for value in call.inputs if value is not None and value.constant is not None]
    if keeps == "nothing" or not operands:
        filled = operation is not None and operation.fold is constant_of_shape
        return Origin(result.name, entries, result.dtype, filled=filled)
    if keeps in ("order", "scalars"):
        return _origin(operands[0])
    if keeps == "part":
        first = _origin(operands[0])
        return Origin(result.name, min(entries, first.count), first.dtype, _parts(call, operands[0], operation, index))
    carrying = [value for value in operands if value.dtype == result.dtype]
    joined = tuple(_joined(source for value in carrying for source in _origin(value).sources))
    whole = _scaled(carrying, result.shape) if keeps == "scaled" else None
    count = min(entries, sum(_origin(value).count for value in carrying if _origin(value).kept))
    if whole is not None:
        return replace(whole, sources=joined)
    return Origin(result.name, count if joined else entries, result.dtype, joined)


def _origin(value: Value) -> Origin:
    assert value.constant is not None
    return value.constant.origin


def _scaled(operands: Sequence[Value], shape: Shape | None) -> Origin | None:
    """The origin of the one stored operand of the result's shape, where all others are smaller."""
    full = [value for value in operands if _origin(value).kept and value.shape == shape]
    others = [value for value in operands if value not in full]
    entries = 0 if shape is None else math.prod(shape)
    if len(full) == 1 and all(value.shape is not None and math.prod(value.shape) < max(entries, 2) for value in others):
        return _origin(full[0])
    return None


def _joined(sources: Iterable[Source]) -> Iterator[Source]:
    """Each stored tensor once; one of which two parts are read counts as read where either is."""
    found: dict[str, Source] = {}
    for source in sources:
        earlier = found.get(source.name)
        found[source.name] = source if earlier is None else earlier.united(source)
    return iter(found.values())


MAX_FOLLOWED = 1 << 22
"""Entries of a part, or of the whole that it is picked from, whose place in the whole is looked for; a slice is found whatever its size."""


def _parts(call: Call, table: Value, operation: Operation | None, index: int) -> tuple[Source, ...]:
    """The sources of a part of a constant: of a stored tensor, with the region that was cut out of it."""
    sources = _origin(table).sources
    if operation is None or table.constant is None or table.constant.stored is None or len(sources) != 1 or not table.shape:
        return sources
    others = [None if value is None else call.host.known(value) for value in call.inputs[1:]]
    region = []
    for axis, length in enumerate(table.shape):
        places = np.arange(length).reshape([length if a == axis else 1 for a in range(len(table.shape))])
        bounds = _bounds(operation, np.broadcast_to(places, table.shape), others, index)
        if bounds is None:
            return sources
        region.append(bounds)
    return (replace(sources[0], region=tuple(region)),)


def _entries(places: Array, others: Sequence[Array | None]) -> int:
    """How many entries the work on a part may take at the most, where it is no view of the whole."""
    picked = others[0].size if others and others[0] is not None else 1
    shortest = max(min(places.shape), 1)
    most: int = max(places.size, places.size // shortest * picked)
    return most


def _bounds(operation: Operation, places: Array, others: Sequence[Array | None], index: int) -> tuple[int, int] | None:
    """The first index along an axis that a part has, and the one behind the last; `places` are the indices of all entries."""
    if operation.fold not in (slices, split) and _entries(places, others) > MAX_FOLLOWED:
        return None
    results = apply(operation, [places, *others])
    if results is None or index >= len(results) or not results[index].size:
        return None
    part = results[index]
    # A part that is a view of the whole is a box, whose extremes lie in its first and last entry.
    seen = np.array([part.flat[0], part.flat[-1]]) if np.may_share_memory(part, places) else part
    return int(seen.min()), int(seen.max()) + 1
