"""Constants computed with NumPy: one small function per ONNX operator, for shape arithmetic and for what is done to weights.

1. A function takes the operation (attributes, opset) and the arrays of its operands, None where one is left out.
2. A function whose result may be larger than its operands asks `room` before it allocates.
3. What a function cannot do, it says by one of `FAILURES`; the result is then not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.graph import ShapeError
from service.readers.onnx.operators.geometry import legacy_shape, normal_axes
from service.readers.onnx.values import Fold, Operation, numpy_dtype
from service.readers.tensors import weights

Array = NDArray[Any]


FAILURES = (ShapeError, ValueError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError, KeyError)
"""What NumPy raises of operands that do not fit; an AttributeError or TypeError where an operand that is due is left out."""


def room(operation: Operation, *lengths: int) -> None:
    """ValueError where an array of these lengths has more entries than this operation may compute."""
    if math.prod(lengths) > operation.most:
        raise ValueError(f"got {math.prod(lengths)} entries; expected at most {operation.most}")


def given(array: Array | None) -> Array:
    """An operand that has to be there; ValueError where it is not."""
    if array is None:
        raise ValueError("an operand is missing")
    return array


def _joint(operation: Operation, *arrays: Array) -> None:
    room(operation, *np.broadcast_shapes(*(a.shape for a in arrays)))


def binary(function: Callable[[Array, Array], Array]) -> Fold:
    """A function of two operands under broadcasting, that of opsets before 7 included."""

    def fold(operation: Operation, left: Array, right: Array) -> Array:
        """The function of both, the right one placed by the attributes of old opsets."""
        if operation.attributes.integer("broadcast"):
            axis = operation.attributes.integer("axis") if "axis" in operation.attributes else None
            right = right.reshape(legacy_shape(right.shape, axis, left.ndim))
        _joint(operation, left, right)
        return function(left, right)

    return fold


def variadic(function: Callable[[Array, Array], Array]) -> Fold:
    """A function of any number of operands, two by two."""

    def fold(operation: Operation, first: Array, *others: Array) -> Array:
        """The function of the first and the second, of that and the third, and so on."""
        first = given(first)
        for other in others:
            _joint(operation, first, other)
            first = function(first, other)
        return first

    return fold


def unary(function: Callable[[Array], Array]) -> Fold:
    """A function of one operand that keeps its type."""

    def fold(operation: Operation, operand: Array, *_: Array | None) -> Array:
        return np.asarray(function(operand)).astype(operand.dtype, copy=False)

    return fold


def divide(left: Array, right: Array) -> Array:
    """Division; of integers, truncated towards zero as in C."""
    if left.dtype.kind not in "iu":
        return np.asarray(left / right).astype(left.dtype)
    quotient = np.asarray(left // right)
    inexact = (quotient * right != left) & ((left < 0) != (right < 0))
    return np.asarray(quotient + inexact).astype(left.dtype)


def modulo(operation: Operation, left: Array, right: Array) -> Array:
    """Mod: the sign of the divisor, or with fmod that of the dividend."""
    _joint(operation, left, right)
    return np.asarray((np.fmod if operation.attributes.integer("fmod") else np.mod)(left, right))


def power(left: Array, right: Array) -> Array:
    """Pow, of the type of the base."""
    return np.asarray(np.power(left.astype(np.float64), right)).astype(left.dtype)


def shift(operation: Operation, left: Array, right: Array) -> Array:
    """BitShift to the stated direction."""
    _joint(operation, left, right)
    return np.asarray((np.left_shift if operation.attributes.text("direction") == "LEFT" else np.right_shift)(left, right))


def cast(operation: Operation, operand: Array) -> Array:
    """Cast to another element type."""
    if operation.version < 6:
        wanted = np.dtype(operation.attributes.text("to").lower().replace("float", "float32").replace("double", "float64"))
    else:
        found = numpy_dtype(operation.attributes.integer("to"))
        if found is None:
            raise TypeError("no such type")
        wanted = found
    if wanted.kind in "OSU" or operand.dtype.kind in "OSU":
        raise TypeError("strings are not computed with")
    return operand.astype(wanted)


def where(operation: Operation, condition: Array, left: Array, right: Array) -> Array:
    """Where."""
    _joint(operation, condition, left, right)
    return np.asarray(np.where(condition, left, right))


def clip(operation: Operation, operand: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """Clip; before opset 11 the bounds are attributes."""
    if operation.version < 11:
        least = operation.attributes.real("min", -np.inf)
        most = operation.attributes.real("max", np.inf)
        return np.clip(operand, least, most).astype(operand.dtype)
    result = operand if low is None else np.maximum(operand, low)
    return np.asarray(result if high is None else np.minimum(result, high)).astype(operand.dtype)


def reduce_axes(operation: Operation, axes: Array | None, since: int, rank: int) -> tuple[int, ...] | None:
    """The axes of a reduction: an attribute before opset `since`, an operand from then on; None where nothing is reduced."""
    stated = (
        operation.attributes.integers("axes")
        if operation.version < since
        else None
        if axes is None
        else tuple(int(a) for a in axes.ravel())
    )
    if not stated:
        return None if operation.attributes.integer("noop_with_empty_axes") else tuple(range(rank))
    return normal_axes(stated, rank)


def reduction(function: Callable[..., Array], since: int = 18) -> Fold:
    """A reduction by a NumPy function with the keywords axis and keepdims."""

    def fold(operation: Operation, operand: Array, axes: Array | None = None) -> Array:
        """The operand reduced along its axes; itself where there are none to reduce."""
        chosen = reduce_axes(operation, axes, since, operand.ndim)
        if chosen is None:
            return operand
        keep = bool(operation.attributes.integer("keepdims", 1))
        return np.asarray(function(operand, axis=chosen, keepdims=keep)).astype(operand.dtype)

    return fold


def mean(operand: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """The mean along axes; that of nothing is not a number."""
    total = np.sum(operand, axis=axis, keepdims=keepdims)
    return np.asarray(total / np.float64(math.prod(operand.shape[a] for a in axis)))


def extreme(function: Callable[..., Array]) -> Fold:
    """ArgMax and ArgMin."""

    def fold(operation: Operation, operand: Array) -> Array:
        """The place of the extreme along `axis`, of equal ones the first or the last."""
        axis = operation.attributes.integer("axis")
        keep = bool(operation.attributes.integer("keepdims", 1))
        if operation.attributes.integer("select_last_index"):
            flipped = function(np.flip(operand, axis), axis=axis, keepdims=keep)
            return np.asarray(operand.shape[axis] - 1 - flipped)
        return np.asarray(function(operand, axis=axis, keepdims=keep))

    return fold


def cumulate(operation: Operation, operand: Array, axis: Array) -> Array:
    """CumSum."""
    along = int(axis.ravel()[0])
    turned = np.flip(operand, along) if operation.attributes.integer("reverse") else operand
    result = np.cumsum(turned, axis=along, dtype=operand.dtype)
    if operation.attributes.integer("exclusive"):
        result = result - turned
    return np.flip(result, along) if operation.attributes.integer("reverse") else result


def matmul(operation: Operation, left: Array, right: Array) -> Array:
    """MatMul."""
    room(operation, left.size, right.shape[-1] if right.ndim else 1)
    return np.asarray(np.matmul(left, right))


def dequantize(operation: Operation, values: Array, scale: Array, zero_point: Array | None = None) -> Array:
    """DequantizeLinear: (q - zero point)·scale per tensor, per axis or per block."""
    axis, block = operation.attributes.integer("axis", 1), operation.attributes.integer("block_size")
    return weights.dequantize(values, scale, zero_point, axis, block)


def quantize(operation: Operation, values: Array, scale: Array, zero_point: Array | None = None) -> Array:
    """QuantizeLinear to an integer type: saturate(round(x/scale) + zero point), rounding half to even."""
    axis, block = operation.attributes.integer("axis", 1), operation.attributes.integer("block_size")
    stated = numpy_dtype(operation.attributes.integer("output_dtype"))
    kind = zero_point.dtype if zero_point is not None else stated or np.dtype(np.uint8)
    if kind.kind not in "iu":
        raise TypeError("only integers are computed")
    rounded = np.rint(values / _along(scale, values, axis, block))
    if zero_point is not None:
        rounded = rounded + _along(zero_point.astype(np.float64), values, axis, block)
    limits = np.iinfo(kind)
    return np.clip(rounded, limits.min, limits.max).astype(kind)


def _along(parameter: Array, values: Array, axis: int, block: int) -> Array:
    """A scale or zero point broadcast against the values it belongs to."""
    if parameter.size == 1:
        return parameter.reshape(())
    if block and parameter.ndim == values.ndim:
        block = min(block, values.shape[axis])
        repeated = np.repeat(parameter, block, axis=axis)
        return np.take(repeated, range(values.shape[axis]), axis=axis)
    if parameter.ndim == 1:
        shape = [1] * values.ndim
        shape[axis] = parameter.size
        return parameter.reshape(shape)
    return parameter


def fake_quantize(operation: Operation, values: Array, scale: Array, zero_point: Array, bits: Array) -> Array:
    """Quant of Brevitas and QONNX: rounded to `bits` bits and back (https://github.com/fastmachinelearning/qonnx, qonnx-custom-ops)."""
    signed, narrow = operation.attributes.integer("signed", 1), operation.attributes.integer("narrow", 0)
    if operation.attributes.text("rounding_mode", "ROUND").upper() != "ROUND":
        raise ValueError("only rounding half to even is computed")
    low = -(2.0 ** (bits - 1)) + narrow if signed else np.zeros_like(bits)
    high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - narrow
    rounded = np.rint(np.clip(values / scale + zero_point, low, high))
    return np.asarray((rounded - zero_point) * scale)


def bipolar(operation: Operation, values: Array, scale: Array) -> Array:
    """BipolarQuant of QONNX: the sign times the scale, zero being positive."""
    return np.asarray(np.where(values >= 0, scale, -scale))


def unpack_blocks(operation: Operation, packed: Array, scales: Array, zero_points: Array | None = None) -> Array:
    """The matrix (K, N) of MatMulNBits: unsigned numbers of `bits` bits, low ones first, with a scale and a zero point per block of K."""
    rows, inputs = operation.attributes.integer("N"), operation.attributes.integer("K")
    bits, block = operation.attributes.integer("bits"), operation.attributes.integer("block_size")
    if bits not in (2, 4, 8):
        raise ValueError("only whole numbers to a byte are unpacked")
    blocks = -(-inputs // block)
    numbers = low_first(packed, bits).reshape(rows, blocks, block).astype(np.float32)
    points = np.full((rows, blocks), float(1 << (bits - 1)), dtype=np.float32)
    if zero_points is not None and zero_points.dtype == np.uint8:
        points = low_first(zero_points.reshape(rows, -1), bits)[:, :blocks].astype(np.float32)
    elif zero_points is not None:
        points = zero_points.reshape(rows, blocks).astype(np.float32)
    real = (numbers - points[:, :, None]) * scales.reshape(rows, blocks, 1).astype(np.float32)
    return np.asarray(real.reshape(rows, blocks * block)[:, :inputs].T)


def low_first(octets: Array, bits: int) -> Array:
    """The numbers in bytes, along the last axis, the lowest bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    numbers = (octets[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return np.asarray(numbers.reshape(*octets.shape[:-1], -1))
