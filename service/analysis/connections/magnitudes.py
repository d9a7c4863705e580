"""|w| of a block of values and its sums, in the values' own element type.

1. Of floating-point numbers |w| is float32 (float64 where the values are), of integers of at most 8 bits |q − zero point|, a byte.
2. Bytes are summed as integers and scaled afterwards; nothing is dequantised.
3. Sums of float32 run over few numbers before they become float64, so that they agree with sums in float64 to 1e-6.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from service.graph import Shape
from service.graph.stored_values import Block, Quantisation, Values

Sums = NDArray[np.float64]

_FEW = 1 << 14
"""Numbers that are summed in float64 at once: what is gained on them by float32 is lost on calls."""
_DEEP = 64
"""Numbers of float32 that are added one after the other."""
_WIDE = 512
"""Columns from which on rows are added faster than converted."""
_BYTES_IN_TWO = 257
"""Bytes whose sum fits into 16 bits."""


class Magnitudes:
    """Takes |w| of block after block, into memory that is used again for the next."""

    def __init__(self) -> None:
        self._space: dict[tuple[str, int], Values] = {}

    def of(self, block: Block) -> Values:
        """|w| in the block's shape, or of quantised values, where they are bytes, |q − zero point|; valid until the next call."""
        values = block.values
        if in_bytes(block):
            return self._distances(values.reshape(-1).view(np.uint8) if values.dtype == np.bool_ else values, block.quantisation)
        if values.dtype in (np.float32, np.float64):
            return np.abs(values, out=self._room(0, values.dtype, values.shape))
        real = block.real()
        np.abs(real, out=real)
        return real

    def _distances(self, values: Values, quantisation: Quantisation | None) -> Values:
        """Of bytes, the distances from the zero point."""
        point = np.zeros(1, values.dtype) if quantisation is None else quantisation.zero_point
        nearest = self._room(0, np.dtype(np.uint8), values.shape)
        if values.dtype.kind == "i" and not point.any():
            return np.abs(values, out=nearest.view(np.int8)).view(np.uint8)  # |−128| is 128 as a byte
        if values.dtype.kind == "u" and not point.any():
            return values.view(np.uint8)
        grid = values.shape if quantisation is None else quantisation.grid
        farthest = self._room(1, np.dtype(np.uint8), values.shape)
        kind = values.dtype
        np.maximum(values.reshape(grid), point, out=farthest.reshape(grid).view(kind))
        np.minimum(values.reshape(grid), point, out=nearest.reshape(grid).view(kind))
        # Modulo 256, which the distance of two bytes is below.
        return np.subtract(farthest, nearest, out=nearest)

    def _room(self, place: int, dtype: np.dtype[np.generic], shape: Shape) -> Values:
        size = math.prod(shape)
        kept = self._space.get((dtype.char, place))
        if kept is None or kept.size < size:
            kept = self._space[dtype.char, place] = np.empty(size, dtype)
        return kept[:size].reshape(shape)


def in_bytes(block: Block) -> bool:
    """Whether the values of a block are counted as integers of a byte: all that their scale does is to scale."""
    values, quantisation = block.values, block.quantisation
    if values.dtype.kind not in "iub" or values.dtype.itemsize > 1:
        return False
    return quantisation is None or (
        quantisation.zero_point.dtype == values.dtype and bool(np.isfinite(quantisation.scale).all() and quantisation.scale.all())
    )


def spread(block: Block, magnitudes: Values, trailing: Shape) -> tuple[Sums, int]:
    """Σ |w| over all but the `trailing` axes, of what `Magnitudes` made of a block, and how many values are not finite.

    Those count for nothing in the sums.
    """
    if not in_bytes(block):
        return _of_numbers(magnitudes, trailing)
    if block.quantisation is None or block.quantisation.scale.size == 1:
        scale = 1.0 if block.quantisation is None else abs(float(block.quantisation.scale.reshape(())))
        return _of_bytes(magnitudes, trailing) * scale, 0
    return _scaled(block.quantisation, magnitudes, trailing), 0


def _of_numbers(magnitudes: Values, trailing: Shape) -> tuple[Sums, int]:
    taps = math.prod(trailing)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = (_columns(magnitudes, taps) if taps > 1 else _total(magnitudes)).reshape(trailing)
    if np.isfinite(sums).all():
        return sums, 0
    finite = np.isfinite(magnitudes)
    sums = _columns(np.where(finite, magnitudes, 0).astype(np.float64), taps).reshape(trailing)
    return sums, finite.size - int(np.count_nonzero(finite))


def _total(magnitudes: Values) -> Sums:
    """The sum of all numbers; NumPy adds the halves of neighbouring ones pair by pair."""
    kind = np.float64 if magnitudes.size < _FEW else magnitudes.dtype
    return np.asarray(np.add.reduce(magnitudes.reshape(-1), dtype=kind), np.float64)


def _columns(magnitudes: Values, taps: int) -> Sums:
    """Σ over all but the last `taps` places of every row and channel."""
    rows = magnitudes.reshape(len(magnitudes), -1)
    if rows.dtype == np.float64 or rows.size < _FEW or rows.shape[1] < _WIDE:
        sums = np.add.reduce(rows, axis=0, dtype=np.float64)
    else:
        sums = np.zeros(rows.shape[1])
        for start in range(0, len(rows), _DEEP):
            sums += np.add.reduce(rows[start : start + _DEEP], axis=0)
    return np.asarray(sums.reshape(-1, taps).sum(axis=0))


def _of_bytes(magnitudes: Values, trailing: Shape) -> Sums:
    taps = math.prod(trailing)
    rows = magnitudes.reshape(len(magnitudes), -1)
    if taps == 1:
        # As many rows as 16 bits can hold the sums of: those are added without a conversion of each byte.
        whole = rows.size // _BYTES_IN_TWO
        flat = magnitudes.reshape(-1)
        rest = int(np.add.reduce(flat[whole * _BYTES_IN_TWO :], dtype=np.uint64))
        rows = flat[: whole * _BYTES_IN_TWO].reshape(_BYTES_IN_TWO, whole)
        return np.asarray(float(int(np.add.reduce(rows, axis=0, dtype=np.uint16).sum(dtype=np.uint64)) + rest)).reshape(trailing)
    sums = np.zeros(rows.shape[1], np.uint64)
    for start in range(0, len(rows), _BYTES_IN_TWO):
        sums += np.add.reduce(rows[start : start + _BYTES_IN_TWO], axis=0, dtype=np.uint16)
    return np.asarray(sums.reshape(-1, taps).sum(axis=0).reshape(trailing), np.float64)


def _scaled(quantisation: Quantisation, magnitudes: Values, trailing: Shape) -> Sums:
    """The sums of bytes of which not all have one scale."""
    scale = np.abs(quantisation.scale.astype(np.float64))
    cells = magnitudes.reshape(quantisation.grid)
    if scale.size == len(scale) and math.prod(trailing) > 1:
        # A scale for each row: a product of a vector and a matrix.
        rows = cells.reshape(len(cells), -1)
        kind = np.float32 if rows.shape[1] >= _WIDE else np.float64
        sums = np.zeros(rows.shape[1])
        for start in range(0, len(rows), _DEEP):
            sums += scale.reshape(-1)[start : start + _DEEP].astype(kind) @ rows[start : start + _DEEP].astype(kind)
        return np.asarray(sums.reshape(-1, *trailing).sum(axis=0))
    kept = cells.ndim - len(trailing)
    alike = tuple(axis for axis in range(kept) if scale.shape[axis] == 1)
    summed = np.add.reduce(cells, axis=alike, dtype=np.uint32, keepdims=True) * scale
    return np.asarray(summed.sum(axis=tuple(range(kept))), np.float64)
