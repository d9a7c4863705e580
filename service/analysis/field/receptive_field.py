"""The receptive field of every tensor: one forward pass of abstract interpretation over the rules of `dependence`.

1. Every spatial axis of every input starts as the identity: unit i sees position i.
2. Each node carries the fields of its inputs on by its steps; paths that meet are joined.
3. A step that makes every unit see the whole axis ends the local paths: the field becomes empty and `global`, and keeps the layer's name.
4. Whether the pixels inside a unit's box are all read (`filled`) is carried along; where they are not, `PixelCounter` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.axes import SpatialAxes
from service.analysis.field.density import PixelCounter, mixture_filled, union_filled, window_filled
from service.analysis.field.dependence import Accumulate, Expand, Mix, Path, Place, Reshape, Slide, Step, Transpose, Widen, paths
from service.analysis.field.effective import Spread, TapWeights, combine, follow, weighed
from service.analysis.field.influence import Ended
from service.analysis.field.intervals import FAR, Field, TooLarge, concatenate, extremes, identity, join, mix, nothing, pick, table
from service.analysis.field.propagation import advance
from service.analysis.field.taps import Integers
from service.graph import Graph, Layer, Node, Shape, Tensor


@dataclass(frozen=True, slots=True)
class View:
    """What the units of a tensor see of one input: one field for each spatial axis of that input, and the shape of the tensor.

    `filled`: every unit reads something in each row and column of its box; where that is not known, `density` is the share that the inner
    units read (None: too large to count). `spread`: the effective field by path counts, by weights where they are known.
    """

    shape: Shape
    fields: tuple[Field, ...]
    filled: bool = True
    spread: tuple[Spread, ...] = ()
    density: float | None = 1.0


Views = Mapping[int, View]
"""What a tensor sees of each input, by the input's index; an input that it does not depend on is missing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One layer with the views of its inputs and of its first output."""

    layer: Layer
    inputs: tuple[Views, ...]
    output: Views


def walk(
    graph: Graph, axes: SpatialAxes, tap_weights: Mapping[str, TapWeights] | None = None, ended: dict[int, Ended] | None = None
) -> Iterator[Seen]:
    """Layer by layer in topological order, what each tensor sees.

    `tap_weights` are by layer name. `ended` is filled, by input, with the mixtures found to see a whole axis, as `influence` needs them.
    """
    views = dict(_starts(graph, axes))
    lengths = {i: tuple((graph.inputs[i].shape or ())[a] for a in spatial) for i, spatial in axes.items()}
    last = _last_uses(graph)
    ended = {} if ended is None else ended
    ended.update({index: set() for index in axes})
    counter = PixelCounter(graph, axes, ended)
    for position, layer in enumerate(graph.layers):
        weights = (tap_weights or {}).get(layer.name)
        for node in layer.nodes:
            views.update(_carry(node, layer, views, graph.tensors, lengths, weights, ended))
        for index, view in views.get(layer.outputs[0], {}).items() if layer.outputs else ():
            if not view.filled:
                density, filled = counter.density(position, index, view.fields, view.shape)
                views[layer.outputs[0]] = {**views[layer.outputs[0]], index: replace(view, density=density, filled=filled)}
        yield Seen(layer, tuple(views.get(name, {}) for name in layer.inputs), views.get(layer.outputs[0], {}) if layer.outputs else {})
        for name in last.get(position, ()):
            views.pop(name, None)


def _starts(graph: Graph, axes: SpatialAxes) -> Iterator[tuple[str, Views]]:
    """The views of the inputs: every position sees itself."""
    for index, spatial in axes.items():
        tensor = graph.inputs[index]
        fields = tuple(identity(len(tensor.shape or ()), axis) for axis in spatial)
        yield tensor.name, {index: View(tensor.shape or (), fields, spread=tuple(Spread.point() for _ in spatial))}


def _last_uses(graph: Graph) -> dict[int, list[str]]:
    """For each layer, the tensors that nothing after it reads."""
    last: dict[str, int] = {}
    for position, layer in enumerate(graph.layers):
        for node in layer.nodes:
            for name in (*node.inputs, *node.outputs):
                last[name] = position
    result: dict[int, list[str]] = {}
    for name, position in last.items():
        result.setdefault(position, []).append(name)
    return result


def _carry(
    node: Node,
    layer: Layer,
    views: Mapping[str, Views],
    tensors: Mapping[str, Tensor],
    lengths: Mapping[int, Shape],
    weights: TapWeights | None,
    ended: Mapping[int, Ended],
) -> dict[str, Views]:
    """The views of a node's outputs."""
    sources = [views.get(name, {}) for name in node.inputs]
    seen = sorted({index for source in sources for index in source})
    inputs, outputs = ([tensors[name].shape for name in names] for names in (node.inputs, node.outputs))
    if not seen:
        return {}
    if any(s is None for s in inputs) or any(s is None for s in outputs):
        return {name: {i: _lost(lengths[i], tensors[name].shape, layer.name) for i in seen} for name in node.outputs}
    routes = paths(node, [s for s in inputs if s is not None], [s for s in outputs if s is not None])
    result: dict[str, Views] = {}
    for name, output, route in zip(node.outputs, outputs, routes, strict=False):
        assert output is not None
        carried: dict[int, View] = {}
        for index in seen:
            traced = _Trace(layer.name, lengths[index], weights)
            parts: list[View | None] = []
            for operand, (source, path) in enumerate(zip(sources, route, strict=True)):
                view, at = traced.along(source[index], path) if index in source else (None, None)
                parts.append(view)
                if at is not None:
                    ended[index].add((node.outputs[0], operand, at))
            met = traced.meet(parts, route, [s for s in inputs if s is not None], output)
            carried[index] = replace(met, spread=tuple(weighed(s, weights) for s in met.spread)) if layer.kernel else met
        result[name] = carried
    return result


def _lost(lengths: Shape, shape: Shape | None, because: str) -> View:
    """The view of a tensor of which nothing is known."""
    rank = len(shape or ())
    fields = tuple(replace(nothing(rank), reach="unknown", because=because) for _ in lengths)
    return View(shape or (), fields, spread=tuple(Spread.none() for _ in lengths))


@dataclass(frozen=True, slots=True)
class _Trace:
    """Carries the view of one input through the paths of one node."""

    layer: str
    lengths: Shape
    weights: TapWeights | None

    def along(self, view: View, path: Path) -> tuple[View, int | None]:
        """The view at the end of a path, and the step that ended its local part, if one did."""
        at = None
        for position, step in enumerate(path):
            local = sum(not field.empty for field in view.fields)
            try:
                view = self._step(view, step)
            except TooLarge:
                view = self._bounded(view, step)
            if at is None and sum(not field.empty for field in view.fields) < local:
                at = position
        return view, at

    def _step(self, view: View, step: Step) -> View:
        match step:
            case Slide():
                fields, shape = advance(view.fields, view.shape, step)
                filled = view.filled and window_filled(view.fields, step)
                return View(shape, fields, filled, follow(view.spread, view.fields, step, self.weights))
            case Mix():
                return self._mix(view, step)
            case Accumulate(axis, _):
                if view.shape[axis] == 1:
                    return view
                fields = tuple(self._ended(f) if f.varies(axis) else f for f in view.fields)
                return replace(view, fields=fields, spread=_local(view.spread, fields))
            case Widen(shape, known):
                return self._bounded(view, step) if known else _lost(self.lengths, shape, self.layer)
            case _:
                fields, shape = advance(view.fields, view.shape, step)
                return replace(view, shape=shape, fields=fields)

    def _mix(self, view: View, step: Mix) -> View:
        axis, before = step.axis, view.shape[step.axis]
        shape = _with(view.shape, axis, step.length)
        spread = follow(view.spread, view.fields, step, self.weights, before)
        if before == 0 or not any(field.varies(axis) for field in view.fields):
            return replace(view, shape=shape, spread=spread)
        fields, whole = [], False
        for field, length in zip(view.fields, self.lengths, strict=True):
            mixed = mix(field, axis, before, step.length, step.groups)
            if step.groups == 1 and field.varies(axis) and _covers(field, axis, view.shape, length):
                mixed, whole = self._ended(mixed), True
            fields.append(mixed)
        filled = view.filled and (whole or mixture_filled(view.fields, axis, before))
        return View(shape, tuple(fields), filled, _local(spread, fields))

    def _ended(self, field: Field) -> Field:
        """No local path is left: some path sees the whole axis."""
        return replace(nothing(len(field.steps)), reach=field.reach, because=field.because).worse("global", self.layer)

    def _bounded(self, view: View, step: Step) -> View:
        """At least what one unit sees, at no known place."""
        shape = step.shape if isinstance(step, Widen | Reshape | Expand) else view.shape
        if isinstance(step, Slide | Mix):
            shape = _with(view.shape, step.axis, step.length)
        elif isinstance(step, Transpose):
            shape = tuple(view.shape[axis] for axis in step.order)
        fields = []
        for field in view.fields:
            one = field.bounds.reshape(4, -1)[:, :1].reshape((4,) + (1,) * len(shape))
            fields.append(Field(one, (0,) * len(shape), field.reach, field.because).worse("bound", self.layer))
        return View(shape, tuple(fields), view.filled, view.spread)

    def meet(self, parts: Sequence[View | None], route: Sequence[Path], inputs: Sequence[Shape], output: Shape) -> View:
        """The view where the paths of all inputs meet: side by side in a concatenation, on top of each other otherwise."""
        present = [part for part in parts if part is not None]
        place = route[0][-1] if route and route[0] else None
        if isinstance(place, Place):
            lengths = [shape[place.axis] for shape in inputs]
            try:
                fields = tuple(
                    concatenate([nothing(len(output)) if part is None else part.fields[i] for part in parts], place.axis, lengths, output)
                    for i in range(len(self.lengths))
                )
            except TooLarge:
                return self._bounded(present[0], Widen(output, known=True))
            beside = [length for length, part in zip(lengths, parts, strict=True) if part is not None]
            return View(output, fields, all(p.filled for p in present), self._beside(present, fields, beside, place.axis))
        if len(present) == 1:
            return replace(present[0], shape=output)
        try:
            fields = tuple(join([part.fields[i] for part in present], output) for i in range(len(self.lengths)))
        except TooLarge:
            return self._bounded(present[0], Widen(output, known=True))
        filled = all(p.filled for p in present) and all(
            union_filled([part.fields[i] for part in present], output) for i in range(len(self.lengths))
        )
        return View(output, fields, filled, combine([p.spread for p in present], [1.0] * len(present)))

    def _beside(self, parts: Sequence[View], fields: Sequence[Field], lengths: Sequence[int], axis: int) -> tuple[Spread, ...]:
        """The spread of a concatenation: a mixture, but of parts laid end to end over the input (a roll) that of the longest."""
        mixed = combine([p.spread for p in parts], [length / max(sum(lengths), 1) for length in lengths], apart=True)
        longest = parts[lengths.index(max(lengths))].spread
        swept = (bool(_sweeps(f, axis, sum(lengths), n).any()) for f, n in zip(fields, self.lengths, strict=True))
        return tuple(end if sweeps else own for own, end, sweeps in zip(mixed, longest, swept, strict=True))


def _local(spread: Sequence[Spread], fields: Sequence[Field]) -> tuple[Spread, ...]:
    """The spread of the local paths: none along an axis where no such path is left."""
    return tuple(Spread.none() if field.empty else one for one, field in zip(spread, fields, strict=True))


def _with(shape: Shape, axis: int, length: int) -> Shape:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _covers(field: Field, axis: int, shape: Shape, length: int) -> bool:
    """Whether mixing a tensor axis makes every unit see the whole input axis, because the units along that axis lie at places all over it.

    The second condition tells a sweep over the input from channels that each saw the whole of it at the same place. Layers with a stride
    and no padding read nothing after their last place, so at either end fewer positions than lie between neighbouring units may be missing.
    An axis of one unit that a larger image would lengthen is judged with the unit that would come next: a gate on it is global.
    """
    # Along other axes on which the field moves, the units at the ends are those that see the ends of the input least.
    for other in (other for other, step in enumerate(field.steps) if step and other != axis):
        field = pick(field, other, extremes(field, other, shape[other]))
    units = shape[axis]
    mixed = mix(field, axis, units, 1)
    if units == 1 and field.steps[axis] is not None:
        units = 2
    gap = _gap(field, axis, units)
    covered = (mixed.bounds[0] < gap) & (-mixed.bounds[1] > length - 1 - gap)
    return bool(covered.all() and _sweeps(field, axis, units, length).all())


def _sweeps(field: Field, axis: int, units: int, length: int) -> NDArray[np.bool_]:
    """Whether the units along a tensor axis move over an eighth of the input at least, for each place on the others.

    The interval that ends first is held against the one that begins last. Where a wide interval holds all others (an upsampled map beside
    the finer one that it is concatenated with), both are the same: channels, however far their centres lie apart.
    """
    low, minus_high = table(field, axis, extremes(field, axis, units))[:2]
    high = np.where(low < FAR // 2, -minus_high, FAR)
    low = np.where(low < FAR // 2, low, -FAR)
    first_end, last_start = high.min(axis, keepdims=True), low.max(axis, keepdims=True)
    start = np.where(high == first_end, low, FAR).min(axis, keepdims=True)
    end = np.where(low == last_start, high, -FAR).max(axis, keepdims=True)
    return np.asarray(8 * np.maximum(last_start - start, end - first_end) >= length)


def _gap(field: Field, axis: int, units: int) -> Integers:
    """The largest distance, at least 1, between the ends of neighbouring intervals along a tensor axis, for each place on the others.

    The upper ends count too: where every interval also holds one unit of another axis (the scores of attention), the lower ends may agree.
    """
    ends = np.sort(table(field, axis, np.arange(min(units, field.extents[axis] + 1), dtype=np.int64))[:2], axis + 1)
    distances = np.diff(ends, axis=axis + 1).max(axis=0)
    return np.asarray(np.where(distances < FAR // 4, distances, 1).max(axis=axis, keepdims=True, initial=1))
