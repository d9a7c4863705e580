"""Which lengths the open axes of a model's inputs are given, so that what depends on them can be told from what does not.

1. A model is read at several lengths, one for all of its open axes in each reading. What differs between the readings depends on a length
   that nobody knows, and is no fact.
2. The usual lengths serve unless some layer is unclear at them, or an axis that all of them leave equally long is longer at a much longer
   input: then they are too short to show that it depends on the length (a spectrogram of one frame).
3. Of other lengths those serve at which the fewest layers are unclear. Longer ones fit where windows are wider than the usual ones, and
   shorter ones where a table of positions has fewer rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.faults import Refused
from service.graph import Graph
from service.graph.operators import Unknown

USUAL = (256, 384, 321)
"""Lengths that open axes are given, one after the other."""
OTHERS = ((4096, 6144), (65_536, 98_304), (64, 48), (16, 12), (4, 3))
"""Lengths that are tried where those are too short for the network, or too long."""

Read = Callable[[int], Graph]


def readings(read: Read, first: Graph | None = None) -> tuple[Graph, ...]:
    """The readings of a model at the lengths that serve; one where no axis is open but the batch, whose length is 1 in every reading.

    `first` is the reading at the first of the usual lengths, None where that was refused. No reading where every length is refused.
    """
    if first is not None and not has_open_axes(first):
        return (first,)
    usual = [] if first is None else [first, *_tried(read, USUAL[1:])]
    chosen = usual
    if not usual or _most_clear(usual):
        chosen = _best(read, usual)
    elif longer := [graph for graph in _tried(read, OTHERS[0][:1]) if not unclear(graph) and _held(usual, graph)]:
        chosen = [*longer, *_tried(read, OTHERS[0][1:])]
    least = min((unclear(graph) for graph in chosen), default=0)
    return tuple(graph for graph in chosen if unclear(graph) == least)


def _best(read: Read, usual: list[Graph]) -> list[Graph]:
    """The readings at those lengths at which the fewest layers are unclear; the usual ones where no others are better."""
    best = usual
    lengths: tuple[int, ...] = ()
    for first, *more in OTHERS:
        tried = _tried(read, (first,))
        if tried and (not best or unclear(tried[0]) < _most_clear(best)):
            best, lengths = tried, tuple(more)
        if best and not _most_clear(best):
            break
    return [*best, *_tried(read, lengths)]


def _most_clear(graphs: Sequence[Graph]) -> int:
    return min(map(unclear, graphs))


def _held(graphs: Sequence[Graph], longer: Graph) -> bool:
    """Whether an axis that all readings leave equally long has another length at a longer input."""
    for name, tensor in longer.tensors.items():
        shapes = {graph.tensors[name].shape if name in graph.tensors else None for graph in graphs}
        if len(shapes) == 1:
            (shape,) = shapes
            if shape is not None and tensor.shape is not None and shape != tensor.shape and len(shape) == len(tensor.shape):
                return True
    return False


def has_open_axes(graph: Graph) -> bool:
    """Whether an axis of an input has a stand-in for a length that is open."""
    return any(length_of(graph, name, axis) != 1 for name, axis in graph.symbolic)


def length_of(graph: Graph, name: str, axis: int) -> int:
    """The length of an input's axis in a reading."""
    shape = graph.tensors[name].shape
    return 1 if shape is None else shape[axis]


def unclear(graph: Graph) -> int:
    """The number of layers that could not be followed."""
    return sum(any(isinstance(node.operator, Unknown) for node in layer.nodes) for layer in graph.layers)


def _tried(read: Read, lengths: Sequence[int]) -> list[Graph]:
    """The readings that succeed."""
    graphs = []
    for length in lengths:
        try:
            graphs.append(read(length))
        except Refused:
            continue
    return graphs
