"""The list of Keras's layers in docs/keras.md against the reader's table, and layers that other tests of Keras documents leave out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from service.readers.keras.layers import CONVERTERS
from service.readers.keras.sequences import CELLS
from tests.readers.test_keras import Json, conv_2d, functional_3, layer, lstm, read, report, sequential, sequential_3, totals, unknown

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "keras.md").read_text()
LINES = (line.strip("|").split("|") for line in re.findall(r"(?m)^\| .*$", PAGE))
ROWS = {name.strip(" *"): re.findall(r"`(\w+)`", classes) for name, classes, *_ in LINES}
ELSEWHERE = {*CELLS, "StackedRNNCells", "InputLayer"}
"""Read as a part of another layer or of the model."""


def test_the_page_lists_every_layer_of_keras_once() -> None:
    """keras.layers of Keras 3.15.1 has 163 classes that are layers."""
    names = [name for row in ROWS.values() for name in row]
    assert len(names) == len(set(names)) == 163


def test_what_the_page_says_is_read_is_read_and_nothing_else() -> None:
    read_ = {name for kind, row in ROWS.items() if kind not in ("unknown", "aliases") for name in row}
    assert read_ - ELSEWHERE <= CONVERTERS.keys()
    assert CONVERTERS.keys().isdisjoint(ROWS["unknown"])
    assert len(read_) == 123


@pytest.mark.parametrize(
    ("shape", "entry", "parameters", "output"),
    [
        ([8, 6, 3], layer("AdaptiveAveragePooling2D", "x", output_size=[4, 2]), 0, (3, 4, 2)),
        ([8, 6, 3], layer("AdaptiveMaxPooling2D", "x", output_size=1), 0, (3, 1, 1)),
        ([8, 6, 3], layer("RMSNormalization", "x", axis=-1), 3, (3, 8, 6)),
        ([8, 6, 3], layer("BatchNormalization", "x", axis=2), 12, (8, 6, 3)),
        ([8, 6, 3], layer("SpectralNormalization", "x", layer=conv_2d("c", 4, 3)), 112, (4, 6, 4)),
        ([8, 6, 3], layer("ThresholdedReLU", "x", theta=1.0), 0, (3, 8, 6)),
        ([8, 6, 3], layer("Identity", "x"), 0, (3, 8, 6)),
        ([8, 6, 3], layer("RandomHue", "x", factor=0.1), 0, (3, 8, 6)),
        ([7, 6], layer("SpatialDropout1D", "x", rate=0.1), 0, (6, 7)),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else "",
)
def test_more_layers(shape: list[int | None], entry: Json, parameters: int, output: tuple[int, ...]) -> None:
    """Parameters and shapes of Keras 3.15, statistics of normalisations left out."""
    document = sequential(shape, entry)
    assert unknown(document) == []
    assert sum(totals(document).values()) == parameters
    graph = read(document)
    assert graph.tensors[graph.outputs[0]].shape == (1, *output)


def test_windows_of_different_sizes_are_not_made_up() -> None:
    document = sequential([8, 6, 3], layer("AdaptiveAveragePooling2D", "x", output_size=[3, 4]))
    assert (unknown(document), read(document).tensors["x"].shape) == (["x"], (1, 3, 3, 4))


def test_a_pipeline_is_its_layers() -> None:
    steps = [layer("RandomFlip", "a"), layer("Rescaling", "b", scale=0.5)]
    assert [entry.name for entry in read(sequential([8, 6, 3], layer("Pipeline", "p", layers=steps))).layers] == ["p/0", "p/1"]


def test_an_embedding_and_the_way_back() -> None:
    """ReversibleEmbedding(50, 8), called on tokens and with reverse=True on vectors: one table of 400 numbers, used twice."""
    layers = [(layer("ReversibleEmbedding", "e", input_dim=50, output_dim=8, tie_weights=True), [["x"], ["e"]])]
    document = functional_3({"x": [12]}, layers, ["e:1"])
    document["config"]["layers"][1]["inbound_nodes"][1]["kwargs"] = {"reverse": True}
    graph = read(document)
    assert graph.tensors[graph.outputs[0]].shape == (1, 50, 12)
    assert [sum(w.count for w in graph.stored), [entry.op for entry in graph.layers]] == [400, ["embedding", "dense"]]


def test_two_different_directions() -> None:
    backward = lstm("b", 4, True, go_backwards=True)
    wrapper = layer("Bidirectional", "x", layer=lstm("f", 5, True), backward_layer=backward, merge_mode="concat")
    assert totals(sequential([7, 3], wrapper)) == {"x/forward": 180, "x/backward": 128}


def operation(kind: str, **config: Any) -> Json:
    """A function of keras.ops as a layer of a Functional model."""
    return {"class_name": kind, "config": {"name": "f", **config}}


@pytest.mark.parametrize(
    ("entry", "output"),
    [
        (operation("Relu"), (3, 8, 6)),
        (operation("TrueDivide"), (3, 8, 6)),
        (operation("Transpose", axes=[0, 3, 1, 2]), (3, 8, 6)),
        (operation("Reshape", newshape=[-1, 48, 3]), (48, 3)),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else "",
)
def test_functions_of_keras_ops(entry: Json, output: tuple[int, ...]) -> None:
    document = functional_3({"x": [8, 6, 3]}, [(entry, [["x"]])], ["f"])
    assert (unknown(document), read(document).tensors["f"].shape) == ([], (1, *output))


def test_the_shape_of_an_unknown_layer_is_that_which_its_reader_states() -> None:
    """Keras 3 writes the shape of every tensor where it is read: a mean over space leaves three channels for the dense layer."""
    layers = [(operation("Mean", axis=[1, 2], keepdims=False), [["x"]]), (layer("Dense", "d", units=4, use_bias=True), [["f"]])]
    document = functional_3({"x": [8, 6, 3]}, layers, ["d"])
    document["config"]["layers"][2]["inbound_nodes"][0]["args"][0]["config"]["shape"] = [None, 3]
    assert (unknown(document), totals(document)) == (["f"], {"d": 16})


def test_the_shape_of_an_unknown_layer_in_a_sequence() -> None:
    dense = {**layer("Dense", "d", units=4, use_bias=True), "build_config": {"input_shape": [None, 5]}}
    document = sequential_3([8, 6, 3], layer("Capsule", "c"), dense)
    document["config"]["layers"][2]["build_config"] = {"input_shape": [None, 5]}
    assert totals(document) == {"d": 24}
    assert {entry["receptive_field"]["status"] for entry in report(document)["layers"]} == {"unknown"}
