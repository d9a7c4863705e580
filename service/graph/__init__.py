"""The neutral graph of a network: layers, tensors, operators and references to weights. It does no I/O."""

from service.graph.network import Graph, Layer, Node, Source, Tensor, Weight, WeightReader
from service.graph.operators import Operator, Shape, ShapeError

__all__ = [
    "Graph",
    "Layer",
    "Node",
    "Operator",
    "Shape",
    "ShapeError",
    "Source",
    "Tensor",
    "Weight",
    "WeightReader",
]
