"""The batch that all inputs share, which is divided out of every count."""

from __future__ import annotations

from service.analysis.field.axes import Layouts
from service.graph import Graph


def batch_lengths(graph: Graph, known: Layouts) -> set[int]:
    """The lengths of the inputs' batch axes; 1 for an input of several axes that has none, nothing for one of a single axis."""
    lengths = set()
    for index, layout in known.items():
        shape = graph.inputs[index].shape or ()
        if len(shape) > 1:
            lengths.add(1 if layout.batch is None else shape[layout.batch])
    return lengths


def common_batch(graph: Graph, known: Layouts) -> int:
    """The length of the batch axis, where it is fixed and that of every input; else 1. An empty batch is one of no known size."""
    lengths = batch_lengths(graph, known)
    return max(lengths.pop(), 1) if len(lengths) == 1 else 1
