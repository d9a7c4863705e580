"""The values of weights of an ONNX model: as they lie in the file where the layer's layout allows it, else computed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from service.faults import Refused
from service.graph import Weight
from service.graph.stored_values import StoredValues, as_float, in_memory
from service.readers.onnx.constants.evaluation import Evaluator
from service.readers.onnx.constants.folding import Array
from service.readers.onnx.constants.stored_order import in_order, stored_values, transposed
from service.readers.onnx.values import Constant, ModelWeight
from service.readers.tensors import weights

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
        stored = in_order(transposed(constant, weight.shape) or constant)
        if stored is not None:
            return stored.readable
        if stored_values(constant, weight.shape, self._evaluator) is not None:
            return True
        return math.prod(weight.shape) <= _MOST_COMPUTED and self._computed(constant) is not None

    def array(self, weight: Weight) -> NDArray[np.generic]:
        """The values as float in `weight.shape`, dequantised. Refused `weight-unreadable` where they are not there."""
        constant = _constant(weight)
        stored = in_order(constant)
        values = weights.read(stored) if stored is not None else self._computed(constant)
        if values is None or values.size != math.prod(weight.shape):
            raise _unreadable(weight)
        return as_float(values).reshape(weight.shape)

    def stored(self, weight: Weight) -> StoredValues:
        """The values as they lie in the file, or, where no file has them, as they are computed."""
        constant = _constant(weight)
        return stored_values(constant, weight.shape, self._evaluator) or in_memory(self.array(weight))

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
