"""The one entry point of the readers: formats, facts, and readings with several stand-in lengths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from service.faults import Refused
from service.graph.model import Model
from service.options import Options
from service.readers.model import read_model
from tests.readers.onnx_models import model, node, shape_of


def conv(size: int) -> np.ndarray:
    return np.ones((2, 3, size, size), dtype=np.float32)


def opened(tmp_path: Path, proto: onnx.ModelProto, options: Options | None = None) -> Model:
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return read_model(path, options or Options(), {})


def test_facts(tmp_path: Path) -> None:
    proto = model([node("Conv", "x", "w")], {"x": ["N", 3, 8, "W"]}, {"w": conv(3)}, opset=17, producer_name="pytorch")
    proto.producer_version = "2.4"
    proto.opset_import.append(onnx.helper.make_opsetid("my.domain", 3))
    facts = opened(tmp_path, proto, Options(name="label")).facts
    assert (facts.name, facts.format, facts.producer, facts.ir_version) == ("label", "onnx", "pytorch 2.4", 10)
    assert facts.opsets == {"ai.onnx": 17, "my.domain": 3}
    assert [(port.name, port.dtype, port.shape) for port in facts.inputs] == [("x", "float32", (None, 3, 8, None))]
    assert facts.size_bytes == len(proto.SerializeToString())


def test_fixed_axes_and_a_symbolic_batch_are_read_once(tmp_path: Path) -> None:
    read = opened(tmp_path, model([node("Conv", "x", "w")], {"x": ["N", 3, 8, 8]}, {"w": conv(3)}))
    assert [shape_of(graph) for graph in read.graphs] == [(1, 2, 6, 6)]
    assert read.weights.readable(read.graphs[0].layers[0].kernel[0])


def test_symbolic_axes_are_read_with_several_lengths(tmp_path: Path) -> None:
    proto = model([node("Conv", "x", "w")], {"x": ["N", 3, "H", "W"]}, {"w": conv(3)})
    assert [shape_of(graph) for graph in opened(tmp_path, proto).graphs] == [(1, 2, n - 2, n - 2) for n in (256, 384, 321)]
    fixed = opened(tmp_path, proto, Options(input_shapes={"x": (1, 3, 24, 32)}))
    assert [shape_of(graph) for graph in fixed.graphs] == [(1, 2, 22, 30)]


def test_a_length_that_does_not_fit_is_left_out(tmp_path: Path) -> None:
    """A U-Net joins halves and wholes, so that 321 does not fit."""
    nodes = [
        node("MaxPool", "x", outputs=["p"], kernel_shape=[2, 2], strides=[2, 2], name="pool"),
        node("Upsample", "p", "s", outputs=["u"], name="up"),
        node("Concat", "x", "u", axis=1, name="join"),
    ]
    proto = model(nodes, {"x": [1, 3, "H", "W"]}, {"s": np.array([1, 1, 2, 2], dtype=np.float32)}, opset=9)
    assert [shape_of(graph) for graph in opened(tmp_path, proto).graphs] == [(1, 6, 256, 256), (1, 6, 384, 384)]


def test_larger_lengths_where_the_usual_ones_are_too_short(tmp_path: Path) -> None:
    nodes = [node("MaxPool", "x", outputs=["p"], kernel_shape=[1000], strides=[1], name="pool"), node("Relu", "p")]
    read = opened(tmp_path, model(nodes, {"x": [1, 1, "T"]}))
    assert [shape_of(graph) for graph in read.graphs] == [(1, 1, 3097), (1, 1, 5145)]


def test_a_leading_axis_may_be_time(tmp_path: Path) -> None:
    """As in sonos/tract's qtdnn test: the input is (time, features)."""
    nodes = [
        node("Transpose", "x", outputs=["t"], perm=[1, 0], name="turn"),
        node("Unsqueeze", "t", "zero", outputs=["u"], name="raise"),
        node("Conv", "u", "w"),
    ]
    proto = model(nodes, {"x": ["T", 4]}, {"zero": np.array([0]), "w": np.ones((2, 4, 5), dtype=np.float32)})
    assert [shape_of(graph) for graph in opened(tmp_path, proto).graphs] == [(1, 2, n - 4) for n in (256, 384, 321)]


def test_a_layer_spec(tmp_path: Path) -> None:
    spec = {"receptive": 1, "input": {"shape": [3, 8, 8]}, "layers": [{"type": "conv", "filters": 2, "kernel": 3}]}
    path = tmp_path / "model.json"
    path.write_text(json.dumps(spec))
    read = read_model(path, Options(), {})
    assert (read.facts.format, len(read.graphs)) == ("spec", 1)
    assert read.facts.inputs[0].shape == (1, 3, 8, 8)


def test_a_layer_spec_with_open_axes(tmp_path: Path) -> None:
    spec = {"receptive": 1, "input": {"shape": [3, None, None]}, "layers": [{"type": "conv", "filters": 2, "kernel": 3}]}
    path = tmp_path / "model.json"
    path.write_text(json.dumps(spec))
    read = read_model(path, Options(), {})
    assert len(read.graphs) == 3
    assert read.facts.inputs[0].shape == (1, 3, None, None)


@pytest.mark.parametrize(
    ("data", "fault"), [(b"", "malformed"), (b"\x80\x04\x95", "malformed"), (b"\x00" * 40, "malformed"), (b"{", "malformed")]
)
def test_other_bytes(tmp_path: Path, data: bytes, fault: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    with pytest.raises(Refused) as caught:
        read_model(path, Options(), {})
    assert caught.value.fault == fault


def test_external_data(tmp_path: Path) -> None:
    proto = model([node("Conv", "x", "w")], {"x": [1, 3, 8, 8]}, {"w": conv(3)})
    tensor = proto.graph.initializer[0]
    (tmp_path / "part").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, "part")
    tensor.ClearField("raw_data")
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    read = read_model(path, Options(), {"part": tmp_path / "part"})
    assert read.weights.array(read.graphs[0].layers[0].kernel[0]).sum() == 54
    with pytest.raises(Refused) as caught:
        read_model(path, Options(), {})
    assert caught.value.code == "external-missing"
    without = read_model(path, Options(external_missing="ignore"), {})
    assert not without.weights.readable(without.graphs[0].layers[0].kernel[0])
