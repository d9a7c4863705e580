"""Documents with one place changed at random: they are read, or refused with pointers; nothing else ever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.faults import Refused
from service.options import Options
from service.readers.spec.entry import read_spec
from tests import networks
from tests.readers.test_keras import POOL, conv_2d, dense, functional, functional_3, layer, lstm, sequential

CONV = {"type": "conv", "filters": 4, "kernel": 3, "padding": 1, "inputs": ["image"]}
EVERY_TYPE = {
    "receptive": 1,
    "inputs": [{"name": "image", "shape": [8, 16, 16]}, {"name": "text", "shape": [10]}, {"name": "sound", "shape": [6, 9]}],
    "layers": [
        {"name": "a", **CONV, "weights": [[[[1.0] * 3] * 3] * 8] * 4},
        {"name": "b", "share_with": "a", **CONV},
        {"name": "c", "type": "depthwise_conv", "kernel": 3, "padding": [[1, 1], [1, 1]]},
        {"name": "d", "type": "conv_transpose", "filters": 4, "kernel": 3, "stride": 2, "output_padding": 1, "padding": 1},
        {"name": "e", "type": "local", "filters": 2, "kernel": [3, 3], "padding": "same"},
        {"type": "subsample", "kernel": 2},
        {"type": "pool", "kernel": 2, "ceil_mode": True, "stride": 1},
        {"type": "upsample", "factor": [2, 1.5], "mode": "linear", "align_corners": True},
        {"type": "pad", "padding": 2, "mode": "reflect"},
        {"type": "crop", "padding": 1},
        {"type": "local_response_norm", "size": 3},
        {"type": "group_norm", "groups": 2},
        {"type": "layer_norm", "axes": [0, -1]},
        {"type": "batch_norm", "affine": "scale"},
        {"type": "activation", "function": "prelu"},
        {"type": "space_to_depth", "block": 2, "inputs": ["image"]},
        {"type": "depth_to_space", "block": 2},
        {"type": "attention", "heads": 2, "window": [3, 3], "units": 8},
        {"type": "attention", "repeat": 2, "width": 4},
        {"type": "scale"},
        {"type": "activation", "function": "prelu", "untied": True},
        {"type": "global_pool"},
        {"type": "dense", "units": 6},
        {"type": "dense", "units": 3, "tie": {"lags": [1, 3, 6]}},
        {"type": "reshape", "shape": [-1, 1]},
        {"type": "permute", "order": [1, 0]},
        {"type": "embedding", "vocabulary": 10, "units": 6, "inputs": ["text"]},
        {"type": "lstm", "units": 3, "bidirectional": True},
        {"type": "gru", "units": 3, "sequences": False},
        {"type": "concat", "inputs": ["a", "b"], "axis": 1},
        {"type": "multiply", "inputs": ["a", "c"]},
        {"type": "adaptive_pool", "size": [4, 8], "mode": "max", "inputs": ["image"]},
        {"name": "first", "type": "rnn", "units": 3, "states": True, "inputs": ["sound"]},
        {"type": "rnn", "units": 3, "inputs": ["sound", "first/state"]},
        {"name": "film", "type": "reshape", "shape": [2, 4, 16, 16], "inputs": ["image"]},
        {"type": "conv_lstm", "filters": 2, "kernel": 3, "states": True, "reverse": True},
        {"type": "conv_lstm", "filters": 2, "kernel": [3, 3], "stride": 2, "padding": "valid", "sequences": False, "inputs": ["film"]},
        {"name": "frames", "type": "to_batch", "axis": 1, "inputs": ["film"]},
        {"type": "from_batch", "axis": 1, "inputs": ["frames", "film"]},
        {"type": "attention", "heads": 2, "key_value_heads": 1, "value_width": 4, "axes": [1], "inputs": ["sound", "sound"]},
        {"type": "attend", "score": "additive", "scale": True, "inputs": ["sound", "sound"]},
        {"type": "dot", "axes": [0, 0], "inputs": ["sound", "sound"]},
        {"type": "flip", "axis": -1},
        {"type": "unknown", "reason": "a test", "shape": [3, 4]},
    ],
}
KERAS = sequential(
    [28, 28, 1],
    conv_2d("a", 4, 3, activation="relu"),
    layer("MaxPooling2D", "b", **POOL),
    layer("BatchNormalization", "c", axis=[3], scale=True, center=False),
    layer("Conv2DTranspose", "d", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="valid", output_padding=[1, 1]),
    layer("SeparableConv2D", "e", filters=4, kernel_size=[3, 3], strides=[1, 1], padding="same", depth_multiplier=1),
    layer("ZeroPadding2D", "f", padding=[[1, 1], [1, 1]]),
    layer("UpSampling2D", "g", size=[2, 2], interpolation="bilinear"),
    layer("Flatten", "h"),
    layer("Reshape", "i", target_shape=[4, -1]),
    layer("Bidirectional", "j", layer=lstm("inner", 3, True), merge_mode="sum"),
    layer("TimeDistributed", "k", layer=dense("inner", 3)),
    layer("Permute", "l", dims=[2, 1]),
    layer("LayerNormalization", "m", axis=[-1]),
    layer("GRU", "n", units=3, reset_after=True),
    layer("RepeatVector", "o", n=3),
    layer("PReLU", "p", shared_axes=[1]),
    layer("Softmax", "q", axis=-1),
)


def nested(make: Any) -> dict[str, Any]:
    """A Keras model that uses a model twice."""
    inner = make({"source": [8, 8, 3]}, [(conv_2d("conv", 4, 3), [["source"]])], ["conv"])
    inner["config"]["name"] = "inner"
    layers = [(inner, [["a"], ["b"]]), (layer("Concatenate", "join", axis=-1), [["inner", "inner:1"]])]
    document: dict[str, Any] = make({"a": [8, 8, 3], "b": [8, 8, 3]}, layers, ["join"])
    return document


DOCUMENTS = [EVERY_TYPE, KERAS, nested(functional), nested(functional_3), networks.lenet_1989(), networks.example("har")]
REPLACEMENTS = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 1.5, 2**31 - 1, 2**31, 2**70, 1e300),
    *("", "a", "same", "channels_first", "Sequential", "Functional", "InputLayer", "Dense", "LSTM", "conv", "dense", "lstm"),
    *([], [1], [1, 1], [[1, 1], [1, 1]], [0, 0, 0], [None], ["a", 0, 0], [[]], {}, {"a": 1}, {"class_name": "Dense", "config": {}}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = [list(places(document)) for document in DOCUMENTS]


def changed(document: Any, path: tuple[Any, ...], action: str, value: Any) -> Any:
    """A copy of the document with one place replaced, removed or doubled."""
    copy = json.loads(json.dumps(document))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if action == "remove":
        del holder[path[-1]]
    elif action == "double" and isinstance(holder, list):
        holder.append(holder[path[-1]])
    else:
        holder[path[-1]] = value
    return copy


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_are_valid_before(document: Any) -> None:
    graph, _ = read_spec(json.dumps(document).encode(), Options())
    assert graph.layers


@pytest.mark.property
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_changed_document_is_read_or_refused(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(DOCUMENTS) - 1))
    path = data.draw(st.sampled_from(PLACES[number]))
    action = data.draw(st.sampled_from(["replace", "replace", "remove", "double"]))
    document = changed(DOCUMENTS[number], path, action, data.draw(st.sampled_from(REPLACEMENTS)))
    try:
        graph, _ = read_spec(json.dumps(document).encode(), Options(), 20)
    except Refused as error:
        assert error.errors and all(detail.code and detail.detail for detail in error.errors)
    else:
        assert graph.layers and graph.outputs
