"""The effective receptive field: the Gaussian that the influence of the input pixels on one unit approaches.

Luo, Li, Urtasun and Zemel (*Understanding the Effective Receptive Field in Deep Convolutional Neural Networks*, NIPS 2016): the influence
of a pixel is the number of paths that lead from it to the unit (uniform weights), or the sum over paths of the product of |w|. Along a
chain the distributions of the taps are convolved, so means and variances (in input pixels) add: n layers of three uniform taps have σ =
sqrt(2n/3). Where paths meet, the distribution is the mixture of theirs, weighted by their number of paths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.analysis.dependence import Mix, Slide
from service.analysis.fields import FAR, Field, extremes, table
from service.analysis.taps import NOTHING

WIDTH95 = 2 * 1.959963984540054
"""Widths of a Gaussian, in standard deviations, that hold 95 % of it."""


@dataclass(frozen=True, slots=True)
class TapWeights:
    """How a kernel spreads its absolute weight: `shares` over the taps of each kernel axis (each sums to one), `mass` per output unit."""

    shares: tuple[NDArray[np.float64], ...]
    mass: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Influence along one input axis: log number of paths, mean position of unit 0 in pixels, variance in pixels².

    `weighted`: every kernel so far was weighed by its values; None before the first kernel.
    """

    log_paths: float
    mean: float
    variance: float
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
        return replace(self, log_paths=self.log_paths + math.log(paths)) if paths > 0 else Spread.none()

    @property
    def source(self) -> str:
        return "weights" if self.weighted else "uniform"


def follow(
    spreads: Sequence[Spread], fields: Sequence[Field], step: Slide | Mix, weights: TapWeights | None, units: int = 1
) -> tuple[Spread, ...]:
    """The spreads after a window or a mixture of `units` units along a tensor axis that the fields may vary along."""
    if isinstance(step, Mix):
        paths = weights.mass if weights else units / step.groups
        moved = (_mixed(s, f, step.axis, units) if f.varies(step.axis) else s for s, f in zip(spreads, fields, strict=True))
        return tuple(s.times(paths) for s in moved)
    counted = [row[row != NOTHING] for row in step.taps.offsets[:64]]
    shares = weights.shares[step.kernel] if weights and step.kernel is not None and len(counted) == 1 else None
    paths = 1.0 if weights and step.kernel is not None else max(float(np.mean([len(row) for row in counted] or [1])), 1e-9)
    return tuple(
        (_slid(s, f, step, counted, shares) if f.varies(step.axis) else s).times(paths) for s, f in zip(spreads, fields, strict=True)
    )


def weighed(spread: Spread, weights: TapWeights | None) -> Spread:
    """The spread behind a kernel, which was weighed by its values where they are known."""
    return replace(spread, weighted=weights is not None and spread.weighted is not False)


def _slid(spread: Spread, field: Field, step: Slide, taps: Sequence[NDArray[np.int64]], shares: NDArray[np.float64] | None) -> Spread:
    pace = field.steps[step.axis]
    if pace is None or step.taps.step is None:
        return spread
    stride = pace / field.extents[step.axis]
    drift = step.taps.step / step.taps.period
    means, variances = [], []
    for phase, offsets in enumerate(taps):
        if len(offsets):
            mean = float(np.average(offsets, weights=shares))
            means.append(mean - phase * drift)
            variances.append(float(np.average((offsets - mean) ** 2, weights=shares)))
    if not means:
        return spread
    return replace(
        spread, mean=spread.mean + stride * float(np.mean(means)), variance=spread.variance + stride**2 * float(np.mean(variances))
    )


def _mixed(spread: Spread, field: Field, axis: int, units: int) -> Spread:
    """Uniform influence of the units along an axis: their positions' mean and variance are added."""
    pace = field.steps[axis]
    if field.extents[axis] == 1 and pace is not None:
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
    logs = np.array([s.log_paths + math.log(share) if share > 0 else -math.inf for s, share in zip(spreads, shares, strict=True)])
    top = logs.max()
    if not math.isfinite(top):
        return spreads[0]
    weights = np.exp(logs - top)
    mean = float(np.average([s.mean for s in spreads], weights=weights))
    variance = float(np.average([s.variance + (0.0 if apart else (s.mean - mean) ** 2) for s in spreads], weights=weights))
    judged = [s.weighted for s in spreads if s.weighted is not None]
    return Spread(float(top + math.log(weights.sum())), mean, variance, all(judged) if judged else None)
