"""The weights of ONNX layers: which stored tensor, in which layout, with which values."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper

from service.analysis.connections.kernels import kernel_statistics
from service.faults import Refused
from service.graph import Weight
from service.graph import operators as core
from service.readers.onnx import OnnxWeights
from tests.readers.onnx_models import info, layer, measured, model, node, read, single

RANDOM = np.random.default_rng(11)
WEIGHTS = OnnxWeights()


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def values(weight: Weight) -> np.ndarray:
    """The values, read whole and in blocks as they lie."""
    assert WEIGHTS.readable(weight)
    whole = WEIGHTS.array(weight)
    assert whole.shape == weight.shape
    stored = WEIGHTS.stored(weight)
    lying = np.concatenate([block.real() for block in stored.blocks(64)])
    assert_array_equal((lying.T if stored.turned else lying).reshape(whole.shape), whole)
    return whole


def kernel(proto: onnx.ModelProto, name: str = "node") -> Weight:
    (weight,) = layer(read(proto), name).kernel
    return weight


def test_convolution() -> None:
    w, b = array(4, 2, 3, 3), array(4)
    graph = read(single("Conv", [1, 2, 8, 8], w, b))
    one = graph.layers[0]
    assert [(k.stored, k.shape, k.count, k.dtype) for k in (*one.kernel, *one.bias)] == [
        ("c0", (4, 2, 3, 3), 72, "float32"),
        ("c1", (4,), 4, "float32"),
    ]
    assert_array_equal(values(one.kernel[0]), w)
    assert_array_equal(values(one.bias[0]), b)
    assert [(k.stored, k.count) for k in graph.stored] == [("c0", 72), ("c1", 4)]


@pytest.mark.parametrize("turned", [0, 1])
def test_gemm_is_inputs_by_units(turned: int) -> None:
    w = array(5, 3) if turned else array(3, 5)
    weight = kernel(single("Gemm", [2, 3], w, array(5), transB=turned))
    assert weight.shape == (3, 5)
    assert_array_equal(values(weight), w.T if turned else w)


def test_a_turned_matrix_is_read_as_it_lies() -> None:
    w = array(40, 30)
    stored = WEIGHTS.stored(kernel(single("Gemm", [2, 30], w, transB=1)))
    assert stored.turned and stored.shape == (40, 30)
    blocks = list(stored.blocks(2000))  # 2000 bytes are 16 rows of 30 float32
    assert [(block.start, len(block.values)) for block in blocks] == [(0, 16), (16, 16), (32, 8)]
    assert_array_equal(np.concatenate([block.values for block in blocks]), w)


def test_a_matrix_on_the_left() -> None:
    w = array(5, 3)
    weight = kernel(model([node("MatMul", "w", "x")], {"x": [3, 4]}, {"w": w}))
    assert_array_equal(values(weight), w.T)


def test_matrices_in_batches_are_a_grouped_convolution() -> None:
    w = array(2, 4, 5)
    proto = single("MatMul", [2, 3, 4], w)
    weight = kernel(proto)
    assert_array_equal(values(weight), w.transpose(0, 2, 1).reshape(10, 4, 1))
    operators = [n.operator for n in read(proto).layers[0].nodes]
    assert [o.groups for o in operators if isinstance(o, core.Convolution)] == [2]


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([("Identity", {})], lambda w: w),
        ([("Cast", {"to": TensorProto.DOUBLE}), ("Cast", {"to": TensorProto.FLOAT})], lambda w: w),
        ([("Transpose", {"perm": [1, 0, 3, 2]})], lambda w: w.transpose(1, 0, 3, 2)),
        ([("Neg", {}), ("Identity", {})], lambda w: -w),
        ([("Unsqueeze", {"axes": [0]}), ("Squeeze", {"axes": [0]})], lambda w: w),
        ([("Relu", {})], lambda w: np.maximum(w, 0)),
    ],
)
def test_what_is_done_to_a_weight_keeps_its_name(ops: list[tuple[str, dict[str, Any]]], expected: Any) -> None:
    w = array(3, 3, 2, 2)
    nodes = [node(op, f"w{i}", outputs=[f"w{i + 1}"], name=f"p{i}", **how) for i, (op, how) in enumerate(ops)]
    proto = model([*nodes, node("Conv", "x", f"w{len(ops)}")], {"x": [1, 3, 8, 8]}, {"w0": w}, opset=11)
    weight = kernel(proto)
    assert (weight.stored, weight.count) == ("w0", 36)
    assert_array_equal(values(weight), expected(w))
    assert [one.name for one in read(proto).layers] == ["node"]


def test_a_weight_scaled_per_filter_keeps_its_name() -> None:
    w, scale = array(4, 3, 2, 2), array(4, 1, 1, 1)
    nodes = [node("Mul", "w", "s", outputs=["ws"], name="scale"), node("Conv", "x", "ws")]
    weight = kernel(model(nodes, {"x": [1, 3, 8, 8]}, {"w": w, "s": scale}))
    assert weight.stored == "w"
    assert_allclose(values(weight), w * scale, rtol=1e-6)


def test_parts_of_a_tensor_are_tensors_of_their_own() -> None:
    w = array(6, 4)
    nodes = [
        node("Split", "w", outputs=["q", "k"], axis=0, num_outputs=2, name="split"),
        node("MatMul", "x", "q", outputs=["a"], name="one"),
        node("MatMul", "x", "k", outputs=["b"], name="two"),
        node("Add", "a", "b", name="add"),
    ]
    graph = read(model(nodes, {"x": [2, 3]}, {"w": w}))
    one, two = layer(graph, "one").kernel[0], layer(graph, "two").kernel[0]
    assert (one.stored, two.stored, one.count) == ("q", "k", 12)
    assert_array_equal(values(two), w[3:])


def test_an_expanded_weight_has_few_scalars() -> None:
    nodes = [node("Expand", "w", "s", outputs=["v"], name="expand"), node("Conv", "x", "v", group=3)]
    weight = kernel(model(nodes, {"x": [1, 3, 8, 8]}, {"w": array(1, 1, 3, 3), "s": np.array([3, 1, 3, 3])}))
    assert (weight.stored, weight.shape, weight.count) == ("w", (3, 1, 3, 3), 9)


def test_one_tensor_in_two_layers() -> None:
    w = array(3, 3)
    nodes = [node("MatMul", "x", "w", outputs=["h"], name="one"), node("Gemm", "h", "w", transB=1, name="two")]
    graph = read(model(nodes, {"x": [2, 3]}, {"w": w}))
    one, two = (layer(graph, name).kernel[0] for name in ("one", "two"))
    assert one.stored == two.stored == "w"
    assert_array_equal(values(one), values(two).T)


# -- quantised ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_axis", [False, True])
def test_zeros_of_a_quantised_weight_are_its_zero_points(per_axis: bool) -> None:
    w = RANDOM.integers(-3, 4, size=(4, 2, 3, 3)).astype(np.int8)
    zero = np.array([0, 1, 2, -1], dtype=np.int8) if per_axis else np.int8(2)
    scale = np.array([0.5, 0.25, 2, 1], dtype=np.float32) if per_axis else np.float32(0.1)
    nodes = [node("DequantizeLinear", "w", "s", "z", outputs=["f"], axis=0, name="dq"), node("Conv", "x", "f")]
    weight = kernel(model(nodes, {"x": [1, 2, 8, 8]}, {"w": w, "s": scale, "z": zero}))
    assert (weight.stored, weight.dtype, weight.count) == ("w", "int8", 72)
    expected = (w.astype(np.int32) - np.reshape(zero, (-1, 1, 1, 1))) * np.reshape(scale, (-1, 1, 1, 1))
    assert_allclose(values(weight), expected, rtol=1e-6)
    assert (values(weight) == 0).sum() == (w == np.reshape(zero, (-1, 1, 1, 1))).sum() > 0


@pytest.mark.parametrize("op", ["ConvInteger", "QLinearConv"])
def test_quantised_convolutions(op: str) -> None:
    w = RANDOM.integers(0, 5, size=(4, 2, 3, 3)).astype(np.uint8)
    one, zero = np.float32(0.5), np.uint8(2)
    inputs = ["x", "w", "", "z"] if op == "ConvInteger" else ["x", "s", "z", "w", "s", "z", "s", "z", "b"]
    proto = model([node(op, *inputs)], {"x": [1, 2, 8, 8]}, {"w": w, "s": one, "z": zero, "b": np.arange(4, dtype=np.int32)})
    proto.graph.input[0].CopyFrom(info("x", [1, 2, 8, 8], TensorProto.UINT8))
    weight = kernel(proto)
    assert (weight.stored, weight.shape) == ("w", (4, 2, 3, 3))
    assert_allclose(values(weight), (w.astype(np.float32) - 2) * (1.0 if op == "ConvInteger" else 0.5))


def test_quantised_matrix_of_four_bits() -> None:
    """MatMulNBits: (N, blocks, block bytes), low half first, zero point 8 where none is given (ContribOperators.md of ONNX Runtime)."""
    inputs, units, block = 40, 3, 32
    numbers = RANDOM.integers(0, 16, size=(units, 2, block)).astype(np.uint8)
    packed = numbers[..., ::2] | (numbers[..., 1::2] << 4)
    scales = array(units * 2)
    proto = single("MatMulNBits", [1, 5, inputs], packed, scales, domain="com.microsoft", K=inputs, N=units, bits=4, block_size=block)
    weight = kernel(proto)
    assert (weight.stored, weight.shape, weight.count, weight.dtype) == ("c0", (inputs, units), 120, "int4")
    expected = ((numbers - 8.0) * scales.reshape(units, 2, 1)).reshape(units, 64)[:, :inputs].T
    assert_allclose(values(weight), expected, rtol=1e-6)


def test_fake_quantised_weight() -> None:
    """Quant of QONNX: round(x/s + z) clipped to the bits, and back."""
    w = array(2, 3, 3, 3)
    stored = {"w": w, "s": np.float32(0.25), "z": np.float32(0), "n": np.float32(3)}
    nodes = [
        node("Quant", "w", "s", "z", "n", outputs=["q"], domain="onnx.brevitas", signed=1, narrow=1, name="quant"),
        node("Conv", "x", "q"),
    ]
    weight = kernel(model(nodes, {"x": [1, 3, 8, 8]}, stored))
    assert weight.stored == "w"
    assert_allclose(values(weight), np.rint(np.clip(w / 0.25, -3, 3)) * 0.25)


# -- parameters outside the connections --------------------------------------------------------------------------------


def test_batch_normalisation_keeps_its_statistics_apart() -> None:
    graph = read(single("BatchNormalization", [1, 3, 8, 8], array(3), array(3), array(3), np.abs(array(3)), epsilon=0.01))
    one = graph.layers[0]
    assert [w.stored for w in one.other] == ["c0", "c1"]
    assert [w.stored for w in one.statistics] == ["c2", "c3"]
    assert isinstance(one.nodes[0].operator, core.BatchNormalization)
    assert one.nodes[0].operator.epsilon == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (single("Add", [2, 3], array(3)), ["c0"]),
        (single("Mul", [2, 3], np.float32(2)), []),
        (single("PRelu", [2, 3], array(3)), ["c0"]),
        (single("LayerNormalization", [2, 3], array(3), array(3)), ["c0", "c1"]),
        (single("Concat", [2, 3], array(1, 3), axis=0), ["c0"]),
    ],
)
def test_other_parameters(proto: onnx.ModelProto, expected: list[str]) -> None:
    assert [w.stored for w in read(proto).layers[0].other] == expected


def test_an_embedding() -> None:
    table = array(7, 4)
    proto = model([node("Gather", "t", "x")], {"x": [2, 5]}, {"t": table})
    proto.graph.input[0].CopyFrom(info("x", [2, 5], TensorProto.INT64))
    one = read(proto).layers[0]
    assert (one.kind, one.kernel[0].shape) == ("embedding", (7, 4))
    assert one.nodes[0].operator == core.Embedding(7, (4,))


def test_an_embedding_along_another_axis() -> None:
    table = array(3, 7)
    proto = model([node("Gather", "t", "x", axis=1)], {"x": [5]}, {"t": table})
    proto.graph.input[0].CopyFrom(info("x", [5], TensorProto.INT64))
    graph = read(proto)
    assert graph.tensors["y"].shape == (3, 5)
    assert_array_equal(values(graph.layers[0].kernel[0]), table.T)


def test_a_kernel_that_is_data_has_no_weights_but_is_read() -> None:
    proto = model([node("Conv", "x", "k")], {"x": [1, 1, 4], "k": [2, 1, 2]})
    graph = read(proto)
    assert graph.layers[0].kernel == ()
    feeds = {"x": array(1, 1, 4), "k": array(2, 1, 2)}
    assert measured(proto, feeds, "k", "y").reshape(2, 3, 4)[0, 0].tolist() == [True, True, False, False]


def test_a_weight_that_the_model_computes_is_not_stored() -> None:
    fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.5])
    nodes = [node("ConstantOfShape", "s", outputs=["w"], value=fill, name="fill"), node("Conv", "x", "w")]
    graph = read(model(nodes, {"x": [1, 3, 8, 8]}, {"s": np.array([2, 3, 3, 3])}))
    weight = graph.layers[0].kernel[0]
    assert (weight.stored, weight.count) == ("w", 54)
    assert_array_equal(values(weight), np.full((2, 3, 3, 3), 0.5))
    assert [w.stored for w in graph.stored] == ["s"]


def test_a_random_weight_cannot_be_read() -> None:
    nodes = [node("RandomNormal", outputs=["w"], shape=[2, 3, 3, 3], name="random"), node("Conv", "x", "w")]
    weight = read(model(nodes, {"x": [1, 3, 8, 8]})).layers[0].kernel[0]
    assert not WEIGHTS.readable(weight)
    with pytest.raises(Refused) as caught:
        WEIGHTS.array(weight)
    assert caught.value.code == "weight-unreadable"


# Zeros.


def nonzero(proto: onnx.ModelProto, tolerance: float = 0.0) -> int:
    known = kernel_statistics(layer(read(proto), "node"), WEIGHTS, tolerance)
    assert known is not None
    return known.nonzero


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zeros_are_of_either_sign_and_subnormals_are_not_zero(dtype: type[np.floating]) -> None:
    """Not a number and infinity are no zeros either, whatever the tolerance."""
    weights = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, np.finfo(dtype).smallest_subnormal, 0.25, -0.25], dtype)
    proto = single("Conv", [1, 8, 4, 4], weights.reshape(1, 8, 1, 1))
    assert nonzero(proto) == 6
    assert nonzero(proto, 0.25) == 3
