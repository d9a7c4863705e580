"""Which axes of an input are spatial or temporal, and which is its batch: what the operators say that its axes reach.

1. Every axis of an input is followed through the operators that move units, and through dense layers, which keep their leading axes.
2. A window slides over its spatial axes, a recurrent layer runs over time, attention scores join every place with every other: the axes
   that arrive there are positions. What arrives at the batch place of a window or a recurrent layer, or at a place that both sides of
   attention scores share, is the batch. The first of these decides.
3. Where there is none of them, an embedding is looked up at positions, and a dense layer is applied at its leading positions; where it has
   none but the batch, its inputs themselves are the positions. Their leading axis is the batch, unless another layer sums over it: the rows
   of a graph network are nodes, which are positions.
4. Where that says nothing (no such operator, or more axes than positions: an image flattened before a dense layer, channels that hold
   places before a depth-to-space), images are channels first unless only the last axis looks like channels, and the leading axis is the
   batch.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.analysis.field.dependence import Widen, paths
from service.analysis.field.intervals import Field, TooLarge, identity
from service.analysis.field.propagation import advance
from service.graph import Graph, Node, Shape
from service.graph import operators as core

SpatialAxes = Mapping[int, tuple[int, ...]]
"""By the index of an input, its spatial axes."""

MAX_FOLLOWED = 16_384
"""Operands that are looked at in all, while the axes of the inputs are followed."""
_ENTRIES = 256
"""Entries of the tables that say which units an axis reaches cost as much as an operand."""

_NAMES = {1: ("position",), 2: ("height", "width"), 3: ("depth", "height", "width")}

_Axes = tuple[int, ...]


def axis_names(count: int) -> tuple[str, ...]:
    """The names of so many spatial axes."""
    return _NAMES.get(count, tuple(f"axis{i}" for i in range(count)))


@dataclass(frozen=True, slots=True)
class Layout:
    """The spatial axes of an input, and its batch axis; None where it has none, as an image of three axes before a convolution."""

    spatial: tuple[int, ...]
    batch: int | None


Layouts = Mapping[int, Layout]
"""By the index of an input of known shape, what its axes are."""


def layouts(graph: Graph) -> Layouts:
    """What the axes of every input of known shape are."""
    follower = _Follower(graph)
    found = {index: follower.layout(t.name, t.shape) for index, t in enumerate(graph.inputs) if t.shape is not None}
    if not graph.batched:
        return found
    return {index: Layout(tuple(axis for axis in layout.spatial if axis), 0) for index, layout in found.items()}


def spatial_axes(graph: Graph) -> SpatialAxes:
    """The spatial axes of every input of known shape that has any."""
    return spatial_of(layouts(graph))


def spatial_of(known: Layouts) -> SpatialAxes:
    """The spatial axes of those inputs that have any."""
    return {index: layout.spatial for index, layout in known.items() if layout.spatial}


def _usual(shape: Shape) -> Layout:
    if len(shape) < 2:
        return Layout((), None)
    if len(shape) == 2:
        return Layout((1,), 0)
    if shape[-1] <= 4 < shape[1]:
        return Layout(tuple(range(1, len(shape) - 1)), 0)
    return Layout(tuple(range(2, len(shape))), 0)


@dataclass(slots=True)
class _Found:
    """What was found out about the axes of one input: what a dense layer or an embedding says, and the axes that are summed over."""

    weak: Layout | None = None
    spoken: bool = False
    summed: frozenset[int] = frozenset()

    def layout(self, shape: Shape) -> Layout:
        """The best guess once nothing decides."""
        known = self.weak or _usual(shape)
        if len(shape) == 2 and known.spatial == (1,) and 0 in self.summed:
            return Layout((0,), None)
        return Layout(known.spatial, None) if known.batch in self.summed else known


class _Follower:
    """Follows the axes of the inputs of one graph. `left` is how many nodes may still be looked at."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.left = graph, MAX_FOLLOWED
        self.nodes = [node for layer in graph.layers for node in layer.nodes]
        self.readers: dict[str, list[int]] = {}
        """By the name of a tensor, the places of the nodes that read it, in order."""
        for place, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(place)

    def layout(self, name: str, shape: Shape) -> Layout:
        """The layout of an input."""
        fields: dict[str, tuple[Field, ...]] = {name: tuple(identity(len(shape), axis) for axis in range(len(shape)))}
        found = _Found()
        for node in self._reached(fields):
            known = self._strong(node, fields, shape)
            if known is not None:
                return known
            self._weak(node, fields, found)
            read = next(i for i, source in enumerate(node.inputs) if source in fields)
            for output, moved in zip(node.outputs, _moved(self.graph, node, read, fields), strict=False):
                fields[output] = moved
                self.left -= sum(field.bounds.size for field in moved) // _ENTRIES
        return found.layout(shape)

    def _reached(self, fields: dict[str, tuple[Field, ...]]) -> Iterator[Node]:
        """The nodes that read a tensor that is followed, in topological order, while `fields` grows; what nothing reads any more goes."""
        waiting = list(dict.fromkeys(place for name in fields for place in self.readers.get(name, ())))
        heapq.heapify(waiting)
        seen = set(waiting)
        while waiting and self.left > 0:
            place = heapq.heappop(waiting)
            node = self.nodes[place]
            self.left -= len(node.inputs)
            yield node
            for reader in (reader for name in node.outputs if name in fields for reader in self.readers.get(name, ())):
                if reader not in seen:
                    seen.add(reader)
                    heapq.heappush(waiting, reader)
            for name in node.inputs:
                if self.readers[name][-1] == place:
                    fields.pop(name, None)

    def _strong(self, node: Node, fields: Mapping[str, tuple[Field, ...]], shape: Shape) -> Layout | None:
        """What a window, a recurrent layer or attention says of the axes of an input of `shape` that reach it."""
        match node.operator:
            case core.Window() | core.Recurrent() if node.inputs[0] in fields:
                rank = len(self.graph.tensors[node.inputs[0]].shape or ())
                places, batch = ((0,), 1) if isinstance(node.operator, core.Recurrent) else (tuple(range(2, rank)), 0)
                known = _layout(fields[node.inputs[0]], places, batch)
                return known if len(known.spatial) <= len(places) else _usual(shape)
            case core.Contraction(operands=operands, output=output) if len(operands) == 2:
                return _scores(operands, output, [fields.get(name) for name in node.inputs])
        return None

    def _weak(self, node: Node, fields: Mapping[str, tuple[Field, ...]], found: _Found) -> None:
        """Note what a dense layer, an embedding or a product says of the axes that reach it."""
        seen = fields.get(node.inputs[0])
        shape = self.graph.tensors[node.inputs[0]].shape or ()
        match node.operator:
            case core.Dense() | core.Experts() if seen is not None:
                places = tuple(range(1, len(shape) - 1)) or (len(shape) - 1,)
                found.summed |= {axis for axis, field in enumerate(seen) if field.varies(len(shape) - 1)}
                self._say(found, seen, places, len(shape) > 1)
            case core.Embedding() if seen is not None:
                self._say(found, seen, tuple(range(1, len(shape))), batched=True)
            case core.Contraction(operands=operands, output=output):
                for labels, name in zip(operands, node.inputs, strict=True):
                    gone = [place for place, label in enumerate(labels) if label not in output]
                    found.summed |= {a for a, field in enumerate(fields.get(name, ())) if any(field.varies(place) for place in gone)}

    def _say(self, found: _Found, seen: Sequence[Field], places: _Axes, batched: bool) -> None:
        """Keep what the first dense layer or embedding says, if it says something."""
        if found.spoken:
            return
        known = _layout(seen, places, 0 if batched else None)
        found.spoken = bool(known.spatial)
        if known.spatial and len(known.spatial) <= len(places):
            found.weak = known


def _layout(seen: Sequence[Field], places: _Axes, batch: int | None) -> Layout:
    """The axes that vary along the places, and the first of the others that varies along the batch place."""
    spatial = tuple(axis for axis, field in enumerate(seen) if any(field.varies(place) for place in places))
    batches = (axis for axis, field in enumerate(seen) if batch is not None and axis not in spatial and field.varies(batch))
    return Layout(spatial, next(batches, None))


def _scores(operands: Sequence[Sequence[str]], output: Sequence[str], seen: Sequence[tuple[Field, ...] | None]) -> Layout | None:
    """What attention scores say: their rows and their columns both come from the same axes of the input; None for any other product."""
    left, right = seen
    if left is None or right is None:
        return None
    own = [[place for place, label in enumerate(labels) if label in output and label not in other] for labels, other in _pairs(operands)]
    joint = [[place for place, label in enumerate(labels) if label in output and label in other] for labels, other in _pairs(operands)]
    rows, columns = (
        {axis for axis, field in enumerate(fields) if any(field.varies(place) for place in places)}
        for fields, places in zip((left, right), own, strict=True)
    )
    spatial = tuple(sorted(rows & columns))
    if not spatial:
        return None
    shared = (axis for axis, field in enumerate(left) if axis not in spatial and any(field.varies(place) for place in joint[0]))
    return Layout(spatial, next(shared, None))


def _pairs(operands: Sequence[Sequence[str]]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Each of two operands' labels, with those of the other."""
    yield operands[0], operands[1]
    yield operands[1], operands[0]


def _moved(graph: Graph, node: Node, index: int, fields: Mapping[str, tuple[Field, ...]]) -> list[tuple[Field, ...]]:
    """The fields of a node's outputs as far as one of its inputs decides them; none where the data choose what is read."""
    inputs, outputs = ([graph.tensors[n].shape for n in names] for names in (node.inputs, node.outputs))
    if any(s is None for s in (*inputs, *outputs)):
        return []
    routes = paths(node, [s for s in inputs if s is not None], [s for s in outputs if s is not None])
    result = []
    for route in routes:
        shape, seen = inputs[index] or (), fields[node.inputs[index]]
        if any(isinstance(step, Widen) for step in route[index]):
            return []
        try:
            for step in route[index]:
                seen, shape = advance(seen, shape, step)
        except TooLarge:
            return []
        result.append(seen)
    return result
