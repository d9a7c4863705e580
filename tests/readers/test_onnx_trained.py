"""Weights that are inputs of the graph, as training graphs have them."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from service.graph import Graph
from tests.readers.onnx_models import layer, model, node, read, report_of
from tests.reports import layer_of

INTEGERS = onnx.TensorProto.INT64


def inputs(graph: Graph) -> list[str]:
    return [tensor.name for tensor in graph.inputs]


def perceptron(*more: onnx.NodeProto, **extra: Any) -> onnx.ModelProto:
    """A convolution and a linear layer whose parameters all come from outside."""
    nodes = [
        node("Conv", "x", "w", "b", outputs=["h"], name="conv"),
        node("Relu", "h", outputs=["r"], name="relu"),
        node("Flatten", "r", outputs=["f"], name="flat"),
        node("Gemm", "f", "m", "v", name="fc", transB=1),
        *more,
    ]
    return model(nodes, {"x": ["n", 1, 8, 8], "w": [4, 1, 3, 3], "b": [4], "m": [10, 144], "v": [10], **extra})


def test_kernels_and_biases_of_a_training_graph_are_weights() -> None:
    report = report_of(perceptron())
    assert report["summary"]["parameters"] == {"stored": 36 + 4 + 1440 + 10, "referenced": 1490, "weights": 1476, "biases": 14, "other": 0}
    assert layer_of(report, "conv")["connections"]["exact"] == 36 * 36
    assert layer_of(report, "conv")["connections"]["effective"] is None
    assert inputs(read(perceptron())) == ["x"]
    assert {entry["tensor"] for entry in report["ledger"]} == {"w", "b", "m", "v"}
    assert report["summary"]["receptive_field"]["input"] == "x"


def test_a_matrix_without_a_bias_is_a_weight_beside_others() -> None:
    """The rest of the graph says what kind of graph it is."""
    more = node("MatMul", "y", "head", outputs=["z"], name="head")
    graph = read(perceptron(more, head=[10, 3]))
    assert inputs(graph) == ["x"]
    assert [weight.stored for weight in layer(graph, "head").kernel] == ["head"]


def test_an_optimiser_says_that_the_graph_trains() -> None:
    nodes = [
        node("MatMul", "x", "w", name="fc"),
        node("Momentum", "rate", "step", "w", "g", "m", outputs=["w2", "m2"], name="update", domain="ai.onnx.preview.training"),
    ]
    given = {"x": ["n", 4], "w": [4, 3], "g": [4, 3], "m": [4, 3], "rate": [], "step": []}
    graph = read(model(nodes, given, outputs=["y", "w2"]))
    assert [weight.stored for weight in layer(graph, "fc").kernel] == ["w"]
    assert "w" not in inputs(graph)


def test_a_turned_or_cast_input_is_followed() -> None:
    nodes = [
        node("Transpose", "w", outputs=["t"], name="turn", perm=[1, 0]),
        node("Gemm", "x", "t", "b", name="fc"),
    ]
    graph = read(model(nodes, {"x": ["n", 4], "w": [3, 4], "b": [3]}))
    assert [weight.stored for weight in layer(graph, "fc").kernel] == ["w"]


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_the_matrices_of_a_recurrent_layer_are_weights(op: str) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    proto = model([node(op, "x", "w", "r", name="cell", hidden_size=6)], {"x": [5, 1, 3], "w": [1, gates * 6, 3], "r": [1, gates * 6, 6]})
    assert layer_of(report_of(proto), "cell")["parameters"]["weights"] == gates * 6 * 9
    assert inputs(read(proto)) == ["x"]


def test_scales_of_a_normalisation_are_parameters() -> None:
    proto = model([node("LayerNormalization", "x", "s", "b", name="norm")], {"x": ["n", 8], "s": [8], "b": [8]})
    assert layer_of(report_of(proto), "norm")["parameters"]["other"] == 16


def test_a_template_that_is_correlated_with_is_data() -> None:
    """A tracker's second input is the kernel of a convolution, and no weight."""
    graph = read(model([node("Conv", "x", "template", name="match")], {"x": [1, 4, 16, 16], "template": [1, 4, 5, 5]}))
    assert inputs(graph) == ["x", "template"]
    assert layer(graph, "match").kernel == ()


@pytest.mark.parametrize("shapes", [{"a": [2, 3], "b": [3, 4]}, {"a": ["n", 3], "b": [3, 4]}])
def test_two_matrices_of_a_product_are_data(shapes: dict[str, Any]) -> None:
    assert inputs(read(model([node("MatMul", "a", "b")], shapes))) == ["a", "b"]


def test_an_input_of_open_shape_or_that_something_else_reads_is_data() -> None:
    open_shape = perceptron(node("MatMul", "y", "head", outputs=["z"], name="head"), head=["k", 3])
    assert inputs(read(open_shape)) == ["x", "head"]
    read_twice = perceptron(node("Relu", "head", outputs=["a"]), node("MatMul", "y", "head", outputs=["z"], name="head"), head=[10, 3])
    assert inputs(read(read_twice)) == ["x", "head"]
