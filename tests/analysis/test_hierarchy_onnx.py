"""A whole network in pixels against one that runs it: strides, padding, dilation, batch normalisation, pools, groups and a join."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator

from service.analysis.filters.hierarchy import Projector, convolutions
from service.readers.onnx import OnnxWeights
from tests.readers.onnx_models import model, node, read

SIDE = 64
RANDOM = np.random.default_rng(5)


def weight(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def test_projection_is_the_linear_map_of_the_network() -> None:
    """Activations are left out and the maximum is a mean, as the projection takes them; no bias, so that the map is linear."""
    nodes = [
        node("Conv", "x", "w1", outputs=["c1"], strides=[2, 1], pads=[2, 1, 2, 1]),
        node("BatchNormalization", "c1", "gain", "zero", "zero", "variance", outputs=["b"], epsilon=1e-3),
        node("AveragePool", "b", outputs=["p"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0], count_include_pad=1),
        node("Conv", "p", "w2", outputs=["c2"], group=4, pads=[2, 2, 2, 2], dilations=[2, 2]),
        node("Add", "c2", "p", outputs=["sum"]),
        node("AveragePool", "sum", outputs=["q"], kernel_shape=[2, 2]),
        node("Conv", "q", "w3", outputs=["y"], strides=[1, 2]),
    ]
    stored = {"w1": weight(8, 3, 5, 3), "w2": weight(8, 2, 3, 3), "w3": weight(4, 8, 2, 3), "zero": np.zeros(8, np.float32)}
    stored |= {"gain": RANDOM.uniform(0.5, 2, 8).astype(np.float32), "variance": RANDOM.uniform(0.2, 3, 8).astype(np.float32)}
    proto = model(nodes, {"x": [1, 3, SIDE, SIDE]}, stored)
    graph = read(proto)
    projection = Projector(graph, OnnxWeights(), strongest=256).project(convolutions(graph)[2], range(4))
    assert projection is not None
    rows, columns = projection.pixels.shape[2:]

    images = RANDOM.standard_normal((3, 1, 3, SIDE, SIDE)).astype(np.float32)
    outputs = [ReferenceEvaluator(proto).run(None, {"x": image})[0][0] for image in images]
    middle = [output[:, output.shape[1] // 2, output.shape[2] // 2] for output in outputs]

    def seen(row: int, column: int) -> Any:
        windows = images[:, 0, :, row : row + rows, column : column + columns]
        return np.einsum("fchw,nchw->nf", projection.pixels, windows)

    places = [(row, column) for row in range(SIDE - rows + 1) for column in range(SIDE - columns + 1)]
    errors = {place: float(np.abs(seen(*place) - middle).max() / np.abs(middle).max()) for place in places}
    # At one place of the image the sum over the picture is what the network computes, and at no other.
    best, second = sorted(errors.values())[:2]
    assert best < 1e-6 and second > 0.01
