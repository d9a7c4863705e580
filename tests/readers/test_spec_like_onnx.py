"""A spec and the ONNX model of the same network give the same numbers, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.analysis.report import Reading
from service.options import Options
from service.readers.model import read_model
from tests.reports import analyzed

COMPARED = ("kind", "units", "input_shape", "output_shape", "connections", "fan_in", "uses", "sharing", "reduction", "receptive_field")
PARAMETERS = ("weights", "biases", "other", "shape")


class OnnxBuilder:
    """Nodes with the names of the spec's layers, and random weights of the shapes given."""

    def __init__(self, shape: list[int | None], elements: int = TensorProto.FLOAT) -> None:
        symbols = [f"n{axis}" if length is None else length for axis, length in enumerate(shape)]
        self.input = helper.make_tensor_value_info("input", elements, [1, *symbols])
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self.last = "input"

    def weight(self, *shape: int) -> str:
        """A stored tensor that is unlike all others."""
        values = np.random.default_rng(len(self.stored)).uniform(0.1, 1, shape).astype(np.float32)
        return self.constant(values)

    def constant(self, values: np.ndarray) -> str:
        name = f"stored{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(values, name))
        return name

    def add(
        self, op: str, name: str, *more: str, data: list[str] | None = None, outputs: list[str] | None = None, **attributes: Any
    ) -> None:
        """A node that reads the one before."""
        inputs = data if data is not None else [self.last]
        self.nodes.append(helper.make_node(op, [*inputs, *more], outputs or [name], name, **attributes))
        self.last = next(output for output in (outputs or [name]) if output)

    def write(self, path: Path) -> Path:
        output = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "network", [self.input], [output], self.stored)
        path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString())
        return path


def layers(path: Path) -> dict[str, dict[str, Any]]:
    """The layers of the report by name, without what depends on the values of weights."""
    report = analyzed(read_model(path, Options(), {}), Reading(mode="none"))
    return {layer["name"]: layer for layer in report["layers"]}


def compare(
    tmp_path: Path, onnx: OnnxBuilder, shape: list[int | None], *spec: dict[str, Any], renamed: dict[str, str] | None = None
) -> None:
    """Hold every layer of the spec to the node of its name."""
    text = json.dumps({"receptive": 1, "input": {"shape": shape}, "layers": list(spec)})
    (tmp_path / "spec.json").write_text(text)
    ours, theirs = layers(tmp_path / "spec.json"), layers(onnx.write(tmp_path / "model.onnx"))
    common = ours.keys() & theirs.keys()
    assert common >= {layer["name"] for layer in spec if "name" in layer} and common
    for name in common:
        for key in COMPARED:
            assert ours[name][key] == theirs[name][key], (name, key)
        for key in PARAMETERS:
            assert ours[name]["parameters"][key] == theirs[name]["parameters"][key], (name, key)


def test_a_convolutional_network(tmp_path: Path) -> None:
    onnx = OnnxBuilder([3, 33, 40])
    onnx.add("Conv", "c1", onnx.weight(8, 3, 7, 7), onnx.weight(8), strides=[2, 2], pads=[3, 3, 3, 3])
    onnx.add("BatchNormalization", "bn", *[onnx.weight(8) for _ in range(4)])
    onnx.add("Relu", "relu")
    onnx.add("MaxPool", "pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    onnx.add("LRN", "lrn", size=5)
    onnx.add("Conv", "dw", onnx.weight(8, 1, 3, 3), group=8, auto_pad="SAME_UPPER", strides=[2, 2])
    onnx.add("Conv", "c2", onnx.weight(12, 4, 3, 3), onnx.weight(12), group=2, dilations=[2, 2], pads=[2, 2, 2, 2])
    onnx.add("Conv", "c3", onnx.weight(12, 8, 1, 1), onnx.weight(12), data=["dw"])
    onnx.add("Add", "sum", data=["c2", "c3"])
    onnx.add("Concat", "both", data=["sum", "dw"], axis=1)
    onnx.add("AveragePool", "avg", kernel_shape=[2, 2], strides=[1, 1])
    onnx.add("Dropout", "drop")
    onnx.add("GlobalAveragePool", "gap")
    onnx.add("Flatten", "flat")
    onnx.add("Gemm", "fc", onnx.weight(10, 20), onnx.weight(10), transB=1)
    onnx.add("Softmax", "soft", axis=-1)
    compare(
        tmp_path,
        onnx,
        [3, 33, 40],
        {"name": "c1", "type": "conv", "filters": 8, "kernel": 7, "stride": 2, "padding": 3},
        {"name": "bn", "type": "batch_norm"},
        {"name": "relu", "type": "activation", "function": "relu"},
        {"name": "pool", "type": "pool", "kernel": 3, "stride": 2, "ceil_mode": True},
        {"name": "lrn", "type": "local_response_norm"},
        {"name": "dw", "type": "depthwise_conv", "kernel": 3, "stride": 2, "padding": "same", "bias": False},
        {"name": "c2", "type": "conv", "filters": 12, "kernel": 3, "groups": 2, "dilation": 2, "padding": 2},
        {"name": "c3", "type": "conv", "filters": 12, "kernel": 1, "inputs": ["dw"]},
        {"name": "sum", "type": "add", "inputs": ["c2", "c3"]},
        {"name": "both", "type": "concat", "inputs": ["sum", "dw"]},
        {"name": "avg", "type": "pool", "mode": "avg", "kernel": 2, "stride": 1},
        {"name": "drop", "type": "dropout"},
        {"name": "gap", "type": "global_pool"},
        {"name": "flat", "type": "flatten"},
        {"name": "fc", "type": "dense", "units": 10},
        {"name": "soft", "type": "activation", "function": "softmax"},
    )


def test_a_network_that_grows_again(tmp_path: Path) -> None:
    onnx = OnnxBuilder([4, 12, 12])
    onnx.add("ConvTranspose", "up", onnx.weight(4, 6, 3, 3), onnx.weight(6), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    onnx.add("ConvTranspose", "same", onnx.weight(6, 2, 4, 4), onnx.weight(4), strides=[2, 2], auto_pad="SAME_UPPER", group=2)
    onnx.add("PRelu", "prelu", onnx.weight(4, 1, 1))
    onnx.add("SpaceToDepth", "deep", blocksize=2)
    onnx.add("DepthToSpace", "wide", blocksize=4)
    pads = onnx.constant(np.array([0, 0, 1, 2, 0, 0, 3, 0], dtype=np.int64))
    onnx.add("Pad", "pad", pads, mode="reflect")
    bounds = [onnx.constant(np.array(values, dtype=np.int64)) for values in ([1, 2], [98, 97], [2, 3])]
    onnx.add("Slice", "crop", *bounds)
    scales = onnx.constant(np.array([1, 1, 2, 2], dtype=np.float32))
    onnx.add("Resize", "nearest", "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    onnx.add("Resize", "linear", "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    onnx.add("GroupNormalization", "gn", onnx.weight(1), onnx.weight(1), num_groups=1)
    compare(
        tmp_path,
        onnx,
        [4, 12, 12],
        {"name": "up", "type": "conv_transpose", "filters": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"name": "same", "type": "conv_transpose", "filters": 4, "kernel": 4, "stride": 2, "padding": "same", "groups": 2},
        {"name": "prelu", "type": "activation", "function": "prelu"},
        {"name": "deep", "type": "space_to_depth", "block": 2},
        {"name": "wide", "type": "depth_to_space", "block": 4},
        {"name": "pad", "type": "pad", "padding": [[1, 3], [2, 0]], "mode": "reflect"},
        {"name": "crop", "type": "crop", "padding": [[1, 2], [2, 1]]},
        {"name": "nearest", "type": "upsample", "factor": 2},
        {"name": "linear", "type": "upsample", "factor": 2, "mode": "linear"},
        {"name": "gn", "type": "group_norm", "groups": 1},
    )


@pytest.mark.parametrize(("kind", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_a_recurrent_network(tmp_path: Path, kind: str, gates: int) -> None:
    """Of the recurrent layer the counts are compared; its tensors are turned to (time, batch, features) before and after."""
    onnx = OnnxBuilder([6, 20])
    onnx.add("Transpose", "turned", perm=[2, 0, 1])
    parameters = (onnx.weight(2, gates * 5, 6), onnx.weight(2, gates * 5, 5), onnx.weight(2, 2 * gates * 5))
    onnx.add(kind.upper(), "r", *parameters, hidden_size=5, direction="bidirectional", outputs=["states"])
    (tmp_path / "spec.json").write_text(
        json.dumps(
            {
                "receptive": 1,
                "input": {"shape": [6, 20]},
                "layers": [{"name": "r", "type": kind, "units": 5, "bidirectional": True}],
            }
        )
    )
    ours, theirs = layers(tmp_path / "spec.json")["r"], layers(onnx.write(tmp_path / "model.onnx"))["r"]
    for key in ("kind", "units", "connections", "fan_in", "uses", "sharing", "reduction"):
        assert ours[key] == theirs[key], key
    assert [ours["parameters"][key] for key in PARAMETERS] == [theirs["parameters"][key] for key in PARAMETERS]


def test_a_dense_layer_over_positions(tmp_path: Path) -> None:
    onnx = OnnxBuilder([5, 8])
    onnx.add("MatMul", "d", onnx.weight(8, 3))
    onnx.add("LayerNormalization", "n", onnx.weight(3), onnx.weight(3), axis=-1)
    compare(
        tmp_path,
        onnx,
        [5, 8],
        {"name": "d", "type": "dense", "units": 3, "bias": False},
        {"name": "n", "type": "layer_norm", "axes": [-1]},
    )


def test_open_lengths(tmp_path: Path) -> None:
    onnx = OnnxBuilder([1, None])
    onnx.add("Conv", "a", onnx.weight(2, 1, 3), onnx.weight(2), pads=[1, 1])
    onnx.add("Conv", "b", onnx.weight(2, 2, 3), onnx.weight(2), strides=[2])
    a = {"name": "a", "type": "conv", "filters": 2, "kernel": 3, "padding": 1}
    compare(tmp_path, onnx, [1, None], a, {"name": "b", "type": "conv", "filters": 2, "kernel": 3, "stride": 2})
