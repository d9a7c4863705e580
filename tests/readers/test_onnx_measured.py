"""Small networks, as nodes of ONNX, against what was measured on the same network elsewhere: the support of float64 gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from service.analysis import Reading
from service.graph.model import Model, ModelFacts
from tests.readers.onnx_models import model, node, reading
from tests.reports import Report, analyzed, layer_of


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def report(proto: onnx.ModelProto) -> Report:
    found = reading(proto)
    return analyzed(Model((found.graph(None, 256),), None, ModelFacts(None, "onnx", 1, (), ())), Reading("none"))


def field(proto: onnx.ModelProto, name: str) -> dict[str, Any]:
    found: dict[str, Any] = layer_of(report(proto), name)["receptive_field"]
    return found


def test_a_fold_adds_up_the_blocks_that_overlap() -> None:
    """Blocks of 3×3, 2 apart, of a convolution with stride 2: inner units read 5 of the input, and 7 after the next convolution."""
    nodes = [
        node("Conv", "x", "w", outputs=["a"], name="stem", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Reshape", "a", "columns", outputs=["b"], name="columns"),
        node("Col2Im", "b", "image", "block", outputs=["c"], name="fold", strides=[2, 2]),
        node("Conv", "c", "v", name="last", pads=[1, 1, 1, 1]),
    ]
    stored = {"w": zeros(18, 1, 3, 3), "columns": np.array([1, 18, 256]), "image": np.array([33, 33]), "block": np.array([3, 3])}
    proto = model(nodes, {"x": [1, 1, 32, 32]}, {**stored, "v": zeros(3, 2, 3, 3)})
    for name, size, padding in (("fold", 5, 3), ("last", 7, 3)):
        found = field(proto, name)
        assert (found["size"], found["stride"], found["padding"], found["status"]) == ([size] * 2, [1, 1], [padding] * 2, "exact")
