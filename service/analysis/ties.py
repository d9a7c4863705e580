"""What follows from the structure of a graph alone: its batch and its first layers."""

from __future__ import annotations

from service.analysis.connections.connectivity import weight_node
from service.analysis.field.axes import Layouts
from service.graph import Graph, Layer
from service.graph import operators as core


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


def first_layers(graph: Graph) -> list[tuple[Layer, str]]:
    """The convolutions that read an input with no weight layer in between, each with the name of that input.

    In between may be casts, transposes, normalisation, quantisation: whatever has no kernel.
    """
    raw: dict[str, str | None] = {tensor.name: tensor.name for tensor in graph.inputs}
    first = []
    for layer in graph.layers:
        sources = [raw[name] for name in layer.inputs if name in raw]
        if not sources:
            continue
        source = sources[0] if None not in sources else None
        node = weight_node(layer)
        if source is not None and node is not None and isinstance(node.operator, core.Convolution):
            first.append((layer, source))
        raw.update(dict.fromkeys(layer.outputs, source if node is None else None))
    return first
