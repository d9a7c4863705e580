"""Taps: which units of an input axis the units of an output axis read.

One relation describes every operator that works along an axis: convolution, pooling, transposed convolution, interpolation,
slicing, padding, flipping, gathering. With period P and step s, output unit o = qP + r reads the input units

    q·s + offset[r, k]        for every tap k of phase r.

A convolution has one phase; the transpose of one with stride s has s phases; nearest enlargement by two has two phases with equal taps.
Units beyond the border of the axis are padding. The formulas are those of Dumoulin and Visin, *A guide to convolution arithmetic for
deep learning* (2016), and, for interpolation, of the ONNX operator Resize.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from service.graph import operators as core

Integers = NDArray[np.int64]

NOTHING = np.iinfo(np.int64).min
"""In `Taps.offsets`: this phase has no such tap."""


@dataclass(frozen=True, eq=False)
class Taps:
    """The taps of one axis: `offsets` has shape (phases, taps), `step` is the input units per period.

    `step` None: the offsets are a plain table, one phase for each output unit, that says nothing beyond the border. `kernel` numbers the
    taps of a kernel that is spread over several phases; `coefficients` are the fixed weights of an interpolation.

    Layers of one geometry share their taps (`sliding`), and with them what is worked out once.
    """

    offsets: Integers
    step: int | None
    kernel: Integers | None = None
    coefficients: NDArray[np.float64] | None = None

    @property
    def period(self) -> int:
        """Phases: output units until the pattern of taps repeats."""
        return int(self.offsets.shape[0])

    @cached_property
    def plain(self) -> bool:
        """Whether there is one phase, which has taps and whose pattern goes on beyond the border."""
        return self.period == 1 and self.step is not None and self.offsets.size > 0

    @cached_property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest offset of the first phase."""
        return int(self.offsets[0].min()), int(self.offsets[0].max())

    @cached_property
    def gap(self) -> int:
        """The largest step between neighbouring taps of the first phase; 0 for a single tap."""
        return int(np.diff(np.sort(self.offsets[0])).max(initial=0))

    @cached_property
    def moments(self) -> tuple[float, float]:
        """The mean and the variance of the offsets of the first phase, weighted by its coefficients where it has any."""
        return weighted_moments(self.offsets[0], None if self.coefficients is None else self.coefficients[0])

    @cached_property
    def per_unit(self) -> float:
        """Taps of a unit, as a mean over the first phases; more than nothing."""
        real = (self.offsets[:LONG_PERIOD] != NOTHING).sum(1)
        return max(float(real.mean()) if len(real) else 1.0, 1e-9)

    @cached_property
    def blank(self) -> bool:
        """Whether some phase has no tap."""
        return bool((self.offsets == NOTHING).all(axis=1).any())

    @cached_property
    def middle(self) -> Taps:
        """The middle tap of every phase."""
        if self.offsets.shape[1] < 2:
            return self
        real = (self.offsets != NOTHING).sum(axis=1, keepdims=True)
        return Taps(np.take_along_axis(self.offsets, np.maximum(real - 1, 0) // 2, axis=1), self.step)

    def indices(self, start: int, stop: int) -> Integers:
        """The input units read by the output units start … stop - 1, as by `read_by`."""
        return self.read_by(np.arange(start, stop))

    def read_by(self, units: Integers) -> Integers:
        """The input units read by some output units (a vector), shape (units, taps), NOTHING where a phase has no such tap."""
        taps = self.offsets[units % self.period]
        if self.step is None:
            return taps
        return np.where(taps == NOTHING, NOTHING, taps + (units // self.period * self.step)[:, None])


def _table(rows: list[list[int]]) -> Integers:
    width = max((len(row) for row in rows), default=0)
    return np.array([row + [NOTHING] * (width - len(row)) for row in rows], dtype=np.int64).reshape(len(rows), width)


def weighted_moments(offsets: Integers, weights: NDArray[np.float64] | None) -> tuple[float, float]:
    """The mean and the variance of some offsets."""
    mean = float(np.average(offsets, weights=weights))
    return mean, float(np.average((offsets - mean) ** 2, weights=weights))


@lru_cache(maxsize=64)
def sliding(kernel: int, stride: int, dilation: int, before: int) -> Taps:
    """The taps of a window: output o reads o·stride - before + k·dilation."""
    return Taps((np.arange(kernel, dtype=np.int64) * dilation - before)[None, :], stride)


def transposed(kernel: int, stride: int, dilation: int, before: int) -> Taps:
    """The taps of a transposed window: input i feeds the outputs i·stride + k·dilation - before; a phase may see nothing.

    The taps of a phase are in the order of the kernel.
    """
    rows: list[list[int]] = [[] for _ in range(stride)]
    numbers: list[list[int]] = [[] for _ in range(stride)]
    for k in range(kernel):
        phase = (k * dilation - before) % stride
        rows[phase].append((phase + before - k * dilation) // stride)
        numbers[phase].append(k)
    return Taps(_table(rows), 1, _table(numbers))


def shifted(start: int, step: int = 1) -> Taps:
    """The taps of a slice, a crop, a padding or a flip: output o reads start + o·step."""
    return Taps(np.array([[start]], dtype=np.int64), step)


def listed(indices: tuple[int, ...]) -> Taps:
    """The taps of numpy.take: output o reads indices[o]."""
    return Taps(np.array(indices, dtype=np.int64).reshape(-1, 1), None)


def tiled(length: int) -> Taps:
    """The taps of numpy.tile: output o reads o mod length."""
    return Taps(np.arange(length, dtype=np.int64)[:, None], 0)


LONG_PERIOD = 64
"""A period of so many units is kept even where the axis is shorter, so that a small input has the strides of a large one."""

_MOST_PHASES = 1 << 16


def resampled(operator: core.Resampling, length: int) -> Taps:
    """The taps of an interpolation of an axis of `length` units.

    With source coordinate x(o) = o·a + b for rational a and b, nearest reads one unit, linear floor(x) and its right neighbour where
    x is no integer, cubic the two on either side; antialiasing widens the kernel by 1/scale when shrinking. The pattern repeats with the
    denominator of a. tf_crop_and_resize and patterns of very many phases become a plain table, clipped at the border.
    """
    slope, origin = _coordinates(operator, length)
    period = slope.denominator
    if operator.transform == "tf_crop_and_resize" or period > min(_MOST_PHASES, max(operator.length, LONG_PERIOD)):
        rows = [[min(max(i, 0), length - 1) for i in _read(operator, slope * o + origin)] for o in range(operator.length)]
        return Taps(_table([sorted(set(row)) for row in rows]), None)
    places = [slope * o + origin for o in range(period)]
    offsets = _table([_read(operator, x) for x in places])
    return Taps(offsets, slope.numerator, coefficients=_coefficients(operator, offsets, places))


def _coordinates(operator: core.Resampling, length: int) -> tuple[Fraction, Fraction]:
    """Slope and origin of the source coordinate x(o) = slope·o + origin (the formulas of ONNX Resize's coordinate_transformation_mode)."""
    scale = Fraction(operator.scale).limit_denominator(1 << 20)
    transform, result = operator.transform, operator.length
    if transform == "align_corners":
        return (Fraction(length - 1, result - 1), Fraction(0)) if result > 1 else (Fraction(0), Fraction(0))
    if transform == "tf_crop_and_resize":
        start, end = (Fraction(edge).limit_denominator(1 << 20) for edge in operator.region)
        if result > 1:
            return (end - start) * (length - 1) / (result - 1), start * (length - 1)
        return Fraction(0), (start + end) * (length - 1) / 2
    slope = 1 / scale
    if transform == "asymmetric":
        return slope, Fraction(0)
    if transform == "pytorch_half_pixel" and result <= 1:
        return Fraction(0), Fraction(0)
    if transform == "tf_half_pixel_for_nn":
        return slope, slope / 2
    half = slope / 2 - Fraction(1, 2)
    if transform == "half_pixel_symmetric":
        adjustment = Fraction(result) / (scale * length)
        return slope, Fraction(length, 2) * (1 - adjustment) + half
    return slope, half


_ROUNDING = {
    "round_prefer_floor": lambda x: math.ceil(x - Fraction(1, 2)),
    "round_prefer_ceil": lambda x: math.floor(x + Fraction(1, 2)),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _read(operator: core.Resampling, x: Fraction) -> list[int]:
    """The input units that interpolation reads at source coordinate x: those with a weight other than zero."""
    if operator.mode == "nearest":
        return [_ROUNDING[operator.rounding](x)]
    reach = Fraction(1 if operator.mode == "linear" else 2)
    if operator.antialias and operator.scale < 1:
        reach /= Fraction(operator.scale).limit_denominator(1 << 20)
    elif x.denominator == 1:
        return [int(x)]
    taps = range(math.floor(x - reach) + 1, math.ceil(x + reach))
    # The cubic kernel is zero in the middle of either side, too.
    return [i for i in taps if operator.mode == "linear" or abs(i - x) != reach / 2]


_CUBIC = -0.75
"""The parameter a of cubic interpolation (Keys 1981) that PyTorch and ONNX use by default."""


def _coefficients(operator: core.Resampling, offsets: Integers, places: list[Fraction]) -> NDArray[np.float64]:
    """The weights of the units that are read, which add up to one; 0 where there is no tap."""
    real: NDArray[np.bool_] = offsets != NOTHING
    if operator.mode == "nearest":
        return real.astype(np.float64)
    shrunk = operator.scale if operator.antialias and operator.scale < 1 else 1.0
    x = np.abs(np.where(real, offsets, 0) - np.array([float(place) for place in places])[:, None]) * shrunk
    if operator.mode == "linear":
        kernel = np.maximum(1 - x, 0)
    else:
        near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
        kernel = np.where(x <= 1, near, np.where(x < 2, _CUBIC * (((x - 5) * x + 8) * x - 4), 0))
    kernel = np.where(real, kernel, 0.0)
    shares: NDArray[np.float64] = kernel / kernel.sum(axis=1, keepdims=True)
    return shares
