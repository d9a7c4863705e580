"""Constants computed with NumPy: operators that make, move, pick and join units."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from service.readers.onnx.constants.folding import Array, given, room
from service.readers.onnx.operators.geometry import normal_axes, reshaped, split_lengths, squeezed, unsqueezed
from service.readers.onnx.values import Operation, numpy_dtype
from service.readers.tensors.element_types import ELEMENT_TYPES


def _integers(operation: Operation, name: str, operand: Array | None, since: int) -> list[int] | None:
    """A list of integers that is an attribute before opset `since` and an operand from then on."""
    if operation.version >= since:
        return None if operand is None else [int(x) for x in operand.ravel()]
    stated = operation.attributes.integers(name)
    return None if stated is None else list(stated)


def reshape(operation: Operation, operand: Array, shape: Array | None = None) -> Array:
    """Reshape."""
    wanted = _integers(operation, "shape", shape, 5) or []
    return operand.reshape(reshaped(operand.shape, wanted, bool(operation.attributes.integer("allowzero"))))


def flat(operation: Operation, operand: Array) -> Array:
    """A layout of the reader's own: the same scalars under the attribute `shape`."""
    return operand.reshape(operation.attributes.integers("shape") or ())


def flatten(operation: Operation, operand: Array) -> Array:
    """Flatten."""
    axis = operation.attributes.integer("axis", 1)
    return operand.reshape(math.prod(operand.shape[:axis]), -1 if operand.size else 0)


def squeeze(operation: Operation, operand: Array, axes: Array | None = None) -> Array:
    """Squeeze."""
    return operand.reshape(squeezed(operand.shape, _integers(operation, "axes", axes, 13)))


def unsqueeze(operation: Operation, operand: Array, axes: Array | None = None) -> Array:
    """Unsqueeze."""
    return operand.reshape(unsqueezed(operand.shape, _integers(operation, "axes", axes, 13) or ()))


def transpose(operation: Operation, operand: Array) -> Array:
    """Transpose; without `perm` the axes are reversed."""
    return np.transpose(operand, operation.attributes.integers("perm"))


def concatenate(operation: Operation, *operands: Array) -> Array:
    """Concat."""
    room(operation, sum(x.size for x in operands))
    return np.concatenate(operands, axis=operation.attributes.integer("axis", 1))


def split(operation: Operation, operand: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """Split."""
    axis = operation.attributes.integer("axis")
    lengths = split_lengths(operand.shape[axis], operation.outputs, _integers(operation, "split", sizes, 13))
    return tuple(np.split(operand, np.cumsum(lengths)[:-1], axis=axis))


def slices(operation: Operation, operand: Array, *operands: Array | None) -> Array:
    """Slice."""
    starts, ends, axes, steps = (
        _integers(operation, n, x, 10) for n, x in zip(("starts", "ends", "axes", "steps"), (*operands, *[None] * 4), strict=False)
    )
    if starts is None or ends is None:
        raise ValueError("the bounds are missing")
    chosen = normal_axes(axes if axes is not None else range(len(starts)), operand.ndim)
    index: list[slice] = [slice(None)] * operand.ndim
    for axis, start, end, step in zip(chosen, starts, ends, steps or [1] * len(starts), strict=True):
        index[axis] = slice(start, end if step > 0 or end >= -operand.shape[axis] else None, step)
    return operand[tuple(index)]


def gather(operation: Operation, operand: Array, indices: Array) -> Array:
    """Gather."""
    axis = operation.attributes.integer("axis")
    room(operation, indices.size, operand.size // max(operand.shape[axis], 1))
    return np.take(operand, indices.astype(np.int64), axis=axis)


def gather_elements(operation: Operation, operand: Array, indices: Array) -> Array:
    """GatherElements."""
    axis = operation.attributes.integer("axis")
    wrapped = np.where(indices < 0, indices + operand.shape[axis], indices)
    return np.take_along_axis(operand, wrapped, axis)


def gather_nd(operation: Operation, operand: Array, indices: Array) -> Array:
    """GatherND without batch axes."""
    if operation.attributes.integer("batch_dims"):
        raise ValueError("batch axes are not computed")
    room(operation, math.prod(indices.shape[:-1]), math.prod(operand.shape[indices.shape[-1] :]))
    return np.asarray(operand[tuple(np.moveaxis(indices, -1, 0))])


def scatter_nd(operation: Operation, operand: Array, indices: Array, updates: Array) -> Array:
    """ScatterND without a reduction."""
    _plain(operation)
    result = operand.copy()
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result


def scatter_elements(operation: Operation, operand: Array, indices: Array, updates: Array) -> Array:
    """ScatterElements (and the old Scatter) without a reduction."""
    _plain(operation)
    axis = operation.attributes.integer("axis")
    result = operand.copy()
    np.put_along_axis(result, np.where(indices < 0, indices + operand.shape[axis], indices), updates, axis)
    return result


def _plain(operation: Operation) -> None:
    if operation.attributes.text("reduction", "none") != "none":
        raise ValueError("a scatter with a reduction is not computed")


def expand(operation: Operation, operand: Array, shape: Array) -> Array:
    """Expand."""
    wanted = np.broadcast_shapes(operand.shape, tuple(int(n) for n in shape))
    room(operation, *wanted)
    return np.broadcast_to(operand, wanted)


def tile(operation: Operation, operand: Array, repeats: Array, axis: Array | None = None) -> Array:
    """Tile; in opset 1 with one number of tiles along one axis."""
    times = [int(n) for n in repeats.ravel()]
    if operation.version < 6:
        along = int(given(axis).ravel()[0])
        times = [times[0] if i == along else 1 for i in range(operand.ndim)]
    room(operation, operand.size, *times)
    return np.tile(operand, times)


def pad(operation: Operation, operand: Array, pads: Array | None = None, value: Array | None = None, axes: Array | None = None) -> Array:
    """Pad with a constant, without negative pads."""
    if operation.version < 11 or pads is None or operation.attributes.text("mode", "constant") != "constant" or (pads < 0).any():
        raise ValueError("this padding is not computed")
    chosen = list(range(operand.ndim)) if axes is None else [int(a) % operand.ndim for a in axes.ravel()]
    widths = [(0, 0)] * operand.ndim
    for axis, before, after in zip(chosen, pads[: len(chosen)], pads[len(chosen) :], strict=True):
        widths[axis] = int(before), int(after)
    room(operation, *(n + sum(w) for n, w in zip(operand.shape, widths, strict=True)))
    return np.pad(operand, widths, constant_values=operand.dtype.type(0) if value is None else value.ravel()[0])


def constant_of_shape(operation: Operation, shape: Array) -> Array:
    """ConstantOfShape with the value 0 or an inline one."""
    lengths = [int(n) for n in shape.ravel()]
    room(operation, *lengths)
    tensor = operation.attributes.tensor("value")
    if tensor is None:
        return np.zeros(lengths, dtype=np.float32)
    return np.full(lengths, _single(tensor))


def _single(tensor: TensorProto) -> Array:
    """The one value of an inline tensor; TypeError where it is of a type without numbers."""
    element = ELEMENT_TYPES.get(tensor.data_type)
    if element is None:
        raise TypeError("no such type")
    if tensor.raw_data:
        return element.from_raw(tensor.raw_data)[:1].reshape(())
    numbers = getattr(tensor, element.field)[:1]
    if element.field in ("float_data", "double_data"):
        return np.array(numbers[0], dtype=element.dtype)
    return element.from_numbers(np.array(numbers, dtype=np.int64).astype(np.uint64))[:1].reshape(())


def count_up(operation: Operation, start: Array, limit: Array, step: Array) -> Array:
    """Range."""
    first, end, by = (x.ravel()[0] for x in (start, limit, step))
    entries = max(math.ceil((float(end) - float(first)) / float(by)), 0)
    room(operation, entries)
    return np.asarray(np.arange(entries) * by + first).astype(start.dtype)


def non_zero(operation: Operation, operand: Array) -> Array:
    """NonZero."""
    return np.asarray(np.stack(np.nonzero(np.atleast_1d(operand))), dtype=np.int64)


def triangle(operation: Operation, operand: Array, diagonal: Array | None = None) -> Array:
    """Trilu."""
    keep = np.triu if operation.attributes.integer("upper", 1) else np.tril
    return np.asarray(keep(operand, 0 if diagonal is None else int(diagonal.ravel()[0])))


def identity_matrix(operation: Operation, operand: Array) -> Array:
    """EyeLike."""
    dtype = numpy_dtype(operation.attributes.integer("dtype")) or operand.dtype
    rows, columns = operand.shape
    return np.eye(rows, columns, k=operation.attributes.integer("k")).astype(dtype)


def top(operation: Operation, operand: Array, count: Array | None = None) -> tuple[Array, ...]:
    """TopK: the largest or smallest entries along an axis and where they are; of equal ones the first."""
    number = operation.attributes.integer("k") if operation.version < 10 else int(given(count).ravel()[0])
    axis = operation.attributes.integer("axis", -1)
    if not 0 <= number <= operand.shape[axis]:
        raise ValueError("there are not so many entries")
    keys = -operand if operation.attributes.integer("largest", 1) else operand
    order = np.take(np.argsort(keys, axis=axis, kind="stable"), range(number), axis=axis)
    return np.take_along_axis(operand, order, axis), order


def one_hot(operation: Operation, indices: Array, depth: Array, values: Array) -> Array:
    """OneHot."""
    entries = int(depth.ravel()[0])
    room(operation, indices.size, entries)
    axis = operation.attributes.integer("axis", -1)
    places = np.expand_dims(np.mod(indices.astype(np.int64), entries), axis)
    shape = [1] * places.ndim
    shape[axis] = entries
    return np.asarray(np.where(places == np.arange(entries).reshape(shape), values[1], values[0]))


def compress(operation: Operation, operand: Array, condition: Array) -> Array:
    """Compress."""
    axis = operation.attributes.integer("axis") if "axis" in operation.attributes else None
    return np.compress(condition, operand, axis=axis)
