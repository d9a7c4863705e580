"""Fields where paths meet: in the same units (`join`, the union over all paths) or one after the other (`concatenate`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from service.analysis.field.intervals import (
    ENDS,
    FAR,
    SEVERITY,
    Field,
    check,
    is_kept,
    listed_units,
    mix,
    other_entries,
    pick,
    relisted,
    settle,
    sizes,
    table,
    with_step,
)
from service.analysis.field.taps import Integers
from service.graph import Shape

MAX_PAIRS = 1 << 18
"""Units that are told apart at the most where fields meet that vary along different axes."""


def join(fields: Sequence[Field], shape: Shape) -> Field:
    """The union over paths that meet at the same units of a tensor of `shape`; the narrowest path is the narrower one."""
    result = fields[0]
    for other in fields[1:]:
        result = _join(result, other, shape)
    return result


def _join(one: Field, two: Field, shape: Shape) -> Field:
    worst = max((one, two), key=lambda f: SEVERITY[f.reach])
    if one is two or two.empty:
        return one.worse(worst.reach, worst.because)
    if one.empty:
        return two.worse(worst.reach, worst.because)
    if one.steps == two.steps and None not in one.steps and one.bounds.size == two.bounds.size == ENDS:
        return Field(_union_of_two(one.bounds, two.bounds), one.steps, worst.reach, worst.because)
    one, two = _apart(one, two, shape)
    left, right, steps = unified(one, two, shape)
    if steps == one.steps and left.shape == right.shape and (left == right).all():
        return replace(one, reach=worst.reach, because=worst.because)
    left, right = np.broadcast_arrays(left, right)
    width = [np.where(n > 0, n, FAR) for n in (sizes(left)[1], sizes(right)[1])]
    # Of paths as narrow as each other the one that begins first, whatever the order of the operands.
    narrow = np.where((width[0] < width[1]) | ((width[0] == width[1]) & (left[2] <= right[2])), left[2:], right[2:])
    bounds = np.concatenate([np.minimum(left[:2], right[:2]), narrow])
    for axis in range(len(shape)):
        bounds, steps = settle(bounds, steps, axis)
    return Field(bounds, steps, worst.reach, worst.because)


def _union_of_two(one: Integers, two: Integers) -> Integers:
    """The union of two intervals, and the narrower one of the narrowest paths: of two as narrow as each other the one that begins first."""
    a, b = one.ravel().tolist(), two.ravel().tolist()
    narrow = min((1 - end[2] - end[3], end[2], end[3]) for end in (a, b) if end[2] < FAR // 2)
    return np.array([min(a[0], b[0]), min(a[1], b[1]), *narrow[1:]], dtype=np.int64).reshape(one.shape)


def _apart(one: Field, two: Field, shape: Shape) -> tuple[Field, Field]:
    """Both fields, described more coarsely where their common table would be too large because they vary along different axes.

    Score (i, j) of attention sees what i sees and what j sees. In a table that is too large every j is taken to see what any of them does:
    the largest field stays what it is.
    """
    lone = [axis for axis in range(len(shape)) if one.varies(axis) != two.varies(axis)]
    entries = 1
    for axis, length in enumerate(shape):
        alike = one.extents[axis] == two.extents[axis] and one.steps[axis] == two.steps[axis]
        entries *= one.extents[axis] if alike else length
    for axis in sorted(lone, key=lambda a: shape[a])[::-1]:
        if entries <= MAX_PAIRS:
            break
        one, two = (mix(field, axis, shape[axis], shape[axis]) for field in (one, two))
        entries //= shape[axis]
    return one, two


def unified(one: Field, two: Field, shape: Shape) -> tuple[Integers, Integers, tuple[int | None, ...]]:
    """Both bounds over common periods: axis by axis the least common one where the paces agree, else listed in full."""
    steps: list[int | None] = []
    for axis, length in enumerate(shape):
        (e, s), (f, t) = ((x.extents[axis], x.steps[axis]) for x in (one, two))
        if e == f and s == t:
            steps.append(s)
            continue
        period = math.lcm(e, f)
        entries = max(other_entries(one, axis), other_entries(two, axis))
        if s is not None and t is not None and s * f == t * e and is_kept(period, length, entries):
            one, two = _repeated(one, axis, period), _repeated(two, axis, period)
            steps.append(s * period // e)
        else:
            one, two = (pick(x, axis, np.arange(length, dtype=np.int64)) for x in (one, two))
            steps.append(None)
    return one.bounds, two.bounds, tuple(steps)


def _repeated(field: Field, axis: int, period: int) -> Field:
    """The same field described over a longer period."""
    extent, step = field.extents[axis], field.steps[axis]
    if extent == period:
        return field
    bounds = table(field, axis, np.arange(period, dtype=np.int64))
    return replace(field, bounds=bounds, steps=with_step(field.steps, axis, None if step is None else step * period // extent))


def concatenate(fields: Sequence[Field], axis: int, lengths: Sequence[int], shape: Shape) -> Field:
    """The fields of tensors laid one after the other along `axis`, which have the given `lengths` there."""
    worst = max(fields, key=lambda f: SEVERITY[f.reach])
    first = fields[0]
    if all(not f.varies(axis) and f.steps == first.steps and f.bounds is first.bounds for f in fields):
        return first.worse(worst.reach, worst.because)
    reference = next((f for f in fields if not f.empty), first)
    parts: list[Field] = []
    for field, length in zip(fields, lengths, strict=True):
        if length:
            aligned = reference if field.empty else field
            listed = listed_units(aligned, axis, length)
            bounds = np.full_like(listed, FAR) if field.empty else listed
            parts.append(Field(bounds, with_step(aligned.steps, axis, None)))
    if not parts:
        return first
    steps = parts[0].steps
    for other in range(len(shape)):
        if other != axis and any((p.extents[other], p.steps[other]) != (parts[0].extents[other], parts[0].steps[other]) for p in parts):
            parts, steps = _common(parts, other, shape[other], steps)
    bounds = np.concatenate([p.bounds for p in parts], axis=axis + 1)
    check(bounds.size)
    return replace(relisted(Field(bounds, steps), axis, bounds), reach=worst.reach, because=worst.because)


def _common(parts: list[Field], axis: int, length: int, steps: tuple[int | None, ...]) -> tuple[list[Field], tuple[int | None, ...]]:
    """The parts of a concatenation over one common period of another axis, or listed in full where their paces differ."""
    period = math.lcm(*(p.extents[axis] for p in parts))
    paces = {None if p.steps[axis] is None else (p.steps[axis] or 0) * (period // p.extents[axis]) for p in parts}
    if len(paces) == 1 and None not in paces and is_kept(period, length, max(other_entries(part, axis) for part in parts)):
        return [_repeated(p, axis, period) for p in parts], with_step(steps, axis, paces.pop())
    return [pick(p, axis, np.arange(length, dtype=np.int64)) for p in parts], with_step(steps, axis, None)
