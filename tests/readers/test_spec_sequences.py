"""Layers of a spec over time and between tensors: states, convolutional recurrence, attention of two inputs, steps as samples, unknowns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.faults import Refused
from service.graph import operators as core
from service.graph.network import Graph, Layer
from service.options import Options
from service.readers.spec.entry import read_spec
from tests.reports import report_of

Json = dict[str, Any]


def document(inputs: dict[str, list[int]], *layers: Json) -> bytes:
    spec = {"receptive": 1, "inputs": [{"name": name, "shape": shape} for name, shape in inputs.items()], "layers": list(layers)}
    return json.dumps(spec).encode()


def read(inputs: dict[str, list[int]], *layers: Json) -> Graph:
    return read_spec(document(inputs, *layers), Options())[0]


def report(inputs: dict[str, list[int]], *layers: Json) -> dict[str, Json]:
    """The layers of the report by name."""
    return {layer["name"]: layer for layer in report_of(json.loads(document(inputs, *layers)))["layers"]}


def refused(inputs: dict[str, list[int]], *layers: Json) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        read(inputs, *layers)
    return [(detail.pointer, detail.code) for detail in caught.value.errors]


def named(graph: Graph, name: str) -> Layer:
    return next(layer for layer in graph.layers if layer.name == name)


def shape(graph: Graph, name: str) -> tuple[int, ...] | None:
    return graph.tensors[name].shape


LSTM = {"type": "lstm", "units": 5, "bias": "single"}


def test_states_are_handed_on() -> None:
    """Keras's sequence to sequence example: the decoder begins with the encoder's last state and cell."""
    encoder = {"name": "encoder", **LSTM, "states": True, "sequences": False, "inputs": ["source"]}
    decoder = {"name": "decoder", **LSTM, "inputs": ["target", "encoder/state", "encoder/cell"]}
    graph = read({"source": [7, 20], "target": [9, 11]}, encoder, decoder)
    assert named(graph, "encoder").outputs == ("encoder", "encoder/state", "encoder/cell")
    assert named(graph, "decoder").inputs == ("target", "encoder/state", "encoder/cell")
    assert [shape(graph, name) for name in ("encoder", "encoder/state", "encoder/cell", "decoder")] == [(1, 5), (1, 5), (1, 5), (1, 5, 11)]
    fields = report({"source": [7, 20], "target": [9, 11]}, encoder, decoder)
    assert fields["decoder"]["parameters"]["total"] == 4 * 5 * (9 + 5) + 4 * 5
    assert fields["decoder"]["connections"]["exact"] == 11 * 4 * 5 * (9 + 5)


def test_states_of_both_directions_stand_side_by_side() -> None:
    both = {"name": "both", "type": "gru", "units": 5, "bidirectional": True, "states": True}
    graph = read({"x": [7, 20]}, both, {**both, "name": "next", "inputs": ["both", "both/state"]})
    assert (shape(graph, "both"), shape(graph, "both/state"), shape(graph, "next")) == ((1, 10, 20), (1, 10), (1, 10, 20))
    assert "both/cell" not in graph.tensors


def test_states_that_do_not_fit() -> None:
    inputs = {"x": [7, 20], "s": [5], "t": [6]}
    assert refused(inputs, LSTM | {"inputs": ["x", "t"]}) == [("/layers/0/inputs/1", "shape-mismatch")]
    assert refused(inputs, LSTM | {"inputs": ["x", "s", "s", "s"]}) == [("/layers/0/inputs", "wrong-length")]
    assert refused(inputs, {"type": "gru", "units": 5, "inputs": ["x", "s", "s"]}) == [("/layers/0/inputs/2", "wrong-length")]
    assert refused(inputs, LSTM | {"inputs": ["x", "s", "s"], "repeat": 2}) == [("/layers/0/repeat", "conflict")]
    without = [LSTM | {"name": "a", "inputs": ["x"]}, {"type": "dropout", "inputs": ["a/state"]}]
    assert refused(inputs, *without) == [("/layers/1/inputs/0", "unknown-layer")]


CONV_LSTM = {"name": "m", "type": "conv_lstm", "filters": 16, "kernel": 3}


def test_a_convolutional_recurrence_is_one_convolution_of_input_and_state() -> None:
    """Shi et al. 2015, and Keras's ConvLSTM2D(16, 3, padding="same") on one channel: 4·16·(1 + 16)·9 + 64 = 9,856 parameters."""
    layer = report({"x": [1, 8, 24, 24]}, CONV_LSTM)["m"]
    assert (layer["kind"], layer["output_shape"], layer["parameters"]["total"]) == ("recurrent", [1, 16, 8, 24, 24], 9856)
    # Each of 8 steps is a convolution of 17 maps into 64; along each axis two of 24·3 taps fall on padding.
    assert layer["connections"]["exact"] == 8 * 64 * 17 * (24 * 3 - 2) ** 2
    assert layer["connections"]["padded"] == 8 * 64 * 17 * (24 * 3) ** 2


def test_the_field_of_a_convolutional_recurrence_grows_with_every_step() -> None:
    """The first of T steps is seen through T convolutions: k + (T - 1)(k - 1) pixels."""
    field = report({"x": [1, 3, 24, 24]}, CONV_LSTM)["m"]["receptive_field"]
    assert dict(zip(field["axes"], field["size"], strict=True)) | {"depth": None} == {"depth": None, "height": 7, "width": 7}


def test_the_last_state_of_a_convolutional_recurrence() -> None:
    graph = read({"x": [2, 5, 9, 8]}, CONV_LSTM | {"sequences": False, "states": True, "reverse": True})
    assert [shape(graph, name) for name in ("m", "m/state", "m/cell")] == [(1, 16, 9, 8)] * 3


def test_input_and_state_read_through_different_windows() -> None:
    """Keras keeps the size of the state's map whatever the input's padding and stride: two convolutions, 4·F·9 weights per channel."""
    layers = report({"x": [2, 5, 9, 9]}, CONV_LSTM | {"padding": "valid", "stride": 2, "filters": 4})
    assert layers["m"]["output_shape"] == [1, 4, 5, 4, 4]
    assert layers["m/input"]["parameters"]["total"] == 16 * 2 * 9 + 16
    assert layers["m"]["parameters"]["total"] == 16 * 4 * 9
    assert layers["m/input"]["connections"]["exact"] == 5 * 16 * 2 * 9 * 16
    assert layers["m"]["connections"]["exact"] == 5 * 16 * 4 * (4 * 3 - 2) ** 2


@pytest.mark.parametrize(("shape_", "place"), [([4, 5], ""), ([2, 2, 2, 2, 2, 2], ""), ([2, 5, 2, 2], "/kernel")])
def test_a_convolutional_recurrence_that_does_not_work(shape_: list[int], place: str) -> None:
    ((pointer, _),) = refused({"x": shape_}, CONV_LSTM | {"padding": "valid"})
    assert pointer == f"/layers/0{place}"


def test_attention_of_one_tensor_to_another() -> None:
    """Keras's MultiHeadAttention(4, 16) of 10 queries to 20 keys of 64 features: 4 matrices of 64·64 + 64."""
    graph = read({"q": [64, 10], "kv": [64, 20]}, {"name": "a", "type": "attention", "heads": 4, "inputs": ["q", "kv"]})
    assert sum(w.count for layer in graph.layers for w in (*layer.kernel, *layer.bias)) == 16640
    assert shape(graph, "a") == (1, 64, 10)
    assert [layer.inputs for layer in graph.layers[:3]] == [("q",), ("kv",), ("kv",)]


def test_keys_and_values_may_differ_and_be_shared_by_heads() -> None:
    """Grouped queries (Ainslie et al. 2023): 8 heads ask, 2 answer; values are as long as they are."""
    fields = {"heads": 8, "key_value_heads": 2, "width": 32, "value_width": 16, "units": 6, "bias": False}
    graph = read({"q": [12, 10], "k": [5, 20], "v": [7, 20]}, {"name": "a", "type": "attention", "inputs": ["q", "k", "v"], **fields})
    counts = {layer.name: sum(w.count for w in layer.kernel) for layer in graph.layers}
    assert counts == {"a/query": 12 * 32, "a/key": 5 * 8, "a/value": 7 * 4, "a": 0, "a/output": 16 * 6}
    assert shape(graph, "a") == (1, 6, 10)


def test_attention_along_some_axes() -> None:
    """Over the width of a map alone: each row is attended to by itself, and its positions are those of the width."""
    layers = report({"x": [8, 6, 10]}, {"name": "a", "type": "attention", "heads": 2, "axes": [2]})
    assert layers["a"]["output_shape"][-2:] == [6, 10] or layers["a/output"]["output_shape"] == [1, 8, 6, 10]
    field = layers["a/output"]["receptive_field"]
    assert (field["axes"], field["status"]) == (["position"], "global")
    assert layers["a/query"]["connections"]["exact"] == 6 * 10 * 8 * 8


def test_attention_without_projections() -> None:
    """Luong's and Bahdanau's: at most a factor, or one for each channel."""
    inputs = {"q": [6, 10], "v": [7, 20], "k": [6, 20]}
    for fields, other in [
        ({}, 0),
        ({"scale": True}, 1),
        ({"score": "additive", "scale": True}, 6),
        ({"score": "concat", "scale": True}, 2),
    ]:
        graph = read(inputs, {"name": "a", "type": "attend", "inputs": ["q", "k", "v"], **fields})
        (layer,) = graph.layers
        assert (layer.kind, shape(graph, "a"), sum(w.count for w in layer.other)) == ("attention", (1, 7, 10), other)
    assert refused(inputs, {"type": "attend", "inputs": ["q", "v"]}) == [("/layers/0/inputs/1", "shape-mismatch")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"heads": 4, "key_value_heads": 3}, ("/key_value_heads", "not-divisible")),
        ({"heads": 4, "value_width": 6}, ("/value_width", "not-divisible")),
        ({"axes": [0]}, ("/axes", "out-of-range")),
        ({"axes": [1, -1]}, ("/axes", "out-of-range")),
        ({"inputs": ["x", "y"]}, ("/inputs/1", "wrong-rank")),
        ({"inputs": ["x", "x", "z"]}, ("/inputs/2", "shape-mismatch")),
        ({"inputs": ["x", "z"], "window": 3}, ("/window", "conflict")),
    ],
)
def test_attention_that_does_not_work(fields: Json, expected: tuple[str, str]) -> None:
    ((pointer, code),) = refused({"x": [8, 10], "y": [8, 3, 3], "z": [8, 4]}, {"type": "attention", "inputs": ["x"], **fields})
    assert (pointer.removeprefix("/layers/0"), code) == expected


def test_dot() -> None:
    """Keras's Dot: "if applied to two tensors a and b of shape (batch_size, n), the output will be a tensor of shape (batch_size, 1)"."""
    graph = read({"a": [6], "b": [6]}, {"name": "d", "type": "dot", "axes": [0, 0], "inputs": ["a", "b"]})
    assert shape(graph, "d") == (1, 1)
    graph = read({"a": [3, 5], "b": [4, 5, 2]}, {"name": "d", "type": "dot", "axes": [-1, 1], "inputs": ["a", "b"]})
    assert shape(graph, "d") == (1, 3, 4, 2)
    wrong = {"type": "dot", "inputs": ["a", "b"]}
    assert refused({"a": [3], "b": [4]}, wrong | {"axes": [0, 0]}) == [("/layers/0", "shape-mismatch")]
    assert refused({"a": [3], "b": [3]}, wrong | {"axes": [0, 1]}) == [("/layers/0/axes/1", "out-of-range")]


def test_a_flipped_axis() -> None:
    (layer,) = read({"x": [3, 7]}, {"type": "flip", "axis": 1}).layers
    assert [node.operator for node in layer.nodes] == [core.Slicing(2, 6, -1, 7)]


STEPS = {"name": "steps", "type": "to_batch", "axis": 1}
CONV = {"name": "c", "type": "conv", "filters": 8, "kernel": 3}


def test_steps_as_samples_are_read_alone() -> None:
    """A convolution of each of 5 frames: its weights once, its connections 5 times, and no frame sees another."""
    layers = report({"x": [3, 5, 16, 16]}, STEPS, CONV, {"name": "back", "type": "from_batch", "axis": 1, "inputs": ["c", "x"]})
    assert layers["c"]["parameters"]["total"] == 8 * 3 * 9 + 8
    assert layers["c"]["connections"]["exact"] == 5 * 8 * 3 * 9 * 14 * 14
    back = layers["back"]
    assert back["output_shape"] == [1, 8, 5, 14, 14]
    assert (back["receptive_field"]["size"][-2:], back["receptive_field"]["status"]) == ([3, 3], "exact")


def test_steps_within_steps() -> None:
    """Two axes one after the other, and back in the opposite order, whatever their lengths are."""
    inner = {"name": "inner", "type": "to_batch", "axis": 1}
    flat = {"name": "flat", "type": "flatten"}
    back = {"name": "back", "type": "from_batch", "axis": -1, "inputs": ["flat", "steps"]}
    whole = {"name": "whole", "type": "from_batch", "axis": 0, "inputs": ["back", "x"]}
    graph = read({"x": [3, 5, 4, 2]}, STEPS, inner, flat, back, whole)
    shapes = [shape(graph, name) for name in ("steps", "inner", "flat", "back", "whole")]
    assert shapes == [(5, 3, 4, 2), (20, 3, 2), (20, 6), (5, 6, 4), (1, 5, 6, 4)]


@pytest.mark.parametrize(("axis", "source", "expected"), [(3, "x", ("/axis", "out-of-range")), (0, "y", ("/inputs/1", "shape-mismatch"))])
def test_samples_that_cannot_go_back(axis: int, source: str, expected: tuple[str, str]) -> None:
    more = {"name": "y", "type": "to_batch", "axis": 0, "inputs": ["x"]}
    ((pointer, code),) = refused(
        {"x": [3, 5, 4]}, more, STEPS | {"inputs": ["x"]}, {"type": "from_batch", "axis": axis, "inputs": ["steps", source]}
    )
    assert (pointer.removeprefix("/layers/2"), code) == expected


def test_an_unknown_layer_is_a_node_and_a_note() -> None:
    layers = ({"name": "u", "type": "unknown", "reason": "a Lambda"}, {**CONV, "kernel": 1})
    graph = read({"x": [3, 8, 8]}, *layers)
    assert [code for code, _, _ in graph.notes] == ["unknown-layer"] and "a Lambda" in graph.notes[0][2]
    described = report({"x": [3, 8, 8]}, *layers)
    assert described["c"]["parameters"]["total"] == 8 * 3 + 8
    assert described["c"]["receptive_field"]["status"] == "unknown"


def test_a_stated_shape_of_an_unknown_layer() -> None:
    graph = read({"x": [3, 8, 8]}, {"name": "u", "type": "unknown", "shape": [10]}, {"name": "d", "type": "dense", "units": 4})
    assert (shape(graph, "u"), shape(graph, "d")) == ((1, 10), (1, 4))


def test_what_does_not_fit_a_guessed_shape_is_unknown_too() -> None:
    """The unknown layer may have changed the shape: that a convolution does not fit is then no error of the document."""
    unknown = {"name": "u", "type": "unknown"}
    graph = read({"x": [3, 8]}, unknown, {"name": "d", "type": "dropout"}, {"name": "c", "type": "conv", "filters": 8, "kernel": 30})
    assert [(code, layer) for code, layer, _ in graph.notes] == [("unknown-layer", "u"), ("unknown-layer", "c")]
    assert isinstance(graph.layers[-1].nodes[0].operator, core.Unknown)
    assert refused({"x": [3, 8]}, unknown, {"type": "conv", "filters": 8, "kernel": 30, "inputs": ["x"]}) == [
        ("/layers/1/kernel", "does-not-fit")
    ]
