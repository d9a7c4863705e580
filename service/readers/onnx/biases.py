"""Biases that a node of its own adds: MatMul + Add, Conv + Add, with reshapes and transposes between where exporters write so.

1. The constant that an Add or Sub puts onto a result is the bias of the layer that gives it, if nothing else reads that, if nothing but
   moves, casts and quantisation lies between, and if the layer has no bias yet.
2. It has one value for every unit or channel of the layer, or one for all. One that varies over positions is no bias.
3. An integer product is scaled before its bias is added; the scale is a single number.
4. Any other constant is a parameter outside the connections, unless it is a single number.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from service.graph import Layer, Node, Shape, Tensor
from service.graph import operators as core
from service.readers.onnx.values import ModelWeight

Atom = tuple[bool, int]
"""A factor of an axis: whether it counts units of the layer (else positions), and its length."""
Axes = list[list[Atom]]

_PASSING = {"identity", "cast", "castlike", "dropout", "quantizelinear", "dequantizelinear", "quant", "intquant", "floatquant"}
_INTEGER = {"MatMulInteger", "ConvInteger"}


def with_biases(
    layers: Sequence[Layer], added: Mapping[int, ModelWeight], tensors: Mapping[str, Tensor], outputs: Iterable[str]
) -> tuple[Layer, ...]:
    """The layers, each constant of `added` (by the index of the layer that adds it) given to the layer whose bias it is."""
    result = list(layers)
    trace = _Trace(layers, tensors, outputs)
    for index, weight in added.items():
        owner = trace.owner(layers[index], weight.shape)
        if owner is not None and not result[owner].bias:
            result[owner] = replace(result[owner], bias=(weight,))
        elif weight.count > 1:
            result[index] = replace(result[index], other=(*result[index].other, weight))
    return tuple(result)


class _Trace:
    """Who makes every tensor, and how many read it."""

    def __init__(self, layers: Sequence[Layer], tensors: Mapping[str, Tensor], outputs: Iterable[str]) -> None:
        self._layers, self._tensors = layers, tensors
        self._readers = Counter(name for layer in layers for node in layer.nodes for name in node.inputs) + Counter(outputs)
        self._makers = {name: (index, node) for index, layer in enumerate(layers) for node in layer.nodes for name in node.outputs}

    def owner(self, adding: Layer, constant: Shape) -> int | None:
        """The index of the layer whose bias a constant of this shape is; None where it is none."""
        if len(adding.nodes) != 1 or not isinstance(adding.nodes[0].operator, core.Elementwise):
            return None
        path: list[Node] = []
        name = adding.nodes[0].inputs[0]
        if self._shape(name) != self._shape(adding.nodes[0].outputs[0]):
            return None
        while self._readers[name] == 1 and name in self._makers:
            index, node = self._makers[name]
            units = _unit_axis(node)
            if units is not None:
                return index if self._fits(self._layers[index], node, units, path, constant) else None
            if not self._passing(node):
                return None
            path.append(node)
            name = self._data(node)
        return None

    def _shape(self, name: str) -> Shape | None:
        tensor = self._tensors.get(name)
        return None if tensor is None else tensor.shape

    def _passing(self, node: Node) -> bool:
        operator = node.operator
        if isinstance(operator, core.Elementwise):
            others = [name for name in node.inputs if name != self._data(node)]
            single = all(shape is not None and math.prod(shape) == 1 for shape in map(self._shape, others))
            return single and (operator.function in _PASSING or operator.function == "mul")
        return isinstance(operator, core.Reshaping | core.Transposing)

    def _data(self, node: Node) -> str:
        """The largest input of a node."""
        return max(node.inputs, key=lambda name: math.prod(self._shape(name) or ()))

    def _fits(self, layer: Layer, node: Node, units: int, path: Sequence[Node], constant: Shape) -> bool:
        """Whether a constant has one value for every unit of a layer, or one for all."""
        scaled = any(isinstance(n.operator, core.Elementwise) and n.operator.function == "mul" for n in path)
        shape = self._shape(node.outputs[0])
        if not layer.kernel or shape is None or (scaled and layer.op not in _INTEGER):
            return False
        axes: Axes | None = [[(axis == units % len(shape), length)] for axis, length in enumerate(shape)]
        for step in reversed(path):
            axes = None if axes is None else _moved(axes, step.operator)
        return axes is not None and _one_for_each(axes, constant, shape[units])


def _unit_axis(node: Node) -> int | None:
    """The axis of a layer's result along which its units or channels lie; None for a node that is no such layer."""
    if isinstance(node.operator, core.Dense):
        return -1
    return 1 if isinstance(node.operator, core.Convolution | core.TransposedConvolution) else None


def _moved(axes: Axes, operator: core.Operator) -> Axes | None:
    """The axes behind an operator that moves units; None where it tears a factor apart unevenly."""
    if isinstance(operator, core.Transposing):
        return [axes[axis] for axis in operator.order]
    if not isinstance(operator, core.Reshaping):
        return axes
    atoms = [atom for axis in axes for atom in axis if atom[1] != 1]
    grouped: Axes = []
    for length in operator.shape:
        taken = _taken(atoms, length)
        if taken is None:
            return None
        grouped.append(taken)
    return grouped


def _taken(atoms: list[Atom], length: int) -> list[Atom] | None:
    """The first factors that make an axis of this length, taken out of `atoms`."""
    taken: list[Atom] = []
    while length > 1 and atoms:
        unit, size = atoms.pop(0)
        if length % size and size % length:
            return None
        part = min(size, length)
        taken.append((unit, part))
        if size > part:
            atoms.insert(0, (unit, size // part))
        length //= part
    return taken if length == 1 else None


def _one_for_each(axes: Axes, constant: Shape, units: int) -> bool:
    """Whether a constant that is broadcast to these axes varies over all units and nothing else, or over nothing."""
    if math.prod(constant) == 1:
        return True
    if len(constant) > len(axes) or math.prod(constant) != units:
        return False
    return all(length == 1 or _all_units(atoms) for length, atoms in _aligned(constant, axes))


def _aligned(constant: Shape, axes: Axes) -> Iterator[tuple[int, list[Atom]]]:
    return zip(constant, axes[len(axes) - len(constant) :], strict=True)


def _all_units(atoms: Sequence[Atom]) -> bool:
    return all(unit for unit, size in atoms if size != 1)
