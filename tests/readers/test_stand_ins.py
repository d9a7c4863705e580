"""Open lengths: which stand-ins are taken, and that none of them becomes a fact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.faults import Refused
from service.options import Options
from service.readers.model import read_model
from tests.readers.onnx_models import info, model, node
from tests.reports import analyzed, layer_of

Report = dict[str, Any]


def of_model(tmp_path: Path, proto: onnx.ModelProto, **shapes: tuple[int, ...]) -> Report:
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return analyzed(read_model(path, Options(input_shapes=shapes), {}))


def of_spec(tmp_path: Path, shape: list[int | None], *layers: Report, **options: Any) -> Report:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"receptive": 1, "input": {"name": "x", "shape": shape}, "layers": list(layers)}))
    return analyzed(read_model(path, Options(**options), {}))


def conv(name: str, kernel: int, stride: int = 1) -> Report:
    return {"type": "conv", "name": name, "filters": 4, "kernel": kernel, "stride": stride}


WAVES = [conv("c0", 10, 5), *(conv(f"c{i}", 3, 2) for i in range(1, 5)), conv("c5", 2, 2), conv("c6", 2, 2)]
"""The feature encoder of wav2vec 2.0 (Baevski et al. 2020): a field of 400 samples, one for every 320."""


def test_a_spec_whose_windows_are_wider_than_the_usual_lengths(tmp_path: Path) -> None:
    report = of_spec(tmp_path, [1, None], *WAVES)
    field = layer_of(report, "c6")["receptive_field"]
    assert (field["size"], field["stride"], field["padding"]) == ([400], [320], [0])
    assert report["summary"]["receptive_field"]["input_size"] == [None]
    assert report["summary"]["connections"]["exact"] is None
    assert report["summary"]["parameters"]["stored"] == sum(layer["parameters"]["total"] for layer in report["layers"])
    assert layer_of(report, "c6")["output_shape"] == [1, 4, None]


def test_a_spec_that_no_length_suits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        of_spec(tmp_path, [1, None, 8], {**conv("c", 9), "kernel": [3, 9]})
    assert [detail.code for detail in caught.value.errors] == ["does-not-fit"]


def test_what_is_wrong_whatever_the_length_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        of_spec(tmp_path, [1, None], {**conv("c", 3), "inputs": ["nowhere"]})
    assert [detail.code for detail in caught.value.errors] == ["unknown-layer"]


@pytest.mark.parametrize("rows", [5, 17, 77, 512])
def test_a_table_of_positions_bounds_the_length_and_nothing_else(tmp_path: Path, rows: int) -> None:
    """CLIP has 77 positions. Layers behind the table are as exact as those before it."""
    stored = {
        "words": np.ones((100, 8), np.float32),
        "table": np.ones((rows, 8), np.float32),
        "w": np.ones((8, 6), np.float32),
        "one": np.array([1]),
        "zero": np.array([0]),
    }
    nodes = [
        node("Gather", "words", "ids", outputs=["e"], name="embed"),
        node("Shape", "ids", outputs=["shape"], name="shape"),
        node("Gather", "shape", "one", outputs=["length"], name="length"),
        node("Slice", "table", "zero", "length", "zero", outputs=["p"], name="cut"),
        node("Add", "e", "p", outputs=["s"], name="add"),
        node("MatMul", "s", "w", name="project"),
    ]
    proto = model(nodes, {"ids": ["batch", "sequence"]}, stored)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    report = of_model(tmp_path, proto)
    project = layer_of(report, "project")
    assert project["parameters"]["weights"] == 48
    assert (project["receptive_field"]["status"], project["receptive_field"]["size"]) == ("exact", [1])
    assert project["connections"]["exact"] is None
    assert report["summary"]["parameters"]["stored"] == 800 + 8 * rows + 48
    assert None not in [finding["message"] for finding in report["findings"]]


@pytest.mark.parametrize("frame", [256, 400, 1000, 4000])
def test_frames_of_a_sound_of_open_length(tmp_path: Path, frame: int) -> None:
    """At the usual lengths a padded sound has one frame, whatever its length; that is no fact about the model."""
    stored = {"w": np.ones((4, 1, frame), np.float32), "k": np.ones((2, 4, 3), np.float32)}
    pads = [frame // 2] * 2
    nodes = [
        node("Conv", "x", "w", outputs=["f"], name="frames", strides=[frame // 2], pads=pads),
        node("Conv", "f", "k", name="conv", pads=[1, 1]),
    ]
    report = of_model(tmp_path, model(nodes, {"x": [1, 1, "time"]}, stored))
    conv = layer_of(report, "conv")
    assert conv["output_shape"] == [1, 2, None]
    assert conv["receptive_field"]["size"] == [frame + 2 * (frame // 2)]
    assert conv["connections"]["exact"] is None
    assert not {"mostly-padding", "unproductive-layer"} & {finding["code"] for finding in report["findings"]}


def test_nothing_is_said_of_how_much_of_an_open_input_is_seen(tmp_path: Path) -> None:
    """A field wider than every stand-in covers them all, and is no share of an unknown length."""
    report = of_spec(tmp_path, [1, None], *({**conv(f"c{i}", 3), "dilation": 3**i, "padding": "same"} for i in range(9)))
    field = layer_of(report, "c8")["receptive_field"]
    assert field["size"] == [3**9]
    assert (field["coverage"], field["unproductive"]) == (None, None)
    assert report["summary"]["receptive_field"]["unproductive_layers"] is None
    assert "unproductive-layer" not in {finding["code"] for finding in report["findings"]}
    known = of_spec(tmp_path, [1, None], conv("c", 3), input_shapes={"": (1, 1, 30)})
    assert layer_of(known, "c")["receptive_field"]["coverage"] == [0.1]


def test_a_length_of_zero_is_a_length(tmp_path: Path) -> None:
    """An empty cache: keys of no past position stand before those of the present ones."""
    nodes = [node("Concat", "past", "x", outputs=["keys"], name="join", axis=1), node("MatMul", "keys", "w", name="project")]
    proto = model(nodes, {"past": [1, "past", 4], "x": [1, 3, 4]}, {"w": np.ones((4, 2), np.float32)})
    report = of_model(tmp_path, proto, past=(1, 0, 4))
    assert layer_of(report, "project")["output_shape"] == [1, 3, 2]
    assert layer_of(report, "project")["connections"]["exact"] == 3 * 8


def test_a_dense_layer_on_a_result_of_unknown_shape_keeps_its_weights(tmp_path: Path) -> None:
    nodes = [
        node("ReduceMax", "n", outputs=["most"], name="most", keepdims=1),
        node("Concat", "most", "one", outputs=["repeats"], name="repeats", axis=0),
        node("Tile", "x", "repeats", outputs=["t"], name="tile"),
        node("MatMul", "t", "w", outputs=["h"], name="first"),
        node("Gemm", "h", "v", name="second"),
    ]
    stored = {"one": np.array([1]), "w": np.ones((6, 32), np.float32), "v": np.ones((32, 4), np.float32)}
    proto = model(nodes, {"x": [1, 6], "n": [1]}, stored, opset=13)
    proto.graph.input[1].CopyFrom(info("n", [1], TensorProto.INT64))
    report = of_model(tmp_path, proto)
    assert [layer_of(report, name)["parameters"]["weights"] for name in ("first", "second")] == [192, 128]
    assert report["summary"]["parameters"]["stored"] == 320
    assert report["summary"]["connections"]["exact"] is None
    assert report["summary"]["by_kind"]["dense"]["connections"]["exact"] is None


def test_the_longest_reading_costs_no_computed_constants(tmp_path: Path) -> None:
    """A mask of length by length that is computed from the shape is never built at a length of thousands."""
    nodes = [
        node("Shape", "x", outputs=["shape"], name="shape"),
        node("Gather", "shape", "two", outputs=["n"], name="n"),
        node("Concat", "n", "n", outputs=["nn"], name="nn", axis=0),
        node("ConstantOfShape", "nn", outputs=["mask"], name="mask", value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])),
        node("Trilu", "mask", outputs=["lower"], name="lower", upper=0),
        node("MatMul", "x", "lower", name="mix"),
    ]
    report = of_model(tmp_path, model(nodes, {"x": [1, 4, "time"]}, {"two": np.array([2])}))
    assert layer_of(report, "mix")["output_shape"] == [1, 4, None]
