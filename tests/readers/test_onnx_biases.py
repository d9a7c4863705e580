"""Biases that a node of its own adds (design section 2): one value for every unit or channel of the layer before, or one for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.readers.onnx_models import layer, model, node, read, report_of
from tests.reports import layer_of

RANDOM = np.random.default_rng(5)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def counted(proto: onnx.ModelProto, name: str = "layer") -> tuple[int, int]:
    """The biases of a layer, and the parameters that the node which adds them keeps for itself."""
    graph = read(proto)
    return sum(w.count for w in layer(graph, name).bias), sum(w.count for one in graph.layers if one.name != name for w in one.other)


def followed(*nodes: onnx.NodeProto, bias: Any, **stored: Any) -> onnx.ModelProto:
    """A dense layer of 20 units at nine positions, and what follows it."""
    first = node("MatMul", "x", "w", outputs=["h"], name="layer")
    return model([first, *nodes], {"x": [1, 9, 12]}, {"w": array(12, 20), "b": bias, **stored})


ADD = node("Add", "h", "b", name="add")


@pytest.mark.parametrize("shape", [(20,), (1, 20), (1, 1, 20), (1,), ()])
def test_a_vector_added_to_a_product_is_its_bias(shape: tuple[int, ...]) -> None:
    report = report_of(followed(ADD, bias=array(*shape)))
    assert report["summary"]["parameters"]["biases"] == max(shape, default=1)
    assert report["summary"]["connections"]["with_bias"] == 9 * 12 * 20 + 9 * 20
    assert layer_of(report, "layer")["parameters"]["total"] == 240 + max(shape, default=1)
    assert layer_of(report, "add")["parameters"]["other"] == 0


@pytest.mark.parametrize("shape", [(9, 20), (9, 1), (1, 9, 1)])
def test_what_varies_over_positions_is_no_bias(shape: tuple[int, ...]) -> None:
    assert counted(followed(ADD, bias=array(*shape))) == (0, int(np.prod(shape)))


def test_a_sum_may_name_the_constant_first_but_a_difference_may_not() -> None:
    assert counted(followed(node("Add", "b", "h", name="add"), bias=array(20))) == (20, 0)
    assert counted(followed(node("Sub", "h", "b", name="add"), bias=array(20))) == (20, 0)
    assert counted(followed(node("Sub", "b", "h", name="add"), bias=array(20))) == (0, 20)


def test_only_the_first_sum_is_the_bias() -> None:
    nodes = [node("Add", "h", "b", outputs=["s"], name="first"), node("Add", "s", "c", name="second")]
    assert counted(followed(*nodes, bias=array(20), c=array(20))) == (20, 20)


def test_behind_an_activation_there_is_no_bias() -> None:
    nodes = [node("Relu", "h", outputs=["a"], name="relu"), node("Add", "a", "b", name="add")]
    assert counted(followed(*nodes, bias=array(20))) == (0, 20)


def test_a_result_that_something_else_reads_has_no_bias() -> None:
    nodes = [node("Add", "h", "b", outputs=["s"], name="add"), node("Mul", "h", "s", name="gate")]
    assert counted(followed(*nodes, bias=array(20))) == (0, 20)
    output = followed(node("Add", "h", "b", name="add"), bias=array(20))
    output.graph.output.append(onnx.helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, None))
    assert counted(output) == (0, 20)


def test_a_layer_with_a_bias_takes_no_second_one() -> None:
    nodes = [node("Gemm", "x", "w", "c", outputs=["h"], name="layer"), ADD]
    assert counted(model(nodes, {"x": [1, 12]}, {"w": array(12, 20), "c": array(20), "b": array(20)})) == (20, 20)


def test_heads_are_split_before_the_bias_is_added() -> None:
    """(9, 20) becomes (9, 4, 5) and (4, 9, 5): one value for each head and unit is a bias, one for each head and position is not."""
    heads = [
        node("Reshape", "h", "shape", outputs=["r"], name="split"),
        node("Transpose", "r", outputs=["t"], name="heads", perm=[0, 2, 1, 3]),
        node("Add", "t", "b", name="add"),
    ]
    shape = np.array([1, 9, 4, 5])
    assert counted(followed(*heads, bias=array(4, 1, 5), shape=shape)) == (20, 0)
    assert counted(followed(*heads, bias=array(4, 9, 1), shape=shape)) == (0, 36)
    assert counted(followed(*heads, bias=array(5), shape=shape)) == (0, 5)


def test_casts_and_quantisation_may_lie_between() -> None:
    nodes = [
        node("QuantizeLinear", "h", "s", outputs=["q"], name="quantise"),
        node("DequantizeLinear", "q", "s", outputs=["d"], name="dequantise"),
        node("Cast", "d", outputs=["c"], name="cast", to=onnx.TensorProto.FLOAT),
        node("Add", "c", "b", name="add"),
    ]
    assert counted(followed(*nodes, bias=array(20), s=np.float32(0.1))) == (20, 0)


def convolved(*nodes: onnx.NodeProto, bias: Any, op: str = "Conv", **stored: Any) -> onnx.ModelProto:
    first = node(op, "x", "w", outputs=["h"], name="layer")
    return model([first, *nodes], {"x": [1, 6, 8, 8]}, {"w": array(6, 6, 3, 3), "b": bias, **stored})


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize(("shape", "expected"), [((6, 1, 1), (6, 0)), ((1, 6, 1, 1), (6, 0)), ((1,), (1, 0)), ((6, 6, 1), (0, 36))])
def test_one_value_for_every_channel_is_the_bias_of_a_convolution(op: str, shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    proto = convolved(ADD, bias=array(*shape), op=op)
    assert counted(proto) == expected
    summary = report_of(proto)["summary"]
    units = layer_of(report_of(proto), "layer")["units"]["out"]
    assert summary["connections"]["with_bias"] - summary["connections"]["exact"] == (units if expected[0] else 0)


def test_channels_may_be_turned_to_the_end_before_the_bias_is_added() -> None:
    """TensorFlow's exporter turns a convolution's result and adds a vector along the last axis."""
    nodes = [node("Transpose", "h", outputs=["t"], name="turn", perm=[0, 2, 3, 1]), node("Add", "t", "b", name="add")]
    assert counted(convolved(*nodes, bias=array(6))) == (6, 0)


def test_a_bias_that_is_gathered_counts_its_entries() -> None:
    nodes = [node("Gather", "table", "places", outputs=["b2"], name="look"), node("Add", "h", "b2", name="add")]
    places = RANDOM.integers(0, 3, size=(6, 1, 1))
    assert counted(convolved(*nodes, bias=array(1), table=array(3), places=places)) == (3, 0)


def test_the_bias_of_an_integer_product_is_added_behind_its_scale() -> None:
    """ONNX Runtime's dynamic quantisation: MatMulInteger, Cast, Mul, Add."""
    nodes = [
        node("DynamicQuantizeLinear", "x", outputs=["q", "s", "z"], name="quantise"),
        node("MatMulInteger", "q", "w", "z", outputs=["h"], name="layer"),
        node("Cast", "h", outputs=["f"], name="cast", to=onnx.TensorProto.FLOAT),
        node("Mul", "f", "s", outputs=["r"], name="scale"),
        node("Add", "r", "b", name="add"),
    ]
    proto = model(nodes, {"x": [9, 12]}, {"w": RANDOM.integers(-9, 9, size=(12, 20)).astype(np.int8), "b": array(20)})
    assert counted(proto) == (20, 0)


def test_a_scale_behind_a_product_of_real_numbers_is_no_part_of_it() -> None:
    nodes = [node("Mul", "h", "s", outputs=["r"], name="scale"), node("Add", "r", "b", name="add")]
    assert counted(followed(*nodes, bias=array(20), s=np.float32(3))) == (0, 20)


def test_fused_activations_add_the_bias_of_the_layer_before() -> None:
    """BiasGelu of ONNX Runtime's optimiser."""
    assert counted(followed(node("BiasGelu", "h", "b", name="add", domain="com.microsoft"), bias=array(20))) == (20, 0)


def test_a_number_that_nothing_stores_is_no_bias() -> None:
    """hard-swish adds 3, which is an attribute."""
    three = node("Constant", outputs=["three"], name="three", value_float=3.0)
    assert counted(followed(three, node("Add", "h", "three", name="add"), bias=array(20))) == (0, 0)
