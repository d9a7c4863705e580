"""Density: the share of its box that a unit really reads. Dilation and stride leave holes (gridding, Yu, Koltun and Funkhouser 2017).

It is the number of pixels that an inner unit reads, by any path, over the number of pixels of its box: two 3×3 layers of dilation 2 and 4
read 49 of 169 pixels, a 1×7 beside a 7×1 reads 13 of 49.

1. Most boxes have no holes, and that is seen while the fields are carried on: the boxes that a unit reads touch each other along one axis
   and agree on all others, or one of them holds the rest.
2. Where they do not, the inner unit is followed backwards (`support`) and what it reads is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.axes import SpatialAxes
from service.analysis.field.dependence import Slide
from service.analysis.field.influence import Ended
from service.analysis.field.intervals import FAR, Field, TooLarge, sizes, table
from service.analysis.field.meeting import join, unified
from service.analysis.field.published import inner_units, size_at
from service.analysis.field.support import Allowance, Support, pixels
from service.analysis.field.taps import Integers
from service.graph import Graph, Layer, Operator, Shape
from service.graph import operators as core

MAX_COMPARED = 1 << 12
"""Units along one axis whose boxes are compared with each other; more are counted instead."""

MAX_PLACES = 1 << 20
"""Places on all axes of a tensor at which boxes are compared; more are counted instead."""

MAX_STEPS = 100
"""Steps that are walked backwards at the most for each layer of the graph, over all units that are counted."""

MAX_STEPS_OF_UNIT = 20
"""The same for one unit."""

LEAST_LAYERS = 100
"""Graphs of fewer layers may take the steps of so many."""

Flags = NDArray[np.bool_]


def window_filled(fields: Sequence[Field], step: Slide) -> bool:
    """Whether the boxes seen by the taps of one unit make up one box."""
    moving = [field for field in fields if field.varies(step.axis) and not field.empty]
    if step.taps.offsets.shape[1] < 2 or not moving:
        return True
    return len(moving) == 1 and _taps_touch(moving[0], step)


def _taps_touch(field: Field, step: Slide) -> bool:
    pace, extent = field.steps[step.axis], field.extents[step.axis]
    if extent == 1 and pace is not None and step.taps.period == 1:
        return step.taps.gap * abs(pace) <= int(sizes(field.bounds)[0].min())
    read = step.taps.indices(0, min(step.taps.period * extent, step.length))
    bounds = table(field, step.axis, read.reshape(-1))
    bounds = bounds.reshape(*bounds.shape[: step.axis + 1], *read.shape, *bounds.shape[step.axis + 2 :])
    return _touching(np.moveaxis(bounds, step.axis + 2, -1))


def mixture_filled(fields: Sequence[Field], axis: int, units: int, groups: int = 1) -> bool:
    """Whether the boxes of all units along a tensor axis (of each group of them) make up one box."""
    moving = [field for field in fields if field.varies(axis) and not field.empty]
    if not moving:
        return True
    if units > MAX_COMPARED:
        return False
    tables = [np.moveaxis(table(field, axis, np.arange(units, dtype=np.int64)), axis + 1, -1) for field in moving]
    tables = [bounds.reshape(*bounds.shape[:-1], groups, units // groups) for bounds in tables]
    if len(moving) == 1:
        return _touching(tables[0])
    # One unit that holds the boxes of all others, at every place.
    holds = _everywhere([(bounds[:2] == bounds[:2].min(-1, keepdims=True)).all(0) for bounds in tables])
    return holds is not None and bool(holds.any(-1).all())


def union_filled(parts: Sequence[tuple[Sequence[Field], bool]], shape: Shape) -> bool:
    """Whether units read their whole boxes where paths meet: of each path the fields on every input axis, and whether it fills its boxes.

    They do where the boxes make up one box. Holes of a path do not matter inside the boxes of another that has none.
    """
    (held, filled), *others = sorted(parts, key=lambda part: -math.prod(int(sizes(f.bounds)[0].max(initial=0)) for f in part[0]))
    for fields, has_no_holes in others:
        if not filled:
            return False
        pairs = [unified(one, two, shape)[:2] for one, two in zip(held, fields, strict=True)]
        if _holds(pairs):
            continue
        if not has_no_holes or not _one_box(pairs):
            return False
        held = [join([one, two], shape) for one, two in zip(held, fields, strict=True)]
    return filled


Pair = tuple[Integers, Integers]
"""Along one axis of the input, the bounds of two paths that meet, over common periods."""


def _holds(pairs: Sequence[Pair]) -> bool:
    """Whether the boxes of the first path hold those of the second one at every place: axis by axis they do."""
    return all(bool(((a[0] <= b[0]) & (a[1] <= b[1]) | (b[0] >= FAR // 2)).all()) for a, b in pairs)


def _one_box(pairs: Sequence[Pair]) -> bool:
    """Whether two boxes make up one at every place: one of them holds the other, or they touch along one axis and agree on all others."""
    holds, held, touching, same = [], [], [], []
    for a, b in pairs:
        a_sees, b_sees = a[0] < FAR // 2, b[0] < FAR // 2
        holds.append(((a[0] <= b[0]) & (a[1] <= b[1])) | ~b_sees)
        held.append(((b[0] <= a[0]) & (b[1] <= a[1])) | ~a_sees)
        touching.append(a_sees & b_sees & (np.maximum(a[0], b[0]) <= np.minimum(-a[1], -b[1]) + 1))
        same.append((a[:2] == b[:2]).all(0))
    filled = [_everywhere(holds), _everywhere(held)]
    for axis in range(len(pairs)):
        filled.append(_everywhere([touching[axis], *(agree for position, agree in enumerate(same) if position != axis)]))
    known = [flags for flags in filled if flags is not None]
    return len(known) == len(filled) and _anywhere(known)


def _everywhere(flags: Sequence[Flags]) -> Flags | None:
    """Flags of several input axes joined by "and" at every place of a tensor; None where there are too many places."""
    extents = [0 if 0 in lengths else math.lcm(*lengths) for lengths in zip(*(one.shape for one in flags), strict=True)]
    if math.prod(extents) > MAX_PLACES:
        return None
    result = np.ones((1,) * len(extents), dtype=bool)
    for one in flags:
        for axis, (length, wanted) in enumerate(zip(one.shape, extents, strict=True)):
            if length not in (1, wanted):
                one = one.take(np.arange(wanted) % length, axis)
        result = result & one
    return result


def _anywhere(flags: Sequence[Flags]) -> bool:
    """Whether at every place some of the flags is set."""
    met = _everywhere([~one for one in flags])
    return met is not None and not met.any()


def _touching(bounds: Integers) -> bool:
    """Whether the intervals listed along the last axis together leave no gap."""
    order = np.argsort(bounds[0], axis=-1, kind="stable")
    low, high = (np.take_along_axis(ends, order, -1) for ends in (bounds[0], -bounds[1]))
    reached = np.maximum.accumulate(high, axis=-1)
    return bool(((low[..., 1:] >= FAR // 2) | (low[..., 1:] <= reached[..., :-1] + 1)).all())


@dataclass(frozen=True, slots=True)
class Density:
    """Pixels read / pixels of the box, and positions read / length of the box along each axis of the input.

    No pixels, where it is too much to count. `alike`: units whose boxes agree are known to read the same pixels.
    """

    pixels: float | None
    positions: tuple[float, ...] = ()
    alike: bool = False


TOO_MUCH = Density(None)


class PixelCounter:
    """Counts what inner units read in layers whose boxes may have holes, within a bound on the work."""

    def __init__(self, graph: Graph, axes: SpatialAxes, ended: Mapping[int, Ended], steps: int | None = None) -> None:
        self._graph, self._axes = graph, axes
        layers = max(LEAST_LAYERS, len(graph.layers))
        self._left = MAX_STEPS * layers if steps is None else steps
        self._most = MAX_STEPS_OF_UNIT * layers
        self._supports = {index: Support(graph, graph.inputs[index].name, ended[index]) for index in axes}

    def density(self, position: int, index: int, fields: tuple[Field, ...], shape: Shape) -> tuple[Density | None, bool]:
        """The density of the inner unit of a layer's output that sees most of an input, and whether all units read their whole boxes.

        None where nothing is read by a local path. That all units do is known only where they read all channels: of channels whose boxes
        agree, the first is followed.
        """
        if 0 in shape or all(field.empty for field in fields) or any(field.reach in ("bound", "unknown") for field in fields):
            return None, False
        units, all_phases = inner_units(fields, shape)
        widest = [unit for unit in units if _seen(fields, unit) == _seen(fields, units[0])]
        try:
            counted = (self._counted(position, index, fields, unit) for unit in widest)
            found = next((one for one in counted if one is not None), None)
            if found is None or not _channels_alike(self._graph.layers[position], fields, shape):
                return found, False
            others = (unit for unit in units if _seen(fields, unit)) if found.pixels == 1 and all_phases else ()
            whole = [(one := self._counted(position, index, fields, unit)) is not None and one.pixels == 1 for unit in others]
        except TooLarge:
            return TOO_MUCH, False
        return replace(found, alike=True), bool(whole) and all(whole)

    def _counted(self, position: int, index: int, fields: Sequence[Field], unit: Sequence[int | None]) -> Density | None:
        """What a unit reads of its box; None where a border cuts what it reads. TooLarge where it is too much to count."""
        allowance = Allowance(min(self._left, self._most))
        before = allowance.left
        try:
            read = self._supports[index].read(position, [place or 0 for place in unit], allowance)
        finally:
            self._left -= before - allowance.left
        if not read:
            return None
        count, along = pixels(read, self._graph.inputs[index].shape or (), self._axes[index])
        lengths = [int(np.ptp(places)) + 1 for places in along]
        if any(length != size_at(field, unit) for length, field in zip(lengths, fields, strict=True)):
            return None
        return Density(count / math.prod(lengths), tuple(len(places) / length for places, length in zip(along, lengths, strict=True)))


def one_by_one(operator: Operator, fields: Sequence[Field], alike: bool) -> bool:
    """Whether each unit of the result reads what one unit of the operand reads, whose fields are given: so it has the same density.

    `alike`: channels whose boxes agree read the same pixels, so that it does not matter how many of them are mixed.
    """
    match operator:
        case core.Elementwise() | core.BatchNormalization() | core.Reshaping() | core.Transposing() | core.Expanding():
            return True
        case core.Dense():
            mixed: tuple[int, ...] = (len(fields[0].steps) - 1,)
        case core.Convolution(kernel=kernel, strides=strides, pads=pads) if {*kernel, *strides} == {1} and not any(map(any, pads)):
            mixed = (1,)
        case _:
            return False
    return alike and not any(field.varies(axis) for field in fields for axis in mixed)


def _channels_alike(layer: Layer, fields: Sequence[Field], shape: Shape) -> bool:
    """Whether each unit reads all channels at its places, so that units with equal boxes read the same pixels."""
    match layer.nodes[-1].operator if layer.nodes else None:
        case core.Convolution(groups=1, table=None) | core.TransposedConvolution(groups=1):
            channel = 1
        case core.Dense():
            channel = len(shape) - 1
        case _:
            return False
    others = (axis for axis, length in enumerate(shape) if axis != channel and length > 1)
    return all(any(field.varies(axis) for field in fields) for axis in others)


def widest_box(fields: tuple[Field, ...], shape: Shape) -> int:
    """Pixels of the box of the inner unit that sees most."""
    return 0 if 0 in shape else _seen(fields, inner_units(fields, shape)[0][0])


def _seen(fields: Sequence[Field], unit: Sequence[int | None]) -> int:
    """Pixels of the box of a unit."""
    return math.prod(size_at(field, unit) for field in fields)
