"""Every type of layer of the spec: what it becomes in the core vocabulary, its shapes and its weights."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from service.graph import operators as core
from service.graph.network import Graph, Layer
from service.options import Options
from service.readers.spec.entry import read_spec
from service.readers.spec.layers import TYPES
from service.readers.spec.values import InlineWeights
from tests.networks import EXAMPLES


def read(shape: list[int | None], *layers: dict[str, Any], options: Options | None = None, **more: Any) -> tuple[Graph, InlineWeights]:
    spec = {"receptive": 1, "input": {"shape": shape}, "layers": list(layers), **more}
    return read_spec(json.dumps(spec).encode(), options or Options())


def one(shape: list[int | None], layer: dict[str, Any]) -> tuple[Layer, tuple[int, ...]]:
    """The only layer of a spec, and the shape of its result without the batch."""
    graph, _ = read(shape, {"name": "layer", **layer})
    output = graph.tensors["layer"].shape
    assert output is not None and output[0] == 1 and graph.outputs == ("layer",)
    return graph.layers[-1], output[1:]


def operators(layer: Layer) -> list[core.Operator]:
    return [node.operator for node in layer.nodes]


def test_conv() -> None:
    layer, shape = one(
        [6, 9, 8], {"type": "conv", "filters": 4, "kernel": [3, 1], "stride": [2, 1], "padding": [[1, 2], [0, 3]], "groups": 2}
    )
    assert operators(layer) == [core.Convolution((3, 1), (2, 1), (1, 1), ((1, 2), (0, 3)), 4, 2)]
    assert (layer.op, layer.kind, shape) == ("conv", "convolution", (4, 5, 11))
    assert [(w.shape, w.count, w.stored) for w in (*layer.kernel, *layer.bias)] == [
        ((4, 3, 3, 1), 36, "layer.kernel"),
        ((4,), 4, "layer.bias"),
    ]


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "dilation", "word", "expected"),
    [
        (224, 3, 2, 1, "same", (0, 1)),
        (225, 3, 2, 1, "same", (1, 1)),
        (224, 3, 2, 1, "same_lower", (1, 0)),
        (224, 11, 4, 1, "same", (3, 4)),
        (10, 1, 4, 1, "same", (0, 0)),
        (10, 3, 1, 4, "same", (4, 4)),
        (10, 4, 1, 1, "same", (1, 2)),
        (10, 4, 1, 1, "valid", (0, 0)),
        (10, 4, 1, 2, "causal", (6, 0)),
    ],
)
def test_padding_by_word(length: int, kernel: int, stride: int, dilation: int, word: str, expected: tuple[int, int]) -> None:
    """TensorFlow: ceil(n/s) places, total = max((ceil(n/s) - 1)s + d(k - 1) + 1 - n, 0), the odd unit at the end."""
    layer, shape = one(
        [1, length], {"type": "conv", "filters": 1, "kernel": kernel, "stride": stride, "dilation": dilation, "padding": word}
    )
    assert layer.nodes[0].operator.pads == (expected,)  # type: ignore[attr-defined]
    if word.startswith("same"):
        assert shape == (1, -(-length // stride))


def test_conv_in_one_two_and_three_dimensions() -> None:
    for rank in (1, 2, 3):
        layer, shape = one([2, *[7] * rank], {"type": "conv", "filters": 5, "kernel": 3, "padding": 1, "stride": 2})
        assert shape == (5, *[4] * rank)
        assert layer.kernel[0].shape == (5, 2, *[3] * rank)


def test_conv_with_a_connection_table() -> None:
    table = [[0, 2], [1], [0, 1, 2]]
    weights = [[[[1, 2]], [[3, 4]]], [[[5, 6]]], [[[1, 1]], [[2, 2]], [[3, 3]]]]
    spec = {"name": "c", "type": "conv", "filters": 3, "kernel": [1, 2], "connection_table": table, "weights": weights, "bias": False}
    graph, reader = read([3, 4, 4], spec)
    layer = graph.layers[0]
    assert layer.nodes[0].operator.table == ((0, 2), (1,), (0, 1, 2))  # type: ignore[attr-defined]
    (kernel,) = layer.kernel
    assert (kernel.shape, kernel.count, layer.bias) == ((3, 3, 1, 2), 12, ())
    assert reader.readable(kernel)
    expected = [[[1, 2], [0, 0], [3, 4]], [[0, 0], [5, 6], [0, 0]], [[1, 1], [2, 2], [3, 3]]]
    assert reader.array(kernel)[:, :, 0].tolist() == expected
    assert np.concatenate([block.values for block in reader.stored(kernel).blocks(1)]).tolist() == reader.array(kernel).tolist()


def test_conv_without_weights_has_none_to_read() -> None:
    graph, reader = read([1, 4], {"type": "conv", "filters": 1, "kernel": 2})
    assert not reader.readable(graph.layers[0].kernel[0])


def test_untied_biases_are_one_for_each_unit() -> None:
    layer, _ = one([1, 16, 16], {"type": "conv", "filters": 12, "kernel": 5, "stride": 2, "padding": 2, "bias": "untied"})
    assert [w.count for w in layer.bias] == [768]


def test_fixed_weights_are_no_parameters() -> None:
    layer, _ = one([84], {"type": "dense", "units": 10, "bias": False, "trainable": False})
    assert [(w.shape, w.count) for w in layer.kernel] == [((84, 10), 0)]


def test_depthwise_conv() -> None:
    layer, shape = one([3, 8, 8], {"type": "depthwise_conv", "kernel": 3, "multiplier": 2, "padding": "same"})
    assert operators(layer) == [core.Convolution((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), 6, 3)]
    assert (layer.kind, shape, layer.kernel[0].shape, layer.bias[0].count) == ("convolution", (6, 8, 8), (6, 1, 3, 3), 6)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        # PyTorch ConvTranspose1d: (n - 1)s - 2p + d(k - 1) + output_padding + 1
        ({"kernel": 4, "stride": 2, "padding": 1}, 10),
        ({"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}, 10),
        ({"kernel": 3, "stride": 2}, 11),
        ({"kernel": 3, "stride": 2, "dilation": 2, "padding": "valid"}, 13),
        # Keras: "same" gives n·s, whichever of kernel and stride is longer
        ({"kernel": 3, "stride": 2, "padding": "same"}, 10),
        ({"kernel": 5, "stride": 2, "padding": "same_lower"}, 10),
        ({"kernel": 2, "stride": 3, "padding": "same"}, 15),
    ],
)
def test_conv_transpose(fields: dict[str, Any], length: int) -> None:
    layer, shape = one([6, 5], {"type": "conv_transpose", "filters": 4, "groups": 2, **fields})
    assert (layer.kind, shape) == ("transposed-convolution", (4, length))
    assert layer.kernel[0].shape == (6, 2, fields["kernel"])


def test_local_has_a_weight_for_each_connection() -> None:
    layer, shape = one([2, 4, 3], {"type": "local", "filters": 5, "kernel": 3, "padding": 1})
    assert (layer.kind, shape) == ("locally-connected", (5, 4, 3))
    # along the axis of 4: 2 + 3 + 3 + 2 real taps, along that of 3: 2 + 3 + 2
    assert layer.kernel[0].count == 10 * 7 * 2 * 5
    assert layer.bias[0].count == 5 * 4 * 3


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "dilation", "padding"), [(9, 4, 3, 2, 5), (5, 2, 4, 1, 3), (7, 3, 1, 3, 6), (8, 1, 1, 1, 2)]
)
def test_local_counts_the_taps_that_are_no_padding(length: int, kernel: int, stride: int, dilation: int, padding: int) -> None:
    fields = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
    layer, (_, places) = one([1, length], {"type": "local", "filters": 1, **fields})
    reached = [o * stride - padding + k * dilation for o in range(places) for k in range(kernel)]
    assert layer.kernel[0].count == sum(0 <= i < length for i in reached)


def test_subsample() -> None:
    layer, shape = one([6, 28, 28], {"type": "subsample", "kernel": 2})
    assert operators(layer) == [core.Subsampling((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))]
    assert (shape, layer.kernel[0].count, layer.bias[0].count) == ((6, 14, 14), 6, 6)


def test_pool() -> None:
    layer, shape = one([3, 8, 8], {"type": "pool", "mode": "avg", "kernel": 3, "stride": 2, "ceil_mode": True})
    assert operators(layer) == [core.Pooling((3, 3), (2, 2), (1, 1), ((0, 0), (0, 0)), "avg", True)]
    assert (layer.kind, shape) == ("pooling", (3, 4, 4))
    assert one([3, 9], {"type": "pool", "kernel": 3})[1] == (3, 3)
    assert one([3, 8, 8], {"type": "pool", "kernel": 3, "stride": 2, "padding": "same"})[1] == (3, 4, 4)


def test_global_pool() -> None:
    layer, shape = one([3, 8, 8], {"type": "global_pool"})
    assert (operators(layer), layer.kind, shape) == ([core.Reduction((2, 3))], "global", (3, 1, 1))
    assert one([3, 8, 8], {"type": "global_pool", "keepdims": False})[1] == (3,)


def test_dense() -> None:
    layer, shape = one([7], {"type": "dense", "units": 4})
    assert (operators(layer), layer.kind, shape) == ([core.Dense(4)], "dense", (4,))
    assert [(w.shape, w.count) for w in (*layer.kernel, *layer.bias)] == [((7, 4), 28), ((4,), 4)]


def test_dense_over_positions_says_so() -> None:
    graph, _ = read([5, 7], {"name": "d", "type": "dense", "units": 4})
    assert graph.tensors["d"].shape == (1, 5, 4)
    assert [(code, layer) for code, layer, _ in graph.notes] == [("dense-over-positions", "d")]


def test_dense_follows_a_global_pool() -> None:
    graph, _ = read([16, 7, 7], {"type": "global_pool"}, {"name": "d", "type": "dense", "units": 4})
    assert graph.tensors["d"].shape == (1, 4) and graph.layers[-1].kernel[0].shape == (16, 4)
    assert not graph.notes


def test_dense_along_another_axis() -> None:
    layer, shape = one([16, 7, 9], {"type": "dense", "units": 4, "axis": 0})
    assert operators(layer) == [core.Transposing((0, 2, 3, 1)), core.Dense(4), core.Transposing((0, 3, 1, 2))]
    assert (shape, layer.kernel[0].shape) == ((4, 7, 9), (16, 4))
    assert one([16, 7, 9], {"type": "dense", "units": 4, "axis": -1})[1] == (16, 7, 4)


def test_tied_dense() -> None:
    by_lags, _ = one([6], {"type": "dense", "units": 2, "tie": {"lags": [1, 3, 6]}})
    assert operators(by_lags) == [core.Dense(2, ((0,), (1, 2), (3, 4, 5)))]
    assert (by_lags.kernel[0].shape, by_lags.kernel[0].count) == ((3, 2), 6)
    by_groups, _ = one([6], {"type": "dense", "units": 2, "tie": [[0], [1, 2], [3, 4, 5]]})
    assert operators(by_groups) == operators(by_lags)


def test_units_in_other_places() -> None:
    assert one([2, 3, 4], {"type": "flatten"})[1] == (24,)
    assert one([2, 3, 4], {"type": "reshape", "shape": [6, -1]})[1] == (6, 4)
    assert one([24], {"type": "reshape", "shape": [2, 3, 4]})[1] == (2, 3, 4)
    layer, shape = one([2, 3, 4], {"type": "permute", "order": [1, 2, 0]})
    assert (operators(layer), shape, layer.kind) == ([core.Transposing((0, 2, 3, 1))], (3, 4, 2), "reshape")


def test_pad_and_crop() -> None:
    layer, shape = one([1, 5, 6], {"type": "pad", "padding": [[1, 2], [0, 3]], "mode": "reflect"})
    assert operators(layer) == [core.Padding(((0, 0), (0, 0), (1, 2), (0, 3)), "reflect")]
    assert shape == (1, 8, 9)
    layer, shape = one([1, 5, 6], {"type": "crop", "padding": [[1, 2], [0, 3]]})
    assert (operators(layer), shape) == ([core.Slicing(2, 1, 1, 2), core.Slicing(3, 0, 1, 3)], (1, 2, 3))
    assert operators(one([1, 5], {"type": "crop", "padding": 0})[0]) == [core.Elementwise("identity")]


def test_upsample() -> None:
    layer, shape = one([1, 5, 6], {"type": "upsample", "factor": [2, 1.5]})
    assert shape == (1, 10, 9)
    assert operators(layer) == [
        core.Resampling(2, 10, 2.0, "nearest", "asymmetric", "floor"),
        core.Resampling(3, 9, 1.5, "nearest", "asymmetric", "floor"),
    ]
    layer, shape = one([1, 5], {"type": "upsample", "size": 9, "mode": "linear", "align_corners": True})
    assert (operators(layer), shape) == ([core.Resampling(2, 9, 9 / 5, "linear", "align_corners", "floor")], (1, 9))
    layer, _ = one([1, 5], {"type": "upsample", "factor": 2, "mode": "cubic"})
    assert operators(layer) == [core.Resampling(2, 10, 2.0, "cubic", "half_pixel", "floor")]


def run(layer: Layer, values: np.ndarray) -> np.ndarray:
    """The result of a layer of nothing but reshapes and transposes."""
    for operator in operators(layer):
        values = values.reshape(operator.shape) if isinstance(operator, core.Reshaping) else values.transpose(operator.order)  # type: ignore[attr-defined]
    return values


def test_blocks_move_as_in_onnx() -> None:
    """The reference of ONNX's SpaceToDepth and DepthToSpace (DCR), written out unit by unit."""
    image = np.arange(3 * 4 * 6).reshape(1, 3, 4, 6)
    layer, shape = one([3, 4, 6], {"type": "space_to_depth", "block": 2})
    deep = run(layer, image)
    assert shape == (12, 2, 3)
    for row, column, channel in np.ndindex(2, 2, 3):
        assert (deep[0, (row * 2 + column) * 3 + channel] == image[0, channel, row::2, column::2]).all()
    layer, shape = one([12, 2, 3], {"type": "depth_to_space", "block": 2})
    assert shape == (3, 4, 6)
    assert (run(layer, deep) == image).all()
    assert one([2, 6], {"type": "space_to_depth", "block": 3})[1] == (6, 2)
    assert one([16, 2, 2, 2], {"type": "depth_to_space", "block": 2})[1] == (2, 4, 4, 4)


def test_activations() -> None:
    layer, _ = one([3, 8], {"type": "activation", "function": "relu"})
    assert (operators(layer), layer.kind, layer.other) == ([core.Elementwise("relu")], "activation", ())
    assert operators(one([3, 8], {"type": "activation", "function": "softmax"})[0]) == [core.Mixing((1,), "softmax")]
    assert operators(one([3, 8], {"type": "activation", "function": "softmax", "axis": -1})[0]) == [core.Mixing((2,), "softmax")]
    layer, _ = one([3, 8], {"type": "activation", "function": "prelu"})
    assert [w.count for w in layer.other] == [3]
    layer, _ = one([3, 8], {"type": "activation", "function": "prelu", "untied": True})
    assert [w.shape for w in layer.other] == [(3, 8)]


def test_scale() -> None:
    layer, shape = one([3, 8], {"type": "scale"})
    assert (operators(layer), shape, [w.count for w in layer.other]) == ([core.Elementwise("mul")], (3, 8), [3])


def test_normalisations() -> None:
    layer, _ = one([6, 4, 5], {"type": "batch_norm"})
    assert (operators(layer), layer.kind) == ([core.BatchNormalization(1e-5)], "normalization")
    assert [w.count for w in layer.other] == [6, 6] and [w.count for w in layer.statistics] == [6, 6]
    assert [w.stored for w in one([6, 4, 5], {"type": "batch_norm", "affine": "shift"})[0].other] == ["layer.shift"]
    assert one([6, 4, 5], {"type": "batch_norm", "affine": False})[0].other == ()
    layer, _ = one([6, 4, 5], {"type": "layer_norm"})
    assert (operators(layer), [w.count for w in layer.other]) == ([core.Mixing((1,), "layernormalization")], [6, 6])
    layer, _ = one([6, 4, 5], {"type": "layer_norm", "axes": [-2, -1]})
    assert (operators(layer), [w.shape for w in layer.other]) == ([core.Mixing((2, 3), "layernormalization")], [(4, 5), (4, 5)])
    layer, shape = one([6, 4, 5], {"type": "group_norm", "groups": 2})
    assert core.Mixing((2, 3, 4), "groupnormalization") in operators(layer) and shape == (6, 4, 5)
    assert operators(layer)[0] == core.Reshaping((1, 2, 3, 4, 5))
    assert operators(one([6, 4], {"type": "local_response_norm"})[0]) == [core.Neighbourhood(1, 2, 2)]


def test_joins() -> None:
    conv = {"type": "conv", "filters": 4, "kernel": 1, "inputs": ["input"]}
    layers = ({"name": "a", **conv}, {"name": "b", **conv}, {"name": "gate", "type": "global_pool"})
    graph, _ = read([3, 8, 8], *layers, {"name": "sum", "type": "add", "inputs": ["a", "b", "a"]})
    assert graph.layers[-1].nodes[0].inputs == ("a", "b", "a") and graph.layers[-1].inputs == ("a", "b")
    assert graph.outputs == ("gate", "sum")
    graph, _ = read([3, 8, 8], *layers, {"name": "gated", "type": "multiply", "inputs": ["gate", "a"]})
    assert operators(graph.layers[-1]) == [core.Elementwise("mul")] and graph.tensors["gated"].shape == (1, 4, 8, 8)
    graph, _ = read([3, 8, 8], *layers, {"name": "both", "type": "concat", "inputs": ["input", "a"]})
    assert operators(graph.layers[-1]) == [core.Concatenation(1)] and graph.tensors["both"].shape == (1, 7, 8, 8)
    graph, _ = read([3, 8, 8], *layers, {"name": "wide", "type": "concat", "axis": -1, "inputs": ["a", "b"]})
    assert graph.tensors["wide"].shape == (1, 4, 8, 16)


def test_embedding() -> None:
    graph, _ = read([100], {"name": "e", "type": "embedding", "vocabulary": 50, "units": 8})
    assert operators(graph.layers[0]) == [core.Embedding(50, (8,)), core.Transposing((0, 2, 1))]
    assert graph.tensors["e"].shape == (1, 8, 100) and graph.inputs[0].dtype == "int64"
    assert graph.layers[0].kernel[0].shape == (50, 8)


@pytest.mark.parametrize(("kind", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_recurrent(kind: str, gates: int) -> None:
    """ONNX: W (directions, gates·units, features), R (directions, gates·units, units), B (directions, 2·gates·units)."""
    layer, shape = one([6, 20], {"type": kind, "units": 5, "bidirectional": True})
    assert (layer.kind, shape) == ("recurrent", (10, 20))
    assert [w.shape for w in layer.kernel] == [(2, gates * 5, 6), (2, gates * 5, 5)]
    assert [w.shape for w in layer.bias] == [(2, 2 * gates * 5)]
    layer, shape = one([6, 20], {"type": kind, "units": 5, "sequences": False, "reverse": True, "bias": "single"})
    assert (shape, [w.shape for w in layer.bias]) == ((5,), [(1, gates * 5)])
    assert core.Recurrent(kind.upper(), 5, "reverse") in operators(layer)  # type: ignore[arg-type]


def test_attention_is_four_projections_and_what_is_between() -> None:
    graph, _ = read([8, 4, 5], {"name": "a", "type": "attention", "heads": 2, "units": 6})
    assert [(layer.name, layer.kind) for layer in graph.layers] == [
        ("a/query", "dense"),
        ("a/key", "dense"),
        ("a/value", "dense"),
        ("a", "attention"),
        ("a/output", "dense"),
    ]
    assert [sum(w.count for w in layer.kernel) for layer in graph.layers] == [48, 48, 48, 0, 36]
    assert graph.outputs == ("a",) and graph.tensors["a"].shape == (1, 6, 4, 5)
    assert [layer.inputs for layer in graph.layers[3:]] == [("a/query", "a/key", "a/value"), ("a/inner",)]
    wide, _ = read([8, 20], {"name": "a", "type": "attention", "heads": 2, "width": 10})
    assert [sum(w.count for w in layer.kernel) for layer in wide.layers] == [80, 80, 80, 0, 80]
    near, _ = read([8, 20], {"name": "a", "type": "attention", "heads": 2, "window": 5})
    assert core.Neighbourhood(1, 2, 2) in operators(near.layers[3])


def test_repeat() -> None:
    layers = [{"name": "c", "type": "conv", "filters": 4, "kernel": 3, "repeat": 3}, {"name": "last", "type": "dropout", "inputs": ["c"]}]
    graph, _ = read([2, 9], *layers)
    assert [(layer.name, layer.inputs) for layer in graph.layers] == [
        ("c_1", ("input",)),
        ("c_2", ("c_1",)),
        ("c_3", ("c_2",)),
        ("last", ("c_3",)),
    ]
    assert len({layer.kernel[0].stored for layer in graph.layers[:3]}) == 3


def test_shared_weights_are_one_stored_tensor() -> None:
    conv = {"type": "conv", "filters": 4, "kernel": 3, "padding": 1}
    graph, _ = read(
        [4, 9], conv | {"name": "a"}, conv | {"name": "b", "share_with": "a", "repeat": 2}, conv | {"name": "c", "share_with": "b"}
    )
    assert [layer.kernel[0].stored for layer in graph.layers] == ["a.kernel"] * 4
    assert [layer.bias[0].stored for layer in graph.layers] == ["a.bias"] * 4
    assert sorted(weight.stored for weight in graph.stored) == ["a.bias", "a.kernel"]


def test_a_matrix_may_be_shared_with_its_axes_exchanged() -> None:
    """Tied autoencoders, and the output layer of a language model that is its embedding."""
    weights = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    encode = {"name": "encode", "type": "dense", "units": 2, "weights": weights}
    graph, reader = read([3], encode, {"name": "decode", "type": "dense", "units": 3, "share_with": "encode"})
    kernel = graph.layers[1].kernel[0]
    assert (kernel.stored, kernel.shape) == ("encode.kernel", (2, 3))
    assert reader.array(kernel).tolist() == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]
    assert graph.layers[1].bias[0].stored == "decode.bias"
    square = [[1.0, 2.0], [3.0, 4.0]]
    graph, reader = read([2], encode | {"weights": square}, {"name": "again", "type": "dense", "units": 2, "share_with": "encode"})
    assert reader.array(graph.layers[1].kernel[0]).tolist() == square


def test_open_lengths_are_stand_ins_until_they_are_fixed() -> None:
    spec = json.dumps({"receptive": 1, "input": {"shape": [3, None, 8]}, "layers": [{"type": "dropout"}]}).encode()
    graph, _ = read_spec(spec, Options(), 321)
    assert graph.inputs[0].shape == (1, 3, 321, 8) and graph.symbolic == {("input", 2)}
    for shapes in ({"input": (1, 3, 64, 8)}, {"": (3, 64, 8)}, {"": (-1, -1, 64, -1)}):
        graph, _ = read_spec(spec, Options(input_shapes=shapes), 321)
        assert graph.inputs[0].shape == (1, 3, 64, 8) and not graph.symbolic
    graph, _ = read_spec(spec, Options(input_shapes={"input": (1, 3, -1, 8)}), 321)
    assert graph.symbolic == {("input", 2)}


def test_names_and_outputs() -> None:
    layers = [{"type": "conv", "filters": 2, "kernel": 1}, {"type": "activation", "function": "relu"}]
    graph, _ = read([1, 4], *layers, name="net", outputs=["conv_0", "activation_1"], description="two layers")
    assert graph.name == "net" and graph.outputs == ("conv_0", "activation_1")
    assert [layer.name for layer in graph.layers] == ["conv_0", "activation_1"]


def test_names_that_the_reader_makes_up_take_no_name_away() -> None:
    layers = [{"name": "a", "type": "attention"}, {"name": "a/query", "type": "flatten"}, {"name": "a/0", "type": "dropout"}]
    graph, _ = read([4, 6], *layers)
    names = [layer.name for layer in graph.layers]
    assert len(set(names)) == len(names) and names[-2:] == ["a/query", "a/0"]
    made = [name for layer in graph.layers for node in layer.nodes for name in node.outputs]
    assert len(set(made)) == len(made) and set(made) | {"input"} == set(graph.tensors)


def test_the_documentation_names_every_type_and_field() -> None:
    text = (EXAMPLES.parent / "docs" / "layer-spec.md").read_text()
    words = set(re.findall(r"`([a-z_]+)", text))
    common = {"type", "name", "inputs"}
    assert TYPES.keys() <= words
    assert {field for kind in TYPES.values() for field in kind.fields} - common <= words
