"""The published numbers of a receptive field (size, stride, padding, coverage), read off one field.

Terms and signs are those of Araujo, Norris and Sim, *Computing Receptive Fields of Convolutional Neural Networks*, Distill 2019: unit y
sees positions -padding + y·stride … -padding + y·stride + size - 1. Where neighbouring units differ, `size` is the largest over an inner
period and `stride` the mean step over one period.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.intervals import ENDS, FAR, Field, TooLarge, pick, remembered, sizes
from service.analysis.field.taps import Integers
from service.graph import Shape


@dataclass(frozen=True, slots=True)
class Measure:
    """One axis of a receptive field, in input pixels. None: not defined (no local path, or no period).

    `coverage` is the share of the actual input that the best-placed unit sees, clipped at the border. `phases` are the sizes over
    one inner period of units. `scores`: a unit sees two places, which may lie as far apart as the input is long.
    """

    size: int | None
    min_size: int | None
    stride: Fraction | None
    padding: int | None
    coverage: float | None
    phases: tuple[int, ...] = ()
    scores: bool = False


def measured(fields: Sequence[Field], shape: Shape, lengths: Shape) -> tuple[Measure, ...]:
    """The measures of a tensor's fields on all spatial axes of an input, which are `lengths` long."""
    fields = _over_places(fields, shape)
    along = [None if field.empty else _longest_way(field) for field in fields]
    grids = [axis is not None and along.count(axis) > 1 for axis in along]
    return tuple(measure(field, shape, n, grid) for field, n, grid in zip(fields, lengths, grids, strict=True))


@remembered
def measure(field: Field, shape: Shape, length: int, grid: bool = False) -> Measure:
    """The measures of a tensor's field on an input axis of `length` positions; `shape` is the tensor's.

    `grid`: another input axis lies along the same tensor axis, as in a row of tokens.
    """
    if field.empty:
        return Measure(None, None, None, None, None if field.reach == "unknown" else 1.0)
    if field.bounds.size == ENDS and not grid and len(moving := _moving(field)) == 1:
        return _measured_evenly(field, moving[0], shape, length)
    axis, inner, stride, first = (None, field, None, 0) if grid else _positional(field)
    if axis is None:
        stride, padding = _grid(field, shape)
    else:
        padding = None if stride is None else _padding(inner, axis, first, stride)
    wide, narrow = sizes(field.bounds if inner.empty else inner.bounds)
    seen = wide > 0
    per_unit = wide.max(axis=tuple(a for a in range(wide.ndim) if a != axis))
    return Measure(
        size=int(wide.max()),
        min_size=int(narrow[seen].min()),
        stride=stride,
        padding=padding,
        coverage=1.0 if field.reach == "global" else _coverage(field, shape, length),
        phases=tuple(int(n) for n in np.ravel(per_unit)),
        scores=bool(score_axes(field)),
    )


def _measured_evenly(field: Field, axis: int, shape: Shape, length: int) -> Measure:
    """The same of units that are one step apart along one axis, in whole numbers."""
    low, minus_high, narrow_low, minus_narrow_high = field.bounds.ravel().tolist()
    step, last = field.steps[axis] or 0, shape[axis] - 1
    balanced = (length - 1 - low + minus_high) // (2 * step)
    best = 0
    for unit in (min(max(balanced + more, 0), last) for more in (0, 1) if last >= 0):
        best = max(best, min(-minus_high + unit * step, length - 1) - max(low + unit * step, 0) + 1)
    size = 1 - low - minus_high
    return Measure(
        size=size,
        min_size=1 - narrow_low - minus_narrow_high,
        stride=Fraction(step),
        padding=-low,
        coverage=1.0 if field.reach == "global" else best / length if length > 0 else None,
        phases=(size,),
    )


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a unit at place 0 looks, in pixels: stride, and the oldest and newest position it sees, as means over one period."""

    stride: Fraction
    oldest: Fraction
    newest: Fraction

    @property
    def centre(self) -> Fraction:
        """The middle between both ends."""
        return (self.oldest + self.newest) / 2


@remembered
def placement(field: Field) -> Placement | None:
    """Where the units of a field look, by which paths that meet can be compared.

    None where the field does not move along exactly one axis by a period.
    """
    moving = _moving(field)
    if len(moving) != 1 or field.empty:
        return None
    axis = moving[0]
    stride = Fraction(field.steps[axis] or 0, field.extents[axis])
    if field.bounds.size == ENDS:
        return Placement(stride, Fraction(field.bounds.item(0)), Fraction(-field.bounds.item(1)))
    seen = field.bounds[0] < FAR // 2
    phase = np.arange(field.extents[axis]).reshape([-1 if a == axis else 1 for a in range(len(field.steps))])
    units = int(seen.sum())
    moved = stride * Fraction(int(np.where(seen, phase, 0).sum()), units)
    oldest, newest = (Fraction(int(np.where(seen, ends, 0).sum()), units) - moved for ends in (field.bounds[0], -field.bounds[1]))
    return Placement(stride, oldest, newest)


def lies_along_one_axis(field: Field) -> bool:
    """Whether the units lie along one tensor axis only: not as an image whose rows lie one after the other along an axis of the input."""
    return len(_moving(field) or [axis for axis, extent in enumerate(field.extents) if extent > 1]) < 2


@remembered
def score_axes(field: Field) -> tuple[int, ...]:
    """The two axes of a map of scores: unit (i, j) sees what unit i and unit j see, and all between. Other maps have none.

    Scores that are masked see nothing.
    """
    listed = [axis for axis, extent in enumerate(field.extents) if extent > 1 and field.steps[axis] is None]
    ends, unseen = field.bounds[:2], field.bounds[0] >= FAR // 2
    ends = np.where(unseen, -FAR, ends)
    for pair in itertools.combinations(listed, 2):
        first, second = (ends.max(axis=axis + 1, keepdims=True) for axis in pair)
        if (unseen | (ends == np.minimum(first, second))).all() and all(_range(field.bounds, axis) for axis in pair):
            return pair
    return ()


def _moving(field: Field) -> list[int]:
    return [axis for axis, step in enumerate(field.steps) if step not in (0, None)]


def _over_places(fields: Sequence[Field], shape: Shape) -> Sequence[Field]:
    """The fields with the channels listed, where the tensor is a map: an axis for each axis of the input, beside batch and channels.

    Channels may hold neighbouring places (after space-to-depth); the stride is that of the map's axes all the same.
    """
    count = len(fields)
    if len(shape) != count + 2:
        return fields
    for first, channel in ((2, 1), (1, count + 1)):
        own = {first + i: field for i, field in enumerate(fields) if not field.empty}
        if all(axis in _moving(field) and not any(field.varies(other) for other in own.keys() - {axis}) for axis, field in own.items()):
            return [_cut(field, channel, 0, shape[channel]) if channel in _moving(field) else field for field in fields]
    return fields


def _longest_way(field: Field) -> int | None:
    """The tensor axis along which the intervals move on furthest; None where they stay."""
    axes = _moving(field) or [axis for axis, extent in enumerate(field.extents) if extent > 1]
    if len(axes) < 2:
        return axes[0] if axes else None
    return max(axes, key=lambda a: _range(field.bounds, a))


def _positional(field: Field) -> tuple[int | None, Field, Fraction | None, int]:
    """The tensor axis along which the field moves, the field over its inner units, the mean step per unit, and the first of those units.

    No axis, where it moves along several, or where the units are scores.
    """
    moving, axis = _moving(field), _longest_way(field)
    if len(moving) > 1 or axis is None or axis in score_axes(field):
        return None, field, None, 0
    if moving:
        return axis, field, Fraction(field.steps[axis] or 0, field.extents[axis]), 0
    inner, stride, first = _inner(field, axis, field.extents[axis])
    return (axis, inner, stride, first) if field.steps[axis] is None else (axis, inner, None, 0)


def _grid(field: Field, shape: Shape) -> tuple[Fraction | None, int | None]:
    """Stride and padding of units whose place on one input axis is told by several tensor axes, or by a part of one.

    Tokens lie row by row, windows and their units on an axis each. Sorted by place, neighbours are one stride apart, and the first sees
    -padding. None where they are not all alike and evenly spaced.
    """
    try:
        for axis, length in enumerate(shape):
            if field.varies(axis):
                units = length if field.steps[axis] else min(length, field.extents[axis])
                field = _cut(field, axis, 0, units)
    except TooLarge:
        return None, None
    wide, _ = sizes(field.bounds)
    places = np.unique(field.bounds[0][wide > 0])
    apart = np.unique(np.diff(places))
    if len(apart) != 1 or len(np.unique(wide[wide > 0])) != 1:
        return None, None
    return Fraction(int(apart[0])), -int(places[0])


def _range(bounds: Integers, axis: int) -> int:
    """The largest distance between (doubled) centres along an axis. Units that see nothing lie nowhere."""
    seen, centres = bounds[0] < FAR // 2, bounds[0] - bounds[1]
    spread = np.where(seen, centres, -FAR).max(axis=axis) - np.where(seen, centres, FAR).min(axis=axis)
    return int(spread.max(initial=0))


def _inner(field: Field, axis: int, units: int) -> tuple[Field, Fraction | None, int]:
    """A listed axis cut down to one inner period, or to its middle third where it has no period; its mean step, and its first unit."""
    low = np.moveaxis(field.bounds, axis + 1, 1)
    start, stop = units // 4, units - units // 4
    # A period is believed once it is seen three times.
    for period in range(1, (stop - start) // 3 + 1):
        steps = (low[:, start + period : stop] - low[:, start : stop - period]).reshape(4, -1)
        pace = int(steps[0, 0])
        if abs(pace) < FAR // 4 and (steps[::2] == pace).all() and (steps[1::2] == -pace).all():
            first = (units - period) // 2
            return _cut(field, axis, first, first + period), Fraction(pace, period) if pace else None, first
    return _cut(field, axis, units // 3, units - units // 3), None, units // 3


def _cut(field: Field, axis: int, start: int, stop: int) -> Field:
    return pick(field, axis, np.arange(start, max(stop, start + 1), dtype=np.int64))


def _padding(inner: Field, axis: int, first: int, stride: Fraction) -> int | None:
    """-lo(0), carried on from the period of units that begins at `first`: where a border breaks the pattern, unit 0 says nothing of it."""
    period = inner.extents[axis]
    whole = -(-first // period) * period
    lowest = int(inner.bounds[0].take(whole - first, axis).min())
    return None if lowest >= FAR // 2 else int(stride * whole) - lowest


def _coverage(field: Field, shape: Shape, length: int) -> float | None:
    """The largest share of the input's positions inside one unit's interval, over all units."""
    if length <= 0:
        return None
    field, axis = _one_moving(field, shape)
    low, high = field.bounds[0], -field.bounds[1]
    seen = low < FAR // 2
    step = 0 if axis is None else field.steps[axis] or 0
    if axis is not None and step:
        extent = field.extents[axis]
        phase = np.arange(extent).reshape([-1 if a == axis else 1 for a in range(low.ndim)])
        seen = seen & (phase < shape[axis])
        last = (shape[axis] - 1 - phase) // extent
        balanced = np.floor_divide(length - 1 - low - high, 2 * step)
        best = max(
            _clipped(low, high, seen, step * np.minimum(np.maximum(balanced + more, 0), np.maximum(last, 0)), length) for more in (0, 1)
        )
    else:
        best = _clipped(low, high, seen, np.int64(0), length)
    return best / length


def _one_moving(field: Field, shape: Shape) -> tuple[Field, int | None]:
    """The field with the units of all axes listed along which it moves, but for the longest of them, which is named.

    Where that is too much, only the first units along the others are kept.
    """
    moving = sorted((axis for axis, step in enumerate(field.steps) if step), key=lambda a: shape[a])
    if not moving:
        return field, None
    for axis in moving[:-1]:
        try:
            field = pick(field, axis, np.arange(shape[axis], dtype=np.int64))
        except TooLarge:
            continue
    return field, moving[-1]


def _clipped(low: Integers, high: Integers, seen: NDArray[np.bool_], moved: Integers | np.int64, length: int) -> int:
    inside = np.minimum(high + moved, length - 1) - np.maximum(low + moved, 0) + 1
    return max(int(inside.max(initial=0, where=seen)), 0)


MAX_UNITS = 16
"""Inner units that are told apart at the most; of more, the widest stands for all."""

MAX_PLACES = 1 << 20
"""Units among which the widest is looked for; among more, it is the middle one."""


def inner_units(fields: tuple[Field, ...], shape: Shape) -> tuple[list[list[int | None]], bool]:
    """Units near the middle of a tensor, among which the reported size is found, the widest first; and whether they stand for all.

    Of a periodic axis they are one for each phase, of a listed one those of its inner part. None along an axis that no field varies with.
    Where there are many, the widest alone, which does not stand for all.
    """
    ranges = [_inner_range(fields, axis, length) for axis, length in enumerate(shape)]
    places = [[None] if places is None else list(places) for places in ranges]
    stands = all(
        places is None or len(places) == length or all(f.steps[axis] is not None for f in fields)
        for axis, (places, length) in enumerate(zip(ranges, shape, strict=True))
    )
    if math.prod(len(own) for own in places) > MAX_UNITS:
        return [_widest(fields, ranges)], False
    units = [list(unit) for unit in itertools.product(*places)]
    return sorted(units, key=lambda unit: -math.prod(size_at(field, unit) for field in fields)), stands


def _inner_range(fields: Sequence[Field], axis: int, length: int) -> range | None:
    """The inner units along one axis; None where no field varies with it."""
    moving = [field for field in fields if field.varies(axis)]
    if not moving:
        return None
    if all(field.steps[axis] is not None for field in fields):
        period = min(math.lcm(*(field.extents[axis] for field in moving)), length)
        start = (length // 2) // period * period
        return range(start, start + period)
    if len(moving) == 1:
        along, inner, _, first = _positional(moving[0])
        if along == axis:
            return range(first, first + inner.extents[axis])
    return range(length)


def _widest(fields: Sequence[Field], ranges: Sequence[range | None]) -> list[int | None]:
    """The unit with the largest box, of several the one nearest to the middle."""
    lengths = [1 if places is None else len(places) for places in ranges]
    middle = [length // 2 for length in lengths]
    if math.prod(lengths) <= MAX_PLACES:
        boxes = np.ones(lengths, dtype=np.float64)
        for field in fields:
            wide, _ = sizes(field.bounds)
            own = [np.arange(1) if places is None else np.array(places) % n for places, n in zip(ranges, wide.shape, strict=True)]
            boxes = boxes * wide[np.ix_(*own)]
        largest = np.argwhere(boxes == boxes.max())
        middle = largest[np.abs(largest - middle).sum(axis=1).argmin()].tolist()
    return [None if places is None else places[at] for places, at in zip(ranges, middle, strict=True)]


def size_at(field: Field, unit: Sequence[int | None]) -> int:
    """Positions that one unit sees; along an axis where it is None, the first."""
    index = tuple((i or 0) % extent for i, extent in zip(unit, field.extents, strict=True))
    return int(sizes(field.bounds)[0][index])
