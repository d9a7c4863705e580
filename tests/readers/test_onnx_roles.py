"""Weights in other roles: linear models, scalers and trees of ai.onnx.ml, experts, and the quantisers of QONNX and FINN."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose

from service.readers.onnx import OnnxWeights
from tests.readers.onnx_models import layer, model, node, read, report_of
from tests.reports import layer_of

RANDOM = np.random.default_rng(13)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def numbers(count: int) -> list[float]:
    return [float(x) for x in array(count)]


def classical(op: str, features: int = 4, outputs: tuple[str, ...] = ("label", "scores"), **attributes: Any) -> onnx.ModelProto:
    """One operator of ai.onnx.ml on samples of so many features."""
    one = node(op, "x", outputs=outputs, name="model", domain="ai.onnx.ml", **attributes)
    return model([one], {"x": ["n", features]}, outputs=outputs)


def counts(proto: onnx.ModelProto, name: str = "model") -> tuple[str, int, int, int]:
    """Kind, weights, biases and other parameters of a layer."""
    one = layer_of(report_of(proto), name)
    return (one["kind"], *(one["parameters"][key] for key in ("weights", "biases", "other")))


def test_a_linear_classifier_is_dense() -> None:
    """Three classes of four features: 12 weights, 3 biases, 12 connections a sample."""
    proto = classical("LinearClassifier", coefficients=numbers(12), intercepts=numbers(3), classlabels_ints=[0, 1, 2])
    report = report_of(proto)
    assert counts(proto) == ("dense", 12, 3, 0)
    assert layer_of(report, "model")["connections"]["exact"] == 12
    assert layer_of(report, "model")["connections"]["with_bias"] == 15
    assert report["summary"]["parameters"]["stored"] == 15
    assert {entry["tensor"] for entry in report["ledger"]} == {"model/intercepts", "model/coefficients"}


def test_the_values_of_a_linear_model_are_its_coefficients() -> None:
    given = array(3, 4)
    (weight,) = layer(
        read(classical("LinearClassifier", coefficients=[float(x) for x in given.ravel()], classlabels_ints=[0, 1, 2])), "model"
    ).kernel
    assert weight.shape == (4, 3)
    assert_allclose(OnnxWeights().array(weight), given.T, rtol=1e-6)


def test_a_classifier_of_two_classes_may_store_one_plane() -> None:
    proto = classical("LinearClassifier", coefficients=numbers(4), intercepts=numbers(1), classlabels_strings=["no", "yes"])
    graph = read(proto)
    assert [graph.tensors[name].shape for name in graph.outputs] == [(1,), (1, 2)]
    assert counts(proto) == ("dense", 4, 1, 0)


@pytest.mark.parametrize("targets", [1, 3])
def test_a_linear_regressor_is_dense(targets: int) -> None:
    proto = classical("LinearRegressor", outputs=("y",), coefficients=numbers(4 * targets), intercepts=numbers(targets), targets=targets)
    assert counts(proto) == ("dense", 4 * targets, targets, 0)
    assert read(proto).tensors["y"].shape == (1, targets)


def test_coefficients_that_do_not_fit_are_said() -> None:
    graph = read(classical("LinearRegressor", outputs=("y",), coefficients=numbers(5)))
    assert [code for code, _, _ in graph.notes] == ["shape-unknown"]


def test_a_linear_vector_machine_is_dense() -> None:
    """Without support vectors the coefficients are the plane; with them, the plane is made of vectors and their factors."""
    plain = classical("SVMRegressor", outputs=("y",), kernel_type="LINEAR", coefficients=numbers(4), rho=numbers(1))
    assert counts(plain) == ("dense", 4, 1, 0)
    vectors = classical(
        "SVMRegressor", outputs=("y",), kernel_type="LINEAR", coefficients=numbers(3), support_vectors=numbers(12), n_supports=3, rho=[0.5]
    )
    assert counts(vectors) == ("dense", 4, 1, 3)
    assert report_of(vectors)["summary"]["parameters"]["stored"] == 12 + 3 + 1


def test_a_linear_vector_classifier_has_a_plane_for_every_pair_of_classes() -> None:
    """LIBSVM's order, worked out by hand for two classes: the coefficients stand in one row."""
    rows, factors = array(5, 4), array(1, 5)
    proto = classical(
        "SVMClassifier",
        kernel_type="LINEAR",
        vectors_per_class=[2, 3],
        support_vectors=[float(x) for x in rows.ravel()],
        coefficients=[float(x) for x in factors.ravel()],
        rho=[0.1],
        classlabels_ints=[0, 1],
    )
    assert counts(proto) == ("dense", 4, 1, 5)
    (weight,) = layer(read(proto), "model").kernel
    assert_allclose(OnnxWeights().array(weight), (factors @ rows).T, rtol=1e-5)
    three = classical(
        "SVMClassifier",
        kernel_type="LINEAR",
        vectors_per_class=[1, 2, 1],
        support_vectors=numbers(16),
        coefficients=numbers(8),
        rho=numbers(3),
        classlabels_ints=[0, 1, 2],
    )
    assert counts(three) == ("dense", 12, 3, 8)


def test_other_kernels_keep_their_vectors_as_parameters() -> None:
    proto = classical(
        "SVMRegressor", outputs=("y",), kernel_type="RBF", coefficients=numbers(3), support_vectors=numbers(12), n_supports=3, rho=[0.5]
    )
    assert counts(proto) == ("other", 0, 0, 12 + 3 + 1)


def test_a_scaler_is_a_normalisation() -> None:
    assert counts(classical("Scaler", outputs=("y",), offset=numbers(4), scale=numbers(4))) == ("normalization", 0, 0, 8)


def test_thresholds_of_trees_are_parameters() -> None:
    """Two inner nodes, three leaves whose values are not thresholds, three weights of leaves."""
    proto = classical(
        "TreeEnsembleRegressor",
        outputs=("y",),
        nodes_values=[0.5, 0.0, 0.25, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_treeids=[0] * 5,
        nodes_nodeids=list(range(5)),
        target_weights=numbers(3),
    )
    assert counts(proto) == ("other", 0, 0, 5)


def test_trees_of_tensors_are_read_too() -> None:
    """TreeEnsemble of ai.onnx.ml 5."""
    splits = onnx.numpy_helper.from_array(array(3), "splits")
    leaves = onnx.numpy_helper.from_array(array(4), "leaves")
    assert counts(classical("TreeEnsemble", outputs=("y",), nodes_splits=splits, leaf_weights=leaves)) == ("other", 0, 0, 7)


def test_values_for_missing_features_are_parameters() -> None:
    assert counts(classical("Imputer", outputs=("y",), imputed_value_floats=numbers(4))) == ("other", 0, 0, 4)


def mixture(op: str = "MoE", chosen: int = 1, **stored: Any) -> onnx.ModelProto:
    """Experts of 16 units on four tokens; the names of `stored` are the operator's inputs in order."""
    order = ["fc1", "b1", "fc2", "b2", "fc3"] if op == "MoE" else ["fc1", "s1", "b1", "fc2", "s2", "b2"]
    inputs = [name if name in stored else "" for name in order]
    one = node(op, "x", "p", *inputs, name="experts", domain="com.microsoft", k=chosen)
    return model([one], {"x": [1, 4, 16], "p": [4, 2]}, stored)


@pytest.mark.parametrize("chosen", [1, 2])
def test_experts_count_all_weights_and_the_connections_of_those_that_a_token_uses(chosen: int) -> None:
    """Two experts of 16 → 32 → 16: 2,048 weights; a token of four goes through one or both."""
    report = report_of(mixture(chosen=chosen, fc1=array(2, 32, 16), fc2=array(2, 16, 32)))
    one = layer_of(report, "experts")
    assert (one["kind"], one["input_shape"], one["parameters"]["weights"]) == ("dense", [1, 4, 16], 2048)
    assert one["connections"]["exact"] == 4 * chosen * 1024
    assert one["units"] == {"in": 4 * (16 + chosen * 32), "out": 4 * (chosen * 32 + 16)}
    assert one["sharing"]["factor"] == 4 * chosen * 1024 / 2048
    assert one["connections"]["effective"] is None


def test_gated_experts_with_biases() -> None:
    stored = {"fc1": array(2, 32, 16), "b1": array(2, 32), "fc2": array(2, 16, 32), "b2": array(2, 16), "fc3": array(2, 32, 16)}
    one = layer_of(report_of(mixture(**stored)), "experts")
    assert (one["parameters"]["weights"], one["parameters"]["biases"]) == (3 * 1024, 96)
    assert one["connections"]["exact"] == 4 * 3 * 512
    fused = layer_of(report_of(mixture(fc1=array(2, 64, 16), fc2=array(2, 16, 32))), "experts")
    assert (fused["parameters"]["weights"], fused["connections"]["exact"]) == (2 * (1024 + 512), 4 * (1024 + 512))


def test_packed_experts_count_the_numbers_that_they_stand_for() -> None:
    stored = {"fc1": np.zeros((2, 32, 8), np.uint8), "s1": array(2, 32), "fc2": np.zeros((2, 16, 16), np.uint8), "s2": array(2, 16)}
    one = layer_of(report_of(mixture("QMoE", **stored)), "experts")
    assert (one["parameters"]["weights"], one["parameters"]["dtype"], one["connections"]["exact"]) == (2048, "int4", 4096)


def test_a_token_reads_no_other_token() -> None:
    report = report_of(mixture(fc1=array(2, 32, 16), fc2=array(2, 16, 32)))
    assert layer_of(report, "experts")["receptive_field"]["status"] in ("exact", "global")


@pytest.mark.parametrize("domain", ["qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"])
@pytest.mark.parametrize(
    ("op", "more", "expected"),
    [
        ("Quant", (1.0, 0.0, 4.0), lambda w: np.rint(np.clip(w, -8, 7))),
        ("IntQuant", (1.0, 0.0, 4.0), lambda w: np.rint(np.clip(w, -8, 7))),
        ("BipolarQuant", (0.5,), lambda w: np.where(w >= 0, 0.5, -0.5)),
    ],
)
def test_quantised_weights_keep_their_tensor(domain: str, op: str, more: tuple[float, ...], expected: Any) -> None:
    w = array(4, 3, 3, 3) * 4
    stored = {"w": w, **{f"q{i}": np.float32(value) for i, value in enumerate(more)}}
    quantised = node(op, "w", *(f"q{i}" for i in range(len(more))), outputs=["v"], name="quant", domain=domain, signed=1, narrow=0)
    graph = read(model([quantised, node("Conv", "x", "v", name="conv")], {"x": [1, 3, 8, 8]}, stored))
    (weight,) = layer(graph, "conv").kernel
    assert (weight.stored, weight.count) == ("w", 108)
    assert_allclose(OnnxWeights().array(weight), expected(w), rtol=1e-6)


@pytest.mark.parametrize(("op", "inputs"), [("Trunc", 4), ("FloatQuant", 6), ("Quant", 3), ("BipolarQuant", 1)])
def test_quantisers_between_layers_change_no_field(op: str, inputs: int) -> None:
    names = [f"q{i}" for i in range(inputs)]
    nodes = [
        node("Conv", "x", "w", outputs=["h"], name="first"),
        node(op, "h", *names, outputs=["q"], name="quant", domain="qonnx.custom_op.general"),
        node("Conv", "q", "v", name="second"),
    ]
    stored = {"w": array(4, 3, 3, 3), "v": array(4, 4, 3, 3), **{name: np.float32(1) for name in names}}
    report = report_of(model(nodes, {"x": [1, 3, 9, 9]}, stored))
    assert layer_of(report, "second")["receptive_field"]["size"] == [5, 5]
    assert layer_of(report, "second")["receptive_field"]["status"] == "exact"


def test_thresholds_of_finn_are_parameters_of_an_activation() -> None:
    nodes = [
        node("Conv", "x", "w", outputs=["h"], name="conv"),
        node("MultiThreshold", "h", "t", name="threshold", domain="finn.custom_op.general", out_dtype="UINT2"),
    ]
    proto = model(nodes, {"x": [1, 3, 9, 9]}, {"w": array(4, 3, 3, 3), "t": array(4, 3)})
    assert counts(proto, "threshold") == ("activation", 0, 0, 12)
    assert layer_of(report_of(proto), "threshold")["receptive_field"]["size"] == [3, 3]


def test_products_and_pooling_of_finn() -> None:
    pool = node("QuantAvgPool2d", "x", outputs=["p"], name="pool", domain="qonnx.custom_op.general", kernel=2, stride=2)
    flat = node("Flatten", "p", outputs=["f"], name="flat")
    dense = node("XnorPopcountMatMul", "f", "w", name="dense", domain="finn.custom_op.general")
    graph = read(model([pool, flat, dense], {"x": [1, 3, 8, 8]}, {"w": array(48, 10)}))
    assert not graph.notes
    assert (graph.tensors["y"].shape, layer(graph, "dense").kind, layer(graph, "pool").kind) == ((1, 10), "dense", "pooling")
