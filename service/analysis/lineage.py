"""Lineage: which tensors hold the units of another one, only moved, and who else reads them. Findings about paths that meet ask for it."""

from __future__ import annotations

from collections import defaultdict

from service.graph import Graph, Node, Operator, Shape
from service.graph import operators as core

MOVEMENTS = core.Slicing | core.Taking | core.Reshaping | core.Transposing | core.Padding
"""Operators whose units are units of their operand in another place."""


def moves(node: Node) -> bool:
    """Whether a node only moves the units of its one operand, or changes them one by one (an activation)."""
    return isinstance(node.operator, MOVEMENTS | core.Elementwise) and len(node.inputs) == 1


def skipped(operator: Operator, places: Shape) -> list[float]:
    """The share of the units along each axis that a window steps over, at so many places along each; none for other operators."""
    if not isinstance(operator, core.Window) or isinstance(operator, core.TransposedConvolution):
        return []
    shares = []
    for kernel, stride, dilation, count in zip(operator.kernel, operator.strides, operator.dilations, places, strict=True):
        read = {k * dilation % stride for k in range(min(kernel, stride))}
        shares.append(1 - len(read) / stride if count > 1 else 0.0)
    return shares


def spaces(operator: Operator) -> bool:
    """Whether an operator reads units that lie apart, by dilation or by stride."""
    match operator:
        case core.TransposedConvolution():
            return False
        case core.Window():
            return {*operator.dilations, *operator.strides} != {1}
        case core.Slicing():
            return abs(operator.step) > 1
    return False


class Lineage:
    """Where the units of a graph's tensors come from, who reads them, and behind which of them units lie apart."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._origin: dict[str, str] = {}
        self._readers: defaultdict[str, list[Node]] = defaultdict(list)
        self._spaced: set[str] = set()
        for node in (node for layer in graph.layers for node in layer.nodes):
            for name in node.inputs:
                self._readers[self.origin(name)].append(node)
            if moves(node):
                self._origin.update(dict.fromkeys(node.outputs, self.origin(node.inputs[0])))
            if spaces(node.operator) or not self._spaced.isdisjoint(node.inputs):
                self._spaced.update(node.outputs)
        self._given = {self.origin(name) for name in graph.outputs}

    def origin(self, name: str) -> str:
        """The tensor whose units a tensor holds, in other places or changed one by one."""
        return self._origin.get(name, name)

    def spaced(self, name: str) -> bool:
        """Whether a window with dilation or stride lies on some way to a tensor."""
        return name in self._spaced

    def skipped(self, node: Node) -> list[float]:
        """The share of the units along each axis that a node's window steps over."""
        shape = self._graph.tensors[node.outputs[0]].shape
        return [] if shape is None else skipped(node.operator, shape[2:])

    def read_by_others(self, node: Node) -> bool:
        """Whether the units that a node reads are a result of the model, or are read by another node that steps over none of them."""
        origin = self.origin(node.inputs[0])
        others = (other for other in self._readers[origin] if other is not node and not moves(other))
        return origin in self._given or not all(any(self.skipped(other)) for other in others)
