"""Operators that pick units by index, or put units at indices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule, Undecided, transposed_weight
from service.readers.onnx.constants import movement as computed
from service.readers.onnx.operators.movement import cut
from service.readers.onnx.values import Value

Indices = NDArray[np.int64]

MOST_INDICES = 1 << 18
"""Entries of a list of constant indices; a longer one is followed as if the data chose them."""

_CHOSEN = "which units are read depends on the data"


def take(call: Call, data: Value, axis: int, indices: Indices) -> Value:
    """The units of one axis at constant indices (which may count from the end): a slice where they are evenly spaced."""
    length = data.dims[axis]
    wrapped = np.where(indices < 0, indices + length, indices).ravel()
    if wrapped.size and (wrapped.min() < 0 or wrapped.max() >= length):
        raise ShapeError(f"an index lies outside axis {axis} of {data.dims}")
    steps = np.diff(wrapped)
    if wrapped.size == 0 or (wrapped.size > 1 and (steps[0] == 0 or (steps != steps[0]).any())):
        return call.emit(core.Taking(axis, tuple(wrapped.tolist())), data)
    step = int(steps[0]) if steps.size else 1
    return call.emit(core.Slicing(axis, int(wrapped[0]), step, wrapped.size), data)


def known_indices(call: Call, index: int) -> Indices | None:
    """A constant input as indices, None where it depends on the data or is too long."""
    array = call.known(index)
    return None if array is None or array.size > MOST_INDICES or array.dtype.kind not in "iu" else array.astype(np.int64)


def gather(call: Call) -> Sequence[Value]:
    """Gather: at constant indices, from a constant table (an embedding), or at indices that the data choose."""
    data, indices = call.input(0), call.input(1)
    axis = call.axis(data.rank)
    constant = known_indices(call, 1)
    shape = (*data.dims[:axis], *indices.dims, *data.dims[axis + 1 :])
    if constant is not None:
        return [call.reshape(take(call, data, axis, constant), shape)]
    if data.constant is not None and indices.constant is None:
        return [look_up(call, data, indices, axis)]
    return [chosen(call, shape, data, indices)]


def look_up(call: Call, table: Value, indices: Value, axis: int = 0) -> Value:
    """The rows of a constant table along `axis` at indices that are data."""
    order = (axis, *(a for a in range(table.rank) if a != axis))
    units = tuple(table.dims[a] for a in order[1:])
    assert table.constant is not None
    if table.constant.origin.kept and table.dims[axis]:
        call.kind = "embedding"
        call.kernel.append(transposed_weight(call.weight(table), order))
        rows = call.emit(core.Embedding(table.dims[axis], units), indices, dtype=table.dtype)
    else:
        spread = call.reshape(indices, (*indices.dims, *[1] * len(units)))
        rows = call.emit(core.Elementwise("gather"), call.emit(core.Expanding((*indices.dims, *units)), spread), dtype=table.dtype)
    positions = range(indices.rank)
    before = range(indices.rank, indices.rank + axis)
    return call.transpose(rows, (*before, *positions, *range(indices.rank + axis, rows.rank)))


def chosen(call: Call, shape: Shape, *inputs: Value) -> Value:
    """Units that the data choose."""
    return call.data_dependent([shape], _CHOSEN, *inputs)[0]


def _rows(call: Call, data: Value, axes: int, picked: Indices, shape: Shape) -> Value:
    """Units at flat indices into the first `axes` axes together, under a shape."""
    flat = call.reshape(data, (math.prod(data.dims[:axes]), *data.dims[axes:]))
    return call.reshape(take(call, flat, 0, picked), shape)


def _numbered(shape: Shape) -> Indices:
    """The flat index of every unit of a shape; ShapeError where they are too many to list."""
    if math.prod(shape) > MOST_INDICES * 4:
        raise ShapeError(f"{shape} has too many units to be listed")
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def gather_elements(call: Call) -> Sequence[Value]:
    """GatherElements: an index for every unit."""
    data, indices = call.input(0), call.input(1)
    axis, constant = call.axis(data.rank), known_indices(call, 1)
    if constant is None or data.constant is not None:
        call.add_other(data)
        return [chosen(call, indices.dims, data, indices)]
    wrapped = np.where(constant < 0, constant + data.dims[axis], constant)
    line = tuple(slice(None) if a == axis else slice(0, 1) for a in range(data.rank))
    others = [n for a, n in enumerate(data.dims) if a != axis]
    if (wrapped == wrapped[line]).all() and others == [n for a, n in enumerate(wrapped.shape) if a != axis]:
        return [take(call, data, axis, wrapped[line])]
    places: list[Indices] = list(np.indices(wrapped.shape, dtype=np.int64))
    places[axis] = wrapped
    return [_rows(call, data, data.rank, _ravelled(places, data.dims), indices.dims)]


def _ravelled(places: Sequence[Indices], shape: Shape) -> Indices:
    try:
        return np.asarray(np.ravel_multi_index(tuple(places), shape), dtype=np.int64)
    except ValueError as error:
        raise ShapeError(f"an index lies outside {shape}") from error


def _leading(indices: Indices, shape: Shape, batch: int) -> Indices:
    """Flat indices into the leading axes that GatherND and ScatterND name by the last axis of their indices, after `batch` axes in step."""
    depth = indices.shape[-1]
    lengths = np.array(shape[batch : batch + depth], dtype=np.int64)
    wrapped = np.where(indices < 0, indices + lengths, indices)
    places = [wrapped[..., i] for i in range(depth)]
    every: list[Indices] = list(np.indices(indices.shape[:-1], dtype=np.int64))
    steps = every[:batch]
    if not places and not steps:
        return np.zeros(indices.shape[:-1], dtype=np.int64)
    return _ravelled([*steps, *places], shape[: batch + depth])


def gather_nd(call: Call) -> Sequence[Value]:
    """GatherND: the last axis of the indices names a place in the leading axes."""
    data, indices = call.input(0), call.input(1)
    batch, constant = call.attributes.integer("batch_dims"), known_indices(call, 1)
    depth = indices.dims[-1]
    shape = (*indices.dims[:-1], *data.dims[batch + depth :])
    if constant is None or data.constant is not None:
        call.add_other(data)
        return [chosen(call, shape, data, indices)]
    return [_rows(call, data, batch + depth, _leading(constant, data.dims, batch), shape)]


def _put(call: Call, data: Value, updates: Value, axes: int, places: Indices, shape: Shape) -> Value:
    """`data` with units replaced at flat places in its first `axes` axes: a selection out of both, one after the other."""
    rest = data.dims[axes:]
    count = math.prod(data.dims[:axes])
    selected = _numbered((count,)).copy()
    selected[places.ravel()] = count + np.arange(places.size)
    both = [call.reshape(data, (count, *rest)), call.reshape(updates, (places.size, *rest))]
    return call.reshape(take(call, call.emit(core.Concatenation(0), *both), 0, selected), shape)


def _adding(call: Call) -> bool:
    return call.attributes.text("reduction", "none") != "none"


def _block(indices: NDArray[np.generic] | None, shape: Shape) -> tuple[int, ...] | None:
    """Where a block of the leading axes begins whose places the indices name one by one in their order; None where they name no block."""
    if indices is None or indices.dtype.kind not in "iu" or indices.ndim - 1 != indices.shape[-1] or not indices.size:
        return None
    if indices.shape[-1] > len(shape) or 0 in shape:
        return None
    starts = []
    for axis, length in enumerate(indices.shape[:-1]):
        places = np.moveaxis(indices[..., axis], axis, -1).astype(np.int64)
        start = int(places.reshape(-1, length)[0, 0])
        start += shape[axis] if start < 0 else 0
        if not (places % shape[axis] == start + np.arange(length)).all():
            return None
        starts.append(start)
    return tuple(starts)


def _put_block(call: Call, data: Value, updates: Value, starts: Sequence[int], axis: int = 0) -> Value:
    """`data` with a block of its leading axes replaced: what lies before and after it along each axis stays."""
    if axis == len(starts):
        return updates
    start, stop, length = starts[axis], starts[axis] + updates.dims[axis], data.dims[axis]
    middle = _put_block(call, cut(call, data, axis, start, stop), updates, starts, axis + 1)
    parts = [cut(call, data, axis, 0, start)] if start else []
    parts += [middle, *([cut(call, data, axis, stop, length)] if stop < length else [])]
    return call.emit(core.Concatenation(axis), *parts) if len(parts) > 1 else middle


def scatter_nd(call: Call) -> Sequence[Value]:
    """ScatterND: rows replaced at constant places; where the data choose the places or values add up, a bound."""
    data, indices, updates = call.input(0), call.input(1), call.input(2)
    starts = None if _adding(call) else _block(call.known(1), data.dims)
    if starts is not None:
        return [_put_block(call, data, updates, starts)]
    constant = known_indices(call, 1)
    if constant is None or _adding(call) or math.prod(data.dims[: indices.dims[-1]]) > MOST_INDICES * 4:
        return [chosen(call, data.dims, data, indices, updates)]
    return [_put(call, data, updates, indices.dims[-1], _leading(constant, data.dims, 0), data.dims)]


def scatter_elements(call: Call) -> Sequence[Value]:
    """ScatterElements and the old Scatter: units replaced at constant places."""
    data, indices, updates = call.input(0), call.input(1), call.input(2)
    axis, constant = call.axis(data.rank), known_indices(call, 1)
    if constant is None or _adding(call) or math.prod(data.dims) > MOST_INDICES * 4:
        return [chosen(call, data.dims, data, indices, updates)]
    places: list[Indices] = list(np.indices(constant.shape, dtype=np.int64))
    places[axis] = np.where(constant < 0, constant + data.dims[axis], constant)
    return [_put(call, data, updates, data.rank, _ravelled(places, data.dims), data.dims)]


def tensor_scatter(call: Call) -> Sequence[Value]:
    """TensorScatter (opset 24): new entries of a cache, from its beginning or from where the data say."""
    cache, update, where = call.input(0), call.input(1), call.optional(2)
    if where is not None:
        return [chosen(call, cache.dims, cache, update, where)]
    axis = call.axis(cache.rank, -2)
    return [call.emit(core.Concatenation(axis), update, cut(call, cache, axis, update.dims[axis], cache.dims[axis]))]


def reverse_sequence(call: Call) -> Sequence[Value]:
    """ReverseSequence: the first units along time, as many as each sample states, in reverse."""
    data, constant = call.input(0), known_indices(call, 1)
    batch, time = call.attributes.integer("batch_axis", 1), call.attributes.integer("time_axis", 0)
    if {batch, time} != {0, 1} or data.rank < 2:
        call.refuse("axis-range", f"batch_axis is {batch} and time_axis {time}")
    if constant is None or math.prod(data.dims[:2]) > MOST_INDICES:
        return [chosen(call, data.dims, *[v for v in call.inputs if v is not None])]
    steps = np.arange(data.dims[time])
    lengths = constant.reshape(-1, 1)
    turned = np.where(steps < lengths, lengths - 1 - steps, steps)
    if (turned == turned[:1]).all():
        return [take(call, data, time, turned[0])]
    samples = np.broadcast_to(np.arange(data.dims[batch]).reshape(-1, 1), turned.shape)
    flat = _ravelled([samples, turned] if batch == 0 else [turned, samples], data.dims[:2])
    return [_rows(call, data, 2, flat if batch == 0 else flat.T, data.dims)]


def compress(call: Call) -> Sequence[Value]:
    """Compress: the units of an axis (or of all axes together) for which a constant condition holds."""
    data, condition = call.input(0), call.known(1)
    if condition is None:
        raise Undecided("how many units are kept depends on the data")
    if "axis" not in call.attributes:
        data = call.reshape(data, (math.prod(data.dims),))
    axis = call.axis(data.rank)
    return [take(call, data, axis, np.flatnonzero(condition[: data.dims[axis]]))]


def one_hot(call: Call) -> Sequence[Value]:
    """OneHot: a new axis along which every unit depends on the one index."""
    indices = call.input(0)
    depth = call.required_integers(1, "the number of classes")[0]
    axis = call.normal_axis(call.attributes.integer("axis", -1), indices.rank + 1)
    single = call.reshape(indices, (*indices.dims[:axis], 1, *indices.dims[axis:]))
    spread = call.emit(core.Expanding((*indices.dims[:axis], depth, *indices.dims[axis:])), single)
    return [call.elementwise("onehot", spread, *[v for v in call.inputs[2:3] if v is not None and v.constant is None and v.shape == ()])]


def sized_by_data(reason: str) -> Callable[[Call], Sequence[Value]]:
    """An operator whose result has as many units as the data say."""

    def lower(call: Call) -> Sequence[Value]:
        raise Undecided(reason)

    return lower


_COUNTED = "how many results there are depends on the data"

RULES = {
    "Gather": Rule(gather, "reshape", fold=computed.gather, keeps="part"),
    "GatherElements": Rule(gather_elements, "reshape", fold=computed.gather_elements, keeps="part"),
    "GatherND": Rule(gather_nd, "reshape", fold=computed.gather_nd, keeps="part"),
    "ScatterND": Rule(scatter_nd, "reshape", fold=computed.scatter_nd),
    "ScatterElements": Rule(scatter_elements, "reshape", fold=computed.scatter_elements),
    "Scatter": Rule(scatter_elements, "reshape", fold=computed.scatter_elements),
    "TensorScatter": Rule(tensor_scatter, "reshape"),
    "ReverseSequence": Rule(reverse_sequence, "reshape", keeps="scalars"),
    "Compress": Rule(compress, "reshape", fold=computed.compress, keeps="part"),
    "OneHot": Rule(one_hot, fold=computed.one_hot, keeps="nothing"),
    "NonZero": Rule(sized_by_data(_COUNTED), fold=computed.non_zero, keeps="nothing", bound=_COUNTED),
    "NonMaxSuppression": Rule(sized_by_data(_COUNTED), bound=_COUNTED),
    "Unique": Rule(sized_by_data(_COUNTED), bound=_COUNTED),
}
