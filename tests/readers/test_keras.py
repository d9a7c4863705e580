"""Keras's `model.to_json()`, written by hand in the formats of Keras 2 and Keras 3, read as a layer spec."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.faults import Refused
from service.graph import operators as core
from service.graph.model import Model, ModelFacts
from service.graph.network import Graph
from service.options import Options
from service.readers.spec.entry import read_spec
from tests.reports import analyzed

Json = dict[str, Any]


def read(document: Json) -> Graph:
    return read_spec(json.dumps(document).encode(), Options())[0]


def report(document: Json) -> Json:
    graph, weights = read_spec(json.dumps(document).encode(), Options())
    return analyzed(Model((graph,), weights, ModelFacts(None, "spec", 0, (), ())))


def layer(kind: str, name: str, **config: Any) -> Json:
    """A layer as both versions write it."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


def sequential(shape: list[int | None], *layers: Json) -> Json:
    """A Sequential model of Keras 2."""
    source = {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": [None, *shape], "dtype": "float32", "name": "image", "ragged": False},
    }
    config = {"name": "sequential", "layers": [source, *layers]}
    return {"class_name": "Sequential", "config": config, "keras_version": "2.15.0", "backend": "tensorflow"}


def sequential_3(shape: list[int | None], *layers: Json) -> Json:
    """The same of Keras 3."""
    source = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, *shape], "name": "image"}}
    own = [{"module": "keras.layers", "registered_name": None, "build_config": {"input_shape": [None]}, **entry} for entry in layers]
    config = {"name": "sequential", "trainable": True, "layers": [source, *own], "build_input_shape": [None, *shape]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": "Sequential"}


def functional(shapes: dict[str, list[int | None]], layers: list[tuple[Json, list[list[str]]]], outputs: list[str]) -> Json:
    """A Functional model of Keras 2. Each layer stands with the names that each of its uses reads; "name:1" means its second use."""

    def reference(name: str) -> list[Any]:
        layer_name, _, node = name.partition(":")
        return [layer_name, int(node or 0), 0]

    sources = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, *shape], "name": name}, "name": name, "inbound_nodes": []}
        for name, shape in shapes.items()
    ]
    own = [
        {**entry, "name": entry["config"]["name"], "inbound_nodes": [[[*reference(name), {}] for name in use] for use in uses]}
        for entry, uses in layers
    ]
    config = {
        "name": "model",
        "layers": [*sources, *own],
        "input_layers": [reference(name) for name in shapes],
        "output_layers": [reference(name) for name in outputs],
    }
    return {"class_name": "Functional", "config": config, "keras_version": "2.15.0"}


def functional_3(shapes: dict[str, list[int | None]], layers: list[tuple[Json, list[list[str]]]], outputs: list[str]) -> Json:
    """The same as Keras 3 writes it, where a node lists the arguments of the call."""
    old = functional(shapes, layers, outputs)

    def tensor(reference: list[Any]) -> Json:
        return {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": reference[:3]}}

    for entry in old["config"]["layers"]:
        entry["module"] = "keras.layers"
        if entry["class_name"] == "InputLayer":
            entry["config"]["batch_shape"] = entry["config"].pop("batch_input_shape")
        nodes = [[tensor(reference) for reference in node] for node in entry["inbound_nodes"]]
        entry["inbound_nodes"] = [{"args": [node[0] if len(node) == 1 else node], "kwargs": {"mask": None}} for node in nodes]
    ends = old["config"]["output_layers"]
    return {
        "module": "keras",
        "class_name": "Functional",
        "config": {**old["config"], "output_layers": ends[0] if len(ends) == 1 else ends},
    }


BOTH_SEQUENTIAL = pytest.mark.parametrize("make", [sequential, sequential_3])
BOTH_FUNCTIONAL = pytest.mark.parametrize("make", [functional, functional_3])


def totals(document: Json) -> dict[str, int]:
    """Parameters of every layer that has any, those of normalisations included."""
    found = ((entry["name"], entry["parameters"]) for entry in report(document)["layers"])
    return {name: p["total"] + p["other"] for name, p in found if p["total"] + p["other"]}


def refused(document: Json) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        read(document)
    assert (caught.value.fault, caught.value.code) == ("invalid", "invalid-spec")
    return [(detail.pointer, detail.code) for detail in caught.value.errors]


def conv_2d(name: str, filters: int, size: int, **more: Any) -> Json:
    config = {"filters": filters, "kernel_size": [size, size], "strides": [1, 1], "padding": "valid", "data_format": "channels_last"}
    more_config = {"dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": True}
    return layer("Conv2D", name, **{**config, **more_config, **more})


def dense(name: str, units: int, activation: Any = "linear", **more: Any) -> Json:
    return layer("Dense", name, units=units, activation=activation, use_bias=True, **more)


POOL = {"pool_size": [2, 2], "padding": "valid", "strides": [2, 2], "data_format": "channels_last"}
RELU_3 = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}


@BOTH_SEQUENTIAL
def test_mnist_convnet(make: Any) -> None:
    """keras.io, code examples, "Simple MNIST convnet": 320, 18,496 and 16,010 parameters, 34,826 together."""
    document = make(
        [28, 28, 1],
        conv_2d("conv2d", 32, 3, activation=RELU_3 if make is sequential_3 else "relu"),
        layer("MaxPooling2D", "max_pooling2d", **POOL),
        conv_2d("conv2d_1", 64, 3, activation="relu"),
        layer("MaxPooling2D", "max_pooling2d_1", **POOL),
        layer("Flatten", "flatten", data_format="channels_last"),
        layer("Dropout", "dropout", rate=0.5),
        dense("dense", 10, "softmax"),
    )
    assert totals(document) == {"conv2d": 320, "conv2d_1": 18_496, "dense": 16_010}
    graph = read(document)
    assert graph.name == "sequential" and graph.inputs[0].name == "image"
    assert graph.inputs[0].shape == (1, 1, 28, 28) and graph.tensors["max_pooling2d_1"].shape == (1, 64, 5, 5)
    assert graph.outputs == ("dense/softmax",)
    assert graph.metadata == {"producer": "keras 2.15.0" if make is sequential else "keras"}
    names = [layer.name for layer in graph.layers]
    assert names[:3] == ["conv2d", "conv2d/relu", "max_pooling2d"]


@BOTH_SEQUENTIAL
def test_mobilenet(make: Any) -> None:
    """keras.applications.MobileNet at 224×224: 4,253,864 parameters, 21,888 of them moving means and variances."""

    def norm(name: str) -> list[Json]:
        return [layer("BatchNormalization", name, axis=[3], scale=True, center=True), layer("ReLU", f"{name}_relu", max_value=6.0)]

    pad = {"padding": [[0, 1], [0, 1]], "data_format": "channels_last"}
    layers = [conv_2d("conv1", 32, 3, strides=[2, 2], padding="same", use_bias=False), *norm("conv1_bn")]
    for i, (filters, stride) in enumerate(
        [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    ):
        if stride == 2:
            layers.append(layer("ZeroPadding2D", f"pad_{i}", **pad))
        depthwise = {
            "kernel_size": [3, 3],
            "strides": [stride, stride],
            "padding": "same" if stride == 1 else "valid",
            "depth_multiplier": 1,
        }
        layers += [layer("DepthwiseConv2D", f"dw_{i}", data_format="channels_last", use_bias=False, **depthwise), *norm(f"dw_{i}_bn")]
        layers += [conv_2d(f"pw_{i}", filters, 1, padding="same", use_bias=False), *norm(f"pw_{i}_bn")]
    layers.append(layer("GlobalAveragePooling2D", "pool", data_format="channels_last", keepdims=True))
    layers += [layer("Dropout", "dropout", rate=0.001), conv_2d("preds", 1000, 1, padding="same")]
    layers += [layer("Reshape", "reshape", target_shape=[1000]), layer("Activation", "predictions", activation="softmax")]
    document = make([224, 224, 3], *layers)
    assert sum(weight.count for weight in read(document).stored) == 4_253_864
    found = report(document)
    assert found["summary"]["parameters"]["stored"] == 4_231_976
    fields = {entry["name"]: entry["receptive_field"]["size"] for entry in found["layers"]}
    assert fields["pw_12"] == [315, 315]  # Araujo et al. 2019, mobilenet_v1


def lstm(name: str, units: int, sequences: bool, kind: str = "LSTM", **more: Any) -> Json:
    usual = {"units": units, "return_sequences": sequences, "return_state": False, "go_backwards": False, "use_bias": True}
    return layer(kind, name, **{**usual, **more})


@BOTH_FUNCTIONAL
def test_bidirectional_lstm(make: Any) -> None:
    """keras.io, code examples, "Bidirectional LSTM on IMDB": 2,560,000, 98,816, 98,816 and 129 parameters."""
    around = {"merge_mode": "concat"}
    document = make(
        {"input": [None]},
        [
            (layer("Embedding", "embedding", input_dim=20_000, output_dim=128), [["input"]]),
            (layer("Bidirectional", "bidirectional", layer=lstm("lstm", 64, True), **around), [["embedding"]]),
            (layer("Bidirectional", "bidirectional_1", layer=lstm("lstm_1", 64, False), **around), [["bidirectional"]]),
            (dense("dense", 1, "sigmoid"), [["bidirectional_1"]]),
        ],
        ["dense"],
    )
    assert totals(document) == {"embedding": 2_560_000, "bidirectional": 98_816, "bidirectional_1": 98_816, "dense": 129}
    graph = read(document)
    assert graph.symbolic == {("input", 1)} and graph.inputs[0].dtype == "int64"
    assert graph.tensors["bidirectional"].shape == (1, 128, 256) and graph.tensors["bidirectional_1"].shape == (1, 128)


def test_recurrent_biases() -> None:
    """Keras: units·(units + inputs + 1) for each gate; a GRU with reset_after has two biases for each gate."""
    kinds = {"SimpleRNN": ({}, 1, 1), "LSTM": ({}, 4, 1), "GRU": ({"reset_after": True}, 3, 2)}
    for kind, (more, gates, biases) in kinds.items():
        document = sequential([10, 6], lstm("r", 5, False, kind, **more))
        assert totals(document) == {"r": gates * 5 * (5 + 6 + biases)}
    assert totals(sequential([10, 6], lstm("r", 5, False, "GRU", reset_after=False))) == {"r": 3 * 5 * (5 + 6 + 1)}
    summed = layer("Bidirectional", "b", layer=lstm("r", 5, True), merge_mode="sum")
    graph = read(sequential([10, 6], summed))
    assert [node.name for node in graph.layers] == ["b/forward", "b/backward", "b"] and graph.tensors["b"].shape == (1, 5, 10)


@BOTH_FUNCTIONAL
def test_residual_block_and_order(make: Any) -> None:
    """Layers may stand in any order in the document; a join reads its inputs in the order of the call."""
    layers = [
        (layer("Add", "add"), [["bn", "shortcut"]]),
        (layer("BatchNormalization", "bn", axis=3, scale=False, center=True), [["conv"]]),
        (conv_2d("shortcut", 8, 1, strides=[2, 2]), [["image"]]),
        (conv_2d("conv", 8, 3, strides=[2, 2], padding="same"), [["image"]]),
        (layer("Concatenate", "concat", axis=-1), [["add", "conv"]]),
        (layer("Concatenate", "tall", axis=1), [["add", "conv"]]),
    ]
    graph = read(make({"image": [32, 32, 3]}, layers, ["concat", "tall"]))
    assert graph.outputs == ("concat", "tall")
    assert graph.tensors["concat"].shape == (1, 16, 16, 16) and graph.tensors["tall"].shape == (1, 8, 32, 16)
    add = next(entry for entry in graph.layers if entry.name == "add")
    assert add.inputs == ("bn", "shortcut")
    assert totals(make({"image": [32, 32, 3]}, layers, ["concat"]))["bn"] == 8


@BOTH_FUNCTIONAL
def test_a_layer_that_is_used_twice_shares_its_weights(make: Any) -> None:
    """A siamese network."""
    layers = [
        (dense("encoder", 8, "relu"), [["a"], ["b"]]),
        (layer("Subtract", "difference"), [["encoder", "encoder:1"]]),
    ]
    graph = read(make({"a": [6], "b": [6]}, layers, ["difference"]))
    first, second = (entry for entry in graph.layers if entry.op == "dense")
    assert (first.name, second.name) == ("encoder", "encoder#2")
    assert first.kernel[0].stored == second.kernel[0].stored and first.inputs == ("a",) and second.inputs == ("b",)
    assert graph.layers[-1].inputs == ("encoder/relu", "encoder/relu#2")


@BOTH_FUNCTIONAL
def test_models_inside_models(make: Any) -> None:
    inner = make({"inner_input": [8, 8, 3]}, [(conv_2d("conv", 4, 3), [["inner_input"]])], ["conv"])
    inner["config"]["name"] = "backbone"
    head = {"class_name": "Sequential", "config": {"name": "head", "layers": [layer("GlobalMaxPooling2D", "pool"), dense("dense", 2)]}}
    layers = [(inner, [["left"], ["right"]]), (layer("Maximum", "join"), [["backbone", "backbone:1"]]), (head, [["join"]])]
    graph = read(make({"left": [8, 8, 3], "right": [8, 8, 3]}, layers, ["head"]))
    assert [entry.name for entry in graph.layers] == ["backbone/conv", "backbone/conv#2", "join", "head/pool", "head/dense"]
    assert len({entry.kernel[0].stored for entry in graph.layers[:2]}) == 1
    assert graph.outputs == ("head/dense",) and graph.tensors["head/dense"].shape == (1, 2)


def test_where_a_sequential_model_states_its_input() -> None:
    first = dense("dense", 4)
    bare = {"class_name": "Sequential", "config": {"name": "s", "layers": [first]}}
    assert refused(bare) == [("/config/layers/0", "no-input-shape")]
    older = json.loads(json.dumps(bare))
    older["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 7]
    oldest = {"class_name": "Sequential", "config": older["config"]["layers"]}
    built = {**bare, "config": {**bare["config"], "build_input_shape": [None, 7]}}
    newest = {**bare, "build_config": {"input_shape": [None, 7]}}
    nested = {"class_name": "Sequential", "config": {"name": "outer", "layers": [older]}}
    for document in (older, oldest, built, newest, nested):
        assert [sum(w.count for w in entry.kernel) for entry in read(document).layers] == [28]


def test_channels_first() -> None:
    first = {"data_format": "channels_first"}
    document = sequential(
        [3, 32, 30],
        conv_2d("conv", 8, 3, **first),
        layer("BatchNormalization", "bn", axis=[1]),
        layer("MaxPooling2D", "pool", **{**POOL, **first}),
        dense("positions", 5),
        layer("Flatten", "flatten", **first),
    )
    graph = read(document)
    assert graph.inputs[0].shape == (1, 3, 32, 30) and graph.tensors["pool"].shape == (1, 8, 15, 14)
    # a dense layer of Keras acts on the last axis, which is the width here
    assert graph.tensors["positions"].shape == (1, 8, 15, 5)
    order = [node.operator for entry in graph.layers for node in entry.nodes if isinstance(node.operator, core.Transposing)]
    assert order[-1] == core.Transposing((0, 2, 3, 1))


def test_flatten_and_reshape_keep_keras_order() -> None:
    """A unit (row, column, channel) of Keras is unit (row·columns + column)·channels + channel of the flattened tensor."""
    document = sequential([4, 5, 3], layer("Flatten", "flatten"), layer("Reshape", "back", target_shape=[4, 5, 3]), conv_2d("conv", 2, 3))
    graph = read(document)
    operators = [node.operator for entry in graph.layers for node in entry.nodes]
    assert operators[:4] == [
        core.Transposing((0, 2, 3, 1)),
        core.Reshaping((1, 60)),
        core.Reshaping((1, 4, 5, 3)),
        core.Transposing((0, 3, 1, 2)),
    ]
    assert graph.tensors["conv"].shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    ("shape", "entry", "parameters", "output"),
    [
        ([32, 3], layer("Conv1D", "x", filters=4, kernel_size=[3], strides=[1], padding="causal", dilation_rate=[2]), 40, (4, 32)),
        ([8, 8, 8, 2], layer("Conv3D", "x", filters=4, kernel_size=[3, 3, 3], strides=[2, 2, 2], padding="same"), 220, (4, 4, 4, 4)),
        ([8, 8, 4], conv_2d("x", 6, 3, groups=2, dilation_rate=[2, 2]), 114, (6, 4, 4)),
        # keras.layers.SeparableConv2D: 3·9 + 3·4 + 4
        (
            [8, 8, 3],
            layer("SeparableConv2D", "x", filters=4, kernel_size=[3, 3], strides=[1, 1], padding="same", depth_multiplier=1),
            43,
            (4, 8, 8),
        ),
        ([8, 8, 3], layer("Conv2DTranspose", "x", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same"), 112, (4, 16, 16)),
        ([8, 8, 3], layer("Conv2DTranspose", "x", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="valid"), 112, (4, 17, 17)),
        ([8, 8, 3], layer("Conv2DTranspose", "x", filters=4, kernel_size=[2, 2], strides=[3, 3], padding="valid"), 52, (4, 24, 24)),
        (
            [8, 3],
            layer("Conv1DTranspose", "x", filters=4, kernel_size=[3], strides=[2], padding="same", output_padding=[1]),
            40,
            (4, 16),
        ),
        # the documentation of LocallyConnected2D: "(30*30)*(3*3*3*64) + (30*30)*64 parameters"
        (
            [32, 32, 3],
            layer("LocallyConnected2D", "x", filters=64, kernel_size=[3, 3], strides=[1, 1], padding="valid"),
            900 * 27 * 64 + 900 * 64,
            (64, 30, 30),
        ),
        ([8, 8, 3], layer("AveragePooling2D", "x", pool_size=[3, 3], strides=None, padding="same"), 0, (3, 3, 3)),
        ([9, 3], layer("GlobalAveragePooling1D", "x"), 0, (3,)),
        ([9, 3], layer("ZeroPadding1D", "x", padding=[1, 2]), 0, (3, 12)),
        ([9, 8, 3], layer("ZeroPadding2D", "x", padding=[[1, 2], [0, 3]]), 0, (3, 12, 11)),
        ([9, 8, 3], layer("Cropping2D", "x", cropping=[[1, 2], [0, 3]]), 0, (3, 6, 5)),
        ([9, 3], layer("Cropping1D", "x", cropping=[1, 2]), 0, (3, 6)),
        ([4, 5, 3], layer("UpSampling2D", "x", size=[2, 3], interpolation="bilinear"), 0, (3, 8, 15)),
        ([4, 3], layer("UpSampling1D", "x", size=2), 0, (3, 8)),
        ([4, 5, 3], layer("Resizing", "x", height=8, width=7, interpolation="bilinear"), 0, (3, 8, 7)),
        ([7, 6], dense("x", 4), 28, (4, 7)),
        ([7, 6], layer("TimeDistributed", "x", layer=dense("inner", 4)), 28, (4, 7)),
        ([7, 6], layer("Permute", "x", dims=[2, 1]), 0, (6, 7)),
        ([6], layer("RepeatVector", "x", n=5), 0, (6, 5)),
        ([7, 6], layer("LayerNormalization", "x", axis=[-1]), 12, (6, 7)),
        ([7, 6], layer("GroupNormalization", "x", groups=3, axis=-1), 12, (6, 7)),
        ([7, 6], layer("PReLU", "x", shared_axes=[1]), 6, (6, 7)),
        ([7, 6], layer("PReLU", "x", shared_axes=None), 42, (6, 7)),
        ([7, 6], layer("LayerScale", "x", init_values=1e-6, projection_dim=6), 6, (6, 7)),
        ([7, 6], layer("UnitNormalization", "x", axis=-1), 0, (6, 7)),
        ([7, 6], layer("EinsumDense", "x", equation="abc,cd->abd", output_shape=[None, 4], bias_axes="d"), 28, (4, 7)),
        # keras.layers.RNN(LSTMCell(5)): 4·5·(5 + 6 + 1), count_params of Keras 3.15
        ([7, 6], layer("RNN", "x", cell=layer("LSTMCell", "cell", units=5, use_bias=True), return_sequences=True), 240, (5, 7)),
        ([7, 6], layer("Softmax", "x", axis=-1), 0, (6, 7)),
        ([7, 6], layer("Rescaling", "x", scale=0.5, offset=0.0), 0, (6, 7)),
        ([7, 6], layer("LeakyReLU", "x", alpha=0.1), 0, (6, 7)),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else "",
)
def test_every_layer(shape: list[int | None], entry: Json, parameters: int, output: tuple[int, ...]) -> None:
    for make in (sequential, sequential_3):
        document = make(shape, entry)
        assert sum(totals(document).values()) == parameters
        graph = read(document)
        assert graph.tensors[graph.outputs[0]].shape == (1, *output)


def test_attention_of_a_sequence_to_itself() -> None:
    """keras.layers.MultiHeadAttention(2, 8) on 6 features: 3·(6·16 + 16) and 16·6 + 6, count_params of Keras 3.15."""
    attention = layer("MultiHeadAttention", "mha", num_heads=2, key_dim=8, value_dim=None, use_bias=True, output_shape=None)
    for make in (functional, functional_3):
        document = make({"x": [7, 6]}, [(attention, [["x", "x"]])], ["mha"])
        assert sum(totals(document).values()) == 438
        assert read(document).tensors["mha"].shape == (1, 6, 7)
        crossed = make({"x": [7, 6], "y": [7, 6]}, [(attention, [["x", "y"]])], ["mha"])
        assert sum(totals(crossed).values()) == 438
        assert [entry.inputs for entry in read(crossed).layers[:3]] == [("x",), ("y",), ("y",)]


def test_residual_branch_with_a_factor() -> None:
    """keras.applications.InceptionResNetV2: CustomScaleLayer adds its second input times a constant."""
    layers = [(conv_2d("branch", 3, 3, padding="same"), [["x"]]), (layer("CustomScaleLayer", "scaled", scale=0.17), [["x", "branch"]])]
    found = report(functional_3({"x": [8, 8, 3]}, layers, ["scaled"]))
    assert (found["layers"][1]["op"], found["layers"][1]["receptive_field"]["min_size"]) == ("add", [1, 1])


def test_softmax_along_keras_axis() -> None:
    graph = read(sequential([7, 6], layer("Softmax", "x", axis=-1)))
    assert graph.layers[-1].nodes[0].operator == core.Mixing((1,), "softmax")
    graph = read(sequential([7, 6], layer("Softmax", "x", axis=1)))
    assert graph.layers[-1].nodes[0].operator == core.Mixing((2,), "softmax")


def test_operators_of_keras_3_with_a_constant_side() -> None:
    document = functional_3({"x": [6]}, [(layer("Multiply", "scaled"), [["x"]])], ["scaled"])
    node = document["config"]["layers"][1]["inbound_nodes"][0]
    node["args"] = [node["args"][0], 0.5]
    assert read(document).layers[0].nodes[0].operator == core.Elementwise("identity")


def unknown(document: Json) -> list[str | None]:
    """The layers of a document that nothing is known of."""
    return [name for code, name, _ in read(document).notes if code == "unknown-layer"]


def test_layers_that_cannot_be_read_are_unknown_and_nothing_else() -> None:
    """A Lambda, a class and an activation of one's own: their shape is taken as kept, so all that has a shape is counted."""
    document = sequential(
        [8, 8, 3],
        layer("Lambda", "lambda", function="..."),
        conv_2d("conv", 4, 3, activation="my_function"),
        layer("Capsule", "capsule"),
        layer("My>Package>Layer", "mine"),
        dense("d", 2),
    )
    assert unknown(document) == ["lambda", "conv/activation", "capsule", "mine"]
    assert totals(document) == {"conv": 4 * 27 + 4, "d": 10}
    fields = {entry["name"]: entry["receptive_field"]["status"] for entry in report(document)["layers"]}
    assert set(fields.values()) == {"unknown"}


def test_a_lambda_may_state_its_shape() -> None:
    document = sequential([8, 8, 3], layer("Lambda", "l", function="...", output_shape=[10]), dense("d", 2))
    assert (totals(document), read(document).tensors["l"].shape) == ({"d": 22}, (1, 10))


@BOTH_FUNCTIONAL
def test_what_follows_an_unknown_layer_may_not_fit(make: Any) -> None:
    """A Lambda that drops axes, of which the document says nothing: the layers behind it are unknown too, not wrong."""
    layers = [
        (layer("Lambda", "first_row", function="..."), [["x"]]),
        (layer("Conv1D", "c", filters=4, kernel_size=[3], strides=[1], padding="valid"), [["first_row"]]),
        (layer("Permute", "p", dims=[2, 1]), [["c"]]),
        (dense("d", 2), [["p"]]),
    ]
    document = make({"x": [8, 8, 3]}, layers, ["d"])
    assert unknown(document)[0] == "first_row" and set(unknown(document)) >= {"first_row", "c"}


def test_what_is_wrong_is_still_refused() -> None:
    inner = layer("Bidirectional", "b", layer=lstm("r", 5, True, "TCN"), merge_mode="concat")
    assert unknown(sequential([8, 3], inner)) == ["b"]
    assert refused(sequential([8, 3], layer("LSTM", "r", units=5, return_state=1))) == [
        ("/config/layers/1/config/return_state", "not-a-boolean")
    ]
    assert refused(sequential([8, 3], layer("TimeDistributed", "t", layer=7))) == [("/config/layers/1/config/layer", "not-a-layer")]


def test_errors_of_the_spec_point_into_the_keras_document() -> None:
    assert refused(sequential([8, 8, 3], conv_2d("a", 4, 3), conv_2d("b", 4, 9))) == [("/config/layers/2", "does-not-fit")]
    assert refused(sequential([8, 8, 3], layer("Conv2D", "a", filters=True))) == [
        ("/config/layers/1", "required"),
        ("/config/layers/1", "not-an-integer"),
    ]
    assert refused(sequential([8, 0, 3], conv_2d("a", 4, 3)))[0] == ("/config/layers/0", "out-of-range")


@BOTH_FUNCTIONAL
def test_broken_connections(make: Any) -> None:
    first, second = dense("first", 4), dense("second", 4)
    shapes = {"x": [6]}
    assert refused(make(shapes, [(first, [["nobody"]])], ["first"])) == [("/config/layers/1/inbound_nodes/0", "unknown-layer")]
    cycle = refused(make(shapes, [(first, [["second"]]), (second, [["first"]])], ["second"]))
    assert {("/config/layers/1", "cycle"), ("/config/layers/2", "cycle")} <= set(cycle)
    assert refused(make(shapes, [(first, [["x"]])], [])) == [("/config/output_layers", "required")]
    assert refused(make(shapes, [(layer("Add", "add"), [["x", "y"]])], ["add"])) == [("/config/layers/1/inbound_nodes/0", "unknown-layer")]


@pytest.mark.parametrize(
    "config",
    [
        None,
        5,
        [],
        {},
        {"layers": {}},
        {"layers": [5]},
        {"layers": [{"class_name": 3, "config": {}}]},
        {"layers": [{"class_name": "Dense"}]},
    ],
)
@pytest.mark.parametrize("kind", ["Sequential", "Functional", "Model"])
def test_documents_that_are_no_models(config: Any, kind: str) -> None:
    assert refused({"class_name": kind, "config": config})


def test_nested_models_cannot_explode() -> None:
    """Ten models inside each other, each used three times in the next, would be 59,049 layers."""
    model = functional({"x": [4]}, [(dense("d", 4), [["x"]])], ["d"])
    for depth in range(10):
        model["config"]["name"] = f"m{depth}"
        uses = [["x"], [f"m{depth}"], [f"m{depth}:1"]]
        model = functional({"x": [4]}, [(model, uses)], [f"m{depth}:2"])
    text = json.dumps(model)
    with pytest.raises(Refused) as caught:
        read_spec(text.encode(), Options())
    assert [detail.code for detail in caught.value.errors] == ["too-many-layers"]
