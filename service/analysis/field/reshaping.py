"""Reshaping fields: the same units in the same order under another shape, which moves periods from axis to axis.

Both shapes are cut into the shortest runs of axes that hold the same number of units. Within a run the axes are merged into one and split
again: a period of the merged axis becomes steps of its own along the axes it is split into, so that windows, patches, pixel shuffles and
attention heads stay as small as they were.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from service.analysis.field.intervals import Field, check, nothing, settle, table
from service.analysis.field.taps import LONG_PERIOD, Integers
from service.graph import Shape


def reshape(field: Field, shape: Shape, result: Shape) -> Field:
    """The field after the units were given another shape, in the same order: axes are merged and split where the two shapes differ."""
    if 0 in shape:
        return replace(nothing(len(result)), reach=field.reach, because=field.because)
    axis = 0
    for old, new in segments(shape, result):
        if old != new:
            field = divide(_merge(field, axis, old), axis, new)
        axis += len(new)
    return field


def segments(shape: Shape, result: Shape) -> list[tuple[Shape, Shape]]:
    """The shortest runs of axes of both shapes that hold the same number of units."""
    segments: list[tuple[Shape, Shape]] = []
    i = j = 0
    while i < len(shape) or j < len(result):
        old, new = shape[i : i + 1], result[j : j + 1]
        while math.prod(old) != math.prod(new):
            if math.prod(old) < math.prod(new):
                old = shape[i : i + len(old) + 1]
            else:
                new = result[j : j + len(new) + 1]
        segments.append((old, new))
        i, j = i + len(old), j + len(new)
    return segments


def _merge(field: Field, axis: int, lengths: Shape) -> Field:
    """The field with the axes from `axis` on, of these lengths, made into one."""
    if not lengths:
        bounds = np.expand_dims(field.bounds, axis + 1)
        return replace(field, bounds=bounds, steps=(*field.steps[:axis], 0, *field.steps[axis:]))
    while len(lengths) > 1:
        field = _merge_two(field, axis, lengths[0], lengths[1])
        lengths = (lengths[0] * lengths[1], *lengths[2:])
    return field


def _first(bounds: Integers, axis: int) -> Integers:
    """The bounds without one axis: those of its unit 0."""
    return bounds[(slice(None),) * (axis + 1) + (0,)]


def _merge_two(field: Field, axis: int, outer: int, inner: int) -> Field:
    if outer == 1 < inner <= LONG_PERIOD and field.steps[axis]:
        # A map of one place that a larger image would lengthen, whose place becomes several (pixel shuffle).
        return _interleaved(field, axis, inner)
    for single, dropped in ((outer, axis), (inner, axis + 1)):
        if single == 1 or (not field.varies(axis) and not field.varies(axis + 1)):
            steps = field.steps[:dropped] + field.steps[dropped + 1 :]
            return replace(field, bounds=_first(field.bounds, dropped), steps=steps)
    return _interleaved(field, axis, inner)


def _interleaved(field: Field, axis: int, inner: int) -> Field:
    """Two axes as one: a period of the first, each of its units with all `inner` units of the second."""
    step = field.steps[axis]
    bounds = table(field, axis + 1, np.arange(inner, dtype=np.int64))
    periods = bounds.shape[axis + 1]
    check(bounds.size)
    bounds = bounds.reshape(*bounds.shape[: axis + 1], periods * inner, *bounds.shape[axis + 3 :])
    settled, steps = settle(bounds, (*field.steps[:axis], step, *field.steps[axis + 2 :]), axis)
    return replace(field, bounds=settled, steps=steps)


def divide(field: Field, axis: int, lengths: Shape) -> Field:
    """The field with one axis made into axes of these lengths."""
    if not lengths:
        return replace(field, bounds=_first(field.bounds, axis), steps=field.steps[:axis] + field.steps[axis + 1 :])
    length = math.prod(lengths)
    for inner in reversed(lengths[1:]):
        field = _split_two(field, axis, length, inner)
        length //= inner
    return field


def _split_two(field: Field, axis: int, length: int, inner: int) -> Field:
    extent, step = field.extents[axis], field.steps[axis]
    before, after = field.steps[:axis], field.steps[axis + 1 :]
    if inner == 1:
        return replace(field, bounds=np.expand_dims(field.bounds, axis + 2), steps=(*before, step, 0, *after))
    if inner == length:
        return replace(field, bounds=np.expand_dims(field.bounds, axis + 1), steps=(*before, 0, step, *after))
    if step is not None and inner % extent == 0:
        # A period as long as the inner axis is a table of it.
        bounds, steps = np.expand_dims(field.bounds, axis + 1), (*before, step * (inner // extent), step, *after)
        if 1 < extent == inner:
            bounds, steps = settle(bounds, (*before, step, None, *after), axis + 1)
        return replace(field, bounds=bounds, steps=steps)
    period = math.lcm(extent, inner)
    if step is None or period > length:
        period, pace = length, None
    else:
        pace = step * (period // extent)
    bounds = table(field, axis, np.arange(period, dtype=np.int64))
    bounds = bounds.reshape(*bounds.shape[: axis + 1], period // inner, inner, *bounds.shape[axis + 2 :])
    bounds, steps = settle(bounds, (*before, pace, None, *after), axis + 1)
    bounds, steps = settle(bounds, steps, axis)
    return replace(field, bounds=bounds, steps=steps)
