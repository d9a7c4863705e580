"""One node of the model while it is lowered: its inputs and attributes, and the core nodes and weights it turns into."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from onnx import GraphProto, SparseTensorProto, TensorProto, helper

from service.faults import Detail, Refused
from service.graph import Layer, Node, Operator, Shape, ShapeError
from service.graph import operators as core
from service.graph.network import Kind
from service.readers.onnx.attributes import Attributes
from service.readers.onnx.builder import checked
from service.readers.onnx.constants import movement
from service.readers.onnx.values import Constant, Fold, Keeps, ModelWeight, Operation, Origin, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Undecided(ShapeError):
    """The data decide what an operator does, so that its result cannot be followed unit by unit, even if its shape is known."""


class Host(Protocol):
    """What a node that is being lowered may ask of the walk over the model."""

    def known(self, value: Value) -> NDArray[np.generic] | None:
        """The values of a constant that is small enough to be looked at, else None."""

    def stored(self, call: Call, tensor: TensorProto | SparseTensorProto) -> Value:
        """A tensor that an attribute of the call stores, as a constant."""

    def prelude(self, call: Call, build: Callable[[Call], list[Value]]) -> list[Value]:
        """A layer before the bodies of `call`: what `build` emits into a call of its own, and the values that it gives."""

    def note(self, code: str, call: Call, message: str) -> None:
        """Something about the call that the report has to say."""

    def inline(self, call: Call, graph: GraphProto, inputs: Sequence[Value], prefix: str, repeated: bool = False) -> list[Value]:
        """Lower the nodes of a subgraph of `call` in place, on these inputs, and give its outputs; `repeated` as one round of several."""

    def declared(self, call: Call, output: int) -> Shape | None:
        """The shape that the file declares for an output of the call, if all of it is known."""

    def affords(self, graph: GraphProto, times: int) -> bool:
        """Whether a subgraph may be lowered so many times."""

    @property
    def has_stand_ins(self) -> bool:
        """Whether some axis of an input has a stand-in length, so that shapes need not be those of the model."""


@dataclass(frozen=True, slots=True)
class Rule:
    """All that the reader knows of one ONNX operator.

    `lower` turns a node into core operators, `kind` is what a reader of the report takes it for. `fold` computes it where all its inputs
    are constants (None: the values stay unknown), and `keeps` says what the result then has of the scalars that are stored. `bound` says
    why the core nodes are only a bound of what the operator reads, "" where they are exact. A `structural` operator deals with values as
    wholes (control flow, sequences, optionals): it is lowered even if its inputs are constants, and gives values of others on.
    """

    lower: Callable[[Call], Sequence[Value]]
    kind: Kind = "other"
    fold: Fold | None = None
    keeps: Keeps = "mixed"
    bound: str = ""
    structural: bool = False


class Call:
    """One node of the model. A lowering rule reads it, calls `emit` for every core node and returns the values of its outputs."""

    __slots__ = (
        "added",
        "attributes",
        "bias",
        "constants",
        "host",
        "inputs",
        "kernel",
        "kind",
        "name",
        "nodes",
        "op",
        "other",
        "outputs",
        "scope",
        "statistics",
        "values",
        "version",
    )

    def __init__(
        self,
        host: Host,
        op: str,
        version: int,
        attributes: Attributes,
        inputs: Sequence[Value | None],
        outputs: Sequence[str],
        name: str,
        scope: Any = None,
    ) -> None:
        self.host, self.op, self.version, self.attributes = host, op, version, attributes
        self.inputs, self.outputs, self.name, self.scope = inputs, outputs, name, scope
        self.kind: Kind | None = None
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self.constants: dict[str, Value] = {}
        self.added: ModelWeight | None = None
        self.kernel: list[ModelWeight] = []
        self.bias: list[ModelWeight] = []
        self.other: list[ModelWeight] = []
        self.statistics: list[ModelWeight] = []

    def layer(self, kind: Kind, nodes: tuple[Node, ...], outputs: tuple[str, ...]) -> Layer:
        """The layer that the call has turned into, of its own kind if it has one. Its inputs are the tensors from outside that its nodes
        read, constants left out."""
        produced = {name for node in nodes for name in node.outputs}
        read = dict.fromkeys(name for node in nodes for name in node.inputs if name not in produced and name not in self.constants)
        weights = (tuple(self.kernel), tuple(self.bias), tuple(self.other), tuple(self.statistics))
        return Layer(self.name, self.op, self.kind or kind, tuple(read), outputs, nodes, *weights)

    # What the node is given

    def optional(self, index: int) -> Value | None:
        """An input, None where the node leaves it out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def input(self, index: int) -> Value:
        """An input that the operator cannot do without."""
        value = self.optional(index)
        if value is None:
            self.refuse("missing-input", f"input {index} is missing")
        return value

    def data(self) -> list[Value]:
        """The inputs that depend on inputs of the model."""
        return [v for v in self.inputs if v is not None and v.constant is None]

    def known(self, index: int) -> NDArray[np.generic] | None:
        """The values of an input where it is there, constant and small; else None."""
        value = self.optional(index)
        return None if value is None else self.host.known(value)

    def known_integers(self, index: int) -> tuple[int, ...] | None:
        """The values of an input as integers where they are known."""
        array = self.known(index)
        return None if array is None or array.dtype.kind not in "iuf" else tuple(int(x) for x in array.ravel())

    def required_integers(self, index: int, what: str) -> tuple[int, ...]:
        """The values of an input as integers; Undecided where they depend on the data."""
        values = self.known_integers(index)
        if values is None:
            raise Undecided(f"{what} depends on the data")
        return values

    def axis(self, rank: int, default: int = 0, name: str = "axis") -> int:
        """The attribute `axis`, counted from the front."""
        return self.normal_axis(self.attributes.integer(name, default), rank)

    def normal_axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front; ShapeError where the tensor has no such axis."""
        if not -rank <= axis < max(rank, 1):
            raise ShapeError(f"axis {axis} is none of a tensor of {rank} axes")
        return axis % rank if rank else 0

    def refuse(self, code: str, detail: str) -> NoReturn:
        """The model is invalid at this node: Refused with the node's name as pointer."""
        message = f"{self.op} {self.name!r}: {detail}"
        raise Refused("invalid", code, message, [Detail(self.name, message, code)])

    def misfit(self, code: str, detail: str) -> NoReturn:
        """Shapes that do not fit: the model's fault, unless some of them are stand-ins."""
        if self.host.has_stand_ins:
            raise ShapeError(detail)
        self.refuse(code, detail)

    # What it turns into

    def emit(self, operator: Operator, *inputs: Value, dtype: str | None = None) -> Value:
        """Append a core node and give its (first) output."""
        return self.emit_all(operator, *inputs, dtype=dtype)[0]

    def emit_all(self, operator: Operator, *inputs: Value, dtype: str | None = None) -> tuple[Value, ...]:
        """Append a core node and give its outputs; ShapeError where it cannot be applied to the shapes of its inputs."""
        shapes = operator.shapes(*(value.dims for value in inputs))
        given = dtype or (inputs[0].dtype if inputs else "float32")
        return self._append(operator, inputs, [Value("", checked(shape), given) for shape in shapes])

    def _append(self, operator: Operator, inputs: Sequence[Value], results: Sequence[Value]) -> tuple[Value, ...]:
        for value in results:
            value.name = f"{self.name}~{len(self.values)}"
            self.values[value.name] = value
        self.nodes.append(Node(operator, tuple(v.name for v in inputs), tuple(v.name for v in results)))
        for value in inputs:
            if value.constant is not None:
                self.constants[value.name] = value
        return tuple(results)

    def unknown(self, results: Sequence[Value], reason: str, sources: Sequence[Value] | None = None) -> tuple[Value, ...]:
        """Append a node without a rule that reads the sources (all inputs); `results` have the shapes that are known of them."""
        read = flattened(self.inputs if sources is None else sources)
        return self._append(core.Unknown(tuple(v.shape for v in results), reason), read, results)

    def elementwise(self, function: str, *operands: Value, dtype: str | None = None) -> Value:
        """A function of the units at the same place; constant operands only take part in broadcasting."""
        data = [v for v in operands if v.constant is None] or list(operands)
        shape = data[0].dims if len(operands) == 1 else core.broadcast(*(v.dims for v in operands))
        if len(data) < len(operands) and core.broadcast(*(v.dims for v in data)) != shape:
            data[0] = self.emit(core.Expanding(shape), data[0])
        return self.emit(core.Elementwise(function), *data, dtype=dtype or operands[0].dtype)

    def influenced(self, result: Value, *causes: Value | None) -> Value:
        """The result, every unit of which also depends on every unit of the causes that are data (a scale, a kernel)."""
        for cause in causes:
            if cause is not None and cause.constant is None:
                single = self.emit(core.Reduction(tuple(range(cause.rank)), keepdims=False), cause) if cause.rank else cause
                result = self.elementwise("influence", result, single, dtype=result.dtype)
        return result

    def reshape(self, value: Value, shape: Iterable[int]) -> Value:
        """The same units under another shape; nothing where it is the same."""
        wanted = tuple(shape)
        return value if value.dims == wanted else self.emit(core.Reshaping(wanted), value)

    def transpose(self, value: Value, order: Iterable[int]) -> Value:
        """The axes in another order; nothing where it is the same."""
        wanted = tuple(order)
        return value if wanted == tuple(range(value.rank)) else self.emit(core.Transposing(wanted), value)

    def data_dependent(self, results: Sequence[Shape], reason: str, *inputs: Value) -> tuple[Value, ...]:
        """Append a node of which only the shapes of the results are known. Constant inputs are left out."""
        sources = [v for v in inputs if v.constant is None] or list(inputs)
        return self.emit_all(core.DataDependent(tuple(results), reason), *sources)

    def constant(self, array: NDArray[np.generic]) -> Value:
        """A small constant that the reader works out itself, such as the shape of a tensor."""
        return Value("", array.shape, str(array.dtype), Constant(Origin("", array.size, str(array.dtype)), array=array))

    def opaque(self, shape: Shape | None, dtype: str) -> Value:
        """A value that depends on no input and cannot be known, such as a random number."""
        known = None if shape is None else checked(shape)
        return Value("", known, dtype, Constant(Origin("", math.prod(known or ()), dtype)))

    # Weights

    def weight(self, value: Value) -> ModelWeight:
        """A constant as a weight in its own layout. Refused `tensor-type` where its values are strings.

        A constant that is filled with one number is a tensor that the file states in short.
        """
        assert value.constant is not None
        origin = value.constant.origin
        if origin.dtype == "string":
            self.refuse("tensor-type", f"its weights {origin.name!r} are strings; numbers are expected")
        return ModelWeight(origin.name, value.dims, origin.count, origin.dtype, None if origin.filled else origin.sources, value.constant)

    def add(self, value: Value) -> None:
        """A constant that the call adds to its first input: a bias of the layer before, or else a parameter (see `biases`)."""
        if value.constant is not None and value.constant.origin.kept and value.shape is not None:
            self.added = self.weight(value)

    def add_other(self, value: Value | None) -> None:
        """Count a constant input as a parameter outside the connections, if it is stored."""
        if value is None or value.constant is None or value.shape is None:
            return
        if value.constant.origin.kept and value.constant.origin.dtype != "string":
            self.other.append(self.weight(value))


def flattened(values: Iterable[Value | None]) -> list[Value]:
    """The tensors that values consist of: those that depend on inputs of the model, or else the constants."""
    flat: list[Value] = []
    pending = [v for v in values if v is not None][::-1]
    while pending:
        value = pending.pop()
        if value.items is None:
            flat.append(value)
        else:
            pending.extend(reversed(value.items))
    return [v for v in flat if v.constant is None] or flat


def derived(constant: Constant, fold: Fold, keeps: Keeps, **attributes: Any) -> Constant:
    """A constant in another layout, or combined with itself in no other way: an operator of one operand that keeps the scalars."""
    protos = [helper.make_attribute(name, value) for name, value in attributes.items()]
    return Constant(constant.origin, operation=Operation(fold, keeps, 13, Attributes(protos, constant.origin.name), (constant,)))


def transposed_weight(weight: ModelWeight, order: Sequence[int]) -> ModelWeight:
    """A weight with its axes in another order."""
    assert weight.constant is not None
    if tuple(order) == tuple(range(len(weight.shape))):
        return weight
    return weight.laid_out(
        tuple(weight.shape[axis] for axis in order), derived(weight.constant, movement.transpose, "scalars", perm=list(order))
    )


def reshaped_weight(weight: ModelWeight, shape: Shape) -> ModelWeight:
    """A weight under another shape."""
    assert weight.constant is not None
    if weight.shape == shape:
        return weight
    if math.prod(weight.shape) != math.prod(shape):
        raise ShapeError(f"a weight of shape {weight.shape} cannot have the shape {shape}")
    return weight.laid_out(shape, derived(weight.constant, movement.flat, "order", shape=list(shape)))
