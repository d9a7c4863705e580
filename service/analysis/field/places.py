"""Places: where on its own map a unit lies. They tell which paths are global (design section 2), whatever the units see.

1. A map begins at the input, and anew where a window slides along it or where its units are mixed: from there on the place of a unit is its
   number along the map's axis. So a place says nothing of what was seen before.
2. Movements of units (a reshape into windows or tokens, a transposition, a broadcast) carry the places along, by the algebra of fields.
3. Units of channels, or of windows that were mixed, lie at a range of places. Where paths meet, the most definite places are kept. A unit
   where paths from different places meet has several: score (i, j) of attention lies at i and at j.
4. A step that mixes units is global where one of its results takes in every place of the map that it reads. A window never is: on a larger
   image it would slide. A map of one place counts as whole where a larger image would give it more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from service.analysis.field.dependence import Block, Expand, Mix, Reshape, Slide, Step, Transpose
from service.analysis.field.intervals import (
    ENDS,
    FAR,
    Field,
    TooLarge,
    identity,
    mix,
    nothing,
    remembered,
    same,
    settle,
    sizes,
    slide,
    table,
)
from service.analysis.field.meeting import concatenate
from service.analysis.field.propagation import moved
from service.analysis.field.taps import Integers
from service.graph import Shape

Places = tuple[Field, ...]
"""Where the units of a tensor lie along one axis of the input: one field for each alternative, none where it is not known."""

_MOST_ALTERNATIVES = 3

_MOST_COMPARED = 64
"""Candidates for a unit that takes in every place which are looked at closely."""


def carry(places: Sequence[Places], shape: Shape, step: Step) -> tuple[Places, ...]:
    """The places of a tensor's units, one entry for each input axis, after a step."""
    if isinstance(step, Slide | Mix) and not (isinstance(step, Slide) and step.taps.blank):
        if not any(place.varies(step.axis) for each in places for place in each):
            return tuple(places)
        if all(place.bounds.size == ENDS for each in places for place in each) and _keeps_size(step):
            return _remembered(tuple(places), shape, step)
    return _carried(places, shape, step)


def _keeps_size(step: Slide | Mix) -> bool:
    """Whether places that are one step apart are so behind a step, too."""
    return step.taps.plain if isinstance(step, Slide) else step.groups == 1


@lru_cache(maxsize=256)
def _remembered(places: tuple[Places, ...], shape: Shape, step: Slide | Mix) -> tuple[Places, ...]:
    """The same for places that are one step apart: a map is numbered anew so often that these are nearly always known."""
    return _carried(places, shape, step)


def _carried(places: Sequence[Places], shape: Shape, step: Step) -> tuple[Places, ...]:
    match step:
        case Slide(axis, _, _, _):
            return _renewed(places, shape, axis, [_centred(each, step, shape[axis]) for each in places])
        case Mix(axis, length, groups):
            return _renewed(places, shape, axis, [mixed(each, axis, shape[axis], length, groups) for each in places])
        case Reshape() | Transpose() | Expand() | Block():
            return tuple(_moved(each, shape, step) for each in places)
        case _:
            return tuple(places)


def _moved(places: Places, shape: Shape, step: Step) -> Places:
    try:
        return tuple(moved(place, shape, step) for place in places)
    except TooLarge:
        return ()


def _centred(places: Places, step: Slide, units: int) -> Places:
    """The places of the units that the middle taps read."""
    try:
        return tuple(_read(place, step, units) if place.varies(step.axis) else place for place in places)
    except TooLarge:
        return ()


def _read(place: Field, step: Slide, units: int) -> Field:
    """One of these. Units that are cut out of more, and lie in one period, are as many on a larger image."""
    axis, length = step.axis, step.length
    read = slide(place, axis, step.taps.middle, length)
    if step.kernel is not None or units <= length or not 0 < length <= read.extents[axis]:
        return read
    few = read.bounds.take(np.arange(length), axis + 1)
    bounds, steps = settle(few, (*read.steps[:axis], None, *read.steps[axis + 1 :]), axis)
    return replace(read, bounds=bounds, steps=steps)


def mixed(places: Places, axis: int, length: int, result: int = 1, groups: int = 1) -> Places:
    """The places taken in by units that read all units of an axis (those of their group)."""
    try:
        return tuple(mix(place, axis, length, result, groups) for place in places)
    except TooLarge:
        return ()


def _renewed(before: Sequence[Places], shape: Shape, axis: int, after: Sequence[Places]) -> tuple[Places, ...]:
    """The places after a step along `axis`: numbered anew where a map's axis was changed and now lies along one tensor axis alone."""
    result = list(after)
    for index, places in enumerate(before):
        if any(place.varies(axis) for place in places):
            others = [place for other, each in enumerate(after) if other != index for place in each]
            result[index] = tuple(_numbered(place, others) for place in after[index])
    return tuple(result)


def _numbered(place: Field, others: Sequence[Field]) -> Field:
    """Units numbered along the only tensor axis along which they lie, where no other axis of the input lies along it too."""
    moving = [axis for axis in range(len(place.steps)) if place.varies(axis)]
    if len(moving) != 1 or _single(place) or any(other.varies(moving[0]) for other in others):
        return place
    return identity(len(place.steps), moving[0])


def meet(parts: Sequence[tuple[Sequence[Field], Sequence[Places]]]) -> tuple[Places, ...]:
    """The places where paths meet in the same units; each path comes with the fields that it brings along the input axes."""
    result: list[Places] = []
    for index in range(len(parts[0][0])):
        local = [places[index] for fields, places in parts if not fields[index].empty] or [places[index] for _, places in parts]
        result.append(() if () in local else definite([place for places in local for place in places]))
    return tuple(result)


def definite(places: Sequence[Field]) -> Places:
    """The different ones among those places that are the most definite."""
    kept: list[Field] = []
    for place in places:
        if not any(same(place, other) for other in kept):
            kept.append(place)
    if len(kept) < 2:
        return tuple(kept)
    widths = [int(sizes(place.bounds)[0].max(initial=0)) or FAR for place in kept]
    return tuple(place for place, width in zip(kept, widths, strict=True) if width == min(widths))[:_MOST_ALTERNATIVES]


def lay_beside(
    parts: Sequence[tuple[Sequence[Field], Sequence[Places]] | None], axis: int, lengths: Sequence[int], shape: Shape
) -> tuple[Places, ...]:
    """The places of tensors laid one after the other along `axis`; a part that does not depend on the input is None."""
    present = [part for part in parts if part is not None]
    before: list[Places] = []
    after: list[Places] = []
    for index in range(len(present[0][0])):
        own = [None if part is None or part[0][index].empty else part[1][index] for part in parts]
        before.append(tuple(place for places in own if places is not None for place in places))
        after.append(_laid(own, axis, lengths, shape))
    return _renewed(before, shape, axis, after)


def _laid(own: Sequence[Places | None], axis: int, lengths: Sequence[int], shape: Shape) -> Places:
    present = [places for places in own if places is not None]
    if () in present or not present:
        return ()
    result = []
    for turn in range(max(map(len, present))):
        row = [nothing(len(shape)) if places is None else places[min(turn, len(places) - 1)] for places in own]
        try:
            result.append(concatenate(row, axis, lengths, shape))
        except TooLarge:
            return ()
    return definite(result)


def takes_in_all(places: Places, axis: int, shape: Shape) -> bool:
    """Whether a unit that reads all units along a tensor axis takes in every place of the map (the condition of a global path)."""
    return any(_covers(place, axis, shape) for place in places)


@remembered
def _covers(place: Field, axis: int, shape: Shape) -> bool:
    if not place.varies(axis) or _single(place):
        return False
    others = [other for other in range(len(shape)) if other != axis and place.varies(other)]
    if not others:
        return True
    if any(place.steps[other] for other in others):
        return False  # the units of another axis lie further on
    try:
        low, minus_high = table(place, axis, np.arange(shape[axis], dtype=np.int64))[:2]
    except TooLarge:
        return False
    high = np.where(low < FAR // 2, -minus_high, -FAR)
    whole = (low.min(axis) == low.min()) & (high.max(axis) == high.max())
    if not whole.any():
        return False
    units = shape[axis]
    rows = [np.moveaxis(ends, axis, -1).reshape(-1, units)[whole.reshape(-1)][:_MOST_COMPARED] for ends in (low, high)]
    least = int(_gap(rows[0], rows[1]).min())
    # No row has smaller gaps than the map itself, which is long to sort.
    return least <= 1 or least <= _gap(low.reshape(1, -1), high.reshape(1, -1)).item()


def _single(place: Field) -> bool:
    """Whether all units that lie anywhere lie at one place, which a larger image would not lengthen: nothing is taken in beside it."""
    if any(place.steps):
        return False
    low, high = place.bounds[0], -place.bounds[1]
    seen = low < FAR // 2
    return not seen.any() or bool(low[seen].min() == low[seen].max() and high[seen].min() == high[seen].max())


def _gap(low: Integers, high: Integers) -> Integers:
    """For each row of ranges of places, the largest step from what was taken in so far to the next one."""
    order = np.argsort(low, axis=-1, kind="stable")
    low, high = np.take_along_axis(low, order, -1), np.take_along_axis(high, order, -1)
    reached = np.maximum.accumulate(high, axis=-1)
    steps = np.where(low[..., 1:] < FAR // 2, low[..., 1:] - reached[..., :-1], 0)
    return np.asarray(steps.max(axis=-1, initial=0))
