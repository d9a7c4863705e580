"""Small ONNX models, their reading from memory, and what they really read: found by changing the input and running them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from service.analysis import Reading as Analysed
from service.graph import Graph, Layer, Shape
from service.graph import operators as core
from service.graph.model import Model, ModelFacts
from service.readers.onnx import OnnxWeights, Reading
from service.readers.tensors.stored import Storage
from tests.oracle import DEFINITIONS, connected
from tests.readers.wire_bytes import scan_bytes
from tests.reports import analyzed

Bools = NDArray[np.bool_]


def node(op: str, *inputs: str, outputs: Sequence[str] = ("y",), name: str = "node", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), list(outputs), name=name, domain=domain, **attributes)


def info(name: str, shape: Sequence[int | str | None] | None, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str | None] | None],
    stored: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
    **more: Any,
) -> onnx.ModelProto:
    """A model whose inputs are float32 and whose stored tensors are the given arrays."""
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (stored or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [info(n, s) for n, s in inputs.items()],
        [info(n, None) for n in outputs],
        tensors,
        value_info=more.pop("value_info", ()),
    )
    domains = {"": opset} | {n.domain: 1 for n in nodes if n.domain} | more.pop("domains", {})
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in domains.items()], ir_version=10, **more)


def reading(proto: onnx.ModelProto, missing: str = "error") -> Reading:
    scanned = scan_bytes(proto.SerializeToString())
    return Reading(scanned.model, Storage(scanned, {}, missing))  # type: ignore[arg-type]


def read(proto: onnx.ModelProto, fixed: Mapping[str, Shape] | None = None, stand_in: int = 256) -> Graph:
    return reading(proto).graph(fixed, stand_in)


def single(op: str, shape: Sequence[int], *stored: Any, opset: int = 21, domain: str = "", **attributes: Any) -> onnx.ModelProto:
    """A model of one node: x, then stored arrays; None leaves an input out."""
    names = ["x", *("" if array is None else f"c{i}" for i, array in enumerate(stored))]
    kept = {f"c{i}": array for i, array in enumerate(stored) if array is not None}
    return model([node(op, *names, domain=domain, **attributes)], {"x": shape}, kept, opset=opset)


def shape_of(graph: Graph, name: str = "y") -> Shape | None:
    return graph.tensors[name].shape


def layer(graph: Graph, name: str) -> Layer:
    return next(one for one in graph.layers if one.name == name)


def status(one: Layer) -> str:
    """exact, bound or unknown: how far a layer could be followed."""
    operators = [n.operator for n in one.nodes]
    if any(isinstance(o, core.Unknown) for o in operators):
        return "unknown"
    return "bound" if any(isinstance(o, core.DataDependent) for o in operators) else "exact"


def stated(graph: Graph, source: str, output: str) -> Bools | None:
    """Which units of an input each unit of an output reads, by the definitions of the core operators; None where they do not say."""
    start = graph.tensors[source].shape or ()
    wired: dict[str, Bools] = {source: np.eye(math.prod(start), dtype=bool)}
    for one in graph.layers:
        for n in one.nodes:
            present = [name for name in n.inputs if name in wired]
            if not present:
                continue
            operator = core.Elementwise("scale") if isinstance(n.operator, core.BatchNormalization) else n.operator
            if type(operator) not in DEFINITIONS:
                return None
            shapes = [graph.tensors[name].shape or () for name in n.inputs]
            result = graph.tensors[n.outputs[0]].shape or ()
            matrices = connected(operator, shapes, result).matrices
            parts = [(m > 0) @ wired[name] for m, name in zip(matrices, n.inputs, strict=True) if name in wired]
            wired[n.outputs[0]] = np.logical_or.reduce(parts)
    none = np.zeros((math.prod(graph.tensors[output].shape or ()), math.prod(start)), dtype=bool)
    return wired.get(output, none)


def measured(proto: onnx.ModelProto, feeds: Mapping[str, Any], source: str, output: str, rounds: int = 3) -> Bools:
    """Which units of an output change when a unit of an input does: at least what it reads."""
    session = ReferenceEvaluator(proto)
    random = np.random.default_rng(7)
    given = np.asarray(feeds[source])
    found: Bools | None = None
    for turn in range(rounds):
        base = (
            given
            if not turn
            else random.permutation(given.ravel()).reshape(given.shape) + random.normal(0, 0.3, given.shape).astype(given.dtype)
        )
        before = np.asarray(session.run([output], {**feeds, source: base})[0]).ravel()
        changed = np.zeros((before.size, given.size), dtype=bool)
        for unit in range(given.size):
            other = base.copy()
            other.reshape(-1)[unit] += given.dtype.type(2.7 if turn % 2 else -1.9)
            after = np.asarray(session.run([output], {**feeds, source: other})[0]).ravel()
            changed[:, unit] = ~np.isclose(after.astype(np.float64), before.astype(np.float64), rtol=1e-4, atol=1e-6, equal_nan=True)
        found = changed if found is None else found | changed
    assert found is not None
    return found


def report_of(proto: onnx.ModelProto, how: Analysed | None = None, fixed: Mapping[str, Shape] | None = None) -> dict[str, Any]:
    """The report of a model, its axes that stay symbolic read with two stand-in lengths as the service does."""
    found = reading(proto)
    graphs = tuple(found.graph(fixed, stand_in) for stand_in in (256, 200))
    facts = ModelFacts(None, "onnx", 1, (), ())
    return analyzed(Model(graphs if graphs[0].symbolic else graphs[:1], OnnxWeights(), facts), how)


def codes(report: Mapping[str, Any]) -> set[str]:
    """The codes of the findings of a report."""
    return {finding["code"] for finding in report["findings"]}
