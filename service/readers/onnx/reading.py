"""One reading of an ONNX model: ModelProto and input shapes → Graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from onnx import ModelProto, ValueInfoProto, defs

from service.faults import Refused
from service.graph import Graph, Layer, Shape, Source, Tensor, Weight
from service.limits import MAX_NODES
from service.options import Options
from service.readers.onnx.biases import with_biases
from service.readers.onnx.builder import Builder
from service.readers.onnx.editing import Variant
from service.readers.onnx.functions import domain_of, local_functions
from service.readers.onnx.inputs import read_inputs
from service.readers.onnx.inventory import Inventory
from service.readers.onnx.scope import Scope
from service.readers.onnx.trained import trained_inputs
from service.readers.onnx.values import Constant, ModelWeight, Origin, Value
from service.readers.onnx.walk import Walk
from service.readers.tensors.stored import Storage


class Reading:
    """A model that can be read with several input shapes. What does not depend on these is found out once.

    Refused where the model is no valid network.
    """

    def __init__(self, model: ModelProto, storage: Storage, options: Options | None = None) -> None:
        if not model.HasField("graph"):
            raise Refused("invalid", "no-graph", "The model has no graph.")
        if not model.graph.node:
            raise Refused("invalid", "empty-graph", "The graph of the model has no nodes.")
        self._model, self._options = model, options or Options()
        self._opsets = opsets_of(model)
        self._functions = local_functions(model, MAX_NODES)
        self._inventory = Inventory(model, storage)
        self._infos = model_inputs(model)
        self._trained = trained_inputs(model.graph, self._infos)
        names = [info.name for info in self._infos]
        if len(set(names)) < len(names) or "" in names:
            raise Refused("invalid", "duplicate-name", "Two inputs of the model have one name, or one has none.")

    def graph(self, fixed: Mapping[str, Shape] | None = None, stand_in: int = 256, batch: int = 1) -> Graph:
        """The network. `fixed` are the shapes of inputs that the client fixes.

        Of the axes that stay symbolic, leading ones are `batch` long and others `stand_in`. An operator that cannot be followed makes
        an unknown node, and a note says why.
        """
        graph = self._model.graph
        inputs = read_inputs(self._infos, fixed or {}, stand_in, batch)
        reserved = [info.name for info in (*graph.input, *graph.output)]
        reserved.extend(name for node in graph.node for name in node.output)
        builder = Builder((*reserved, *(weight.stored for weight in self._inventory.stored)), MAX_NODES)
        known = all(axis == 0 for _, axis in inputs.symbolic)
        variant = Variant(self._options.edits, self._model, known) if self._options.varied else None
        walk = Walk(builder, self._inventory, self._functions, inputs, variant)
        scope = Scope(self._opsets)
        trained = [_weight(value) for value in inputs.values if value.name in self._trained]
        data = [value for value in inputs.values if value.constant is None]
        for value in inputs.values:
            scope.values[value.name] = value
            builder.register(value)
        if not inputs.values:
            builder.note("no-inputs", None, "The model has no inputs: all that it computes is constant, and no layer is left.")
        walk.graph(graph, scope)
        if variant is not None:
            variant.editing.check_done()
        outputs = [walk.output(scope, info.name) for info in graph.output]
        for value in outputs:
            if value.name not in builder.tensors:
                builder.register(value)
        layers = with_biases(builder.layers, builder.added, builder.tensors, (value.name for value in outputs))
        return Graph(
            name=graph.name,
            inputs=tuple(Tensor(v.name, v.shape, v.dtype) for v in data),
            outputs=tuple(value.name for value in outputs),
            layers=layers,
            tensors=builder.tensors,
            stored=_stored((*self._inventory.stored, *trained), variant, layers),
            symbolic=frozenset(inputs.symbolic),
            notes=tuple(builder.notes),
        )


def _stored(weights: Sequence[Weight], variant: Variant | None, layers: Sequence[Layer]) -> tuple[Weight, ...]:
    """The stored tensors: those that a variant gave another shape in the place of what they were, and without those that only layers
    used which it removed."""
    if variant is None:
        return tuple(weights)
    roles = (weight for layer in layers for weight in (*layer.kernel, *layer.bias, *layer.other, *layer.statistics))
    left = variant.left - {source.name for weight in roles for source in weight.sources}
    others = {name: weight for name, weight in variant.weights.items() if name not in {each.stored for each in weights}}
    return (*(variant.weights.get(each.stored, each) for each in weights if each.stored not in left), *others.values())


def _weight(value: Value) -> ModelWeight:
    """An input that is a weight, from now on a constant whose values are not known."""
    count = math.prod(value.dims)
    value.constant = Constant(Origin(value.name, count, value.dtype, (Source(value.name, count, value.dtype),)))
    return ModelWeight(value.name, value.dims, count, value.dtype, None, value.constant)


def model_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The inputs that a caller has to give: those without a stored default."""
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer} | {tensor.values.name for tensor in graph.sparse_initializer}
    return [info for info in graph.input if info.name not in stored]


def opsets_of(model: ModelProto) -> dict[str, int]:
    """The opset of every domain that a model imports, the standard one under "".

    Refused `missing-opset`, `duplicate-opset`, or `unsupported-opset` for a standard opset that the installed onnx does not know.
    """
    opsets: dict[str, int] = {}
    for entry in model.opset_import:
        domain = domain_of(entry.domain)
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise Refused("invalid", "duplicate-opset", f"The model imports two opsets of the domain {domain or 'ai.onnx'!r}.")
    if not opsets and 1 <= model.ir_version < 3:
        return {"": 1}  # the import of opsets came with IR version 3
    if not opsets:
        raise Refused("invalid", "missing-opset", "The model does not say which opset its operators belong to.")
    if not 1 <= opsets.get("", 1) <= defs.onnx_opset_version():
        detail = f"The model imports opset {opsets['']}; known are 1 to {defs.onnx_opset_version()}."
        raise Refused("invalid", "unsupported-opset", detail)
    return opsets
