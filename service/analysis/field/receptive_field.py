"""The receptive field of every tensor: one forward pass of abstract interpretation over the rules of `dependence`.

1. Every spatial axis of every input starts as the identity: unit i sees position i.
2. Each node carries the fields of its inputs on by its steps; paths that meet are joined.
3. A step by which one unit takes in every place of the map that it reads ends the local paths (`places`): the field becomes empty and
   `global`, and keeps the layer's name.
4. Whether the pixels inside a unit's box are all read (`filled`) is carried along; where they are not, `PixelCounter` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from service.analysis.field.axes import SpatialAxes
from service.analysis.field.density import TOO_MUCH, Density, PixelCounter, one_by_one, widest_box
from service.analysis.field.dependence import Path, Place, Step, Widen, paths
from service.analysis.field.domains import Holes, Intervals, Row, Sight, Spreading
from service.analysis.field.effective import Spread, TapWeights, weighed
from service.analysis.field.influence import Ended
from service.analysis.field.intervals import Field, TooLarge, nothing
from service.analysis.field.places import Places
from service.graph import Graph, Layer, Node, Shape, Tensor


@dataclass(frozen=True, slots=True)
class View:
    """What the units of a tensor see of one input: one field for each spatial axis of that input, and their places on the map.

    `filled`: every unit reads each pixel of its box; where that is not known, what an inner unit reads is `counted` (None: not counted, or
    too much to count). `spread`: the effective field by path counts, by weights where they are known.
    """

    shape: Shape
    fields: tuple[Field, ...]
    places: tuple[Places, ...]
    filled: bool = True
    spread: tuple[Spread, ...] = ()
    counted: Density | None = None

    @property
    def density(self) -> float | None:
        """The share of its box that an inner unit reads; None where it is too much to count."""
        return 1.0 if self.filled else None if self.counted is None else self.counted.pixels

    @property
    def gridded(self) -> bool:
        """Whether an inner unit leaves out whole rows or columns of its box."""
        return not self.filled and self.counted is not None and min(self.counted.positions, default=1) < 1

    @property
    def sight(self) -> Sight:
        """The part of it that is carried as intervals."""
        return Sight(self.shape, self.fields, self.places)


MAX_WORK = 1 << 27
"""Entries of all tables that one walk makes or that are made to measure its layers; beyond it every field is a bound."""
_LONG_AXIS, _LISTINGS = 1 << 16, 16
"""An axis of more units is listed unit by unit while its layer is measured, about so many times."""
MAX_VIEWS = 16
"""Inputs that a tensor's views are kept of, the first ones: reports speak of the first, and thousands of inputs would cost their square."""

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
    counts = {index: len(spatial) for index, spatial in axes.items()}
    last = _last_uses(graph)
    ended = {} if ended is None else ended
    ended.update({index: set() for index in axes})
    counter = PixelCounter(graph, axes, ended)
    work = 0
    for position, layer in enumerate(graph.layers):
        weights = (tap_weights or {}).get(layer.name)
        for node in layer.nodes:
            made = _carry(node, layer, views, graph.tensors, counts, weights, ended)
            work += sum(_work(view) for found in made.values() for view in found.values())
            if work > MAX_WORK:
                trace = _Trace(layer.name, weights)
                made = {name: {i: trace.widen(view, view.shape) for i, view in found.items()} for name, found in made.items()}
            views.update(made)
        for index, view in views.get(layer.outputs[0], {}).items() if layer.outputs else ():
            if not view.filled:
                found, filled = _same_density(layer, views, index) or counter.density(position, index, view.fields, view.shape)
                views[layer.outputs[0]] = {**views[layer.outputs[0]], index: replace(view, counted=found, filled=filled)}
        yield Seen(layer, tuple(views.get(name, {}) for name in layer.inputs), views.get(layer.outputs[0], {}) if layer.outputs else {})
        for name in last.get(position, ()):
            views.pop(name, None)


def _starts(graph: Graph, axes: SpatialAxes) -> Iterator[tuple[str, Views]]:
    """The views of the inputs: every position sees itself."""
    for index, spatial in axes.items():
        tensor = graph.inputs[index]
        sight = Intervals.start(tensor.shape or (), spatial)
        yield tensor.name, {index: View(*sight, Holes.start(), Spreading.start(len(spatial)))}


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
    axes: Mapping[int, int],
    weights: TapWeights | None,
    ended: Mapping[int, Ended],
) -> dict[str, Views]:
    """The views of a node's outputs."""
    sources = [views.get(name, {}) for name in node.inputs]
    seen = sorted({index for source in sources for index in source})[:MAX_VIEWS]
    inputs, outputs = ([tensors[name].shape for name in names] for names in (node.inputs, node.outputs))
    if not seen:
        return {}
    if any(s is None for s in inputs) or any(s is None for s in outputs):
        return {name: {i: lost(axes[i], tensors[name].shape, layer.name) for i in seen} for name in node.outputs}
    routes = paths(node, [s for s in inputs if s is not None], [s for s in outputs if s is not None])
    result: dict[str, Views] = {}
    for name, output, route in zip(node.outputs, outputs, routes, strict=False):
        assert output is not None
        carried: dict[int, View] = {}
        for index in seen:
            traced = _Trace(layer.name, weights)
            parts: list[View | None] = []
            for operand, (source, path) in enumerate(zip(sources, route, strict=True)):
                view, steps = traced.along(source[index], path) if index in source else (None, [])
                parts.append(view)
                ended[index].update((node.outputs[0], operand, at) for at in steps)
            met = traced.meet(parts, route, [s for s in inputs if s is not None], output)
            spread = tuple(weighed(s, weights) for s in met.spread) if layer.kernel else met.spread
            carried[index] = replace(met, spread=spread, counted=None)
        result[name] = carried
    return result


def _work(view: View) -> int:
    """The entries of a view's tables, and of those that measuring it lists."""
    return sum(field.bounds.size for field in view.fields) + _LISTINGS * max(max(view.shape, default=0) - _LONG_AXIS, 0)


def without_places(seen: Seen) -> Seen:
    """The same layer without the tables of its fields, which take much memory: what is left says how far each path sees and why."""

    def bare(views: Views) -> Views:
        empty = {i: tuple(replace(nothing(len(v.shape)), reach=f.reach, because=f.because) for f in v.fields) for i, v in views.items()}
        return {i: replace(view, fields=empty[i]) for i, view in views.items()}

    return Seen(seen.layer, tuple(bare(views) for views in seen.inputs), bare(seen.output))


def _same_density(layer: Layer, views: Mapping[str, Views], index: int) -> tuple[Density, bool] | None:
    """The density of what a layer reads, where its units read the units of one tensor one by one, and see as much.

    Behind a tensor of which it is too much to count, it is not tried again.
    """
    source: View | None = None
    for node in layer.nodes:
        read = [views[name][index] for name in node.inputs if index in views.get(name, {})]
        if any(view.counted is TOO_MUCH for view in read):
            return TOO_MUCH, False
        source = source or next(iter(read), None)
        if (
            source is None
            or source.counted is None
            or len(read) != 1
            or not one_by_one(node.operator, read[0].fields, source.counted.alike)
        ):
            return None
    result = views[layer.outputs[0]][index]
    if source is None or source.counted is None or widest_box(source.fields, source.shape) != widest_box(result.fields, result.shape):
        return None
    return source.counted, False


class _Trace:
    """Carries the view of one input through the paths of one node, in all domains."""

    def __init__(self, layer: str, weights: TapWeights | None) -> None:
        self._layer, self._intervals, self._holes, self._spread = layer, Intervals(layer), Holes(), Spreading(weights)

    def along(self, view: View, path: Path) -> tuple[View, list[int]]:
        """The view at the end of a path, and the steps that took in a whole map."""
        ended = []
        for position, step in enumerate(path):
            try:
                view, whole = self._step(view, step)
            except TooLarge:
                view, whole = self.widen(view, step.shape_after(view.shape)), False
            if whole:
                ended.append(position)
        return view, ended

    def _step(self, view: View, step: Step) -> tuple[View, bool]:
        if isinstance(step, Widen):
            return self.widen(view, step.shape) if step.known else lost(len(view.fields), step.shape, self._layer), False
        before = view.sight
        after, whole = self._intervals.step(before, step)
        filled = self._holes.step(view.filled, before, step, after, whole)
        return View(*after, filled, self._spread.step(view.spread, before, step, after, whole)), whole

    def widen(self, view: View, shape: Shape) -> View:
        sight = self._intervals.widen(view.sight, shape)
        return View(*sight, self._holes.widen(view.filled), self._spread.widen(view.spread))

    def meet(self, parts: Sequence[View | None], route: Sequence[Path], inputs: Sequence[Shape], output: Shape) -> View:
        """The view where the paths of all inputs meet: one after the other in a concatenation, on top of each other otherwise."""
        place = route[0][-1] if route and route[0] else None
        present = [part for part in parts if part is not None]
        try:
            if isinstance(place, Place):
                return self._beside(parts, Row(place.axis, tuple(shape[place.axis] for shape in inputs), output))
            return self._join(present, output) if len(present) > 1 else replace(present[0], shape=output)
        except TooLarge:
            return self.widen(present[0], output)

    def _join(self, views: Sequence[View], shape: Shape) -> View:
        sights = [view.sight for view in views]
        met = self._intervals.join(sights, shape)
        filled = self._holes.join([view.filled for view in views], sights, shape)
        return View(*met, filled, self._spread.join([view.spread for view in views]))

    def _beside(self, parts: Sequence[View | None], row: Row) -> View:
        present = [part for part in parts if part is not None]
        met = self._intervals.beside([None if part is None else part.sight for part in parts], row)
        lengths = [length for length, part in zip(row.lengths, parts, strict=True) if part is not None]
        along = [any(place.varies(row.axis) for place in places) for places in met.places]
        filled = self._holes.beside([part.filled for part in present])
        return View(*met, filled, self._spread.beside([part.spread for part in present], lengths, along))


def lost(axes: int, shape: Shape | None, because: str) -> View:
    """The view of a tensor of which nothing is known, along so many axes of an input."""
    rank = len(shape or ())
    field = replace(nothing(rank), reach="unknown", because=because)
    return View(shape or (), (field,) * axes, ((),) * axes, spread=(Spread.none(),) * axes)
