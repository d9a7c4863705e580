"""A model that is read ends in a report, and every address of that report answers, whatever in it is not known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from onnx import TensorProto

from service.api.services import EXTENSION
from service.graph.model import Model, ModelFacts, Port
from service.readers.onnx import OnnxWeights
from service.store.interfaces import StoredReport
from tests.api.nulled import changed, nulled, stored
from tests.networks import conv, example, pool, spec_of
from tests.readers.onnx_models import model, node, read
from tests.reports import graph_of

FORMS = (".json", ".md", ".csv", "/layers", "/layers.csv", "/badge.svg", "/receptive-field.vl.json", "/sharing.vl.json", "/colour.vl.json")
METRICS = ("receptive-field", "parameters", "connections", "sharing", "sparsity", "weight-sparsity", "findings")
PAGES = ("", "/findings", "/layers", "/receptive-field", "/filters")


def facts(inputs: Any) -> ModelFacts:
    return ModelFacts(None, "spec", 1, tuple(Port(t.name, t.dtype, t.shape) for t in inputs), ())


def of_spec(spec: dict[str, Any]) -> Model:
    graph, weights = graph_of(spec)
    return Model((graph,), weights, facts(graph.inputs))


def of_onnx(proto: onnx.ModelProto) -> Model:
    graph = read(proto)
    return Model((graph,), OnnxWeights(), facts(graph.inputs))


def quantised() -> onnx.ModelProto:
    """Scale and zero point of rank 0 before an integer convolution, whose scale has rank 0 as well."""
    nodes = [
        node("DynamicQuantizeLinear", "x", outputs=["q", "s", "z"], name="quantise"),
        node("ConvInteger", "q", "k", "z", outputs=["c"], name="conv"),
        node("Cast", "c", outputs=["f"], name="cast", to=TensorProto.FLOAT),
        node("Mul", "f", "s", name="scale"),
    ]
    return model(nodes, {"x": [1, 3, 12, 12]}, {"k": np.ones((4, 3, 3, 3), np.int8)})


def one_axis() -> onnx.ModelProto:
    """Dense layers whose results have one axis."""
    stored = {"w": np.ones((16, 8), np.float32), "v": np.ones((8, 4), np.float32)}
    nodes = [node("MatMul", "x", "w", outputs=["h"], name="first"), node("MatMul", "h", "v", name="second")]
    return model(nodes, {"x": [16]}, stored)


def unknown_shapes() -> onnx.ModelProto:
    """An operator without a rule, whose result has no known shape, before a dense layer."""
    nodes = [node("Mystery", "x", outputs=["m"], name="mystery", domain="some.where"), node("MatMul", "m", "w", name="dense")]
    return model(nodes, {"x": [1, 6]}, {"w": np.ones((6, 2), np.float32)})


def attention() -> onnx.ModelProto:
    """Scores of a sequence with itself: no local path is left."""
    nodes = [
        node("Transpose", "x", outputs=["t"], name="turn", perm=[0, 2, 1]),
        node("MatMul", "x", "t", outputs=["s"], name="scores"),
        node("Softmax", "s", outputs=["p"], name="weigh", axis=-1),
        node("MatMul", "p", "x", name="mix"),
    ]
    return model(nodes, {"x": [1, 6, 4]})


def residual() -> dict[str, Any]:
    """A join, a pool, a grouped and a transposed convolution, a dense layer."""
    return spec_of(
        [3, 12, 16],
        conv("a", 4, 3),
        conv("b", 4, 3, dilation=2),
        {"type": "add", "name": "sum", "inputs": ["a", "b"]},
        pool("pool", 2, 2),
        conv("grouped", 4, 3, groups=2),
        {"type": "conv_transpose", "name": "up", "filters": 2, "kernel": 2, "stride": 2},
        {"type": "flatten", "name": "flat"},
        {"type": "dense", "name": "dense", "units": 3},
    )


NETWORKS: dict[str, Any] = {
    "lenet-5": lambda: of_spec(example("lenet-5")),
    "har": lambda: of_spec(example("har")),
    "shift-example": lambda: of_spec(example("shift-example")),
    "residual": lambda: of_spec(residual()),
    "quantised": lambda: of_onnx(quantised()),
    "one-axis": lambda: of_onnx(one_axis()),
    "unknown-shapes": lambda: of_onnx(unknown_shapes()),
    "attention": lambda: of_onnx(attention()),
}


@pytest.fixture(scope="module", autouse=True)
def quiet(service: Flask) -> Iterator[None]:
    """An error inside is an answer of the service here, and not an exception of the test client."""
    service.config["PROPAGATE_EXCEPTIONS"] = False
    yield
    service.config["PROPAGATE_EXCEPTIONS"] = None


def addresses(report: StoredReport, layers: list[int]) -> list[str]:
    """What can be asked of a report alone, for some of its layers."""
    base = f"/v1/analyses/{report.id}"
    pages = [f"/analyses/{report.id}{page}" for page in (*PAGES, *(f"/layers/{index}" for index in layers))]
    own = [f"/layers/{index}{form}" for index in layers for form in ("", "/connectivity.svg")]
    return [base, *(base + form for form in (*FORMS, *own)), *pages, f"/learn/worksheet/{report.id}"]


def wrong(http: FlaskClient, address: str) -> str | None:
    """What is wrong with the answer of an address: an error inside, or a null that is shown as text."""
    response = http.get(address)
    place = re.sub(r"sha256-\w+", "ID", address)
    if response.status_code >= 500 or (response.status_code == 422 and response.get_json()["code"] not in ("no-connections", "no-field")):
        return f"{response.status_code} {place}"
    said = re.sub(rb"None of the \w+", b"", response.data)
    if response.mimetype != "application/json" and re.search(rb"\b(None|nan|inf)\b", said):
        return f"None {place}"
    return None


@pytest.mark.parametrize("name", NETWORKS)
def test_every_address_of_a_report_answers(service: Flask, http: FlaskClient, name: str) -> None:
    report, document = stored(NETWORKS[name](), name)
    service.extensions[EXTENSION].store.reports.add(report, document)
    layers = list(range(len(json.loads(document)["layers"])))
    base = f"/v1/analyses/{report.id}"
    drawn = [f"{base}{form}" for form in (".html", "/receptive-field.svg", "/sharing.svg")]
    badges = [f"{base}/badge.json?metric={metric}" for metric in METRICS]
    asked = [*addresses(report, layers), *badges, *(drawn if name == "one-axis" else ())]
    assert [fault for address in asked if (fault := wrong(http, address))] == []


@pytest.mark.parametrize("name", ["residual", "attention", "har"])
def test_every_address_answers_with_any_number_unknown(service: Flask, http: FlaskClient, name: str) -> None:
    """Every fact in turn is null, in all layers and in the last that has it; the addresses of a report are asked in turn, a third each."""
    report, document = stored(NETWORKS[name](), name)
    faults = []
    layers = list(range(len(json.loads(document)["layers"])))
    for number, (kind, text) in enumerate(nulled(document)):
        one = changed(report, text, number)
        service.extensions[EXTENSION].store.reports.add(one, text)
        asked = addresses(one, [layers[number % len(layers)], layers[-1]])
        asked += [f"/v1/analyses/{one.id}/badge.json?metric={METRICS[number % len(METRICS)]}"]
        faults += [f"{kind}: {fault}" for address in asked[number % 3 :: 3] if (fault := wrong(http, address))]
    assert faults == []
