"""The values of weights that a spec states inline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from service.graph.network import Weight
from service.graph.operators import Shape
from service.graph.stored_values import StoredValues, in_memory

_MOST = 2**24
_LARGEST = float(np.finfo(np.float32).max)


class InlineWeights:
    """Reads weights whose values are held in memory, by the name of their stored tensor."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = dict(arrays)

    def readable(self, weight: Weight) -> bool:
        """Whether the spec states the values."""
        return weight.stored in self._arrays

    def array(self, weight: Weight) -> np.ndarray:
        """The values in `weight.shape`; a layer tied to one with its axes exchanged reads the transpose."""
        values = self._arrays[weight.stored]
        return values if values.shape == weight.shape else values.T

    def stored(self, weight: Weight) -> StoredValues:
        """The values as the spec states them."""
        values = self._arrays[weight.stored]
        return in_memory(values, turned=values.shape != weight.shape)


def nested_array(values: object, shape: Shape, table: tuple[tuple[int, ...], ...] | None = None) -> np.ndarray:
    """Nested lists as an array of `shape`; ValueError where they do not fit.

    With a connection table (the maps that each filter reads) the entry of a filter has one kernel for each of its maps, and
    the array has zeros for the others.
    """
    if table is None:
        return _filled(values, shape, "weights")
    if not isinstance(values, list) or len(values) != len(table):
        raise ValueError(f"must have {len(table)} entries, one for each filter")
    if math.prod(shape) > _MOST:
        raise ValueError(f"may be given for kernels of up to {_MOST:,} values, those of maps that are not read among them")
    array = np.zeros(shape, dtype=np.float32)
    for filter_, maps in enumerate(table):
        array[filter_, list(maps)] = _filled(values[filter_], (len(maps), *shape[2:]), f"entry {filter_}")
    return array


def _filled(values: Any, shape: Shape, what: str) -> np.ndarray:
    level = [values]
    for axis, length in enumerate(shape):
        if any(not isinstance(entry, list) or len(entry) != length for entry in level):
            raise ValueError(f"{what} must be nested lists of the shape {list(shape)}; axis {axis} differs")
        level = [inner for entry in level for inner in entry]
    if not {type(entry) for entry in level} <= {int, float}:
        raise ValueError(f"{what} must be nested lists of the shape {list(shape)} with numbers inside")
    if any(not -_LARGEST <= entry <= _LARGEST for entry in level):
        raise ValueError(f"{what} must be finite and fit into a 32-bit float")
    return np.array(level, dtype=np.float32).reshape(shape)
