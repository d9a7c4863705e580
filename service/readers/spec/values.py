"""The values of weights that a spec states inline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from service.graph.network import Weight, block_rows
from service.graph.operators import Shape

_BLOCK_BYTES = 4 << 20
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

    def blocks(self, weight: Weight) -> Iterator[np.ndarray]:
        """The values in consecutive pieces along the first axis, each at most 4 MiB or BLOCK_ROWS rows."""
        values = self.array(weight)
        rows = block_rows(_BLOCK_BYTES, values[0].nbytes if len(values) else 0)
        for start in range(0, len(values), rows):
            yield values[start : start + rows]


def nested_array(values: Any, shape: Shape, table: tuple[tuple[int, ...], ...] | None = None) -> np.ndarray:
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
