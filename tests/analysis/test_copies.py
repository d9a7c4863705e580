"""Weights that are stored twice are found by their values: byte-equal, transposed, or under another operator.

The cases are those of pytorch/torchtitan PR #3225.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from service.analysis import Reading
from tests.readers.onnx_models import model, node, report_of

RANDOM = np.random.default_rng(9)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def duplicates(proto: onnx.ModelProto, mode: str = "all") -> list[set[str]]:
    report = report_of(proto, Reading(mode))
    return [set(finding["data"]["tensors"]) for finding in report["findings"] if finding["code"] == "duplicate-weights"]


def text(head: onnx.NodeProto, **stored: Any) -> onnx.ModelProto:
    """A table of 50 words that is looked up, and a head that gives a score to each."""
    nodes = [
        node("Gather", "table", "ids", outputs=["rows"], name="embed"),
        node("Reshape", "rows", "shape", outputs=["h"], name="flat"),
        head,
    ]
    proto = model(nodes, {"ids": [1, 7]}, {"shape": np.array([7, 16]), **stored})
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return proto


def test_a_table_and_a_head_that_is_its_transpose() -> None:
    table = array(50, 16)
    head = node("MatMul", "h", "w", name="head")
    assert duplicates(text(head, table=table, w=np.ascontiguousarray(table.T))) == [{"table", "w"}]
    assert duplicates(text(head, table=table, w=array(16, 50))) == []


def test_a_table_and_a_byte_equal_head_that_multiplies_by_the_transpose() -> None:
    table = array(50, 16)
    head = node("Gemm", "h", "w", name="head", transB=1)
    assert duplicates(text(head, table=table, w=table.copy())) == [{"table", "w"}]


def test_a_tied_table_is_no_duplicate() -> None:
    assert duplicates(text(node("Gemm", "h", "table", name="head", transB=1), table=array(50, 16))) == []


def dense(*matrices: np.ndarray) -> onnx.ModelProto:
    names = ["x", *(f"h{i}" for i in range(len(matrices) - 1)), "y"]
    nodes = [node("MatMul", names[i], f"w{i}", outputs=[names[i + 1]], name=f"d{i}") for i in range(len(matrices))]
    return model(nodes, {"x": [1, matrices[0].shape[0]]}, {f"w{i}": matrix for i, matrix in enumerate(matrices)})


def test_equal_initializers_and_what_only_has_equal_sums() -> None:
    w = array(8, 8)
    assert duplicates(dense(w, w.copy())) == [{"w0", "w1"}]
    assert duplicates(dense(w, w.T.copy(), array(8, 8), w.copy())) == [{"w0", "w1", "w3"}]
    assert duplicates(dense(w, np.roll(w, 1, axis=0))) == []  # the same numbers in an order that no transposition makes


def test_an_autoencoder_with_a_transposed_copy() -> None:
    w = array(128, 10)
    assert duplicates(dense(w, w.T.copy())) == [{"w0", "w1"}]


def test_a_convolution_and_a_transposed_one_with_channels_exchanged() -> None:
    w = array(8, 3, 4, 4)
    nodes = [node("Conv", "x", "w", outputs=["h"], name="down"), node("ConvTranspose", "h", "v", name="up")]
    assert duplicates(model(nodes, {"x": [1, 3, 8, 8]}, {"w": w, "v": w.copy()})) == [{"w", "v"}]
    back = [node("Conv", "x", "w", outputs=["h"], name="down"), node("Conv", "h", "v", name="up", pads=[3, 3, 3, 3])]
    assert duplicates(model(back, {"x": [1, 3, 8, 8]}, {"w": w, "v": w.swapaxes(0, 1).copy()})) == [{"w", "v"}]


def test_a_matrix_and_a_convolution_of_one_pixel() -> None:
    w = array(6, 4)
    nodes = [
        node("Conv", "x", "w", outputs=["h"], name="conv"),
        node("Transpose", "h", outputs=["t"], name="turn", perm=[0, 2, 3, 1]),
        node("MatMul", "t", "v", name="back"),
    ]
    assert duplicates(model(nodes, {"x": [1, 4, 5, 5]}, {"w": w.reshape(6, 4, 1, 1), "v": w.copy()})) == [{"w", "v"}]


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_recurrent_kernels_of_several_parts(op: str) -> None:
    gates = {"LSTM": 4, "GRU": 3}[op]
    w, r = array(1, gates * 8, 8), array(1, gates * 8, 8)
    nodes = [
        node(op, "x", "w0", "r0", outputs=["s"], name="first", hidden_size=8),
        node("Squeeze", "s", "axis", outputs=["t"], name="squeeze"),
        node(op, "t", "w1", "r1", name="second", hidden_size=8),
    ]
    stored = {"w0": w, "r0": r, "axis": np.array([1])}
    assert duplicates(model(nodes, {"x": [5, 1, 8]}, {**stored, "w1": w.copy(), "r1": r.copy()})) == [{"w0", "w1"}]
    assert duplicates(model(nodes, {"x": [5, 1, 8]}, {**stored, "w1": r.copy(), "r1": w.copy()})) == []


def test_values_that_are_not_read_are_not_compared() -> None:
    w = array(8, 8)
    assert duplicates(dense(w, w.copy()), "none") == []


def test_kernels_of_zeros_are_left_out() -> None:
    zeros = np.zeros((8, 8), np.float32)
    assert duplicates(dense(zeros, zeros.copy())) == []
