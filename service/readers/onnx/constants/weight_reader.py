"""The values of weights of an ONNX model: streamed from the file where the layer's layout allows it, else computed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.faults import Refused
from service.graph import Weight
from service.graph.network import BLOCK_ROWS, block_rows
from service.readers.onnx.constants.evaluation import Evaluator
from service.readers.onnx.constants.folding import Array, cast
from service.readers.onnx.constants.movement import transpose
from service.readers.onnx.values import Constant, ModelWeight, numpy_dtype
from service.readers.tensors import weights
from service.readers.tensors.element_types import as_float
from service.readers.tensors.stored import StoredTensor

BLOCK_BYTES = 4 << 20
_WHOLE_BYTES = 64 << 20
"""A matrix that is stored the other way round is turned in memory up to this size, and read in several passes beyond it."""
_MOST_COMPUTED = 1 << 27
"""Entries of a weight that may be computed in memory."""


class OnnxWeights:
    """The WeightReader of ONNX models. Quantised weights are read as the real numbers that they stand for: a zero is a zero point."""

    def __init__(self) -> None:
        self._evaluator = Evaluator()
        self._last: tuple[Constant, Array | None] | None = None

    def readable(self, weight: Weight) -> bool:
        """Whether the values are stored, or can be computed from what is stored."""
        constant = weight.constant if isinstance(weight, ModelWeight) else None
        if constant is None:
            return False
        stored = in_order(constant) or turned(constant)
        if stored is not None:
            return stored.readable
        return math.prod(weight.shape) <= _MOST_COMPUTED and self._computed(constant) is not None

    def array(self, weight: Weight) -> NDArray[np.generic]:
        """The values as float in `weight.shape`, dequantised. Refused `weight-unreadable` where they are not there."""
        constant = _constant(weight)
        stored = in_order(constant)
        values = weights.read(stored) if stored is not None else self._computed(constant)
        if values is None or values.size != math.prod(weight.shape):
            raise _unreadable(weight)
        return as_float(values).reshape(weight.shape)

    def blocks(self, weight: Weight) -> Iterator[NDArray[np.generic]]:
        """The values in consecutive pieces along the first axis of `weight.shape`, each a few MiB or BLOCK_ROWS rows."""
        constant = _constant(weight)
        row = math.prod(weight.shape[1:])
        stored = in_order(constant)
        if stored is not None and row and weight.shape:
            for block in weights.read_blocks(stored, BLOCK_BYTES, row * BLOCK_ROWS):
                yield as_float(block).reshape(-1, *weight.shape[1:])
            return
        matrix = turned(constant)
        if matrix is not None and matrix.count * 4 > _WHOLE_BYTES:
            yield from _turned_blocks(matrix)
            return
        values = self.array(weight)
        values = values if values.ndim else values.reshape(1)
        rows = block_rows(BLOCK_BYTES, row * values.dtype.itemsize)
        for start in range(0, len(values), rows):
            yield values[start : start + rows]

    def _computed(self, constant: Constant) -> Array | None:
        """The values by evaluation; the last ones are kept, since who asks whether they are readable reads them next."""
        if self._last is None or self._last[0] is not constant:
            self._last = constant, self._evaluator.value(constant)
        return self._last[1]


def _constant(weight: Weight) -> Constant:
    if not isinstance(weight, ModelWeight) or weight.constant is None:
        raise _unreadable(weight)
    return weight.constant


def _unreadable(weight: Weight) -> Refused:
    return Refused("invalid", "weight-unreadable", f"The values of the weight {weight.stored!r} cannot be computed.")


def _widening(constant: Constant) -> bool:
    """Whether a Cast keeps every number that it is given: one to float32 or float64."""
    operation = constant.operation
    if operation is None or operation.fold is not cast or operation.version < 6:
        return False
    return numpy_dtype(operation.attributes.integer("to")) in (np.dtype(np.float32), np.dtype(np.float64))


def in_order(constant: Constant) -> StoredTensor | None:
    """The stored tensor whose values, in their order, are those of the constant; None where they are computed or reordered."""
    while constant.stored is None:
        operation = constant.operation
        if operation is None or not (operation.keeps == "order" or _widening(constant)) or operation.operands[0] is None:
            return None
        constant = operation.operands[0]
    return constant.stored


def turned(constant: Constant) -> StoredTensor | None:
    """The stored matrix whose transpose the constant is, if it is one."""
    operation = constant.operation
    if operation is None or operation.fold is not transpose or operation.operands[0] is None:
        return None
    stored = in_order(operation.operands[0])
    perm = operation.attributes.integers("perm")
    return stored if stored is not None and len(stored.dims) == 2 and perm in (None, (1, 0)) else None


def _turned_blocks(matrix: StoredTensor) -> Iterator[Array]:
    """The rows of the transpose of a large matrix: as many columns in one pass over the file as memory allows."""
    rows, columns = matrix.dims
    width = block_rows(_WHOLE_BYTES, 4 * rows)
    for start in range(0, columns, width):
        parts = []
        for block in weights.read_blocks(matrix, BLOCK_BYTES, columns):
            parts.append(as_float(block.reshape(-1, columns)[:, start : start + width]))
        yield np.ascontiguousarray(np.concatenate(parts).T)
