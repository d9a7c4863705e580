"""Values without axes, or with one, between layers: every one of them ends in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.options import Options
from service.readers.model import read_model
from tests.readers.onnx_models import model, node
from tests.reports import analyzed

Report = dict[str, Any]
WEIGHTS = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)


def report(tmp_path: Path, proto: onnx.ModelProto) -> Report:
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return analyzed(read_model(path, Options(), {}))


def layer(found: Report, name: str) -> Report:
    one: Report = next(each for each in found["layers"] if each["name"] == name)
    return one


def test_a_dynamically_quantised_network(tmp_path: Path) -> None:
    """DynamicQuantizeLinear between two convolutions gives scale and zero point of rank 0; the 8-bit kernels are weights as any other."""
    kernels = {f"k{i}": np.ones(shape, np.int8) for i, shape in enumerate([(4, 3, 3, 3), (5, 4, 3, 3)])}
    nodes = []
    for i, source in enumerate(["x", "r0"]):
        nodes += [
            node("DynamicQuantizeLinear", source, outputs=[f"q{i}", f"s{i}", f"z{i}"], name=f"quantise{i}"),
            node("ConvInteger", f"q{i}", f"k{i}", f"z{i}", outputs=[f"c{i}"], name=f"conv{i}"),
            node("Cast", f"c{i}", outputs=[f"f{i}"], name=f"cast{i}", to=TensorProto.FLOAT),
            node("Mul", f"f{i}", f"s{i}", outputs=[f"r{i}"], name=f"scale{i}"),
        ]
    found = report(tmp_path, model(nodes, {"x": [1, 3, 12, 12]}, kernels, outputs=["r1"]))
    assert [layer(found, name)["parameters"]["weights"] for name in ("conv0", "conv1")] == [108, 180]
    assert [layer(found, name)["receptive_field"]["size"] for name in ("conv0", "conv1")] == [[3, 3], [5, 5]]


@pytest.mark.parametrize("gate", ["ReduceMax", "ReduceMean"])
def test_a_gate_of_rank_zero_between_convolutions(tmp_path: Path, gate: str) -> None:
    nodes = [
        node("Conv", "x", "k1", outputs=["a"], name="conv1"),
        node(gate, "a", outputs=["g"], name="gate", keepdims=0),
        node("Mul", "a", "g", outputs=["b"], name="scale"),
        node("Conv", "b", "k2", name="conv2"),
    ]
    found = report(tmp_path, model(nodes, {"x": [1, 3, 12, 12]}, {"k1": WEIGHTS, "k2": np.ones((2, 4, 3, 3), np.float32)}, opset=13))
    field = layer(found, "conv2")["receptive_field"]
    assert (field["size"], field["status"], field["because"]) == ([5, 5], "global", "gate")


def test_an_operator_whose_rank_depends_on_data_before_a_transposition(tmp_path: Path) -> None:
    nodes = [node("Gather", "x", "i", outputs=["g"], name="pick", axis=1), node("Transpose", "g", name="turn", perm=[0, 3, 1, 2])]
    places = helper.make_tensor_value_info("i", TensorProto.INT64, [2, 2])
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    proto = helper.make_model(helper.make_graph(nodes, "g", [image, places], [result]), opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    turned = layer(report(tmp_path, proto), "turn")
    assert turned["output_shape"] == [1, 5, 2, 2]
    assert turned["receptive_field"]["status"] == "bound"


def test_a_dense_layer_and_an_embedding_with_one_axis(tmp_path: Path) -> None:
    weights = {"w": np.ones((16, 8), np.float32), "b": np.ones(8, np.float32)}
    dense = report(tmp_path, model([node("MatMul", "x", "w", outputs=["m"], name="fc"), node("Add", "m", "b")], {"x": [16]}, weights))
    assert layer(dense, "fc")["connections"]["exact"] == 128
    table = numpy_helper.from_array(np.ones((9, 3), np.float32), "t")
    index, result = helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    graph = helper.make_graph([node("Gather", "t", "i", name="look_up")], "g", [index], [result], [table])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    looked_up = layer(report(tmp_path, proto), "look_up")
    assert (looked_up["connections"]["exact"], looked_up["parameters"]["weights"]) == (27, 27)
