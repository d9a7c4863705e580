"""The documents that hold a Keras model: TensorFlow.js, Keras 1, one that was written twice; and TensorFlow's transposed convolutions."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from service.faults import Refused
from service.options import Options
from service.readers.formats import JSON, recognise
from service.readers.spec.entry import read_spec
from tests.readers.test_keras import Json, conv_2d, dense, layer, read, report, sequential, totals

NETWORK = sequential([20, 20, 1], conv_2d("c", 4, 5, activation="relu"), layer("Flatten", "f"), dense("d", 10, "softmax"))
EXPECTED = {"c": 104, "d": 10250}


def test_a_document_that_was_written_twice() -> None:
    """json.dump(model.to_json(), file) writes a string that holds the document."""
    text = json.dumps(json.dumps(NETWORK)).encode()
    graph, _ = read_spec(text, Options())
    assert [entry.name for entry in graph.layers][-2:] == ["d", "d/softmax"]
    assert recognise(text, len(text)) == JSON
    indented = json.dumps(json.dumps(NETWORK, indent=2)).encode()
    assert recognise(indented, len(indented)) == JSON


@pytest.mark.parametrize("text", ['"a word"', '"{"', '"[1]"', '"{\\"class_name\\": 1}"'])
def test_other_strings_are_no_networks(text: str) -> None:
    with pytest.raises(Refused):
        read_spec(text.encode(), Options())


@pytest.mark.parametrize("wrapped", [True, False], ids=["converted from Keras", "saved by TensorFlow.js"])
def test_layers_models_of_tensorflow_js(wrapped: bool) -> None:
    inner = {key: value for key, value in NETWORK.items() if key in ("class_name", "config")}
    topology = {"keras_version": "2.4.0", "backend": "tensorflow", "model_config": inner} if wrapped else NETWORK
    document = {"format": "layers-model", "generatedBy": "keras v2.4.0", "modelTopology": topology, "weightsManifest": [{"paths": []}]}
    assert totals(document) == EXPECTED
    assert read(document).metadata["producer"] == ("keras 2.4.0" if wrapped else "keras 2.15.0")


def test_errors_point_into_the_document_that_was_sent() -> None:
    wrong = sequential([20, 20, 1], conv_2d("c", 4, 50), layer("RNN", "r", cell=7))
    with pytest.raises(Refused) as caught:
        read({"format": "layers-model", "modelTopology": {"model_config": wrong}})
    assert [detail.pointer for detail in caught.value.errors] == ["/modelTopology/model_config/config/layers/2/config/cell"]
    wrong["config"]["layers"].pop()
    with pytest.raises(Refused) as caught:
        read({"modelTopology": {"model_config": wrong}})
    assert [detail.pointer for detail in caught.value.errors] == ["/modelTopology/model_config/config/layers/1"]


def test_graph_models_of_tensorflow_js_are_named() -> None:
    topology = {"node": [{"name": "x", "op": "Placeholder", "attr": {}}], "library": {}, "versions": {}}
    for document in ({"format": "graph-model", "modelTopology": topology}, {"modelTopology": topology}):
        with pytest.raises(Refused) as caught:
            read(document)
        assert (caught.value.fault, caught.value.code) == ("unsupported", "unsupported-format")
        assert "TensorFlow.js graph model" in caught.value.detail


def test_a_model_of_a_class_of_ones_own() -> None:
    assert totals({**NETWORK, "class_name": "MyNetwork"}) == EXPECTED


def keras_1(kind: str, name: str, **config: Any) -> Json:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def sequential_1(shape: list[int | None], first: Json, *layers: Json) -> Json:
    """A Sequential model of Keras 1, which is a list of layers, the first with the shape of the input."""
    first["config"]["batch_input_shape"] = [None, *shape]
    return {"class_name": "Sequential", "config": [first, *layers], "keras_version": "1.2.1"}


CONV_1 = {"nb_filter": 4, "nb_row": 5, "nb_col": 3, "border_mode": "same", "subsample": [2, 1], "dim_ordering": "tf", "bias": False}


def test_keras_1_names_of_fields() -> None:
    """Keras 1.2: nb_filter, nb_row, nb_col, border_mode, subsample, bias, output_dim, init."""
    document = sequential_1(
        [20, 20, 1],
        keras_1("Convolution2D", "c", init="glorot_uniform", activation="relu", **CONV_1),
        keras_1("MaxPooling2D", "p", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering="tf"),
        keras_1("Flatten", "f"),
        keras_1("Dense", "d", output_dim=10, init="uniform", activation="softmax", bias=True),
    )
    assert totals(document) == {"c": 4 * 15, "d": 5 * 10 * 4 * 10 + 10}
    assert read(document).tensors["c"].shape == (1, 4, 10, 20)


def test_channels_first_in_keras_1() -> None:
    """dim_ordering "th" (Theano): (channels, height, width)."""
    document = sequential_1([3, 8, 9], keras_1("Convolution2D", "c", **{**CONV_1, "dim_ordering": "th", "subsample": [1, 1]}))
    assert read(document).tensors["c"].shape == (1, 4, 8, 9)


@pytest.mark.parametrize(
    ("shape", "entry", "parameters", "output"),
    [
        ([12, 3], keras_1("Convolution1D", "x", nb_filter=4, filter_length=3, border_mode="valid", subsample_length=2), 40, (4, 5)),
        ([12, 3], keras_1("AtrousConvolution1D", "x", nb_filter=4, filter_length=3, border_mode="valid", atrous_rate=2), 40, (4, 8)),
        ([12, 3], keras_1("MaxPooling1D", "x", pool_length=3, stride=3, border_mode="valid"), 0, (3, 4)),
        ([12, 3], keras_1("UpSampling1D", "x", length=2), 0, (3, 24)),
        ([12, 3], keras_1("LSTM", "x", output_dim=5, init="g", inner_activation="hard_sigmoid", return_sequences=True), 180, (5, 12)),
        ([12, 3], keras_1("TimeDistributedDense", "x", output_dim=5, init="g"), 20, (5, 12)),
        ([12], keras_1("Embedding", "x", input_dim=50, output_dim=8, init="g"), 400, (8, 12)),
        (
            [4, 6, 6, 2],
            keras_1("Convolution3D", "x", nb_filter=3, kernel_dim1=2, kernel_dim2=3, kernel_dim3=3, border_mode="valid", dim_ordering="tf"),
            111,
            (3, 3, 4, 4),
        ),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else "",
)
def test_layers_of_keras_1(shape: list[int | None], entry: Json, parameters: int, output: tuple[int, ...]) -> None:
    document = sequential_1(shape, entry)
    assert (sum(totals(document).values()), read(document).tensors["x"].shape) == (parameters, (1, *output))


def test_an_input_that_is_stated_by_its_length_alone() -> None:
    """Keras 1: input_dim of a dense layer, input_length of an embedding."""
    plain = {"class_name": "Sequential", "config": [keras_1("Dense", "d", output_dim=3, input_dim=7, init="g")]}
    assert totals(plain) == {"d": 24}
    text = {"class_name": "Sequential", "config": [keras_1("Embedding", "e", input_dim=50, output_dim=8, input_length=12, init="g")]}
    assert read(text).tensors["e"].shape == (1, 8, 12)


@pytest.mark.parametrize(
    ("mode", "kind"), [("sum", "add"), ("mul", "multiply"), ("concat", "concat"), ("max", "maximum"), ("ave", "average")]
)
def test_merge_of_keras_1(mode: str, kind: str) -> None:
    config = {
        "name": "m",
        "layers": [
            *(
                {"class_name": "InputLayer", "name": n, "config": {"name": n, "batch_input_shape": [None, 6]}, "inbound_nodes": []}
                for n in "ab"
            ),
            {**keras_1("Merge", "j", mode=mode, concat_axis=-1), "name": "j", "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]},
        ],
        "input_layers": [["a", 0, 0], ["b", 0, 0]],
        "output_layers": [["j", 0, 0]],
    }
    assert [entry.op for entry in read({"class_name": "Model", "config": config}).layers] == [kind]


@pytest.mark.parametrize(
    ("kernel", "stride", "extra", "places", "exact", "size"),
    [
        (3, 2, None, 12, 17, 2),
        (3, 2, 1, 12, 17, 2),
        (5, 4, 3, 24, 29, 2),
        (3, 2, 0, 11, 16, 2),
        (2, 4, None, 24, 12, 1),
        (4, 2, None, 12, 22, 2),
    ],
)
def test_transposed_convolutions_of_tensorflow(kernel: int, stride: int, extra: int | None, places: int, exact: int, size: int) -> None:
    """keras-team/keras#22876: as the gradient of a SAME convolution, whose odd unit of padding is at the end; 6 units, by hand."""
    config = {"filters": 1, "kernel_size": [kernel], "strides": [stride], "padding": "same", "output_padding": extra and [extra]}
    if extra == 0:
        config["output_padding"] = [0]
    (found,) = report(sequential([6, 1], layer("Conv1DTranspose", "c", **config)))["layers"]
    assert found["output_shape"] == [1, 1, places]
    assert (found["connections"]["exact"], found["receptive_field"]["size"]) == (exact, [size])


@pytest.mark.parametrize("kind", ["Dense", "Lambda"])
def test_thousands_of_equal_names_take_linear_time(kind: str) -> None:
    """2^13 layers of one name: a search for each name would be 2^25 steps, and each of them a comparison of long strings."""
    document = sequential([3], *[layer(kind, "x" * 200, units=2) for _ in range(2**13)])
    start = time.process_time()
    graph = read(document)
    assert len({entry.name for entry in graph.layers}) == 2**13
    assert time.process_time() - start < 20
