"""Fields: what the units of a tensor see of one axis of an input, and how operators carry that on.

The abstract interpretation of design section 2, in closed form. A unit sees the interval [lo, hi] of input positions, as if the input went
on for ever beyond its border. Along every tensor axis the intervals either repeat with a period and move on by a step per period, or are
listed one by one:

    lo[i] = table[i mod extent] + (i div extent)·step        step None: i runs over the table only.

So a stack of convolutions needs one number per axis whatever the size of the image, neighbours that differ after upsampling need one entry
per phase, and everything else (windows of attention, shuffles, joins of unequal branches) is listed.

1. `slide` moves along one axis by taps; a unit sees what its taps see.
2. `mix` makes every unit see what all units of an axis (of its group) see.
3. `transpose` and `expand` are NumPy's operations of the same name (`reshape` has a module of its own).
4. Where paths meet is told by `meeting`.

Two intervals are carried: the union over all paths, and the narrowest path (Richter et al. 2021), of which joins keep the narrower.
Terms and signs follow Araujo, Norris and Sim, *Computing Receptive Fields of Convolutional Neural Networks*, Distill 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, wraps
from typing import Concatenate, Literal, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.taps import LONG_PERIOD, NOTHING, Integers, Taps
from service.faults import Refused
from service.graph import Shape

P = ParamSpec("P")
T = TypeVar("T")

Reach = Literal["exact", "global", "bound", "unknown"]
SEVERITY: dict[Reach, int] = {"exact": 0, "global": 1, "bound": 2, "unknown": 3}

FAR = 1 << 60
"""Bounds of a unit that sees nothing: lo = -hi = FAR, the neutral element of min."""

MOST_ENTRIES = 1 << 22
"""A table larger than this is not built; the field widens to a bound instead."""

_LONGEST_PERIOD = 1024
"""A period of up to so many units is kept on a shorter axis too, where the table has no more than _FEW_ENTRIES with it."""

_FEW_ENTRIES = 1 << 14

ENDS = 4
"""Rows of `Field.bounds`: the entries of a field whose units are one step apart along every axis."""

# The upper ends are kept negated, so that the union of intervals is one minimum over all rows.
_SIGNS = np.array([1, -1, 1, -1], dtype=np.int64)


class TooLarge(Refused):
    """The field cannot be described exactly within the bounds on memory and work; `got` says what would be needed."""

    def __init__(self, got: str) -> None:
        super().__init__("limit", "field-too-large", f"The receptive field is too large to be followed: it takes {got}.")


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Field:
    """What units see: `bounds` has shape (4, *extents) with rows lo, -hi, narrowest lo, narrowest -hi; `steps` one step per tensor axis.

    `reach` is the status of the paths (design section 2) and `because` the layer that caused it.
    """

    bounds: Integers
    steps: tuple[int | None, ...]
    reach: Reach = "exact"
    because: str | None = None

    @property
    def extents(self) -> Shape:
        """Entries of the table along every tensor axis: the period in units, or all units where they are listed."""
        return self.bounds.shape[1:]

    @property
    def empty(self) -> bool:
        """Whether no local path is left in any unit."""
        # Nearly always the first unit sees something already.
        return not (self.bounds.size and self.bounds.item(0) < FAR // 2) and bool((self.bounds[0] >= FAR // 2).all())

    def varies(self, axis: int) -> bool:
        """Whether units along this tensor axis see different intervals."""
        return self.extents[axis] > 1 or self.steps[axis] != 0

    def worse(self, reach: Reach, because: str | None) -> Field:
        """The same field with a status at least as bad."""
        if SEVERITY[reach] <= SEVERITY[self.reach]:
            return self
        return replace(self, reach=reach, because=because)


def remembered(function: Callable[Concatenate[Field, P], T]) -> Callable[Concatenate[Field, P], T]:
    """Decorate a function of a field and of numbers: an answer is kept as long as the field is."""
    known: WeakKeyDictionary[Field, dict[object, T]] = WeakKeyDictionary()

    @wraps(function)
    def answer(field: Field, /, *args: P.args, **kwargs: P.kwargs) -> T:
        answers = known.setdefault(field, {})
        key = (args, *kwargs.items())
        if key not in answers:
            answers[key] = function(field, *args, **kwargs)
        return answers[key]

    return answer


@cache
def identity(rank: int, axis: int) -> Field:
    """The field of an input tensor on its own axis: unit i sees position i."""
    return Field(np.zeros((4,) + (1,) * rank, np.int64), tuple(int(a == axis) for a in range(rank)))


@cache
def nothing(rank: int) -> Field:
    """The field of a tensor that does not depend on the input axis by any local path."""
    return Field(np.full((4,) + (1,) * rank, FAR, np.int64), (0,) * rank)


def same(one: Field, two: Field) -> bool:
    """Whether two fields are described alike: the same intervals over the same periods."""
    return one is two or (one.steps == two.steps and one.extents == two.extents and bool((one.bounds == two.bounds).all()))


def _along(values: NDArray[np.int64], rank: int, axis: int) -> Integers:
    """`values` (a vector) as an array that broadcasts along one axis of `bounds`."""
    return values.reshape((1,) * (axis + 1) + (-1,) + (1,) * (rank - axis - 1))


def _signs(rank: int) -> Integers:
    return _SIGNS.reshape((4,) + (1,) * rank)


def _clean(bounds: Integers) -> Integers:
    """Bounds of nobody else's, in which steps added to FAR are FAR again."""
    if bounds.size and bounds.max() >= FAR // 2:
        bounds[bounds >= FAR // 2] = FAR
    return bounds


def check(entries: int) -> None:
    """Refuses a table of more entries than are built: TooLarge."""
    if entries > MOST_ENTRIES:
        raise TooLarge(f"{entries} entries")


def table(field: Field, axis: int, indices: Integers) -> Integers:
    """Bounds of the units at `indices` (a vector) of one axis; a unit beyond the border of a listed axis sees nothing."""
    extent, step, rank = field.extents[axis], field.steps[axis], len(field.steps)
    check(field.bounds.size // max(extent, 1) * len(indices))
    missing = indices == NOTHING
    if step is None:
        missing = missing | (indices < 0) | (indices >= extent)
    bounds = field.bounds.take(np.where(missing, 0, indices) % extent, axis=axis + 1)
    if step:
        bounds = _clean(bounds + _along(np.where(missing, 0, indices // extent) * step, rank, axis) * _signs(rank))
    if missing.any():
        bounds = np.where(_along(missing, rank, axis), FAR, bounds)
    return bounds


def pick(field: Field, axis: int, indices: Integers) -> Field:
    """The field of the units at `indices` (a vector) of one axis, listed one by one."""
    return replace(field, bounds=table(field, axis, indices), steps=with_step(field.steps, axis, None))


def settle(bounds: Integers, steps: Sequence[int | None], axis: int) -> tuple[Integers, tuple[int | None, ...]]:
    """The shortest description along one axis: a period that divides the table, or, of a plain table, an affine run."""
    extent, step = bounds.shape[axis + 1], steps[axis]
    if extent == 1 and step is None:
        return bounds, (*steps[:axis], 0, *steps[axis + 1 :])
    for period in (1,) if step is None else _periods(extent):
        if period >= extent or (step is not None and step * period % extent):
            continue
        head = bounds.take(np.arange(extent - period), axis + 1)
        tail = bounds.take(np.arange(period, extent), axis + 1)
        pace = _first_pace(head, tail) if step is None else step * period // extent
        if (np.where(head < FAR // 2, head + pace * _signs(bounds.ndim - 1), FAR) == tail).all():
            return bounds.take(np.arange(period), axis + 1), (*steps[:axis], pace, *steps[axis + 1 :])
    return bounds, tuple(steps)


@cache
def _periods(extent: int) -> tuple[int, ...]:
    """The proper divisors of a table's length, ascending."""
    small = [d for d in range(1, math.isqrt(extent) + 1) if extent % d == 0]
    return tuple(d for d in sorted({*small, *(extent // d for d in small)}) if d < extent)


def _first_pace(head: Integers, tail: Integers) -> int:
    seen = (head[0] < FAR // 2) & (tail[0] < FAR // 2)
    return int((tail[0] - head[0])[seen][0]) if seen.any() else 0


def is_kept(period: int, length: int, entries: int) -> bool:
    """Whether a period is worth keeping on an axis of `length` units; the table has so many entries along all other axes."""
    return period <= max(length, LONG_PERIOD) or (period <= _LONGEST_PERIOD and period * entries <= _FEW_ENTRIES)


def other_entries(field: Field, axis: int) -> int:
    """Entries of a table along all axes but one."""
    return field.bounds.size // 4 // max(field.extents[axis], 1)


def slide(field: Field, axis: int, taps: Taps, length: int) -> Field:
    """The field of an output axis of `length` units that read the input axis by `taps`."""
    if not field.varies(axis) and not taps.blank:
        return field
    extent, step, rank = field.extents[axis], field.steps[axis], len(field.steps)
    if extent == 1 and step is not None and taps.plain and length:
        return _slid_evenly(field, axis, taps, step)
    if step is None or taps.step is None:
        phases, pace = length, None
    else:
        rounds = extent // math.gcd(extent, taps.step) if taps.step else 1
        phases, pace = taps.period * rounds, taps.step * rounds // extent * step if taps.step else 0
    if length == 0:
        phases, pace = 0, 0
    if not is_kept(phases, length, other_entries(field, axis)):
        phases, pace = length, None
    read = taps.indices(0, phases)
    count = read.shape[1]
    if count == 0:
        return replace(nothing(rank), reach=field.reach, because=field.because)
    seen = table(field, axis, read.reshape(-1))
    if count > 1:
        seen = seen.reshape((*seen.shape[: axis + 1], phases, count, *seen.shape[axis + 2 :])).min(axis=axis + 2)
    steps = (*field.steps[:axis], pace, *field.steps[axis + 1 :])
    bounds, settled = settle(seen, steps, axis)
    return replace(field, bounds=bounds, steps=settled)


def _slid_evenly(field: Field, axis: int, taps: Taps, step: int) -> Field:
    """The same where each unit of the axis is one step from the next: the outermost taps tell it."""
    first, last = sorted(offset * step for offset in taps.ends)
    moved = np.array([first, -last, first, -last], dtype=np.int64).reshape((4,) + (1,) * len(field.steps))
    return Field(_clean(field.bounds + moved), with_step(field.steps, axis, (taps.step or 0) * step), field.reach, field.because)


def sizes(bounds: Integers) -> tuple[Integers, Integers]:
    """Number of positions seen, hi - lo + 1, over all paths and over the narrowest; 0 where nothing is seen."""
    seen = bounds[0] < FAR // 2
    return np.where(seen, 1 - bounds[0] - bounds[1], 0), np.where(seen, 1 - bounds[2] - bounds[3], 0)


def listed_units(field: Field, axis: int, length: int) -> Integers:
    """Bounds of all units of one axis, one entry for each."""
    return table(field, axis, np.arange(length, dtype=np.int64))


def extremes(field: Field, axis: int, length: int) -> Integers:
    """The units of one axis among which the lowest and highest ends are found: of every phase the first and the last."""
    extent = field.extents[axis]
    if field.steps[axis] in (0, None):
        return np.arange(min(extent, length), dtype=np.int64)
    first = np.arange(min(extent, length), dtype=np.int64)
    return np.concatenate([first, first + (length - 1 - first) // extent * extent])


def mix(field: Field, axis: int, length: int, result: int, groups: int = 1) -> Field:
    """The field after every one of `result` units has come to see all `length` units of an axis (those of its group).

    Among units whose narrowest paths differ in width (channels of a concatenation), the narrowest are kept.
    """
    if not field.varies(axis):
        return field
    if groups == 1:
        bounds = _union(table(field, axis, extremes(field, axis, length)), axis)
        steps = (*field.steps[:axis], 0, *field.steps[axis + 1 :])
        return replace(field, bounds=bounds, steps=steps)
    per_group = length // groups
    every = listed_units(field, axis, length)
    parts = [_union(every.take(np.arange(g * per_group, (g + 1) * per_group), axis + 1), axis) for g in range(groups)]
    bounds = np.repeat(np.concatenate(parts, axis=axis + 1), result // groups, axis=axis + 1)
    return relisted(field, axis, bounds)


def accumulate(field: Field, axis: int, length: int, reverse: bool, exclusive: bool) -> Field:
    """The field after every unit has come to see all units before it along an axis (after it, if `reverse`), and itself unless `exclusive`.

    The narrowest path is that of the unit itself, or of its neighbour.
    """
    if not field.varies(axis) and not exclusive:
        return field
    bounds = listed_units(field, axis, length)
    bounds = np.flip(bounds, axis + 1) if reverse else bounds
    bounds = np.concatenate([np.minimum.accumulate(bounds[:2], axis + 1), bounds[2:]])
    if exclusive:
        blank = np.full_like(bounds.take([0], axis + 1), FAR)
        bounds = np.concatenate([blank, bounds.take(np.arange(length - 1), axis + 1)], axis + 1)
    return relisted(field, axis, np.flip(bounds, axis + 1) if reverse else bounds)


def block(field: Field, blocked: NDArray[np.bool_], shape: Shape) -> Field:
    """The field of a tensor of `shape` of which some units see nothing: along the axes of the pattern units are listed."""
    if not blocked.any():
        return field
    for axis, length in enumerate(blocked.shape):
        if length > 1 and (field.extents[axis] != length or field.steps[axis] is not None):
            field = pick(field, axis, np.arange(shape[axis], dtype=np.int64))
    check(4 * math.prod(map(max, field.extents, blocked.shape)))
    bounds, steps = np.where(blocked, FAR, field.bounds), field.steps
    return replace(field, bounds=bounds, steps=tuple(None if n > 1 else s for n, s in zip(blocked.shape, steps, strict=True)))


def relisted(field: Field, axis: int, bounds: Integers) -> Field:
    """The field with other bounds, whose units are listed along one axis, in their shortest description."""
    settled, steps = settle(bounds, (*field.steps[:axis], None, *field.steps[axis + 1 :]), axis)
    return replace(field, bounds=settled, steps=steps)


def _union(bounds: Integers, axis: int) -> Integers:
    """One entry along an axis: the union over all paths, and over those narrowest paths that are as narrow as any."""
    wide = bounds[:2].min(axis=axis + 1, keepdims=True)
    _, narrow = sizes(bounds)
    width = np.where(narrow > 0, narrow, FAR)
    narrowest = np.where(width == width.min(axis=axis, keepdims=True), bounds[2:], FAR).min(axis=axis + 1, keepdims=True)
    return np.concatenate([wide, narrowest])


def transpose(field: Field, order: Sequence[int]) -> Field:
    """The field after the axes were put into another order."""
    return replace(field, bounds=field.bounds.transpose(0, *(a + 1 for a in order)), steps=tuple(field.steps[a] for a in order))


def expand(field: Field, shape: Shape, result: Shape) -> Field:
    """The field after broadcasting `shape` to `result`: new axes, and axes of length 1 that were stretched, do not vary."""
    lead = len(result) - len(shape)
    bounds = field.bounds.reshape((4,) + (1,) * lead + field.extents)
    steps = [0] * lead + list(field.steps)
    for axis, (old, new) in enumerate(zip(shape, result[lead:], strict=True), start=lead):
        if old == 1 and new != 1:
            bounds, steps[axis] = bounds.take([0], axis + 1), 0
    return replace(field, bounds=bounds, steps=tuple(steps))


def with_step(steps: tuple[int | None, ...], axis: int, step: int | None) -> tuple[int | None, ...]:
    """The steps with another one along one axis."""
    return (*steps[:axis], step, *steps[axis + 1 :])
