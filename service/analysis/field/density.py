"""Density: the share of its box that a unit really reads. Dilation and stride leave holes (gridding, Yu, Koltun and Funkhouser 2017).

Along every axis of the input the positions that a unit reads are counted, and the shares of all axes are multiplied: two 3×3 layers of
dilation 2 and 4 read 7 of 13 rows and columns, 49 of 169 pixels. Where taps are a product of axes, as in every window, that is the share of
pixels.

1. Most boxes have no holes, and that is seen while the fields are carried on: the intervals that a unit reads touch each other.
2. Where they do not, the inner units are followed backwards (`influence`) and what they read is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from service.analysis.field.axes import SpatialAxes
from service.analysis.field.dependence import Slide
from service.analysis.field.influence import Ended, influence
from service.analysis.field.intervals import FAR, Field, TooLarge, join, sizes, table, unified
from service.analysis.field.published import inner_units, size_at
from service.analysis.field.taps import Integers
from service.graph import Graph, Shape

_MOST_COMPARED = 1 << 12
"""Intervals along one axis that are compared with each other; more are taken to leave holes only if the first ones do."""

_MOST_STEPS = 60_000
"""Layers that are walked backwards at the most, over all units that are counted."""


def window_filled(fields: Sequence[Field], step: Slide) -> bool:
    """Whether along every input axis the intervals seen by the taps of one unit touch, so that their union has no holes."""
    if step.taps.offsets.shape[1] < 2:
        return True
    for field in fields:
        if not field.varies(step.axis) or field.empty:
            continue
        pace, extent = field.steps[step.axis], field.extents[step.axis]
        if extent == 1 and pace is not None and step.taps.period == 1:
            gap = int(np.diff(np.sort(step.taps.offsets[0])).max()) * abs(pace)
            if gap > int(sizes(field.bounds)[0].min()):
                return False
            continue
        read = step.taps.indices(0, min(step.taps.period * extent, step.length))
        bounds = table(field, step.axis, read.reshape(-1))
        bounds = bounds.reshape(*bounds.shape[: step.axis + 1], *read.shape, *bounds.shape[step.axis + 2 :])
        if not _touching(np.moveaxis(bounds, step.axis + 2, -1)):
            return False
    return True


def mixture_filled(fields: Sequence[Field], axis: int, units: int) -> bool:
    """Whether along every input axis the intervals of all units along a tensor axis together leave no hole."""
    compared = np.arange(min(units, _MOST_COMPARED), dtype=np.int64)
    moving = (field for field in fields if field.varies(axis) and not field.empty)
    return all(_touching(np.moveaxis(table(field, axis, compared), axis + 1, -1)) for field in moving)


def union_filled(fields: Sequence[Field], shape: Shape) -> bool:
    """Whether the intervals of paths that meet in the units of a tensor touch."""
    present = [field for field in fields if not field.empty]
    if not present:
        return True
    joined = present[0]
    for field in present[1:]:
        left, right, _ = unified(joined, field, shape)
        apart = np.maximum(left[0], right[0]) > np.minimum(-left[1], -right[1]) + 1
        if (apart & (left[0] < FAR // 2) & (right[0] < FAR // 2)).any():
            return False
        joined = join([joined, field], shape)
    return True


def _touching(bounds: Integers) -> bool:
    """Whether the intervals listed along the last axis together leave no gap."""
    order = np.argsort(bounds[0], axis=-1, kind="stable")
    low, high = (np.take_along_axis(ends, order, -1) for ends in (bounds[0], -bounds[1]))
    reached = np.maximum.accumulate(high, axis=-1)
    return bool(((low[..., 1:] >= FAR // 2) | (low[..., 1:] <= reached[..., :-1] + 1)).all())


class PixelCounter:
    """Counts what inner units read in layers whose boxes may have holes, within a bound on the work."""

    def __init__(self, graph: Graph, axes: SpatialAxes, ended: Mapping[int, Ended]) -> None:
        self._graph, self._axes, self._ended, self._left = graph, axes, ended, _MOST_STEPS

    def density(self, position: int, index: int, fields: tuple[Field, ...], shape: Shape) -> tuple[float | None, bool]:
        """The density of the first inner unit of a layer's output on an input, and whether all units are known to read their whole boxes.

        None where nothing is read by a local path, or where it is too much to count.
        """
        if 0 in shape or all(field.empty for field in fields):
            return None, False
        units, all_phases = inner_units(fields, shape)
        if self._left < position * len(units):
            return None, False
        self._left -= position * len(units)
        try:
            seeing = [unit for unit in units if all(size_at(field, unit) for field in fields if not field.empty)]
            shares = [share for unit in seeing if (share := self._share(position, index, fields, unit)) is not None]
        except TooLarge:
            return None, False
        if not shares:
            return None, False
        return shares[0], all_phases and len(shares) == len(seeing) and min(shares) == 1.0

    def _share(self, position: int, index: int, fields: Sequence[Field], unit: Sequence[int | None]) -> float | None:
        """Positions read by a unit / length of its box, multiplied over the axes; None where a border cuts what it reads."""
        part = influence(self._graph, position, unit, self._graph.inputs[index].name, self._ended[index])
        if part is None:
            return None
        shares = []
        for axis, field in zip(self._axes[index], fields, strict=True):
            others = tuple(other for other in range(part.counts.ndim) if other != axis)
            read = np.flatnonzero(part.counts.sum(axis=others))
            length = int(np.ptp(read)) + 1
            if length < size_at(field, unit):
                return None
            shares.append(len(read) / length)
        return math.prod(shares)
