"""The values of constants: eagerly for shape arithmetic, on demand for weights.

Evaluation keeps a stack of its own, so that a chain of 20,000 operators does not exhaust Python's.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from service.faults import Refused
from service.readers.onnx.constants.folding import FAILURES, Array
from service.readers.onnx.values import Constant, Operation, Value
from service.readers.tensors import weights
from service.readers.tensors.stored import StoredTensor

SMALL = 1 << 13
"""Entries of an array that is computed as soon as its operands are."""
LOOKED_AT = 1 << 23
"""Entries of a constant whose values a lowering rule may ask for."""
_MAX_BEHIND = 1 << 23
"""Entries of any array behind such values."""
_KEPT_BYTES = 64 << 20


class Evaluator:
    """Computes constants. Values that were computed are kept as long as they are few; what cannot be computed is None."""

    def __init__(self) -> None:
        self._left = _KEPT_BYTES

    def keep(self, constant: Constant, array: Array) -> None:
        """Remember the values of a constant, within the bounds of what is kept."""
        if array.nbytes <= self._left and array.size <= SMALL:
            self._left -= array.nbytes
            constant.array = array

    def small(self, value: Value) -> Array | None:
        """The values of a constant that are at hand: kept, or stored in the file and small."""
        constant = value.constant
        if constant is None or constant.array is not None:
            return None if constant is None else constant.array
        if constant.stored is not None and value.shape is not None and math.prod(value.shape) <= SMALL:
            return self.value(constant)
        return None

    def known(self, value: Value) -> Array | None:
        """The values of a constant that is small enough to be looked at."""
        if value.constant is None or (value.shape is not None and math.prod(value.shape) > LOOKED_AT):
            return None
        return self.value(value.constant, _MAX_BEHIND)

    def value(self, constant: Constant, entries: int | None = None) -> Array | None:
        """The values of a constant, None where they are not stored or the operators behind them are not computed.

        With `entries`, also None where one of the arrays behind them has more.
        """
        computed: dict[int, Array | None] = {}
        stack = [constant]
        while stack:
            top = stack[-1]
            if id(top) in computed:
                stack.pop()
            elif top.array is not None:
                computed[id(top)] = top.array
            elif top.stored is not None:
                computed[id(top)] = None if entries is not None and top.stored.count > entries else self._stored(top, top.stored)
            elif top.operation is None:
                computed[id(top)] = None
            else:
                missing = [c for c in top.operation.operands if c is not None and id(c) not in computed]
                stack.extend(missing)
                if not missing:
                    operation = top.operation if entries is None else replace(top.operation, most=min(entries, top.operation.most))
                    computed[id(top)] = self._computed(top, operation, computed)
        return computed[id(constant)]

    def _stored(self, constant: Constant, stored: StoredTensor) -> Array | None:
        try:
            array = weights.read(stored)
        except Refused:
            return None
        self.keep(constant, array)
        return array

    def _computed(self, constant: Constant, operation: Operation, computed: dict[int, Array | None]) -> Array | None:
        operands = [None if c is None else computed[id(c)] for c in operation.operands]
        if any(c is not None and a is None for c, a in zip(operation.operands, operands, strict=True)):
            return None
        results = apply(operation, operands)
        if results is None or constant.index >= len(results):
            return None
        self.keep(constant, results[constant.index])
        return results[constant.index]


def apply(operation: Operation, operands: list[Array | None]) -> tuple[Array, ...] | None:
    """The results of an operator on arrays; None where it refuses them."""
    with np.errstate(all="ignore"):
        try:
            results = operation.fold(operation, *operands)
        except FAILURES:
            return None
    return results if isinstance(results, tuple) else (results,)
