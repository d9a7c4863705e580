"""The oracle: the vectorised connection matrix of a network, which knows no formula.

Units are numbered, and every operator becomes one matrix (output units by input units) that plain loops fill in from the operator's
definition: for each output unit, each tap, each channel. The entry counts the joining weights. Matrices of a chain are multiplied, those of
paths that meet are added, and every number of the report is then counted in the matrix.

`Connected.cut` marks output units one of whose taps would read a unit beyond the border: for them the matrix says nothing about what
they would see if the input went on. All others see in the matrix exactly what design section 2 defines.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.graph import Graph, Operator, Shape
from service.graph import operators as core

Unit = tuple[int, ...]
Matrix = NDArray[np.float64]


class Tap(NamedTuple):
    """One product of a layer: output unit, operand, input unit, weight. A unit is None where the tap falls on padding or is cropped away.

    `real` is False for a unit that is not there, but would be if the input went on beyond its border.
    """

    output: Unit | None
    source: Unit | None
    operand: int = 0
    weight: Hashable = None
    real: bool = True


def places(shape: Shape) -> Iterator[Unit]:
    """All units of a tensor."""
    return itertools.product(*map(range, shape))


def inside(unit: Unit, shape: Shape) -> bool:
    """Whether a tensor has this unit."""
    return all(0 <= i < n for i, n in zip(unit, shape, strict=True))


# -- the definitions, one per operator ---------------------------------------------------------------------------------


Channels = Callable[[int], list[int]]
Key = Callable[..., Hashable]


def _window(operator: core.Window, shape: Shape, result: Shape, channels: Channels, key: Key) -> Iterator[Tap]:
    for n, f, *place in places(result):
        geometry = zip(place, operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True)
        along = [[(tap, o * s - before + tap * d) for tap in range(k)] for o, k, s, d, (before, _) in geometry]
        for c in channels(f):
            for taps in itertools.product(*along):
                tap, at = zip(*taps, strict=True)
                yield Tap((n, f, *place), (n, c, *at) if inside(at, shape[2:]) else None, weight=key(f, c, tap, tuple(place)))


def _group(filters: int, groups: int, channels: int) -> Callable[[int], list[int]]:
    def read(f: int) -> list[int]:
        return [c for c in range(channels) if c // (channels // groups) == f // (filters // groups)]

    return read


def convolution(operator: core.Convolution, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    table = operator.table
    read = _group(operator.filters, operator.groups, shapes[0][1]) if table is None else lambda f: list(table[f])
    return _window(operator, shapes[0], result, read, lambda f, c, tap, place: (f, c, tap))


def locally_connected(operator: core.LocallyConnected, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    read = _group(operator.filters, operator.groups, shapes[0][1])
    return _window(operator, shapes[0], result, read, lambda f, c, tap, place: (f, c, tap, place))


def pooling(operator: core.Pooling | core.Subsampling, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    return _window(operator, shapes[0], result, lambda f: [f], lambda f, c, tap, place: f)


def transposed_convolution(operator: core.TransposedConvolution, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    """Every input unit is multiplied by the kernel and added into the result; so would be the units beyond the border."""
    shape, spatial, long = shapes[0], shapes[0][2:], result[2:]
    read = _group(operator.filters, operator.groups, shape[1])
    along = []
    for length, places_, k, s, d, (before, after) in zip(
        spatial, long, operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True
    ):
        margin = max(before, after, 0) + k * d + s + 2
        products = ((i, tap, i * s - before + tap * d) for i in range(-margin, length + margin + places_) for tap in range(k))
        along.append([(i, tap, o) for i, tap, o in products if 0 <= i < length or 0 <= o < places_])
    for n, f in places((shape[0], operator.filters)):
        for c in read(f):
            for axes in itertools.product(*along):
                place, tap, at = ((*numbers,) for numbers in zip(*axes, strict=True))
                there, kept = inside(place, spatial), inside(at, long)
                if there or kept:
                    yield Tap((n, f, *at) if kept else None, (n, c, *place) if there else None, weight=(c, f, tap), real=there)


def dense(operator: core.Dense, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    ties = operator.ties or tuple((k,) for k in range(shapes[0][-1]))
    for *lead, unit in places(result):
        for group, members in enumerate(ties):
            for k in members:
                yield Tap((*lead, unit), (*lead, k), weight=(group, unit))


def elementwise(operator: Operator, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        for operand, shape in enumerate(shapes):
            tail = unit[len(unit) - len(shape) :]
            yield Tap(unit, tuple(0 if n == 1 else i for i, n in zip(tail, shape, strict=True)), operand)


def mixing(operator: core.Mixing, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        for source in places(shapes[0]):
            if all(a in operator.axes or unit[a] == source[a] for a in range(len(unit))):
                yield Tap(unit, source)


def masking(operator: core.Masking, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    blocked = np.broadcast_to(np.frombuffer(operator.blocked, dtype=bool).reshape(operator.pattern), result)
    return (Tap(unit, unit) for unit in places(result) if not blocked[unit])


def neighbourhood(operator: core.Neighbourhood, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        for move in range(-operator.before, operator.after + 1):
            source = tuple(i + move * (a == operator.axis) for a, i in enumerate(unit))
            yield Tap(unit, source if inside(source, shapes[0]) else None)


def cumulation(operator: core.Cumulation, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        for i in range(result[operator.axis]):
            here = unit[operator.axis]
            if (i == here and not operator.exclusive) or (i > here if operator.reverse else i < here):
                yield Tap(unit, (*unit[: operator.axis], i, *unit[operator.axis + 1 :]))


def reduction(operator: core.Reduction, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for source in places(shapes[0]):
        unit = tuple(0 if a in operator.axes else i for a, i in enumerate(source) if operator.keepdims or a not in operator.axes)
        yield Tap(unit, source)


def contraction(operator: core.Contraction, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    """An output unit reads a unit of an operand if there is any product in which both occur."""
    labels = sorted({label for operand in operator.operands for label in operand})
    lengths = {label: max(s[o.index(label)] for o, s in zip(operator.operands, shapes, strict=True) if label in o) for label in labels}
    joined = set()
    for values in places(tuple(lengths[label] for label in labels)):
        at = dict(zip(labels, values, strict=True))
        unit = tuple(at[label] for label in operator.output)
        for operand, (own, shape) in enumerate(zip(operator.operands, shapes, strict=True)):
            joined.add((unit, tuple(0 if n == 1 else at[label] for label, n in zip(own, shape, strict=True)), operand))
    return (Tap(*one) for one in sorted(joined, key=lambda one: (one[2], one[0], one[1])))


def reshaping(operator: core.Reshaping, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    return (Tap(unit, source) for unit, source in zip(places(result), places(shapes[0]), strict=True))


def transposing(operator: core.Transposing, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for source in places(shapes[0]):
        yield Tap(tuple(source[a] for a in operator.order), source)


def tiling(operator: core.Tiling, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        yield Tap(unit, tuple(i % n for i, n in zip(unit, shapes[0], strict=True)))


def concatenation(operator: core.Concatenation, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    start = 0
    for operand, shape in enumerate(shapes):
        for source in places(shape):
            yield Tap(tuple(i + start * (a == operator.axis) for a, i in enumerate(source)), source, operand)
        start += shape[operator.axis]


def slicing(operator: core.Slicing, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        yield Tap(unit, tuple(operator.start + i * operator.step if a == operator.axis else i for a, i in enumerate(unit)))


def taking(operator: core.Taking, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        yield Tap(unit, tuple(operator.indices[i] if a == operator.axis else i for a, i in enumerate(unit)))


def padding(operator: core.Padding, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    for unit in places(result):
        source = tuple(i - before for i, (before, _) in zip(unit, operator.pads, strict=True))
        yield Tap(unit, source if inside(source, shapes[0]) else None)


def resampling(operator: core.Resampling, shapes: list[Shape], result: Shape) -> Iterator[Tap]:
    length = shapes[0][operator.axis]
    for unit in places(result):
        for i in interpolated(operator, length, unit[operator.axis]):
            source = (*unit[: operator.axis], i, *unit[operator.axis + 1 :])
            yield Tap(unit, source if inside(source, shapes[0]) else None)


def source_coordinate(operator: core.Resampling, length: int, unit: int) -> Fraction:
    """x_original of a result's unit: the text of ONNX Resize, coordinate_transformation_mode, line by line."""
    x, scale, result = Fraction(unit), Fraction(operator.scale).limit_denominator(1000), operator.length
    match operator.transform:
        case "half_pixel":
            return (x + Fraction(1, 2)) / scale - Fraction(1, 2)
        case "half_pixel_symmetric":
            adjustment = result / (scale * length)
            centre = Fraction(length, 2)
            offset = centre * (1 - adjustment)
            return offset + (x + Fraction(1, 2)) / scale - Fraction(1, 2)
        case "pytorch_half_pixel":
            return (x + Fraction(1, 2)) / scale - Fraction(1, 2) if result > 1 else Fraction(0)
        case "align_corners":
            return x * (length - 1) / (result - 1) if result > 1 else Fraction(0)
        case "asymmetric":
            return x / scale
        case "tf_half_pixel_for_nn":
            return (x + Fraction(1, 2)) / scale
        case "tf_crop_and_resize":
            start, end = (Fraction(edge).limit_denominator(1000) for edge in operator.region)
            if result > 1:
                return start * (length - 1) + x * (end - start) * (length - 1) / (result - 1)
            return (start + end) * (length - 1) / 2
    raise ValueError(operator.transform)


@cache
def interpolated(operator: core.Resampling, length: int, unit: int) -> list[int]:
    """The input units with a weight other than zero: the kernel of the mode, evaluated at every distance."""
    x = source_coordinate(operator, length, unit)
    if operator.mode == "nearest":
        return [_nearest(x, operator.rounding)]
    scale = Fraction(operator.scale).limit_denominator(1000)
    squeeze = min(scale, Fraction(1)) if operator.antialias else Fraction(1)
    reach = math.ceil(3 / squeeze) + 1
    kernel = _triangle if operator.mode == "linear" else _cubic
    return [i for i in range(math.floor(x) - reach, math.ceil(x) + reach + 1) if kernel((i - x) * squeeze) != 0]


def _nearest(x: Fraction, rounding: str) -> int:
    below, above = math.floor(x), math.ceil(x)
    if below == above:
        return below
    match rounding:
        case "floor":
            return below
        case "ceil":
            return above
    if x - below == above - x:
        return below if rounding == "round_prefer_floor" else above
    return below if x - below < above - x else above


def _triangle(t: Fraction) -> Fraction:
    return max(1 - abs(t), Fraction(0))


def _cubic(t: Fraction) -> Fraction:
    """Keys 1981 with a = -3/4, the default of ONNX Resize."""
    a, t = Fraction(-3, 4), abs(t)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else Fraction(0)


Definition = Callable[..., Iterator[Tap]]

DEFINITIONS: dict[type[Operator], Definition] = {
    core.Convolution: convolution,
    core.LocallyConnected: locally_connected,
    core.Pooling: pooling,
    core.Subsampling: pooling,
    core.TransposedConvolution: transposed_convolution,
    core.Dense: dense,
    core.Elementwise: elementwise,
    core.Mixing: mixing,
    core.Masking: masking,
    core.Neighbourhood: neighbourhood,
    core.Cumulation: cumulation,
    core.Reduction: reduction,
    core.Contraction: contraction,
    core.Reshaping: reshaping,
    core.Transposing: transposing,
    core.Expanding: elementwise,
    core.Tiling: tiling,
    core.Concatenation: concatenation,
    core.Slicing: slicing,
    core.Taking: taking,
    core.Padding: padding,
    core.Resampling: resampling,
}


# -- one operator as a matrix ------------------------------------------------------------------------------------------


@dataclass
class Connected:
    """One operator: the matrix of each operand, the output units that a border cuts, the uses of each weight, the taps with padding."""

    matrices: list[Matrix]
    cut: NDArray[np.bool_]
    uses: Counter[Hashable] = field(default_factory=Counter)
    padded: int = 0

    @property
    def exact(self) -> int:
        return int(sum((m > 0).sum() for m in self.matrices))

    @property
    def fan_in(self) -> NDArray[np.int64]:
        """Connections of every output unit."""
        return np.sum([(m > 0).sum(axis=1) for m in self.matrices], axis=0)


def connected(operator: Operator, shapes: list[Shape], result: Shape) -> Connected:
    """The matrix of one operator, by its definition."""
    size = math.prod(result)
    found = Connected([np.zeros((size, math.prod(s))) for s in shapes], np.zeros(size, dtype=bool))
    for tap in DEFINITIONS[type(operator)](operator, shapes, result):
        found.padded += tap.real
        row = None if tap.output is None else _number(tap.output, result)
        if row is not None and tap.source is None:
            found.cut[row] = True
        elif row is not None and tap.source is not None:
            found.matrices[tap.operand][row, _number(tap.source, shapes[tap.operand])] += 1
            found.uses[tap.weight] += 1
    return found


def _number(unit: Unit, shape: Shape) -> int:
    """The number of a unit in row-major order."""
    number = 0
    for i, n in zip(unit, shape, strict=True):
        number = number * n + i
    return number


# -- networks ----------------------------------------------------------------------------------------------------------


@dataclass
class Wired:
    """A tensor of a network: how many paths lead from each unit of the input to each of its units.

    `local[axis]` leaves out the paths that a step ended which takes in a whole map along that input axis; `ended` are the axes on which any
    was, `doubtful` those on which that is left open; `places[axis]` is where on their own map the units lie, with all alternatives.
    `single` are the matrices of the paths that take one operand wherever paths meet.
    """

    shape: Shape
    matrix: Matrix
    cut: NDArray[np.bool_]
    local: dict[int, Matrix]
    ended: frozenset[int] = frozenset()
    doubtful: frozenset[int] = frozenset()
    single: tuple[Matrix, ...] = ()
    places: dict[int, list[NDArray[np.object_]]] = field(default_factory=dict)


MOST_SINGLE = 12
"""Single paths that are kept for a tensor; where there are more, `single` is empty."""


def wire(graph: Graph, source: int = 0, axes: tuple[int, ...] = ()) -> dict[str, Wired]:
    """Every tensor that one input leads to, by name. `axes` are the input axes on which paths may end."""
    start = graph.inputs[source]
    shape = start.shape or ()
    own = np.eye(math.prod(shape))
    wired = {start.name: Wired(shape, own, np.zeros(len(own), dtype=bool), dict.fromkeys(axes, own), single=(own,))}
    wired[start.name].places |= {axis: [numbered(shape, axis)] for axis in axes}
    for layer in graph.layers:
        for node in layer.nodes:
            if any(name in wired for name in node.inputs):
                shapes = [graph.tensors[name].shape or () for name in node.inputs]
                result = graph.tensors[node.outputs[0]].shape or ()
                step = connected(node.operator, shapes, result)
                operands = [wired.get(name) for name in node.inputs]
                wired[node.outputs[0]] = _meet(node.operator, step, operands, result, shape)
    return wired


def _meet(operator: Operator, step: Connected, operands: list[Wired | None], result: Shape, source: Shape) -> Wired:
    present = [(m, w) for m, w in zip(step.matrices, operands, strict=True) if w is not None]
    numbers = [number for number, operand in enumerate(operands) if operand is not None]
    cut = step.cut.copy()
    for matrix, operand in present:
        cut |= (matrix[:, operand.cut] > 0).any(axis=1)
    total = sum(matrix @ operand.matrix for matrix, operand in present)
    ended = frozenset().union(*(operand.ended for _, operand in present))
    doubtful = frozenset().union(*(operand.doubtful for _, operand in present))
    local: dict[int, Matrix] = {}
    places = _place(operator, step, operands, result)
    for axis in present[0][1].local:
        parts = []
        for number, (matrix, operand) in zip(numbers, present, strict=True):
            moved = matrix @ operand.local[axis]
            whole = takes_in_all(operator, number, matrix, operand, axis)
            if whole is None:
                doubtful |= {axis}
            elif whole:
                ended |= {axis}
                moved = operand.local[axis] if isinstance(operator, core.Mixing) else np.zeros_like(moved)
            parts.append(moved)
        local[axis] = np.sum(parts, axis=0)
        if places[axis] is None:
            doubtful |= {axis}
    single = [matrix @ one for matrix, operand in present for one in operand.single]
    full = all(operand.single for _, operand in present) and len(single) <= MOST_SINGLE
    known = {axis: alternatives or [] for axis, alternatives in places.items()}
    return Wired(result, np.asarray(total), cut, local, ended, doubtful, tuple(single) if full else (), known)


# -- where units lie on their own map, and what is global ---------------------------------------------------------------

Lying = NDArray[np.object_]
"""For every unit of a tensor, the set of places where it lies."""

MIXTURES = core.Mixing | core.Reduction | core.Dense | core.Contraction | core.Cumulation
CHANNEL_MIXTURES = core.Convolution | core.LocallyConnected | core.TransposedConvolution
CUTTINGS = core.Slicing | core.Taking | core.Padding | core.Tiling
WINDOWS = core.Window | core.Neighbourhood | core.Resampling | CUTTINGS


def lies_along(lying: Lying, shape: Shape) -> set[int]:
    """The tensor axes along which neighbours lie at different places; a unit that lies nowhere is no neighbour."""
    grid = lying.reshape(shape)
    pairs = {a: zip(np.take(grid, range(1, n), a).flat, np.take(grid, range(n - 1), a).flat, strict=True) for a, n in enumerate(shape)}
    return {axis for axis, neighbours in pairs.items() if any(one and two and one != two for one, two in neighbours)}


def numbered(shape: Shape, axis: int) -> Lying:
    """Every unit at the place of its number along one axis."""
    lying = np.empty(math.prod(shape), dtype=object)
    lying[:] = [frozenset({unit[axis]}) for unit in places(shape)]
    return lying


def gathered(matrix: Matrix, lying: Lying) -> Lying:
    """Every output unit at all places of the units that it reads."""
    result = np.empty(len(matrix), dtype=object)
    result[:] = [frozenset().union(*lying[np.flatnonzero(row)]) for row in matrix]
    return result


def touched(operator: Operator, shape: Shape, result: Shape) -> set[int]:
    """The tensor axes along which an operator slides or mixes."""
    match operator:
        case core.TransposedConvolution():
            return set(range(2, len(shape)))
        case core.Window():
            geometry = zip(operator.kernel, operator.strides, operator.pads, strict=True)
            return {axis for axis, (k, s, (before, _)) in enumerate(geometry, start=2) if k > 1 or s != 1 or before}
        case core.Padding():
            return {axis for axis, pads in enumerate(operator.pads) if any(pads)}
        case core.Tiling():
            return {axis for axis, n in enumerate(operator.repeats) if n != 1}
        case core.Reduction() | core.Mixing():
            return set(operator.axes)
        case core.Dense():
            return {len(shape) - 1}
        case core.Neighbourhood() | core.Resampling() | core.Slicing() | core.Taking() | core.Concatenation() | core.Cumulation():
            return {operator.axis}
    return set()


def summed(operator: Operator, operand: int, shape: Shape, result: Shape) -> set[int]:
    """The axes of an operand over which an operator that mixes takes all units."""
    if isinstance(operator, core.Contraction):
        return {axis for axis, label in enumerate(operator.operands[operand]) if label not in operator.output}
    if isinstance(operator, CHANNEL_MIXTURES):
        return {1}
    return touched(operator, shape, result)


def takes_in_all(operator: Operator, number: int, matrix: Matrix, operand: Wired, axis: int) -> bool | None:
    """Whether an output unit of an operator that mixes takes in every place of the map that it reads. None: thin axes leave it open."""
    table = isinstance(operator, core.Convolution) and operator.table is not None
    whole_channels = isinstance(operator, CHANNEL_MIXTURES) and operator.groups == 1 and not table
    if not (isinstance(operator, MIXTURES) or whole_channels) or not operand.local[axis].any():
        return None if operand.cut.any() and isinstance(operator, MIXTURES) else False
    mixed = summed(operator, number, operand.shape, ())
    if any(operand.shape[a] == 1 for a in mixed - {0, 1}):
        return None
    verdict: bool | None = False
    for lying in operand.places[axis]:
        if not mixed & lies_along(lying, operand.shape):
            continue
        every = frozenset().union(*lying)
        if any(read == every for read in gathered(matrix, lying)):
            verdict = None if 1 in operand.shape[2:] else True
    return verdict


def _place(operator: Operator, step: Connected, operands: list[Wired | None], result: Shape) -> dict[int, list[Lying] | None]:
    """Where the units of a result lie along every input axis: one or several possibilities, None where that is left open."""
    after: dict[int, list[Lying] | None] = {}
    renew: set[int] = set()
    axes = next(operand for operand in operands if operand is not None).local
    for axis in axes:
        found: list[list[Lying] | None] = []
        seeing = [o is not None and bool(o.local[axis].any()) for o in operands]
        for number, (matrix, operand) in enumerate(zip(step.matrices, operands, strict=True)):
            if operand is not None and (seeing[number] or not any(seeing)):
                moved = [_moved(operator, number, matrix, operand, lying, axis, result) for lying in operand.places[axis]]
                grown = isinstance(operator, WINDOWS) and any(n == 1 < m for n, m in zip(operand.shape[2:], result[2:], strict=False))
                thin = grown or (any(new for _, new in moved) and 1 in operand.shape[2:])
                open_ = not moved or thin or any(lying is None for lying, _ in moved)
                found.append(None if open_ else [lying for lying, _ in moved if lying is not None])
                renew |= {axis} if any(new for _, new in moved) else set()
            elif operand is not None and operand.cut.any():
                found.append(None)  # what it sees beyond the border is not in the matrix
            elif isinstance(operator, core.Concatenation):
                found.append([gathered(matrix, np.full(matrix.shape[1], frozenset(), dtype=object))])
        after[axis] = None if None in found else _together(operator, [f for f in found if f is not None])
    for axis in renew:
        others = {a for other in after if other != axis for lying in after[other] or () for a in lies_along(lying, result)}
        after[axis] = _renumbered(after[axis], others, result)
    return after


def _renumbered(alternatives: list[Lying] | None, others: set[int], shape: Shape) -> list[Lying] | None:
    """Units numbered along the one axis along which they lie, where no other axis of the input lies along it."""
    if alternatives is None:
        return None
    found = []
    for lying in alternatives:
        along = lies_along(lying, shape)
        found.append(numbered(shape, min(along)) if len(along) == 1 and not along & others else lying)
    return found


def _moved(
    operator: Operator, number: int, matrix: Matrix, operand: Wired, lying: Lying, axis: int, result: Shape
) -> tuple[Lying | None, bool]:
    """Where an operand's units lie in the result, and whether that begins a map anew."""
    if isinstance(operator, core.Mixing | core.Cumulation):
        return lying, False
    along, over = lies_along(lying, operand.shape), touched(operator, operand.shape, result)
    if isinstance(operator, WINDOWS) and along & over and not isinstance(operator, CUTTINGS):
        others = {a for other in operand.places if other != axis for one in operand.places[other] for a in lies_along(one, operand.shape)}
        if len(along) == 1 and not along & others:
            return numbered(result, min(along)), False
        return None, False  # which of its taps gives a window its place is not told here
    anew = isinstance(operator, CUTTINGS | core.Concatenation) and bool(along & over)
    mixes = isinstance(operator, MIXTURES | CHANNEL_MIXTURES) and bool(along & summed(operator, number, operand.shape, result))
    return gathered(matrix, lying), anew or mixes


def _together(operator: Operator, found: list[list[Lying]]) -> list[Lying]:
    """The possibilities of all operands: joined unit by unit in a concatenation, else the different ones among the most definite."""
    if isinstance(operator, core.Concatenation):
        rows = [[one[min(turn, len(one) - 1)] for one in found] for turn in range(max(map(len, found)))]
        every = []
        for row in rows:
            lying = np.empty(len(row[0]), dtype=object)
            lying[:] = [frozenset().union(*sets) for sets in zip(*row, strict=True)]
            every.append(lying)
    else:
        every = [lying for one in found for lying in one]
    kept: list[Lying] = []
    for lying in every:
        if not any((lying == other).all() for other in kept):
            kept.append(lying)
    widths = [max((max(at) - min(at) + 1 for at in lying if at), default=1 << 60) for lying in kept]
    return [lying for lying, width in zip(kept, widths, strict=True) if width == min(widths)][:3]


# -- what is counted in a matrix ---------------------------------------------------------------------------------------


def read_positions(row: NDArray[np.float64], source: Shape, axis: int) -> set[int]:
    """The positions along one axis of the input that a row of the matrix reads."""
    grid = row.reshape(source) > 0
    return set(np.flatnonzero(grid.any(axis=tuple(a for a in range(grid.ndim) if a != axis))).tolist())


def box(row: NDArray[np.float64], source: Shape, axis: int) -> tuple[int, int] | None:
    """First and last position along one axis that a row reads; None where it reads nothing."""
    positions = read_positions(row, source, axis)
    return (min(positions), max(positions)) if positions else None


def density(row: NDArray[np.float64], source: Shape, axes: tuple[int, ...]) -> float:
    """Pixels read / pixels of the box, over the given axes of the input; channels and batch are not pixels."""
    read = row.reshape(source).sum(axis=tuple(a for a in range(len(source)) if a not in axes)) > 0
    return int(read.sum()) / math.prod(int(np.ptp(places)) + 1 for places in np.nonzero(read))


def moments(paths: NDArray[np.float64], source: Shape, axis: int) -> tuple[float, float]:
    """Mean position and variance along one axis of the distribution of the paths."""
    weights = paths.reshape(source).sum(axis=tuple(a for a in range(len(source)) if a != axis))
    at = np.arange(len(weights))
    mean = float((weights * at).sum() / weights.sum())
    return mean, float((weights * (at - mean) ** 2).sum() / weights.sum())


def blind(wired: dict[str, Wired]) -> bool:
    """Whether a unit that no border cuts reads nothing: a place between the strides of a transposed convolution."""
    return any(bool((~tensor.cut & ~tensor.matrix.any(axis=1)).any()) for tensor in wired.values())


def never_read(matrix: Matrix) -> NDArray[np.bool_]:
    """The input units that no output unit reads."""
    return np.asarray(~(matrix > 0).any(axis=0))
