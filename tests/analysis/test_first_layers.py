"""First layers: convolutions that read an input, dense layers that read an image, and the pictures of their filters (design section 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from service.analysis import Reading
from service.analysis.filters.layer import find_filters
from service.faults import Refused
from service.readers.onnx import OnnxWeights
from tests.readers.onnx_models import model, node, read, report_of

RANDOM = np.random.default_rng(17)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def first(proto: onnx.ModelProto, mode: str = "all") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = report_of(proto, Reading(mode))["first_layers"]
    return found


def pictures(proto: onnx.ModelProto, wanted: str | None = None) -> np.ndarray:
    return find_filters(read(proto), OnnxWeights(), wanted).values


def flattened(shape: list[int], w: np.ndarray, op: str = "Flatten") -> onnx.ModelProto:
    """An image flattened before a dense layer of 12 units, and one behind it."""
    flat = node("Flatten", "x", outputs=["f"], name="flat")
    if op == "Reshape":
        flat = node("Reshape", "x", "shape", outputs=["f"], name="flat")
    nodes = [flat, node("Gemm", "f", "w", outputs=["h"], name="a", transB=1), node("Gemm", "h", "v", name="b", transB=1)]
    return model(nodes, {"x": shape}, {"w": w, "v": array(10, 12), "shape": integers(1, -1)})


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        ("Flatten", [1, 1, 28, 28]),
        ("Flatten", ["n", 1, 28, 28]),
        ("Flatten", [1, 28, 28]),
        ("Flatten", [4, 1, 28, 28]),
        ("Reshape", [1, 1, 28, 28]),
        ("Reshape", [1, 28, 28]),
    ],
)
def test_a_dense_layer_on_a_flattened_image(op: str, shape: list[int]) -> None:
    """The rows of its matrix are the images that its units look for."""
    w = array(12, 784)
    proto = flattened(shape, w, op)
    assert first(proto) == [{"layer": "a", "filters": 12, "kernel": [28, 28], "channels": 1, "reads": "x"}]
    assert np.array_equal(pictures(proto), w.reshape(12, 1, 28, 28))


def test_channels_last_are_put_first_in_the_picture() -> None:
    w = array(12, 192)
    proto = flattened([1, 8, 8, 3], w)
    assert first(proto)[0] | {"layer": "a", "kernel": [8, 8], "channels": 3} == first(proto)[0]
    assert np.array_equal(pictures(proto), w.reshape(12, 8, 8, 3).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("shape", [[1, 784], [1, 24, 7], [1, 100, 3], ["n", 13]])
def test_a_vector_of_features_or_a_sequence_is_no_image(shape: list[Any]) -> None:
    size = int(np.prod([n for n in shape if isinstance(n, int)]))
    assert first(flattened(shape, array(12, size))) == []
    tokens = model([node("MatMul", "x", "w", name="a")], {"x": shape}, {"w": array(shape[-1], 5)})
    assert first(tokens) == []


def test_the_picture_survives_what_acts_on_each_pixel_by_itself() -> None:
    w = array(12, 64)
    nodes = [
        node("Sub", "x", "mean", outputs=["c"], name="centre"),
        node("Div", "c", "std", outputs=["s"], name="scale"),
        node("Flatten", "s", outputs=["f"], name="flat"),
        node("MatMul", "f", "w", name="a"),
    ]
    stored = {"mean": np.float32(0.5), "std": np.float32(0.2), "w": np.ascontiguousarray(w.T)}
    assert np.array_equal(pictures(model(nodes, {"x": [1, 1, 8, 8]}, stored)), w.reshape(12, 1, 8, 8))


def test_a_dense_layer_behind_another_layer_or_a_pool_is_no_first_layer() -> None:
    nodes = [
        node("AveragePool", "x", outputs=["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", outputs=["f"], name="flat"),
        node("MatMul", "f", "w", name="a"),
    ]
    assert first(model(nodes, {"x": [1, 1, 8, 8]}, {"w": array(16, 5)})) == []


def patches(order: list[int], w: np.ndarray) -> onnx.ModelProto:
    """A linear patch embedding: 16 patches of 4 × 4 × 3 of an image of 16 × 16, each a row of 48 numbers."""
    nodes = [
        node("Reshape", "x", "blocks", outputs=["r"], name="blocks"),
        node("Transpose", "r", outputs=["t"], name="order", perm=order),
        node("Reshape", "t", "rows", outputs=["p"], name="rows"),
        node("MatMul", "p", "w", outputs=["h"], name="embed"),
        node("Add", "h", "b", name="bias"),
    ]
    stored = {"blocks": integers(1, 3, 4, 4, 4, 4), "rows": integers(1, 16, 48), "w": w, "b": array(20)}
    return model(nodes, {"x": [1, 3, 16, 16]}, stored)


@pytest.mark.parametrize(
    ("order", "back"), [([0, 2, 4, 3, 5, 1], (4, 4, 3, 20)), ([0, 2, 4, 1, 3, 5], (3, 4, 4, 20)), ([0, 2, 4, 5, 3, 1], (4, 4, 3, 20))]
)
def test_a_linear_patch_embedding_is_drawn_as_patches(order: list[int], back: tuple[int, ...]) -> None:
    """Whichever order the pixels of a patch have: (y, x, channel), (channel, y, x), (x, y, channel)."""
    w = array(48, 20)
    proto = patches(order, w)
    assert first(proto) == [{"layer": "embed", "filters": 20, "kernel": [4, 4], "channels": 3, "reads": "x"}]
    # The last three axes of a patch are, in the order of `order`, height (3), width (5) and channel (1) of the blocks.
    expected = np.moveaxis(w.reshape(back), [order[3:].index(axis) for axis in (1, 3, 5)], [0, 1, 2])
    assert np.array_equal(pictures(proto), np.moveaxis(expected, -1, 0))


def test_a_patch_embedding_behind_a_normalisation_of_each_patch() -> None:
    """vit-pytorch's order: patches, layer normalisation, linear."""
    proto = patches([0, 2, 4, 3, 5, 1], array(48, 20))
    embed = next(one for one in proto.graph.node if one.name == "embed")
    embed.input[0] = "n"
    proto.graph.node.insert(3, node("LayerNormalization", "p", "gain", outputs=["n"], name="norm"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(array(48), "gain"))
    assert [(one["layer"], one["kernel"], one["channels"]) for one in first(proto)] == [("embed", [4, 4], 3)]


def focus(w: np.ndarray, by: str) -> onnx.ModelProto:
    """YOLOv5's first stem: every other pixel of every other row into channels, then a 3 × 3 convolution."""
    conv = node("Conv", "z", "w", name="conv", pads=[1, 1, 1, 1])
    if by == "SpaceToDepth":
        return model([node("SpaceToDepth", "x", outputs=["z"], name="cut", blocksize=2), conv], {"x": [1, 3, 32, 32]}, {"w": w})
    nodes, parts = [], []
    for y, x in ((0, 0), (1, 0), (0, 1), (1, 1)):
        name = f"p{y}{x}"
        nodes.append(node("Slice", "x", f"s{y}{x}", "end", "axes", "two", outputs=[name], name=name))
        parts.append(name)
    starts = {f"s{y}{x}": integers(y, x) for y in (0, 1) for x in (0, 1)}
    stored = {"w": w, "end": integers(1 << 30, 1 << 30), "axes": integers(2, 3), "two": integers(2, 2), **starts}
    return model([*nodes, node("Concat", *parts, outputs=["z"], name="cat", axis=1), conv], {"x": [1, 3, 32, 32]}, stored)


@pytest.mark.parametrize(("by", "order"), [("Slice", ((0, 0), (1, 0), (0, 1), (1, 1))), ("SpaceToDepth", ((0, 0), (0, 1), (1, 0), (1, 1)))])
def test_a_focus_stem_has_colour_filters_of_6_by_6(by: str, order: tuple[tuple[int, int], ...]) -> None:
    """Tap (i, j) of block (y, x) reads pixel (2i + y, 2j + x)."""
    w = array(16, 12, 3, 3)
    proto = focus(w, by)
    assert first(proto) == [{"layer": "conv", "filters": 16, "kernel": [6, 6], "channels": 3, "reads": "x"}]
    expected = np.zeros((16, 3, 6, 6), np.float32)
    for block, (y, x) in enumerate(order):
        expected[:, :, y::2, x::2] = w[:, 3 * block : 3 * block + 3]
    assert np.array_equal(pictures(proto), expected)


def test_an_ordinary_convolution_is_drawn_as_it_is_stored() -> None:
    w = array(8, 3, 5, 5)
    proto = model([node("Conv", "x", "w", name="conv", strides=[2, 2], dilations=[2, 2])], {"x": [1, 3, 32, 32]}, {"w": w})
    assert first(proto) == [{"layer": "conv", "filters": 8, "kernel": [5, 5], "channels": 3, "reads": "x"}]
    assert np.array_equal(pictures(proto), w)


def test_other_dense_layers_have_no_picture() -> None:
    with pytest.raises(Refused) as caught:
        pictures(flattened([1, 1, 28, 28], array(12, 784)), "b")
    assert caught.value.code == "no-filters"


SAMPLES, HOP, BANDS = 64, 16, 10
BINS = SAMPLES // 2 + 1


def basis(kind: str) -> np.ndarray:
    """Cosines and sines under a Hann window, one after the other or in turn."""
    angle = 2 * np.pi * np.outer(np.arange(BINS), np.arange(SAMPLES)) / SAMPLES
    window = np.hanning(SAMPLES + 1)[:-1]
    waves = np.stack([np.cos(angle) * window, -np.sin(angle) * window], axis=0 if kind == "blocks" else 1)
    return waves.reshape(2 * BINS, 1, SAMPLES).astype(np.float32)


def bands() -> np.ndarray:
    """Triangles between rising frequencies, as mel filters are: (frequencies, bands)."""
    edges = np.linspace(0, BINS - 1, BANDS + 2)
    frequency = np.arange(BINS)[:, None]
    rising, falling = (frequency - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - frequency) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def heard(*front: onnx.NodeProto, **stored: Any) -> onnx.ModelProto:
    """A convolution over a spectrogram (1, channels, frames), which `front` makes of a sound."""
    nodes = [*front, node("Unsqueeze", "s", "axis", outputs=["image"], name="image"), node("Conv", "image", "w", name="conv")]
    return model(nodes, {"x": [1, 1, 640]}, {"w": array(4, 1, 3, 3), "axis": integers(1), **stored})


def test_a_convolution_behind_a_spectrogram_of_the_standard_operator() -> None:
    front = [
        node("Reshape", "x", "flat", outputs=["line"], name="line"),
        node("STFT", "line", "hop", "window", outputs=["c"], name="stft"),
        node("Gather", "c", "real", outputs=["re"], name="real", axis=3),
        node("MelWeightMatrix", "bands", "length", "rate", "low", "high", outputs=["mel"], name="mel"),
        node("MatMul", "re", "mel", outputs=["m"], name="bank"),
        node("Log", "m", outputs=["s"], name="log"),
    ]
    stored = {
        "flat": integers(1, 640),
        "hop": np.int64(HOP),
        "window": np.hanning(SAMPLES).astype(np.float32),
        "real": np.int64(0),
        "bands": np.int64(BANDS),
        "length": np.int64(SAMPLES),
        "rate": np.int64(16000),
        "low": np.float32(0),
        "high": np.float32(8000),
    }
    found = first(heard(*front, **stored))
    assert found == [{"layer": "conv", "filters": 4, "kernel": [3, 3], "channels": 1, "reads": "x"}]


@pytest.mark.parametrize("kind", ["blocks", "turns"])
def test_a_convolution_behind_a_fourier_basis_that_is_stored_as_a_kernel(kind: str) -> None:
    front = [node("Conv", "x", "basis", outputs=["s"], name="stft", strides=[HOP])]
    proto = heard(*front, basis=basis(kind))
    assert [one["layer"] for one in first(proto)] == ["conv"]
    assert [one["layer"] for one in first(proto, "none")] == ["stft"]  # without the values it is a convolution like any other


def test_a_convolution_behind_cosines_and_sines_apart_and_a_stored_filter_bank() -> None:
    waves = basis("blocks")
    front = [
        node("Conv", "x", "cos", outputs=["re"], name="cosines", strides=[HOP]),
        node("Conv", "x", "sin", outputs=["im"], name="sines", strides=[HOP]),
        node("Mul", "re", "re", outputs=["re2"], name="re2"),
        node("Mul", "im", "im", outputs=["im2"], name="im2"),
        node("Add", "re2", "im2", outputs=["power"], name="power"),
        node("Transpose", "power", outputs=["t"], name="turn", perm=[0, 2, 1]),
        node("MatMul", "t", "mel", outputs=["m"], name="bank"),
        node("Log", "m", outputs=["s"], name="log"),
    ]
    proto = heard(*front, cos=waves[:BINS], sin=waves[BINS:], mel=bands())
    assert [one["layer"] for one in first(proto)] == ["conv"]


def test_learned_filters_of_a_sound_are_the_first_layer() -> None:
    front = [node("Conv", "x", "k", outputs=["s"], name="learned", strides=[HOP])]
    assert [one["layer"] for one in first(heard(*front, k=array(66, 1, SAMPLES)))] == ["learned"]


def test_a_transform_alone_is_the_first_layer_of_what_has_no_other() -> None:
    proto = model([node("Conv", "x", "basis", name="stft", strides=[HOP])], {"x": [1, 1, 640]}, {"basis": basis("blocks")})
    assert [one["layer"] for one in first(proto)] == ["stft"]
