"""Keras layers over time and between tensors: states, cells, wrappers, convolutional recurrence, attention, Dot."""

from __future__ import annotations

from typing import Any

import pytest

from service.graph import operators as core
from tests.readers.test_keras import (
    BOTH_FUNCTIONAL,
    POOL,
    Json,
    conv_2d,
    dense,
    functional,
    functional_3,
    layer,
    lstm,
    read,
    refused,
    report,
    sequential,
    totals,
)


def shape(document: Json, name: str) -> tuple[int, ...] | None:
    return read(document).tensors[name].shape


def with_results(document: Json, layer_name: str, *references: list[Any]) -> Json:
    """The document with a layer that reads these results of others: [name, use, result]."""
    entry = next(entry for entry in document["config"]["layers"] if entry.get("name") == layer_name)
    if "module" in entry:
        tensors = [{"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": reference}} for reference in references]
        entry["inbound_nodes"] = [{"args": [tensors[0]], "kwargs": {"initial_state": tensors[1:], "mask": None}}]
    else:
        entry["inbound_nodes"] = [[[*reference, {}] for reference in references]]
    return document


@BOTH_FUNCTIONAL
def test_sequence_to_sequence(make: Any) -> None:
    """Keras's example lstm_seq2seq: an encoder of 71 and a decoder of 93 characters, 256 units: 718,173 parameters."""
    encoder = layer("LSTM", "encoder", units=256, use_bias=True, return_sequences=False, return_state=True)
    decoder = layer("LSTM", "decoder", units=256, use_bias=True, return_sequences=True, return_state=True)
    layers = [(encoder, [["a"]]), (decoder, [["b"]]), (dense("out", 93, "softmax"), [["decoder"]])]
    document = make({"a": [None, 71], "b": [None, 93]}, layers, ["out"])
    with_results(document, "decoder", ["b", 0, 0], ["encoder", 0, 1], ["encoder", 0, 2])
    assert sum(totals(document).values()) == 718173
    inputs = {entry.name: entry.inputs for entry in read(document).layers}
    assert inputs["decoder"] == ("b", "encoder/state", "encoder/cell")


def test_results_that_a_layer_does_not_have() -> None:
    document = functional({"x": [5, 3]}, [(lstm("r", 4, True), [["x"]]), (dense("d", 2), [["r"]])], ["d"])
    with_results(document, "d", ["r", 0, 1])
    assert refused(document) == [("/config/layers/2/inbound_nodes/0", "unsupported-output")]


def test_sequences_that_come_out_backwards() -> None:
    """go_backwards with return_sequences: the last step comes first; the layer's own result is in the order of time."""
    document = sequential([7, 3], lstm("r", 4, True, go_backwards=True))
    flipped = read(document).layers[-1]
    assert (flipped.name, [node.operator for node in flipped.nodes]) == ("r/order", [core.Slicing(2, 6, -1, 7)])


def test_a_stack_of_cells_is_one_layer_after_the_other() -> None:
    """keras.layers.RNN([LSTMCell(5), GRUCell(4)]) on 3 features: 180 and 4·3·(5 + 4) + 24 = 132 parameters."""
    cells = [layer("LSTMCell", "a", units=5, use_bias=True), layer("GRUCell", "b", units=4, use_bias=True, reset_after=True)]
    stack = {"class_name": "StackedRNNCells", "config": {"name": "stack", "cells": cells}}
    document = sequential([7, 3], layer("RNN", "r", cell=stack, return_sequences=False))
    assert totals(document) == {"r/0": 180, "r": 132}
    assert shape(document, "r") == (1, 4)


@pytest.mark.parametrize(("mode", "units"), [("concat", 10), ("sum", 5), (None, 5)])
def test_both_directions_with_their_states(mode: str | None, units: int) -> None:
    inner = lstm("inner", 5, True, return_state=True)
    document = functional({"x": [7, 3]}, [(layer("Bidirectional", "b", layer=inner, merge_mode=mode), [["x"]])], ["b"])
    assert sum(totals(document).values()) == 2 * 4 * 5 * (3 + 5) + 2 * 4 * 5
    assert shape(document, read(document).outputs[0]) == (1, units, 7)


def test_both_directions_of_a_cell() -> None:
    inner = layer("RNN", "inner", cell=layer("GRUCell", "c", units=5, use_bias=True, reset_after=True), return_sequences=True)
    assert totals(sequential([7, 3], layer("Bidirectional", "b", layer=inner, merge_mode="concat"))) == {"b": 2 * 15 * (3 + 5) + 2 * 30}


def conv_lstm(name: str, dimensions: int, sequences: bool = True, **more: Any) -> Json:
    config = {"filters": 16, "kernel_size": [3] * dimensions, "strides": [1] * dimensions, "padding": "same", "use_bias": True}
    return layer(f"ConvLSTM{dimensions}D", name, **config, return_sequences=sequences, data_format="channels_last", **more)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_convolutional_recurrence(dimensions: int) -> None:
    """keras-team/keras#12257: ConvLSTM2D(16, 3) on one channel has 4·16·(1 + 16)·9 + 64 = 9,856 parameters."""
    document = sequential([4, *[8] * dimensions, 1], conv_lstm("c", dimensions))
    assert totals(document) == {"c": 4 * 16 * 17 * 3**dimensions + 64}
    assert shape(document, "c") == (1, 16, 4, *[8] * dimensions)
    assert shape(sequential([4, *[8] * dimensions, 1], conv_lstm("c", dimensions, False)), "c") == (1, 16, *[8] * dimensions)


def test_a_convolution_behind_a_convolutional_recurrence() -> None:
    document = sequential([4, 8, 8, 1], conv_lstm("a", 2), conv_lstm("b", 2, False), conv_2d("c", 3, 3))
    assert shape(document, "c") == (1, 3, 6, 6)
    both = sequential([4, 8, 8, 1], layer("Bidirectional", "b", layer=conv_lstm("inner", 2), merge_mode="concat"))
    assert shape(both, "b") == (1, 32, 4, 8, 8) and sum(totals(both).values()) == 2 * 9856


def each_step(name: str, inner: Json) -> Json:
    return layer("TimeDistributed", name, layer=inner)


def test_a_convolutional_network_on_every_frame() -> None:
    """keras-team/keras#9788: Conv2D(8, 3), pooling and flatten on each of 5 frames, then LSTM(10): 224 + 72,440 parameters."""
    document = sequential(
        [5, 32, 32, 3],
        each_step("convolved", conv_2d("c", 8, 3)),
        each_step("pooled", layer("MaxPooling2D", "p", **POOL)),
        each_step("flat", layer("Flatten", "f")),
        lstm("lstm", 10, False),
    )
    assert sum(totals(document).values()) == 224 + 4 * 10 * (1800 + 10) + 40 == 72664
    found = {entry["name"]: entry for entry in report(document)["layers"]}
    assert found["convolved"]["connections"]["exact"] == 5 * 30 * 30 * 8 * 27
    assert found["convolved"]["receptive_field"]["status"] == "exact"


@BOTH_FUNCTIONAL
def test_a_whole_model_on_every_frame(make: Any) -> None:
    """Its weights are counted once, and the frame keeps Keras's order of units: (height, width, channels) flattened."""
    inner = make({"frame": [8, 8, 3]}, [(conv_2d("c", 4, 3), [["frame"]]), (layer("GlobalAveragePooling2D", "g"), [["c"]])], ["g"])
    document = make({"film": [5, 8, 8, 3]}, [(each_step("steps", inner), [["film"]]), (lstm("r", 6, False), [["steps"]])], ["r"])
    assert totals(document) == {"steps/c": 112, "r": 4 * 6 * (4 + 6) + 24}


def test_steps_within_steps() -> None:
    document = sequential([None, 5, 8, 8, 3], each_step("outer", each_step("inner", conv_2d("c", 4, 3))))
    graph = read(document)
    assert graph.tensors[graph.outputs[0]].shape == (1, 4, 256, 5, 6, 6)
    assert sum(totals(document).values()) == 112


@BOTH_FUNCTIONAL
def test_attention_between_tensors_and_along_axes(make: Any) -> None:
    """MultiHeadAttention(4, 16): 10 queries, 20 keys of 64 features: 16,640 parameters; and as Keras writes it after build."""
    built = {"dropout": 0.0, "value_dim": 16, "output_shape": None, "attention_axes": [1], "query_shape": [None, 10, 64]}
    attend = layer("MultiHeadAttention", "a", num_heads=4, key_dim=16, use_bias=True, **built)
    document = make({"q": [10, 64], "kv": [20, 64]}, [(attend, [["q", "kv"]])], ["a"])
    assert sum(totals(document).values()) == 16640
    (mixed,) = [entry for entry in read(document).layers if entry.name == "a"]
    assert (mixed.kind, shape(document, "a")) == ("attention", (1, 64, 10))
    along = layer("MultiHeadAttention", "a", num_heads=2, key_dim=4, use_bias=True, attention_axes=[2])
    rows = make({"x": [6, 5, 8]}, [(along, [["x", "x"]])], ["a"])
    assert (shape(rows, "a"), sum(totals(rows).values())) == ((1, 8, 6, 5), 4 * 72)


def test_attention_by_the_names_of_its_arguments() -> None:
    """Keras 2 keeps value and key in the arguments of the call; a mask is none of them."""
    attend = layer("MultiHeadAttention", "a", num_heads=2, key_dim=4, use_bias=False)
    document = functional({"q": [5, 3], "k": [6, 4], "v": [6, 7], "m": [5, 6]}, [(attend, [["q"]])], ["a"])
    document["config"]["layers"][-1]["inbound_nodes"] = [
        [["q", 0, 0, {"key": ["k", 0, 0], "value": ["v", 0, 0], "attention_mask": ["m", 0, 0]}]]
    ]
    assert totals(document) == {"a/query": 24, "a/key": 32, "a/value": 56, "a/output": 24}


def test_grouped_queries() -> None:
    """GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2) on 8 features, count_params of Keras 3.15: 640."""
    config = {"head_dim": 4, "num_query_heads": 6, "num_key_value_heads": 2, "use_bias": True}
    document = functional_3({"x": [7, 8]}, [(layer("GroupQueryAttention", "g", **config), [["x", "x"]])], ["g"])
    assert sum(totals(document).values()) == (8 * 24 + 24) + 2 * (8 * 8 + 8) + (24 * 8 + 8)


@pytest.mark.parametrize(
    ("kind", "config", "parameters"),
    [
        ("Attention", {"use_scale": False, "score_mode": "dot"}, 0),
        ("Attention", {"use_scale": True, "score_mode": "dot"}, 1),
        ("Attention", {"use_scale": True, "score_mode": "concat"}, 2),
        ("AdditiveAttention", {"use_scale": True}, 6),
    ],
)
def test_attention_without_projections(kind: str, config: Json, parameters: int) -> None:
    """Query (5, 6) and value (7, 6) give (5, 6)."""
    document = functional_3({"q": [5, 6], "v": [7, 6]}, [(layer(kind, "a", **config), [["q", "v"]])], ["a"])
    assert (sum(totals(document).values()), shape(document, "a")) == (parameters, (1, 6, 5))


@pytest.mark.parametrize(
    ("shapes", "axes", "result"),
    [(([6], [6]), 1, (1, 1)), (([3, 5], [4, 5]), 2, (1, 3, 4)), (([3, 5], [5, 4]), [2, 1], (1, 3, 4)), (([3, 5], [5]), [-1, -1], (1, 3))],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(shapes: tuple[list[int | None], list[int | None]], axes: Any, result: tuple[int, ...], normalize: bool) -> None:
    """The output shapes of keras.layers.Dot, which counts the batch as axis 0."""
    layers = [(layer("Dot", "d", axes=axes, normalize=normalize), [["a", "b"]])]
    assert shape(functional({"a": shapes[0], "b": shapes[1]}, layers, ["d"]), "d") == result
