"""A variant is the network that is built anew with those numbers: random networks and edits, and what each kind of reader does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.edits import read_edits
from service.faults import Refused
from service.options import Options
from service.readers.model import read_model
from tests.networks import conv, spec_of
from tests.readers.varied_networks import as_onnx, check, differences, drawn, report_of


@pytest.mark.parametrize("seed", [1, 3, 6, 8])
def test_variant_is_the_network_built_anew(seed: int, tmp_path: Path) -> None:
    """More of them: python -m tests.readers.varied_networks 20 200."""
    made, _ = check(seed, 4, tmp_path)
    assert made >= 2


def test_input_of_another_size_is_the_network_built_for_it(tmp_path: Path) -> None:
    """Dense layers follow, whether the map is flattened by Flatten or by a Reshape with its length written out."""
    network = drawn(3)
    larger = type(network)((network.shape[0], *(length + 4 for length in network.shape[1:])), network.parts)
    for flatten in ("Flatten", "Reshape"):
        base, rebuilt = tmp_path / "base.onnx", tmp_path / "rebuilt.onnx"
        base.write_bytes(as_onnx(network, flatten))
        rebuilt.write_bytes(as_onnx(larger, flatten))
        found = report_of(base, resized={"input": (1, *larger.shape)})
        assert differences(found, report_of(rebuilt)) == []


def keras(*layers: dict[str, Any]) -> bytes:
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 16, 16, 3], "name": "image"}}
    return json.dumps({"class_name": "Sequential", "config": {"name": "k", "layers": [first, *layers]}}).encode()


def keras_conv(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": "Conv2D", "config": {"name": name, "filters": 4, "kernel_size": [3, 3], "padding": "same", **config}}


def test_keras_document_is_varied_by_the_names_of_its_report(tmp_path: Path) -> None:
    base, rebuilt = tmp_path / "base.json", tmp_path / "rebuilt.json"
    base.write_bytes(keras(keras_conv("a", strides=[2, 2]), keras_conv("b"), keras_conv("c")))
    rebuilt.write_bytes(keras(keras_conv("a", strides=[1, 1]), keras_conv("c", dilation_rate=[2, 2])))
    edits = [{"layer": "a", "set": {"stride": 1}}, {"layer": "b", "remove": True}, {"layer": "c", "set": {"dilation": [2, 2]}}]
    assert differences(report_of(base, read_edits(edits)), report_of(rebuilt)) == []


def refusal(path: Path, edits: list[dict[str, Any]]) -> tuple[str, str, str]:
    with pytest.raises(Refused) as caught:
        read_model(str(path), Options(edits=read_edits(edits)), {})
    assert caught.value.code == "invalid-edit"
    (error,) = caught.value.errors
    return error.pointer, error.code, error.detail


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    """Two branches that are added, in an ONNX model with a batch of any size."""

    def stored(name: str) -> Any:
        return numpy_helper.from_array(np.zeros((4, 4, 3, 3), np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "a", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w2"], ["b"], "b", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w2"], ["c"], "c", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["y"], "sum"),
    ]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 12, 12])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 12, 12])
    graph = helper.make_graph(nodes, "", [source], [result], [stored("w1"), stored("w2")])
    path = tmp_path / "joined.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString())
    return path


def test_join_that_no_longer_fits_is_named_with_both_shapes(joined: Path) -> None:
    edits = [{"layer": "a", "set": {"stride": 2}}, {"layer": "b", "set": {"kernel": 5, "stride": 2, "padding": 2}}]
    pointer, code, detail = refusal(joined, edits)
    assert (pointer, code) == ("/edits/1/set/stride", "does-not-fit")
    assert "'sum'" in detail
    assert "(1, 4, 3, 3)" in detail
    assert "(1, 4, 6, 6)" in detail


@pytest.mark.parametrize(
    ("edit", "pointer", "code"),
    [
        ({"layer": "sum", "remove": True}, "/edits/0/remove", "not-removable"),
        ({"layer": "sum", "set": {"stride": 2}}, "/edits/0/set/stride", "no-geometry"),
        ({"layer": "a", "set": {"kernel": [3, 3, 3]}}, "/edits/0/set/kernel", "wrong-length"),
        ({"layer": "a", "set": {"dilation": 2**31 - 1}}, "/edits/0/set/dilation", "does-not-fit"),
        ({"layer": "a", "set": {"kernel": 99}}, "/edits/0/set/kernel", "does-not-fit"),
        ({"layer": "nobody", "remove": True}, "/edits/0/layer", "not-editable"),
    ],
)
def test_edit_that_is_not_possible_is_refused(joined: Path, edit: dict[str, Any], pointer: str, code: str) -> None:
    assert refusal(joined, [edit])[:2] == (pointer, code)


def test_weight_that_two_layers_share_is_two_where_one_of_them_is_edited(joined: Path) -> None:
    base, variant = report_of(joined), report_of(joined, read_edits([{"layer": "c", "set": {"kernel": 1, "padding": 0}}]))
    assert base["summary"]["parameters"]["stored"] == 2 * 144
    assert variant["summary"]["parameters"]["stored"] == 2 * 144 + 16
    assert [each["tensor"] for each in variant["ledger"]] == ["w1", "w2", "w2 (c)"]


def test_kernel_of_any_length_is_no_fault_of_ours(joined: Path) -> None:
    assert refusal(joined, [{"layer": "a", "set": {"kernel": 2**31 - 1}}])[0] == "/edits/0/set/kernel"


def test_axis_without_a_length_stays_without(joined: Path) -> None:
    assert report_of(joined, read_edits([{"layer": "a", "set": {"stride": 2}}]))["outputs"] == [[None, 4, 6, 6]]


def test_values_that_still_fit_are_read(tmp_path: Path) -> None:
    weights = np.ones((2, 1, 3, 3)).tolist()
    path = tmp_path / "net.json"
    path.write_text(json.dumps(spec_of([1, 8, 8], conv("a", 2, 3, weights=weights))))
    for settings, readable in (({"stride": 2}, True), ({"kernel": 1}, False)):
        model = read_model(str(path), Options(edits=read_edits([{"layer": "a", "set": settings}])), {})
        assert model.weights.readable(model.graphs[0].layers[0].kernel[0]) == readable


def test_map_without_units_is_no_variant(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(as_onnx(drawn(12), "Reshape"))
    pointer, code, detail = refusal(path, [{"layer": "l0", "set": {"stride": [3, 1], "kernel": 4}}])
    assert (pointer, code) == ("/edits/0/set/stride", "does-not-fit")
    assert "which has no units" in detail


def test_copies_of_a_repeated_layer_are_edited_one_by_one(tmp_path: Path) -> None:
    base, rebuilt = tmp_path / "base.json", tmp_path / "rebuilt.json"
    base.write_text(json.dumps(spec_of([2, 16, 16], {**conv("a", 2, 3), "repeat": 3})))
    rebuilt.write_text(json.dumps(spec_of([2, 16, 16], conv("a_1", 2, 3), conv("a_3", 2, 3, 2))))
    edits = [{"layer": "a_2", "remove": True}, {"layer": "a_3", "set": {"stride": 2}}]
    assert differences(report_of(base, read_edits(edits)), report_of(rebuilt)) == []
