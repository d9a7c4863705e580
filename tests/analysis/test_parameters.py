"""What is stored is counted once, whatever is cut, gathered or computed from it; who shares it is named (design section 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.readers.onnx_models import codes, model, node, report_of
from tests.reports import layer_of

RANDOM = np.random.default_rng(3)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def parameters(proto: onnx.ModelProto, **how: Any) -> tuple[int, int]:
    """Stored and referenced scalars of a model."""
    summary = report_of(proto, **how)["summary"]["parameters"]
    assert summary["stored"] == summary["weights"] + summary["biases"] + summary["other"]
    return summary["stored"], summary["referenced"]


def positions(rows: int) -> onnx.ModelProto:
    """A text model that adds the first rows of a table of positions, as many as there are tokens."""
    nodes = [
        node("Gather", "words", "ids", outputs=["e"], name="embed"),
        node("Shape", "ids", outputs=["shape"], name="shape"),
        node("Gather", "shape", "one", outputs=["length"], name="length"),
        node("Slice", "table", "zero", "length", "zero", outputs=["p"], name="cut"),
        node("Add", "e", "p", outputs=["h"], name="add"),
        node("MatMul", "h", "w", name="project"),
    ]
    stored = {"words": array(100, 8), "table": array(rows, 8), "w": array(8, 8), "one": integers(1), "zero": integers(0)}
    proto = model(nodes, {"ids": ["batch", "sequence"]}, stored)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return proto


@pytest.mark.parametrize("length", [None, 16])
def test_a_table_of_positions_counts_whole_whatever_is_cut_out_of_it(length: int | None) -> None:
    """800 of the words, 512 rows of 8, 64 of the matrix."""
    fixed = None if length is None else {"ids": (1, length)}
    assert parameters(positions(512), fixed=fixed) == (4960, 4960)


def test_a_gathered_bias_table_counts_its_entries() -> None:
    """Relative positions: a 16 × 16 map of biases that are seven numbers."""
    places = RANDOM.integers(0, 7, size=(16, 16))
    nodes = [node("Gather", "table", "places", outputs=["b"], name="look"), node("Add", "x", "b", name="add")]
    assert parameters(model(nodes, {"x": [1, 16, 16]}, {"table": array(7), "places": places})) == (7, 7)


def test_gains_of_a_normalised_kernel_are_parameters_beside_it() -> None:
    """Weight normalisation: v of 108 and g of 4."""
    nodes = [
        node("ReduceL2", "v", outputs=["n"], name="norm", axes=[1, 2, 3]),
        node("Div", "v", "n", outputs=["unit"], name="unit"),
        node("Mul", "unit", "g", outputs=["w"], name="scale"),
        node("Conv", "x", "w", name="conv"),
    ]
    proto = model(nodes, {"x": [1, 3, 8, 8]}, {"v": array(4, 3, 3, 3), "g": array(4, 1, 1, 1)}, opset=13)
    report = report_of(proto)
    assert parameters(proto) == (112, 112)
    conv = layer_of(report, "conv")["parameters"]
    assert (conv["weights"], conv["other"]) == (108, 4)
    assert report["summary"]["parameters"]["weights"] == 108


def test_a_rotary_cache_is_the_frequencies_that_are_stored() -> None:
    """cos and sin of 64 positions times 8 frequencies: eight numbers are stored."""
    nodes = [
        node("Range", "zero", "end", "one", outputs=["t"], name="range"),
        node("Cast", "t", outputs=["tf"], name="cast", to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", "tf", "axis", outputs=["tu"], name="unsqueeze"),
        node("Mul", "tu", "f", outputs=["angle"], name="angles"),
        node("Cos", "angle", outputs=["c"], name="cos"),
        node("Sin", "angle", outputs=["s"], name="sin"),
        node("Mul", "x", "c", outputs=["a"], name="first"),
        node("Mul", "x", "s", outputs=["b"], name="second"),
        node("Add", "a", "b", name="sum"),
    ]
    stored = {"zero": np.int64(0), "end": np.int64(64), "one": np.int64(1), "axis": integers(1), "f": array(8)}
    report = report_of(model(nodes, {"x": [1, 64, 8]}, stored))
    assert (report["summary"]["parameters"]["stored"], report["summary"]["parameters"]["referenced"]) == (8, 16)
    assert layer_of(report, "first")["parameters"]["tied_to"] == ["second"]


def test_a_constant_that_is_computed_of_nothing_stored_has_no_parameters() -> None:
    """ConstantOfShape with one entry set: the places are no scalars of a layer."""
    nodes = [
        node("ConstantOfShape", "shape", outputs=["zeros"], name="zeros"),
        node("ScatterND", "zeros", "at", "value", outputs=["base"], name="mark"),
        node("Add", "x", "base", name="add"),
    ]
    stored = {"shape": integers(1, 1000), "at": integers(0, 3).reshape(1, 2), "value": np.ones(1, np.float32)}
    assert parameters(model(nodes, {"x": [1, 1000]}, stored))[0] <= 1


def test_folded_low_rank_factors_are_all_stored() -> None:
    """W + A·B of a folded adapter: 64 and two times 16; a product of two factors alone has no more than these."""
    adapter = [
        node("MatMul", "a", "b", outputs=["ab"], name="low"),
        node("Add", "w", "ab", outputs=["sum"], name="fold"),
        node("MatMul", "x", "sum", name="dense"),
    ]
    stored = {"w": array(8, 8), "a": array(8, 2), "b": array(2, 8)}
    assert parameters(model(adapter, {"x": [1, 8]}, stored)) == (96, 96)
    factors = [node("MatMul", "a", "b", outputs=["ab"], name="low"), node("MatMul", "x", "ab", name="dense")]
    report = report_of(model(factors, {"x": [1, 8]}, {"a": stored["a"], "b": stored["b"]}))
    assert layer_of(report, "dense")["parameters"]["weights"] == 32
    assert report["summary"]["parameters"]["stored"] == report["summary"]["parameters"]["weights"] == 32


def packed(overlap: bool) -> onnx.ModelProto:
    """Two matrices cut out of one stored tensor of 8 × 12: its first eight columns and its last four, or its last eight."""
    stored = {
        "qkv": array(8, 12),
        "axis": integers(1),
        "zero": integers(0),
        "eight": integers(8),
        "start": integers(4 if overlap else 8),
        "end": integers(12),
    }
    nodes = [
        node("Slice", "qkv", "zero", "eight", "axis", outputs=["wq"], name="cut_q"),
        node("Slice", "qkv", "start", "end", "axis", outputs=["wk"], name="cut_k"),
        node("MatMul", "x", "wq", outputs=["q"], name="q"),
        node("MatMul", "x", "wk", outputs=["k"], name="k"),
        node("Concat", "q", "k", name="join", axis=1),
    ]
    return model(nodes, {"x": [1, 8]}, stored)


def test_parts_of_a_tensor_without_a_common_scalar_are_not_tied() -> None:
    report = report_of(packed(overlap=False))
    assert report["summary"]["parameters"]["stored"] == 96
    assert "tied-weights" not in codes(report)
    assert layer_of(report, "q")["parameters"] | {"tied_to": []} == layer_of(report, "q")["parameters"]


def test_parts_of_a_tensor_that_overlap_are_tied() -> None:
    report = report_of(packed(overlap=True))
    assert report["summary"]["parameters"] == {"stored": 96, "referenced": 128, "weights": 96, "biases": 0, "other": 0}
    assert layer_of(report, "q")["parameters"]["tied_to"] == ["k"]
    (finding,) = [f for f in report["findings"] if f["code"] == "tied-weights"]
    assert finding["data"] == {"tensor": "qkv", "layers": ["q", "k"]}


def test_parts_of_a_split_are_not_tied() -> None:
    nodes = [
        node("Split", "w", outputs=["a", "b"], name="split", axis=1, num_outputs=2),
        node("MatMul", "x", "a", outputs=["p"], name="first"),
        node("MatMul", "x", "b", outputs=["q"], name="second"),
        node("Add", "p", "q", name="sum"),
    ]
    report = report_of(model(nodes, {"x": [1, 8]}, {"w": array(8, 6)}))
    assert report["summary"]["parameters"]["stored"] == report["summary"]["parameters"]["referenced"] == 48
    assert "tied-weights" not in codes(report)


def test_an_alias_is_followed_to_the_stored_tensor() -> None:
    """Exporters write equal initializers once and an Identity for each further name."""
    nodes = [
        node("Identity", "w", outputs=["v"], name="alias"),
        node("MatMul", "x", "w", outputs=["h"], name="first"),
        node("MatMul", "h", "v", name="second"),
    ]
    report = report_of(model(nodes, {"x": [1, 8]}, {"w": array(8, 8)}))
    assert report["summary"]["parameters"]["stored"] == 64
    assert report["summary"]["parameters"]["referenced"] == 128
    (finding,) = [f for f in report["findings"] if f["code"] == "tied-weights"]
    assert (finding["data"]["tensor"], finding["severity"]) == ("w", "info")


def test_a_kernel_computed_twice_from_one_tensor_is_tied_by_that_tensor() -> None:
    """tied-weights names stored tensors only, not what was computed on the way."""
    nodes = [
        node("Mul", "v", "g", outputs=["w1"], name="scale1"),
        node("Mul", "v", "g", outputs=["w2"], name="scale2"),
        node("Conv", "x", "w1", outputs=["h"], name="first"),
        node("Conv", "h", "w2", name="second"),
    ]
    report = report_of(model(nodes, {"x": [1, 4, 8, 8]}, {"v": array(4, 4, 3, 3), "g": array(4, 1, 1, 1)}))
    assert {f["data"]["tensor"] for f in report["findings"] if f["code"] == "tied-weights"} == {"v", "g"}
    assert [entry["tensor"] for entry in report["ledger"]] == ["v", "g"]


def test_zero_biases_that_an_exporter_merged_are_information() -> None:
    zero = np.zeros(4, np.float32)
    nodes = [node("Conv", "x", "w", "zero", outputs=["h"], name="first"), node("Conv", "h", "v", "zero", name="second")]
    report = report_of(model(nodes, {"x": [1, 4, 8, 8]}, {"w": array(4, 4, 3, 3), "v": array(4, 4, 3, 3), "zero": zero}))
    (finding,) = [f for f in report["findings"] if f["code"] == "tied-weights"]
    assert finding["severity"] == "info"
    assert "exporters merge" in finding["message"]


def test_weights_that_a_file_states_in_short_count_as_they_are() -> None:
    """The light models of the onnx package fill every weight with one number; a constant that is added to data is none."""
    nodes = [
        node("ConstantOfShape", "ws", outputs=["flat"], name="fill_w"),
        node("Reshape", "flat", "shape", outputs=["w"], name="reshape"),
        node("ConstantOfShape", "bs", outputs=["b"], name="fill_b"),
        node("Conv", "x", "w", "b", outputs=["h"], name="conv"),
        node("ConstantOfShape", "cs", outputs=["c"], name="fill_c"),
        node("Mul", "h", "c", name="mask"),
    ]
    stored = {"ws": integers(108), "shape": integers(4, 3, 3, 3), "bs": integers(4), "cs": integers(6, 6)}
    report = report_of(model(nodes, {"x": [1, 3, 8, 8]}, stored))
    assert report["summary"]["parameters"] == {"stored": 112, "referenced": 112, "weights": 108, "biases": 4, "other": 0}
    assert report["summary"]["sharing"]["factor"] is not None


def test_a_table_counts_whole_where_the_data_say_what_is_cut_out_of_it() -> None:
    """A cache says how many positions came before; indices that are data pick entries of a table of biases."""
    cut = node("Slice", "table", "before", "end", "axis", name="cut")
    proto = model([cut], {"before": [1], "end": [1]}, {"table": array(512, 8), "axis": integers(0)})
    for given in proto.graph.input:
        given.type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert parameters(proto) == (4096, 4096)
    for op, shape in (("GatherElements", [4, 3]), ("GatherND", [4, 2])):
        picked = model([node(op, "table", "x", name="pick")], {"x": shape}, {"table": array(6, 3)})
        picked.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
        assert parameters(picked) == (18, 18)


def test_weights_of_an_operator_without_a_rule_are_stored_all_the_same() -> None:
    proto = model(
        [node("Novel", "x", "w", "axes", name="novel", domain="org.example")], {"x": [1, 8]}, {"w": array(8, 3), "axes": integers(0, 1)}
    )
    report = report_of(proto)
    assert layer_of(report, "novel")["parameters"]["other"] == report["summary"]["parameters"]["stored"] == 24
