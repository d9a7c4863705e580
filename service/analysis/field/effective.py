"""The effective receptive field: the Gaussian that the influence of the input pixels on one unit approaches.

Luo, Li, Urtasun and Zemel (*Understanding the Effective Receptive Field in Deep Convolutional Neural Networks*, NIPS 2016): the influence
of a pixel is the number of paths that lead from it to the unit (uniform weights), or the sum over paths of the product of |w|. Along a
chain the distributions of the taps are convolved, so means and variances (in input pixels) add: n layers of three uniform taps have σ =
sqrt(2n/3). Where paths meet, the distribution is the mixture of theirs, weighted by their number of paths. The coefficients of an
interpolation are fixed and weigh its taps. Where neighbouring units differ (after enlargement), there is one distribution for each unit of
a period.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.dependence import Mix, Slide
from service.analysis.field.intervals import FAR, Field, extremes, table
from service.analysis.field.taps import NOTHING, Taps, weighted_moments


@dataclass(frozen=True, slots=True)
class TapWeights:
    """How a kernel spreads its absolute weight: `shares` over the taps of each kernel axis (each sums to one), `mass` per output unit."""

    shares: tuple[NDArray[np.float64], ...]
    mass: float


_MOST_PHASES = 64
"""Units of a period that are told apart at the most; of a longer one the average is kept."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Influence along one input axis: log number of paths, mean position in pixels beside that of the unit's stride, variance in pixels².

    Each is one number, or an array of one for each unit of a period. `between` is the variance that the units of one place add to it once
    they are mixed, because the channels of a concatenation look at different places. `weighted`: every kernel so far was weighed by its
    values; None before the first kernel.
    """

    log_paths: float | Values
    mean: float | Values
    variance: float | Values
    between: float | Values = 0.0
    weighted: bool | None = None

    @classmethod
    def point(cls) -> Spread:
        """One path, from the unit's own position."""
        return cls(0.0, 0.0, 0.0)

    @classmethod
    def none(cls) -> Spread:
        """No known path."""
        return cls(-math.inf, 0.0, 0.0)

    def times(self, paths: float) -> Spread:
        """The same distribution with so many times the paths."""
        if paths <= 0:
            return Spread.none()
        return Spread(self.log_paths + math.log(paths), self.mean, self.variance, self.between, self.weighted)

    @property
    def period(self) -> int:
        """Units that are told apart."""
        return len(self.mean) if isinstance(self.mean, np.ndarray) else 1

    @property
    def sigma(self) -> float | None:
        """The standard deviation, in the mean over the variances of a period; None where no path is known."""
        if self.period == 1:
            return math.sqrt(max(float(self.variance), 0.0)) if math.isfinite(self.log_paths) else None
        seen = np.isfinite(self.log_paths)
        return math.sqrt(max(float(np.mean(np.asarray(self.variance)[seen])), 0.0)) if seen.any() else None

    def tiled(self, period: int) -> Values:
        """Log paths, mean, variance and variance between, as rows over a period that is a multiple of the own one."""
        rows = (self.log_paths, self.mean, self.variance, self.between)
        return np.array([rows]).T if period == 1 else np.stack([np.resize(values, period) for values in rows])

    def even(self) -> Spread:
        """One distribution for all units: the mixture of those of a period."""
        if self.period == 1:
            return self
        return _blend(self.tiled(self.period)[:, :, None], self.weighted).times(1 / self.period)

    def joined(self) -> Spread:
        """The distribution of a unit that reads all units of a place."""
        return Spread(self.log_paths, self.mean, self.variance + self.between, 0.0, self.weighted)


def _blend(rows: Values, weighted: bool | None, coefficients: Values | float = 1.0, apart: bool = False) -> Spread:
    """The mixtures over the second axis of the rows of `Spread.tiled`, weighted by paths times coefficients; the last axis is the period.

    `apart`: the distance between the means is in no unit's own variance.
    """
    log_paths, mean, variance, between = rows
    top = log_paths.max()
    if not math.isfinite(top):
        return Spread.none()
    weights = coefficients * np.exp(log_paths - top)
    total = weights.sum(0)
    seen = total > 0
    safe = np.where(seen, total, 1.0)
    centre = (weights * mean).sum(0) / safe
    distance = (weights * (mean - centre) ** 2).sum(0) / safe
    own, other = ((weights * values).sum(0) / safe for values in (variance, between))
    logs = np.where(seen, top + np.log(safe), -math.inf)
    found = (logs, centre, own, other + distance) if apart else (logs, centre, own + distance, other)
    if len(logs) == 1 or (seen.all() and all(np.ptp(values) <= 1e-9 * (1 + np.abs(values).max()) for values in found)):
        first = [float(values[0]) for values in found]
        return Spread(first[0], first[1], first[2], first[3], weighted)
    return Spread(*found, weighted)


def follow(
    spreads: Sequence[Spread], fields: Sequence[Field], step: Slide | Mix, weights: TapWeights | None, units: int = 1
) -> tuple[Spread, ...]:
    """The spreads after a window or a mixture of `units` units along a tensor axis that the fields may vary along."""
    if isinstance(step, Mix):
        paths = weights.mass if weights else units / step.groups
        if units > step.groups:
            spreads = [_mixed(s, f, step.axis, units) for s, f in zip(spreads, fields, strict=True)]
        return tuple(s.times(paths) for s in spreads)
    taps = step.taps
    shares = weights.shares[step.kernel] if weights and step.kernel is not None else None
    paths = 1.0 if shares is not None or taps.coefficients is not None else taps.per_unit
    return tuple(_slid(s, f, step, paths, shares) if f.varies(step.axis) else s.times(paths) for s, f in zip(spreads, fields, strict=True))


def weighed(spread: Spread, weights: TapWeights | None) -> Spread:
    """The spread behind a kernel, which was weighed by its values where they are known."""
    known = weights is not None and spread.weighted is not False
    return spread if spread.weighted is known else replace(spread, weighted=known)


def _stride(field: Field, axis: int) -> float | None:
    """Pixels from one unit to the next along a tensor axis: of a listed one those of its inner half."""
    pace, extent = field.steps[axis], field.extents[axis]
    if pace is not None:
        return pace / extent
    doubled = np.moveaxis(field.bounds[0] - field.bounds[1], axis, -1).reshape(-1, extent)[0]
    first, last = extent // 4, extent - 1 - extent // 4
    if last == first or max(abs(doubled[first]), abs(doubled[last])) >= FAR // 2:
        return None
    return float(doubled[last] - doubled[first]) / (2 * (last - first))


def _slid(spread: Spread, field: Field, step: Slide, paths: float, shares: Values | None) -> Spread:
    """The spread after a window along the axis that the field moves along."""
    stride, taps = _stride(field, step.axis), step.taps
    if stride is None or taps.step is None or 0 in taps.offsets.shape:
        return spread.times(paths)
    if taps.period == 1 and spread.period == 1:
        mean, variance = taps.moments if shares is None else weighted_moments(taps.offsets[0], shares)
        logs = spread.log_paths + math.log(paths)
        return Spread(logs, spread.mean + stride * mean, spread.variance + stride**2 * variance, spread.between, spread.weighted)
    return _slid_by_phase(spread, stride, taps, taps.step, shares)


def _slid_by_phase(spread: Spread, stride: float, taps: Taps, step: int, shares: Values | None) -> Spread:
    """The same, unit by unit of a period: every tap brings the distribution of the unit that it reads."""
    own = spread.period
    units = taps.period * (own // math.gcd(own, step))
    if units > _MOST_PHASES:
        spread, own, units = spread.even(), 1, min(taps.period, _MOST_PHASES)
    read = taps.indices(0, units).T
    real = read != NOTHING
    coefficients = real.astype(np.float64)
    rows = np.arange(units) % taps.period
    if taps.coefficients is not None:
        coefficients = taps.coefficients[rows].T
    elif shares is not None and taps.kernel is not None:
        coefficients = np.where(real, taps.period * shares[np.where(real, taps.kernel[rows].T, 0)], 0.0)
    elif shares is not None and len(shares) == len(read):
        coefficients = coefficients * shares[:, None]
    read = np.where(real, read, 0)
    rows_read = spread.tiled(own)[:, read % own]
    rows_read[1] += stride * (read - np.arange(units) * (step / taps.period))
    return _blend(rows_read, spread.weighted, coefficients)


def _mixed(spread: Spread, field: Field, axis: int, units: int) -> Spread:
    """Uniform influence of the units along an axis: their positions' mean and variance are added."""
    pace = field.steps[axis]
    if not field.varies(axis) or np.any(spread.between):
        return spread.joined()
    if field.extents[axis] == 1 and pace is not None:
        spread = spread.even()
        return replace(spread, mean=spread.mean + pace * (units - 1) / 2, variance=spread.variance + pace**2 * (units**2 - 1) / 12)
    bounds = table(field, axis, extremes(field, axis, units))
    seen = bounds[0] < FAR // 2
    if not seen.any():
        return spread
    centres = np.moveaxis((bounds[0] - bounds[1]) / 2, axis, -1).reshape(-1, bounds.shape[axis + 1])[0]
    return replace(spread, variance=spread.variance + float(centres.var()))


def combine(parts: Sequence[Sequence[Spread]], shares: Sequence[float], apart: bool = False) -> tuple[Spread, ...]:
    """The mixture, axis by axis, of the spreads of paths that meet, each with its share of the units that are read.

    `apart`: the paths lead to different units (channels of a concatenation), so the distance between their means is in no unit's spread. It
    is added when the units are mixed.
    """
    if len(parts) == 1:
        return tuple(parts[0])
    return tuple(_mixture(spreads, shares, apart) for spreads in zip(*parts, strict=True))


def _mixture(spreads: Sequence[Spread], shares: Sequence[float], apart: bool) -> Spread:
    judged = [s.weighted for s in spreads if s.weighted is not None]
    weighted = all(judged) if judged else None
    period = math.lcm(*(s.period for s in spreads))
    if period > _MOST_PHASES:
        spreads, period = [s.even() for s in spreads], 1
    rows = np.stack([s.tiled(period) for s in spreads], axis=1)
    return _blend(rows, weighted, np.array(shares)[:, None], apart)
