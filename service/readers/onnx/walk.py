"""The walk over a model: node by node in topological order, each constant kept, each other node lowered to core operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto

from service.faults import Detail, Refused
from service.graph import Node, Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.attributes import Attributes
from service.readers.onnx.builder import Builder, checked
from service.readers.onnx.call import Call, Rule, Undecided, flattened
from service.readers.onnx.constants.evaluation import SMALL, Evaluator, apply
from service.readers.onnx.constants.folding import Array
from service.readers.onnx.editing import Variant
from service.readers.onnx.functions import Key, domain_of, key_of
from service.readers.onnx.inputs import Inputs, declared
from service.readers.onnx.inventory import AnyTensor, Inventory, constant_of, too_large
from service.readers.onnx.operators.masking import follow_masks
from service.readers.onnx.origins import origin_of
from service.readers.onnx.rules import rule_for, version_for
from service.readers.onnx.scope import Scope
from service.readers.onnx.topology import ordered, subgraphs
from service.readers.onnx.values import Constant, Keeps, Operation, Value


class Walk:
    """One reading of a model with concrete input shapes, which may be that of a `variant`. `builder` collects the layers."""

    def __init__(
        self,
        builder: Builder,
        inventory: Inventory,
        functions: Mapping[Key, FunctionProto],
        inputs: Inputs,
        variant: Variant | None = None,
    ) -> None:
        self.builder, self.inventory, self.functions, self.inputs = builder, inventory, functions, inputs
        self.variant = variant
        self.evaluator = Evaluator()

    # What a call may ask (call.Host)

    @property
    def has_stand_ins(self) -> bool:
        """Whether some axis of an input has a stand-in length."""
        return bool(self.inputs.symbolic)

    def known(self, value: Value) -> Array | None:
        """The values of a constant that is small enough to be looked at."""
        return self.evaluator.known(value)

    def note(self, code: str, call: Call, message: str) -> None:
        """Something about a call that the report has to say."""
        self.builder.note(code, call.name, f"{call.op} {call.name!r}: {message}.")

    def prelude(self, call: Call, build: Callable[[Call], list[Value]]) -> list[Value]:
        """A layer before the bodies of `call`: what `build` emits into a call of its own, and the values that it gives."""
        own = Call(self, call.op, call.version, call.attributes, (), (), self.builder.unique_layer(f"{call.name}/carried"), call.scope)
        values = build(own)
        scope: Scope = call.scope
        self.builder.spend(scope.repeated, len(own.nodes))
        if own.nodes:
            self._append(own, {}, Rule(lambda call: ()), values)
        return values

    def declared(self, call: Call, output: int) -> Shape | None:
        """The shape that the file declares for an output of a call."""
        return self._declared(call.scope, call.outputs[output]).shape if output < len(call.outputs) else None

    def affords(self, graph: GraphProto, times: int) -> bool:
        """Whether a subgraph may be lowered so many times."""
        return self.builder.affords(times * _size(graph.node))

    def inline(self, call: Call, graph: GraphProto, inputs: Sequence[Value], prefix: str, repeated: bool = False) -> list[Value]:
        """Lower the nodes of a subgraph in place and give its outputs."""
        outer: Scope = call.scope
        scope = Scope(outer.opsets, prefix, outer, references=outer.references, repeated=repeated or outer.repeated)
        if len(inputs) < len(graph.input):
            call.refuse("subgraph-inputs", f"its body takes {len(graph.input)} inputs, {len(inputs)} are given")
        for info, value in zip(graph.input, inputs, strict=False):
            self._bind(scope, info.name, value)
        self.graph(graph, scope)
        return [self.output(scope, info.name, call.name) for info in graph.output]

    # Graphs and functions

    def graph(self, graph: GraphProto, scope: Scope) -> None:
        """Lower a graph whose inputs `scope` already has."""
        for info in (*graph.value_info, *graph.output):
            scope.declared[info.name] = info
        names: set[str] = set()
        tensors: list[tuple[str, AnyTensor]] = [(dense.name, dense) for dense in graph.initializer]
        tensors.extend((sparse.values.name, sparse) for sparse in graph.sparse_initializer)
        for name, tensor in tensors:
            if name in names:
                _refuse("duplicate-name", f"two stored tensors are called {name!r}", name)
            names.add(name)
            scope.values[name] = self._stored(tensor, self._tensor_name(scope, name))
        self._nodes(graph.node, scope)

    def stored(self, call: Call, tensor: AnyTensor) -> Value:
        """A tensor that an attribute of a call stores, as a constant."""
        return self._stored(tensor, self._tensor_name(call.scope, call.outputs[0] if call.outputs else ""))

    def _stored(self, tensor: AnyTensor, name: str) -> Value:
        stored = self.inventory.tensor(tensor, name)
        return Value(name, None if too_large(stored) else stored.dims, stored.dtype, constant_of(stored))

    def output(self, scope: Scope, name: str, node: str = "") -> Value:
        """The value of an output; Refused `undefined-output` where nothing gives it."""
        value = scope.find(name) if scope.has(name) else None
        if value is None:
            _refuse("undefined-output", f"nothing gives the output {name!r}", node or name)
        return value

    def _nodes(self, nodes: Sequence[NodeProto], scope: Scope) -> None:
        outside = scope.parent.has if scope.parent else lambda name: False
        for index, node in ordered(nodes, set(scope.values), outside):
            self.builder.spend(scope.repeated)
            self._node(node, index, scope)

    def _node(self, node: NodeProto, index: int, scope: Scope) -> None:
        op, domain = node.op_type, domain_of(node.domain)
        label = scope.prefix + (node.name or f"{op}_{index}")
        inputs = [scope.find(name) if name else None for name in node.input]
        attributes = self._attributes(node, scope, label)
        function = self.functions.get(key_of(node)) if self.functions else None
        if function is not None:
            self._call(function, node, inputs, attributes, scope, self.builder.unique_layer(label))
            return
        if domain == "" and "" not in scope.opsets:
            _refuse("missing-opset", "The model uses standard operators and does not say of which opset.", label)
        rule = rule_for(domain, op)
        constant = rule is not None and not rule.structural and all(v is None or v.constant is not None for v in inputs)
        name = label if constant else self.builder.unique_layer(label)
        call = Call(self, op, version_for(domain, scope.opsets.get(domain, 1)), attributes, inputs, node.output, name, scope)
        taken = None if self.variant is None or constant else self.variant.apply(call)
        if taken is not None:
            self._bind(scope, next(name for name in call.outputs if name), taken)
        elif rule is None:
            reason = f"there is no rule for the operator {op!r}" + (f" of the domain {domain!r}" if domain else "")
            self.builder.note("unknown-operator", name, f"{op} {name!r}: {reason}.")
            results = self._unknown(call, reason)
            for value in inputs:  # its weights are there, whatever it does with them
                if value is not None and value.constant is not None and "float" in value.dtype and value.constant.origin.count > 1:
                    call.add_other(value)
            self._finish(call, results, Rule(lambda call: ()))
        elif constant:
            for output, value in zip(node.output, self._fold(call, rule), strict=True):
                self._bind(scope, output, value)
        else:
            self._lower(call, rule)

    def _attributes(self, node: NodeProto, scope: Scope, label: str) -> Attributes:
        """The attributes of a node, those that refer to the attributes of a function call replaced by these."""
        if scope.references is None:
            return Attributes(node.attribute, label)
        resolved = []
        for attribute in node.attribute:
            given = scope.references.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
            if given is not None and given is not attribute:
                copy = AttributeProto()
                copy.CopyFrom(given)
                copy.name = attribute.name
                given = copy
            if given is not None:
                resolved.append(given)
        return Attributes(resolved, label)

    def _call(
        self, function: FunctionProto, node: NodeProto, inputs: Sequence[Value | None], attributes: Attributes, outer: Scope, name: str
    ) -> None:
        """Inline a call of a model-local function."""
        references = {attribute.name: attribute for attribute in function.attribute_proto}
        references.update(attributes.by_name)
        opsets = {domain_of(o.domain): o.version for o in function.opset_import} or outer.opsets
        wanted = {inner: given for inner, given in zip(function.output, node.output, strict=False) if given}
        renamed = {inner: self._tensor_name(outer, given) for inner, given in wanted.items()}
        scope = Scope(opsets, f"{name}/", references=references, renamed=renamed, repeated=outer.repeated)
        for position, formal in enumerate(function.input):
            scope.values[formal] = inputs[position] if position < len(inputs) else None
        for info in function.value_info:
            scope.declared[info.name] = info
        self._nodes(function.node, scope)
        for inner, given in wanted.items():
            outer.values[given] = self.output(scope, inner, name)

    # Constants

    def _fold(self, call: Call, rule: Rule) -> list[Value]:
        """The results of a node whose inputs are all constants: computed where small, else to be computed when asked for."""
        operands = tuple(None if v is None else v.constant for v in call.inputs)
        operation = (
            None if rule.fold is None else Operation(rule.fold, rule.keeps, call.version, call.attributes, operands, len(call.outputs))
        )
        arrays = None if operation is None else self._small_results(call, operation)
        if arrays is not None and len(arrays) >= len(call.outputs):
            return [
                self._constant(call, rule.keeps, operation, i, Value("", array.shape, str(array.dtype)), array)
                for i, array in enumerate(arrays[: len(call.outputs)])
            ]
        try:
            results = _lowered(call, rule)
        except ShapeError:
            results = []
        values = []
        for index, output in enumerate(call.outputs):
            value = results[index] if index < len(results) else self._declared(call.scope, output)
            if value.constant is None or (value.constant.opaque and operation is not None):
                value = self._constant(call, rule.keeps, operation, index, Value("", value.shape, value.dtype))
            values.append(value)
        return values

    def _small_results(self, call: Call, operation: Operation) -> tuple[Array, ...] | None:
        operands: list[Array | None] = []
        for value in call.inputs:
            array = None if value is None else self.evaluator.small(value)
            if value is not None and array is None:
                return None
            operands.append(array)
        return apply(replace(operation, most=SMALL), operands)

    def _constant(
        self, call: Call, keeps: Keeps, operation: Operation | None, index: int, result: Value, array: Array | None = None
    ) -> Value:
        """The result of a call over constants, of the shape and type of `result`."""
        result.name = self._tensor_name(call.scope, call.outputs[index]) if call.outputs[index] else ""
        result.constant = Constant(origin_of(keeps, call, result, operation, index), operation=operation, index=index)
        if array is not None:
            self.evaluator.keep(result.constant, array)
        return result

    # Layers

    def _lower(self, call: Call, rule: Rule) -> None:
        """Lower a node that depends on an input; where that fails it becomes an unknown with the reason."""
        try:
            results = _lowered(call, rule)
        except ShapeError as error:
            if all(value.shape is not None or value.items is not None for value in call.data()):
                self.builder.note("shape-unknown", call.name, f"{call.op} {call.name!r}: {error}.")
            results = self._unknown(call, str(error), bound=isinstance(error, Undecided))
            if rule.keeps == "part":
                call.add_other(call.optional(0))  # the table that some unknown part is cut out of
        self._finish(call, results, rule)

    def _unknown(self, call: Call, reason: str, bound: bool = False) -> list[Value]:
        """One unknown node for all outputs, with the shapes that the file declares; a bound where the data choose and these are known."""
        call.nodes.clear()
        call.values.clear()
        values = [self._declared(call.scope, name) for name in call.outputs]
        shapes = [value.shape for value in values if value.shape is not None]
        sources = flattened(call.inputs)
        if bound and len(shapes) == len(values) and all(value.shape is not None for value in sources):
            return list(call.data_dependent(shapes, reason, *sources))
        return list(call.unknown(values, reason))

    def _declared(self, scope: Scope, name: str) -> Value:
        info = scope.declared.get(name)
        if info is None:
            return Value("", None, "undefined")
        said = declared(info)
        shape = self.inputs.concrete(said.dims)
        try:
            return Value("", None if shape is None else checked(shape), said.dtype)
        except ShapeError:
            return Value("", None, said.dtype)

    def _finish(self, call: Call, results: list[Value], rule: Rule) -> None:
        """Bind the results to the names of the outputs, and append the layer if the node turned into core nodes."""
        if len(results) < sum(1 for name in call.outputs if name):
            call.refuse("too-many-outputs", f"it has {len(call.outputs)} outputs, its operator {len(results)}")
        final: dict[str, str] = {}
        bound: list[Value] = []
        for output, value in zip(call.outputs, results, strict=False):
            if not output:
                continue
            if value.constant is None and value.items is None:
                if value.name not in call.values and not rule.structural:
                    value = call.emit(core.Elementwise("identity"), value)
                if value.name in call.values:
                    value = value if value.name not in final else call.emit(core.Elementwise("identity"), value)
                    final[value.name] = self._tensor_name(call.scope, output)
            self._bind(call.scope, output, value)
            bound.append(value)
        if call.nodes:
            self._append(call, final, rule, bound)

    def _append(self, call: Call, final: dict[str, str], rule: Rule, results: Sequence[Value]) -> None:
        """Give the temporary tensors of a call their names, and add its layer. `final` are the names of those that are outputs."""
        for temporary, value in call.values.items():
            value.name = final.get(temporary) or self.builder.unique_tensor(temporary)
            final[temporary] = value.name
            self.builder.register(value)
        for value in call.constants.values():
            self.builder.register(value)
        nodes = tuple(
            Node(n.operator, tuple(final.get(i, i) for i in n.inputs), tuple(final.get(o, o) for o in n.outputs)) for n in call.nodes
        )
        made = {value.name for value in call.values.values()}
        outputs = tuple(dict.fromkeys(v.name for v in flattened(results) if v.name in made))
        self.builder.append(call.layer(rule.kind, nodes, outputs), call.added)

    def _bind(self, scope: Scope, output: str, value: Value) -> None:
        """Give a value its name in a scope. A constant that a rule made has no name of its own yet."""
        if not output:
            return
        if not value.name:
            value.name = self._tensor_name(scope, output)
            if value.constant is not None:
                value.constant.origin = value.constant.origin.called(value.name)
        scope.values[output] = value

    def _tensor_name(self, scope: Scope, name: str) -> str:
        """The graph's name for a value: its own at the top, with the callers' names before it elsewhere."""
        if not scope.prefix:
            return name
        return scope.renamed.get(name) or self.builder.unique_tensor(scope.prefix + name)


def _lowered(call: Call, rule: Rule) -> list[Value]:
    """The results of a rule; ShapeError also where the rule finds fewer axes or numbers than its operator is due."""
    try:
        results = list(rule.lower(call))
        follow_masks(call, results)
        return results
    except (Refused, ShapeError):
        raise
    except (ValueError, IndexError, KeyError, ArithmeticError) as error:
        raise ShapeError("its inputs do not fit the operator") from error


def _size(nodes: Iterable[NodeProto]) -> int:
    return sum(1 + sum(_size(graph.node) for graph in subgraphs(node)) for node in nodes)


def _refuse(code: str, detail: str, pointer: str) -> NoReturn:
    raise Refused("invalid", code, detail, [Detail(pointer, detail, code)])
