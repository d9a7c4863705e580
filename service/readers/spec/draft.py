"""A layer of a spec on its way to core operators: its fields, its input tensors, and the nodes and weights made so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from service.graph.network import Kind, Layer, Node, Tensor, Weight
from service.graph.operators import Elementwise, Operator, Shape, ShapeError
from service.readers.naming import Names
from service.readers.spec.fields import LARGEST
from service.readers.spec.values import nested_array

MAX_UNITS = 2**40
"""The largest number of units in a tensor, and of weights in a layer. Every count made of two of them still has an exact meaning."""


class Refusal(ValueError):
    """A layer cannot be what its fields say. `field` is where in the layer ("kernel", "inputs/1"; "" for the layer itself)."""

    def __init__(self, field: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.field, self.code, self.detail = field, code, detail


@dataclass
class Part:
    """One layer of the graph under construction; a spec layer that the graph knows as several (attention) has several parts."""

    name: str
    kind: Kind
    nodes: list[Node] = field(default_factory=list)
    kernel: list[Weight] = field(default_factory=list)
    bias: list[Weight] = field(default_factory=list)
    other: list[Weight] = field(default_factory=list)
    statistics: list[Weight] = field(default_factory=list)

    def layer(self, op: str) -> Layer:
        """The finished layer: it reads what its nodes read and do not make, and gives what its last node gives."""
        made = {name for node in self.nodes for name in node.outputs}
        read = dict.fromkeys(name for node in self.nodes for name in node.inputs if name not in made)
        weights = tuple(self.kernel), tuple(self.bias), tuple(self.other), tuple(self.statistics)
        return Layer(self.name, op, self.kind, tuple(read), self.nodes[-1].outputs[-1:], tuple(self.nodes), *weights)


class Values(Protocol):
    """Takes the values of a weight that the spec states."""

    def __call__(self, stored: str, array: np.ndarray) -> None: ...


class Draft:
    """What a rule works with. Tensors have the batch axis in front, the spec's fields do not.

    In a network that is `varied` the values of weights whose shape no longer fits are left out, and ties between them.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        fields: Mapping[str, Any],
        inputs: tuple[Tensor, ...],
        names: Names,
        keep: Values,
        shared: Mapping[str, Weight] | None = None,
        varied: bool = False,
    ) -> None:
        self.name, self.fields, self.inputs = name, fields, inputs
        self.parts = [Part(name, kind)]
        self.tensors: dict[str, Tensor] = {}
        self.weights: dict[str, Weight] = {}
        self.notes: list[tuple[str, str | None, str]] = []
        self.results: dict[str, Tensor] = {}
        self._names, self._keep, self._shared, self._tied = names, keep, shared, False
        self._varied = varied

    def edited(self, settings: Mapping[str, Any]) -> Draft:
        """The same layer with other fields."""
        fields = {**self.fields, **settings}
        return Draft(self.name, self.parts[0].kind, fields, self.inputs, self._names, self._keep, self._shared, self._varied)

    @property
    def input(self) -> Tensor:
        """The input of a layer with one."""
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of the (first) input, with the batch axis."""
        return shape_of(self.inputs[0])

    def begin(self, suffix: str, kind: Kind) -> None:
        """From here on, nodes and weights belong to a layer of their own; without a suffix to the layer itself."""
        part = Part(self._names.fresh(f"{self.name}/{suffix}") if suffix else self.name, kind)
        if self.parts[-1].nodes:
            self.parts.append(part)
        else:
            self.parts[-1] = part

    def apply(self, operator: Operator, *inputs: Tensor) -> Tensor:
        """A node, and its first output."""
        return self.apply_all(operator, *inputs)[0]

    def apply_all(self, operator: Operator, *inputs: Tensor) -> list[Tensor]:
        """A node with all of its outputs."""
        try:
            shapes = operator.shapes(*(shape_of(tensor) for tensor in inputs))
        except ShapeError as error:
            raise Refusal("", "shape-mismatch", str(error)) from error
        part = self.parts[-1]
        made = [Tensor(self._names.fresh(f"{part.name}/{len(part.nodes)}"), shape) for shape in shapes]
        for tensor in made:
            check_size(shape_of(tensor))
            self.tensors[tensor.name] = tensor
        part.nodes.append(Node(operator, tuple(t.name for t in inputs), tuple(t.name for t in made)))
        return made

    def kernel(self, shape: Shape, count: int | None = None, role: str = "kernel") -> None:
        """The layer's weights, with the values of the field `weights` if it has them."""
        self.parts[-1].kernel.append(self._weight(role, shape, count))

    def bias(self, shape: Shape, role: str = "bias") -> None:
        """The layer's biases."""
        self.parts[-1].bias.append(self._weight(role, shape))

    def other(self, role: str, shape: Shape) -> None:
        """Parameters that are no connections."""
        self.parts[-1].other.append(self._weight(role, shape))

    def statistic(self, role: str, shape: Shape) -> None:
        """What is measured in training and not trained."""
        self.parts[-1].statistics.append(self._weight(role, shape))

    def _weight(self, role: str, shape: Shape, count: int | None = None) -> Weight:
        count = math.prod(shape) if count is None else count
        if count > MAX_UNITS:
            raise Refusal("", "too-large", f"the layer would have {count:,} weights; {MAX_UNITS:,} are the most")
        weight = Weight(f"{self.name}.{role}", shape, count if self.fields.get("trainable", True) else 0, "float32")
        partner = self._shared.get(role) if self._shared is not None else None
        if partner is not None and (partner.shape == shape or (len(shape) == 2 and partner.shape == shape[::-1])):
            weight, self._tied = replace(partner, shape=shape), True
        elif role.endswith("kernel") and partner is not None and not self._varied:
            raise Refusal("share_with", "shape-mismatch", f"its weights are {partner.shape}, this layer needs {shape}")
        self.weights[role] = weight
        return weight

    def values(self, shape: Shape, table: tuple[tuple[int, ...], ...] | None = None) -> None:
        """Keep the field `weights`, nested lists of this shape, as the values of the kernel."""
        values = self.fields.get("weights")
        if values is None:
            return
        if self._shared is not None:
            raise Refusal("weights", "conflict", "a layer that shares the weights of another has none of its own")
        try:
            self._keep(self.weights["kernel"].stored, nested_array(values, shape, table))
        except ValueError as error:
            if not self._varied:
                raise Refusal("weights", "wrong-shape", str(error)) from error

    def result(self, suffix: str, tensor: Tensor) -> None:
        """One more result of the layer, which others read as `name/suffix`."""
        self.results[suffix] = tensor

    def note(self, code: str, message: str) -> None:
        """Something that the report should say about this layer."""
        self.notes.append((code, self.name, message))

    def finish(self, output: Tensor, op: str) -> tuple[list[Layer], list[Tensor], Tensor]:
        """The layers and the tensors made, the output renamed to the layer's name, and `results` to names like it."""
        if self._shared is not None and not self._tied and not self._varied:
            raise Refusal("share_with", "nothing-to-share", "the two layers have no weights of the same shape")
        if output.name not in self.tensors:
            output = self.apply(Elementwise("identity"), output)
        renamed = {part.nodes[-1].outputs[0]: self._result_name(part) for part in self.parts[:-1]} | {output.name: self.name}
        renamed |= {tensor.name: self._names.fresh(f"{self.name}/{suffix}") for suffix, tensor in self.results.items()}
        self.results = {suffix: replace(tensor, name=renamed[tensor.name]) for suffix, tensor in self.results.items()}
        for part in self.parts:
            part.nodes = [_renamed(node, renamed) for node in part.nodes]
        made = {renamed.get(name, name): tensor for name, tensor in self.tensors.items()}
        tensors = [replace(tensor, name=name) for name, tensor in made.items()]
        layers = [part.layer(op) for part in self.parts]
        layers[-1] = replace(layers[-1], outputs=(*layers[-1].outputs, *(tensor.name for tensor in self.results.values())))
        return layers, tensors, replace(output, name=self.name)

    def _result_name(self, part: Part) -> str:
        """The name of what an inner part gives: its own, which for the part in the middle is that of the whole layer's result."""
        return part.name if part.name != self.name else self._names.fresh(f"{self.name}/inner")


Rule = Callable[[Draft], Tensor]


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    def swap(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(name, name) for name in old)

    return replace(node, inputs=swap(node.inputs), outputs=swap(node.outputs))


def shape_of(tensor: Tensor) -> Shape:
    """The shape of a tensor of a spec, which is always known."""
    if tensor.shape is None:
        raise AssertionError(f"{tensor.name} has no shape")
    return tensor.shape


def check_size(shape: Shape) -> None:
    """Refusal `too-large` for a tensor of too many units, or too many along one axis."""
    if math.prod(shape) > MAX_UNITS or max(shape, default=0) > LARGEST:
        raise Refusal("", "too-large", f"a tensor may have {MAX_UNITS:,} units, and {LARGEST:,} along an axis; {shape[1:]} has more")
