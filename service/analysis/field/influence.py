"""Influence: which input pixels one unit reads, and by how many paths. The rules of `dependence`, walked backwards from the unit.

Each tensor on the way holds an array of path counts (scaled, since only ratios matter) over the part of it that is reached. An axis along
which every unit is reached alike is kept as one entry that stands for all. Positions may lie beyond the border: the input is taken to go
on. Only local paths are followed. The pixels with any path at all are the support, from which `density` follows; the distribution of the
paths is the effective receptive field of Luo et al. 2016 without the Gaussian approximation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.dependence import (
    Accumulate,
    Block,
    Expand,
    Mix,
    Path,
    Place,
    Reshape,
    Slide,
    Statistics,
    Step,
    Transpose,
    Widen,
    paths,
)
from service.analysis.field.effective import TapWeights
from service.analysis.field.intervals import TooLarge
from service.analysis.field.reshaping import segments
from service.analysis.field.taps import NOTHING
from service.graph import Graph, Node, Shape

Counts = NDArray[np.floating]

MOST_UNITS = 1 << 22
"""Units of one tensor that are followed at the most."""

Ended = set[tuple[str, int, int]]
"""The steps that take in a whole map and so end local paths: (first output of the node, operand, step). Of statistics, which a unit reads
beside itself, the unit's own path goes on.
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """Path counts over a part of a tensor: entry 0 of an axis is unit `origin`; origin None: one entry stands for all units."""

    counts: Counts
    origin: tuple[int | None, ...]

    def plus(self, other: Reached, shape: Shape) -> Reached:
        """The sum of the paths, over the smallest part of the tensor (of `shape`) that holds both."""
        if self.origin == other.origin and self.counts.shape == other.counts.shape:
            return Reached(self.counts + other.counts, self.origin)
        one, two = self, other
        for axis, length in enumerate(shape):
            if (one.origin[axis] is None) != (two.origin[axis] is None):
                one, two = one.explicit(axis, length), two.explicit(axis, length)
        starts, stops = [], []
        for a, n, b, m in zip(one.origin, one.counts.shape, two.origin, two.counts.shape, strict=True):
            starts.append(None if a is None or b is None else min(a, b))
            stops.append(1 if a is None or b is None else max(a + n, b + m))
        sizes = [stop - (start or 0) for start, stop in zip(starts, stops, strict=True)]
        _check(sizes)
        total = np.zeros(sizes, self.counts.dtype)
        for part in (one, two):
            firsts = [(own or 0) - (start or 0) for own, start in zip(part.origin, starts, strict=True)]
            total[tuple(slice(first, first + n) for first, n in zip(firsts, part.counts.shape, strict=True))] += part.counts
        return Reached(total, tuple(starts))

    def explicit(self, axis: int, length: int) -> Reached:
        """With one entry for each unit of an axis (of `length` units) that so far was kept as one."""
        if self.origin[axis] is not None:
            return self
        _check((self.counts.size, length))
        return self.replaced(axis, np.repeat(self.counts, length, axis), 0)

    def replaced(self, axis: int, counts: Counts, origin: int | None) -> Reached:
        """With other counts that begin at another unit along one axis."""
        return Reached(counts, (*self.origin[:axis], origin, *self.origin[axis + 1 :]))

    def summed(self, axis: int, length: int) -> Reached:
        """The sum along an axis, as one entry that stands for all units."""
        counts = self.counts.sum(axis, keepdims=True) if self.origin[axis] is not None else self.counts * length
        return self.replaced(axis, counts, None)


def _check(sizes: Sequence[int]) -> None:
    if math.prod(sizes) > MOST_UNITS:
        raise TooLarge(f"{math.prod(sizes)} units")


def influence(
    graph: Graph,
    position: int,
    unit: Sequence[int | None],
    source: str,
    ended: Ended,
    weights: Mapping[str, TapWeights] | None = None,
) -> Reached | None:
    """Path counts from the units of the input `source` to one unit of the first output of the layer at `position`.

    `unit` is None along an axis of which all units are meant. `weights`, by layer, weigh the taps by |w|; otherwise every path counts as
    one. None where no local path leads there; TooLarge where too many units lie on the way.
    """
    reached = {graph.layers[position].outputs[0]: Reached(np.ones((1,) * len(unit)), tuple(unit))}
    for layer in reversed(graph.layers[: position + 1]):
        for node in reversed(layer.nodes):
            for name, part in _through(graph, node, reached, ended, (weights or {}).get(layer.name)):
                reached[name] = reached[name].plus(part, graph.tensors[name].shape or ()) if name in reached else part
        if any(part.counts.max(initial=0.0) > _LARGE for part in reached.values()):
            reached = {name: Reached(part.counts / _LARGE, part.origin) for name, part in reached.items()}
    found = reached.get(source)
    return found if found is not None and found.counts.any() else None


_LARGE = 1e100


def _through(
    graph: Graph, node: Node, reached: dict[str, Reached], ended: Ended, weights: TapWeights | None
) -> Iterator[tuple[str, Reached]]:
    """The inputs of a node with the paths that lead from them to what is reached of its outputs."""
    targets = {index: reached.pop(name) for index, name in enumerate(node.outputs) if name in reached}
    for index, name, shape, path in ways_back(graph, node, targets, ended):
        part = back_along(targets[index], path, shape, weights)
        if part is not None:
            yield name, part


def ways_back(graph: Graph, node: Node, targets: Collection[int], ended: Ended) -> Iterator[tuple[int, str, Shape, Path]]:
    """The local paths from the inputs of a node to some of its outputs: number of the output, name and shape of the input, steps."""
    inputs, outputs = ([graph.tensors[name].shape for name in names] for names in (node.inputs, node.outputs))
    if not targets or any(shape is None for shape in (*inputs, *outputs)):
        return
    routes = paths(node, [s for s in inputs if s is not None], [s for s in outputs if s is not None])
    for index in targets:
        for operand, (name, shape, path) in enumerate(zip(node.inputs, inputs, routes[index], strict=True)):
            assert shape is not None
            stopped = {step for step in range(len(path)) if (node.outputs[0], operand, step) in ended}
            if all(isinstance(path[step], Statistics) for step in stopped):
                yield index, name, shape, tuple(s for i, s in enumerate(path) if i not in stopped)


def backwards(path: Path, shape: Shape) -> Iterator[tuple[Step, Shape]]:
    """The steps of a path from the last to the first, each with the shape of the tensor that it is applied to; `shape` is the input's."""
    shapes = [shape]
    for step in path:
        shapes.append(step.shape_after(shapes[-1]))
    return zip(reversed(path), reversed(shapes[:-1]), strict=True)


def back_along(target: Reached, path: Path, shape: Shape, weights: TapWeights | None = None) -> Reached | None:
    """What is reached of an input of `shape` when `target` is reached of the tensor that a path leads to."""
    part: Reached | None = target
    for step, before in backwards(path, shape):
        part = _back(part, step, before, weights) if part is not None else None
    return part


def _back(part: Reached, step: Step, shape: Shape, weights: TapWeights | None) -> Reached | None:
    """One step backwards, into a tensor of `shape`."""
    match step:
        case Slide():
            return _slide_back(part, step, shape, weights)
        case Mix(axis, length, groups):
            return _mix_back(part, axis, shape[axis], length, groups)
        case Block(blocked):
            return _block_back(part, blocked, shape)
        case Statistics():
            for each in step.mixtures(shape):
                part = _mix_back(part, each.axis, shape[each.axis], each.length, 1)
            return part
        case Reshape(result):
            return _reshape_back(part, shape, result)
        case Transpose(order):
            inverse = np.argsort(order)
            return Reached(part.counts.transpose(inverse), tuple(part.origin[axis] for axis in inverse))
        case Expand(result):
            return _expand_back(part, shape, result)
        case Place(axis, start):
            return _place_back(part, axis, start, shape[axis])
        case Accumulate(axis, reverse, exclusive):
            return _accumulate_back(part, axis, shape[axis], reverse, exclusive)
        case Widen():
            return None


def _slide_back(part: Reached, step: Slide, shape: Shape, weights: TapWeights | None) -> Reached | None:
    axis, everywhere = step.axis, part.origin[step.axis] is None
    part = part.explicit(axis, step.length)
    if step.taps.step is None:
        part = _real(part, axis, step.length)
    units, start = part.counts.shape[axis], part.origin[axis] or 0
    read = step.taps.indices(start, start + units)
    real = read != NOTHING
    if not real.any():
        return None
    first, last = int(read[real].min()), int(read[real].max())
    shares = weights.shares[step.kernel] if weights and step.kernel is not None else np.ones(read.shape[1])
    if len(shares) != read.shape[1]:
        shares = np.ones(read.shape[1])
    sizes = (*part.counts.shape[:axis], last - first + 1, *part.counts.shape[axis + 1 :])
    _check(sizes)
    counts, ahead = np.zeros(sizes, part.counts.dtype), (slice(None),) * axis
    pace = step.taps.step if step.taps.period == 1 else None
    for tap, share in enumerate(shares.tolist()):
        if pace is not None and pace > 0:
            # The taps of a window fall on a strided run of units, each on another.
            begin = int(read[0, tap]) - first
            counts[(*ahead, slice(begin, begin + pace * (units - 1) + 1, pace))] += share * part.counts
        else:
            falls = np.flatnonzero(real[:, tap])
            np.add.at(counts, (*ahead, read[falls, tap] - first), share * part.counts.take(falls, axis))
    if everywhere and first == 0 and counts.shape[axis] == shape[axis] and (counts == counts.take([0], axis)).all():
        return part.replaced(axis, counts.take([0], axis), None)
    return part.replaced(axis, counts, first)


def _mix_back(part: Reached, axis: int, units: int, length: int, groups: int) -> Reached:
    part = _real(part, axis, length)
    if groups == 1:
        return part.summed(axis, length)
    if part.origin[axis] is None:
        return Reached(part.counts * (length // groups), part.origin)
    if part.counts.shape[axis] == 0:
        return part.replaced(axis, part.counts, 0)
    start, width = part.origin[axis] or 0, length // groups
    first, last = start // width, (start + part.counts.shape[axis] - 1) // width
    counts = np.add.reduceat(part.counts, [max(group * width - start, 0) for group in range(first, last + 1)], axis)
    _check((counts.size, units // groups))
    return part.replaced(axis, np.repeat(counts, units // groups, axis), first * (units // groups))


def _block_back(part: Reached, blocked: NDArray[np.bool_], shape: Shape) -> Reached:
    for axis, length in enumerate(blocked.shape):
        if length > 1:
            part = whole(part, axis, shape[axis])
    return Reached(np.where(blocked, 0.0, part.counts), part.origin)


def _accumulate_back(part: Reached, axis: int, length: int, reverse: bool, exclusive: bool) -> Reached:
    part = whole(part, axis, length)
    counts = part.counts if reverse else np.flip(part.counts, axis)
    counts = np.cumsum(counts, axis)
    counts = counts if reverse else np.flip(counts, axis)
    return part.replaced(axis, counts - part.counts if exclusive else counts, 0)


def _reshape_back(part: Reached, shape: Shape, result: Shape) -> Reached:
    axis = 0
    sizes: list[int] = []
    origin: list[int | None] = []
    for old, new in segments(shape, result):
        span = range(axis, axis + len(new))
        if old == new:
            sizes += [part.counts.shape[a] for a in span]
            origin += [part.origin[a] for a in span]
        elif all(part.origin[a] is None for a in span):
            sizes += [1] * len(old)
            origin += [None] * len(old)
        else:
            # One axis among axes of one unit stays what it was, beyond its border too; others are merged or split as a whole.
            long = [a for a, length in zip(span, new, strict=True) if length > 1]
            moved = long[0] if long and [n for n in old if n > 1] == [new[long[0] - axis]] else None
            for a, length in zip(span, new, strict=True):
                part = part if a == moved else whole(part, a, length)
            sizes += [n if n == 1 or moved is None else part.counts.shape[moved] for n in old]
            origin += [0 if n == 1 or moved is None else part.origin[moved] for n in old]
        axis += len(new)
    return Reached(part.counts.reshape(sizes), tuple(origin))


def _real(part: Reached, axis: int, length: int) -> Reached:
    """Without what lies beyond the `length` units of an axis that does not go on beyond its border, such as channels."""
    origin = part.origin[axis]
    if origin is None or (origin >= 0 and origin + part.counts.shape[axis] <= length):
        return part
    low = min(max(origin, 0), length)
    high = max(min(origin + part.counts.shape[axis], length), low)
    return part.replaced(axis, np.take(part.counts, np.arange(low - origin, high - origin), axis), low)


def whole(part: Reached, axis: int, length: int) -> Reached:
    """What is reached with one entry for each of the `length` real units of an axis, those beyond its border left out."""
    part = _real(part.explicit(axis, length), axis, length)
    start, size = part.origin[axis] or 0, part.counts.shape[axis]
    if size == length:
        return part
    _check((part.counts.size // max(size, 1), length))
    widths = [(0, 0)] * part.counts.ndim
    widths[axis] = (start, length - start - size)
    return part.replaced(axis, np.pad(part.counts, widths), 0)


def _expand_back(part: Reached, shape: Shape, result: Shape) -> Reached:
    lead = len(result) - len(shape)
    for axis, length in enumerate(result):
        if axis < lead or (shape[axis - lead] == 1 and length != 1):
            part = part.summed(axis, length)
    return Reached(part.counts.reshape(part.counts.shape[lead:]), part.origin[lead:])


def _place_back(part: Reached, axis: int, start: int, length: int) -> Reached | None:
    origin = part.origin[axis]
    if origin is None:
        return part
    low, high = max(start, origin), min(start + length, origin + part.counts.shape[axis])
    if low >= high:
        return None
    return part.replaced(axis, np.take(part.counts, np.arange(low - origin, high - origin), axis), low - start)
