"""The values of a weight as they lie where the model keeps them: in their own element type and order, in blocks, without copies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.graph.operators import Shape

Values = np.ndarray[Any, np.dtype[Any]]
"""Values of any element type."""

BLOCK_ROWS = 8
"""Values are read in multiples of so many rows, so that no group of four or eight neighbours is torn apart."""


def as_float(values: Values) -> Values:
    """The values as float32 where that holds each of them exactly, else as float64; of complex numbers, the magnitude."""
    if values.dtype.kind == "c":
        values = np.abs(values)
    if values.dtype == np.float32 or values.dtype == np.float64:
        return values
    exact = values.dtype.itemsize < 4 or values.dtype.kind not in "iu"
    with np.errstate(invalid="ignore"):  # signalling NaNs become quiet ones
        return values.astype(np.float32 if exact else np.float64)


@dataclass(frozen=True, slots=True)
class Quantisation:
    """Integers q that stand for (q − zero_point)·scale.

    `grid` is the shape of the values, or that shape with one axis cut into blocks. Both parameters have its rank, and length 1 along the
    axes over which they do not differ.
    """

    grid: Shape
    scale: Values
    zero_point: Values

    def rows(self, start: int, stop: int) -> Quantisation:
        """The parameters of the places start to stop along the first axis of the grid."""
        scale, point = (each if each.shape[0] == 1 else each[start:stop] for each in (self.scale, self.zero_point))
        return Quantisation((stop - start, *self.grid[1:]), scale, point)

    def real(self, values: Values) -> Values:
        """The numbers that integers stand for, in their shape: float64 where the scale is, else float32."""
        # In float64, the difference of two 32-bit integers is exact.
        kind = np.float64 if self.scale.dtype == np.float64 else np.float32
        exact = np.float64 if values.dtype.itemsize > 2 else kind
        difference = (values.reshape(self.grid).astype(exact) - self.zero_point.astype(exact)).astype(kind)
        real: Values = difference * self.scale.astype(kind)
        return real.reshape(values.shape)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of the values as they lie, the first of which is row `start`, and what they stand for where they are quantised."""

    start: int
    values: Values
    quantisation: Quantisation | None = None

    def real(self) -> Values:
        """The values as real numbers."""
        return as_float(self.values) if self.quantisation is None else self.quantisation.real(self.values)


@dataclass(frozen=True, slots=True)
class StoredValues:
    """All values of a weight, of which `read` gives about as many bytes at a time as asked for, in multiples of so many values.

    `shape` is that of the weight, or of a matrix that is stored the other way round (`turned`) the reverse of it.
    """

    shape: Shape
    read: Callable[[int, int], Iterator[Values]]
    turned: bool = False
    quantisation: Quantisation | None = None

    def blocks(self, size: int, multiple: int = BLOCK_ROWS) -> Iterator[Block]:
        """The values in consecutive blocks of about `size` bytes, each but the last a multiple of `multiple` rows."""
        # Rows that share a scale are not torn apart.
        together = 1 if self.quantisation is None else self.shape[0] // self.quantisation.grid[0]
        row, start = math.prod(self.shape[1:]), 0
        if not row:
            return
        for values in self.read(size, row * math.lcm(multiple, together)):
            stop = start + len(values) // row
            part = None if self.quantisation is None else self.quantisation.rows(start // together, stop // together)
            yield Block(start, values.reshape(-1, *self.shape[1:]), part)
            start = stop


def in_memory(values: Values, *, turned: bool = False) -> StoredValues:
    """The values of an array that is there already."""
    array = np.ascontiguousarray(values if values.ndim else values.reshape(1))
    flat = array.reshape(-1)

    def read(size: int, multiple: int) -> Iterator[Values]:
        """Slices of the array."""
        step = max(1, size // (flat.itemsize * multiple)) * multiple
        for start in range(0, len(flat), step):
            yield flat[start : start + step]

    return StoredValues(array.shape, read, turned)
