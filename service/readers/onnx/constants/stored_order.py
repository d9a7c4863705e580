"""How a file has the values of a constant that its layer reads in another order, dequantised or unpacked: found without reading them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from service.graph import Shape
from service.graph.stored_values import Quantisation, StoredValues
from service.readers.onnx.constants.evaluation import LOOKED_AT, Evaluator
from service.readers.onnx.constants.folding import Array, cast, dequantize, low_first, unpack_blocks
from service.readers.onnx.constants.movement import transpose
from service.readers.onnx.values import Constant, Operation, numpy_dtype
from service.readers.tensors import weights
from service.readers.tensors.element_types import ELEMENT_TYPES
from service.readers.tensors.stored import InFile, Inline, StoredTensor

Found = tuple[StoredTensor, Quantisation]

_UNSIGNED = {element.bits: element for element in ELEMENT_TYPES.values() if element.name in ("uint2", "uint4", "uint8")}


def _widening(constant: Constant) -> bool:
    """Whether a Cast keeps every number that it is given: one to float32 or float64."""
    operation = constant.operation
    if operation is None or operation.fold is not cast or operation.version < 6:
        return False
    return numpy_dtype(operation.attributes.integer("to")) in (np.dtype(np.float32), np.dtype(np.float64))


def _beneath(constant: Constant) -> Constant:
    """The first constant on the way back that has the same values in the same order, as it is computed or stored."""
    while constant.stored is None:
        operation = constant.operation
        if operation is None or not (operation.keeps == "order" or _widening(constant)) or operation.operands[0] is None:
            break
        constant = operation.operands[0]
    return constant


def in_order(constant: Constant) -> StoredTensor | None:
    """The stored tensor whose values, in their order, are those of the constant; None where they are computed or reordered."""
    return _beneath(constant).stored


def transposed(constant: Constant, shape: Shape) -> Constant | None:
    """The matrix whose transpose a constant of that shape is, if it is one."""
    operation = constant.operation
    if len(shape) != 2 or operation is None or operation.fold is not transpose:
        return None
    return operation.operands[0] if operation.attributes.integers("perm") in (None, (1, 0)) else None


def stored_values(constant: Constant, shape: Shape, evaluator: Evaluator) -> StoredValues | None:
    """The values of a constant of that shape as they lie in a file: in order, turned, quantised or packed; None where they are computed."""
    matrix = transposed(constant, shape)
    turned = matrix is not None
    constant, shape = (constant, shape) if matrix is None else (matrix, shape[::-1])
    stored, quantisation = in_order(constant), None
    if stored is None:
        found = _quantised(constant, shape, evaluator)
        if found is None and len(shape) == 2:
            turned, shape = not turned, shape[::-1]
            found = _packed(constant, shape, evaluator)
        if found is None:
            return None
        stored, quantisation = found
    if stored.count != math.prod(shape) or not stored.readable:
        return None
    return StoredValues(shape or (1,), partial(weights.read_blocks, stored), turned, quantisation)


def _parameters(operation: Operation, evaluator: Evaluator) -> tuple[Array, Array | None] | None:
    """The scale and the zero point of an operator, if it has one; None where they are not known."""
    operands = (*operation.operands[1:3], None, None)[:2]
    scale, point = (None if operand is None else evaluator.value(operand, LOOKED_AT) for operand in operands)
    return None if scale is None or (point is None and operands[1] is not None) else (scale, point)


def _quantised(constant: Constant, shape: Shape, evaluator: Evaluator) -> Found | None:
    """The integers of a DequantizeLinear, with its parameters."""
    beneath = _beneath(constant)
    operation = beneath.operation
    if operation is None or operation.fold is not dequantize or operation.operands[0] is None or not shape:
        return None
    stored, parameters = in_order(operation.operands[0]), _parameters(operation, evaluator)
    if stored is None or stored.element is None or parameters is None:
        return None
    scale, point = parameters[0], np.zeros((), stored.element.dtype) if parameters[1] is None else parameters[1]
    if scale.size == point.size == 1:
        return stored, Quantisation(shape, *(each.reshape((1,) * len(shape)) for each in (scale, point)))
    # An axis is that of the operand, whose shape is known where it is the stored one.
    if beneath is not constant or operation.operands[0].stored is None or stored.dims != shape:
        return None
    axis = operation.attributes.integer("axis", 1)
    return None if not -len(shape) <= axis < len(shape) else _along(stored, shape, axis % len(shape), scale, point)


def _along(stored: StoredTensor, shape: Shape, axis: int, scale: Array, point: Array) -> Found | None:
    """A scale for each place along an axis, or for each block of places that divides it."""
    count = scale.shape[axis] if scale.ndim == len(shape) > 1 else scale.size
    if not count or shape[axis] % count or point.size not in (1, scale.size):
        return None
    rest = (1,) * (len(shape) - axis - 1)
    if scale.ndim == 1:
        grid, form = shape, ((1,) * axis + (count,) + rest)
        fits = count == shape[axis]
    else:
        grid = (*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :])
        form = (*shape[:axis], count, 1, *shape[axis + 1 :])
        fits = scale.shape == (*shape[:axis], count, *shape[axis + 1 :])
    if not fits:
        return None
    return stored, Quantisation(grid, scale.reshape(form), point.reshape(form if point.size > 1 else (1,) * len(form)))


def _packed(constant: Constant, shape: Shape, evaluator: Evaluator) -> Found | None:
    """The integers of MatMulNBits, unit by unit, in whole blocks of inputs."""
    operation = constant.operation
    if operation is None or operation.fold is not unpack_blocks or operation.operands[0] is None:
        return None
    (units, inputs), block, bits = shape, operation.attributes.integer("block_size"), operation.attributes.integer("bits")
    octets, parameters = operation.operands[0].stored, _parameters(operation, evaluator)
    fits = block > 0 and inputs % block == 0 and bits in _UNSIGNED
    if not fits or octets is None or octets.dtype != "uint8" or parameters is None:
        return None
    grid, element = (units, inputs // block, block), _UNSIGNED[bits]
    scale, point = parameters
    if octets.count != element.raw_bytes(units * inputs) or scale.size != math.prod(grid[:2]):
        return None
    where = octets.where
    if isinstance(where, Inline):
        where = Inline(element.from_raw(where.values.tobytes()))
    elif not isinstance(where, InFile):
        return None
    if point is None:
        point = np.full((1, 1, 1), 1 << (bits - 1), np.uint8)
    elif point.dtype == np.uint8:
        point = low_first(point.reshape(units, -1), bits)[:, : grid[1], None]
    elif point.size == scale.size:
        point = point.reshape(*grid[:2], 1)
    else:
        return None
    stored = replace(octets, dims=shape, count=units * inputs, dtype=element.name, where=where, element=element)
    return stored, Quantisation(grid, scale.astype(np.float32).reshape(*grid[:2], 1), point)
