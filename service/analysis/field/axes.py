"""Which axes of an input are spatial or temporal: those along which the first operators that read it slide, or hold positions.

1. Every axis of the input is followed through the operators that only move units, up to the first window, dense, recurrent or embedding
   operator.
2. A window slides over its spatial axes; a recurrent layer runs over time; an embedding is looked up at positions; a dense
   layer is applied at its leading positions, and where it has none but the batch, its inputs themselves are the positions.
3. Where that says nothing (no such operator, or more axes than positions: an image flattened before a dense layer, channels that hold
   places before a depth-to-space), images are channels first unless only the last axis looks like channels.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.analysis.field.dependence import paths
from service.analysis.field.intervals import Field, TooLarge, identity
from service.analysis.field.propagation import advance
from service.graph import Graph, Node, Shape
from service.graph import operators as core

SpatialAxes = Mapping[int, tuple[int, ...]]
"""By the index of an input, its spatial axes."""

_NAMES = {1: ("position",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def axis_names(count: int) -> tuple[str, ...]:
    """The names of so many spatial axes."""
    return _NAMES.get(count, tuple(f"axis{i}" for i in range(count)))


def spatial_axes(graph: Graph) -> SpatialAxes:
    """The spatial axes of every input of known shape that has any."""
    found: dict[int, tuple[int, ...]] = {}
    for index, tensor in enumerate(graph.inputs):
        if tensor.shape is None or len(tensor.shape) < 2:
            continue
        axes = _followed(graph, tensor.name, tensor.shape)
        axes = _usual(tensor.shape) if axes is None else axes
        if axes:
            found[index] = axes
    return found


def _usual(shape: Shape) -> tuple[int, ...]:
    if len(shape) == 2:
        return (1,)
    if shape[-1] <= 4 < shape[1]:
        return tuple(range(1, len(shape) - 1))
    return tuple(range(2, len(shape)))


def _positions(node: Node, shape: Shape) -> tuple[int, ...] | None:
    """The axes of a node's input along which it slides or holds positions; None where the operator says nothing."""
    match node.operator:
        case core.Window():
            return tuple(range(2, len(shape)))
        case core.Recurrent():
            return (0,)
        case core.Embedding():
            return tuple(range(1, len(shape)))
        case core.Dense():
            return tuple(range(1, len(shape) - 1)) or (len(shape) - 1,)
    return None


def _followed(graph: Graph, name: str, shape: Shape) -> tuple[int, ...] | None:
    """The input's axes that reach the positions of the first operator that has any."""
    fields: dict[str, tuple[Field, ...]] = {name: tuple(identity(len(shape), axis) for axis in range(len(shape)))}
    for layer in graph.layers:
        for node in layer.nodes:
            read = [i for i, source in enumerate(node.inputs) if source in fields]
            if not read:
                continue
            source = graph.tensors[node.inputs[read[0]]].shape
            if source is None:
                return None
            positions = _positions(node, source)
            if positions is not None:
                seen = fields[node.inputs[read[0]]]
                axes = tuple(a for a in range(len(shape)) if any(seen[a].varies(p) for p in positions))
                return None if len(axes) > len(positions) else axes
            for output, moved in zip(node.outputs, _moved(graph, node, read[0], fields), strict=False):
                fields[output] = moved
    return None


def _moved(graph: Graph, node: Node, index: int, fields: Mapping[str, tuple[Field, ...]]) -> list[tuple[Field, ...]]:
    """The fields of a node's outputs as far as one of its inputs decides them."""
    inputs, outputs = ([graph.tensors[n].shape for n in names] for names in (node.inputs, node.outputs))
    if any(s is None for s in (*inputs, *outputs)):
        return []
    routes = paths(node, [s for s in inputs if s is not None], [s for s in outputs if s is not None])
    result = []
    for route in routes:
        shape, seen = inputs[index] or (), fields[node.inputs[index]]
        try:
            for step in route[index]:
                seen, shape = advance(seen, shape, step)
        except TooLarge:
            return []
        result.append(seen)
    return result
