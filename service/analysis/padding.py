"""Zeros that a Pad node puts around what a convolution reads are that convolution's own padding (design section 2).

Two exporters of one network then give the same numbers: such zeros are no units of the map and make no connections. Other values, other
modes, and zeros that pass through something else first are units; where units are cropped and padded on one side, nothing is merged.
"""

from __future__ import annotations

from dataclasses import replace

from service.graph import Graph, Layer, Node
from service.graph import operators as core


def absorb_padding(graph: Graph) -> Graph:
    """The graph with convolutions that read the input of a zero padding, and pad it themselves."""
    padded: dict[str, Node] = {}
    layers = []
    for layer in graph.layers:
        layers.append(_absorbed(layer, padded) if padded else layer)
        padded |= {node.outputs[0]: node for node in layers[-1].nodes if isinstance(node.operator, core.Padding) and node.operator.zeros}
    return replace(graph, layers=tuple(layers)) if padded else graph


def _absorbed(layer: Layer, padded: dict[str, Node]) -> Layer:
    nodes = []
    sources = {name: name for name in layer.inputs}
    for node in layer.nodes:
        taken = _taken(node, padded)
        nodes.append(taken)
        sources[node.inputs[0] if node.inputs else ""] = taken.inputs[0] if taken.inputs else ""
    return replace(layer, nodes=tuple(nodes), inputs=tuple(sources[name] for name in layer.inputs))


def _taken(node: Node, padded: dict[str, Node]) -> Node:
    """The node itself, or a convolution that has taken over the paddings before it."""
    operator = node.operator
    while isinstance(operator, core.Convolution) and node.inputs[0] in padded:
        before = padded[node.inputs[0]]
        assert isinstance(before.operator, core.Padding)
        pads = _merged(operator.pads, before.operator.pads)
        if pads is None:
            break
        operator = replace(operator, pads=pads)
        node = Node(operator, (before.inputs[0], *node.inputs[1:]), node.outputs)
    return node


def _merged(own: core.Pads, added: core.Pads) -> core.Pads | None:
    """Both paddings of the spatial axes as one; None where other axes are padded, or units are cropped before the own padding."""
    if any(any(pads) for pads in added[:2]):
        return None
    sides = [(a, b) for pair, more in zip(own, added[2:], strict=True) for a, b in zip(pair, more, strict=True)]
    if any(b < 0 and a > 0 for a, b in sides):
        return None
    sums = [a + b for a, b in sides]
    return tuple(zip(sums[::2], sums[1::2], strict=True))
