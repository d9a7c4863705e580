"""What follows from the structure of a graph alone: its batch, its first layers, its ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.analysis.connections.connectivity import Connectivity, weight_node
from service.analysis.field.axes import Layouts
from service.graph import Graph, Layer, Weight
from service.graph import operators as core
from service.report.document import Role, StoredTensor, Use


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


def tied(graph: Graph) -> dict[str, list[str]]:
    """For every stored tensor that several layers use, their names."""
    users: dict[str, dict[str, None]] = {}
    for layer in graph.layers:
        for weight in (*layer.kernel, *layer.bias, *layer.other):
            users.setdefault(weight.stored, {})[layer.name] = None
    return {stored: list(names) for stored, names in users.items() if len(names) > 1}


def ledger(graph: Graph, counts: Mapping[str, Connectivity | None]) -> tuple[StoredTensor, ...]:
    """The sharing ledger: every stored tensor, which layers use it as what, and how often each of its scalars is used there.

    `uses` is the mean number of connections that one scalar serves in a sample; None for parameters outside the connections.
    """
    stored = {weight.stored: weight for weight in graph.stored}
    used: dict[str, list[Use]] = {}
    for layer in graph.layers:
        roles: tuple[tuple[Role, Sequence[Weight]], ...] = (("weight", layer.kernel), ("bias", layer.bias), ("other", layer.other))
        for role, weights in roles:
            for weight in weights:
                found = counts.get(layer.name)
                uses = found.uses[1] if role == "weight" and found is not None else None
                stored.setdefault(weight.stored, weight)
                used.setdefault(weight.stored, []).append(Use(layer.name, role, uses))
    return tuple(
        StoredTensor(name, tuple(weight.shape), weight.dtype, weight.count, tuple(used.get(name, ()))) for name, weight in stored.items()
    )
