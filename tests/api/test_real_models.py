"""The service as it is: real uploads, the real readers and analysis, in real processes."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import onnx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from onnx import TensorProto, helper
from PIL import Image
from werkzeug.test import TestResponse

from service.api import create_app
from service.api.features.report_schemas import ReportSchema
from service.api.services import EXTENSION
from service.settings import Settings
from tests.api.conftest import left_over

URL = "/v1/analyses"

# The example of docs and design: a 3×3 image and one 2×2 filter.
SMALLEST = {
    "receptive": 1,
    "name": "smallest",
    "inputs": [{"name": "image", "shape": [1, 3, 3]}],
    "layers": [{"name": "c1", "type": "conv", "filters": 1, "kernel": 2, "bias": False}],
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(Settings(), data_dir=tmp_path_factory.mktemp("real") / "data", wait_seconds=120.0)


@pytest.fixture(scope="module")
def shared_app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions[EXTENSION].close()


def convolution(weights: np.ndarray, *, external: str | None = None, name: str = "conv/1") -> bytes:
    """A model with one convolution over a 3×8×8 image; with `external`, its weights lie in that file."""
    tensor = helper.make_tensor("kernel", TensorProto.FLOAT, weights.shape, weights.astype("<f4").tobytes(), raw=True)
    if external is not None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=external)
    node = helper.make_node("Conv", ["image", "kernel"], ["result"], name=name)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, len(weights), 6, 6])
    graph = helper.make_graph([node], "g", [image], [result], [tensor])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


WEIGHTS = np.random.default_rng(1).normal(size=(5, 3, 3, 3)).astype(np.float32)


def post(client: FlaskClient, body: bytes, kind: str = "application/onnx", **query: str) -> TestResponse:
    return client.post(URL, data=body, content_type=kind, query_string=query)


def test_smallest_example_has_the_numbers_of_the_definition(client: FlaskClient) -> None:
    response = post(client, json.dumps(SMALLEST).encode(), "application/json")
    assert response.status_code == 201
    report = response.get_json()
    ReportSchema().load(report)
    layer = report["layers"][0]
    assert (layer["parameters"]["weights"], layer["connections"]["exact"], layer["connections"]["dense"]) == (4, 16, 36)
    assert layer["sparsity"]["connection"] == pytest.approx(0.5556, abs=5e-5)
    assert (layer["sharing"]["factor"], layer["reduction"]) == (4.0, {"total": 9.0, "from_sparsity": 2.25, "from_sharing": 4.0})
    assert layer["receptive_field"]["size"] == [2, 2]


def test_onnx_model_is_analysed_and_its_filters_drawn(client: FlaskClient) -> None:
    response = post(client, convolution(WEIGHTS))
    assert response.status_code == 201
    report = response.get_json()
    ReportSchema().load(report)
    assert report["model"]["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 3, 8, 8]}]
    assert report["first_layers"] == [{"layer": "conv/1", "filters": 5, "kernel": [3, 3], "channels": 3, "reads": "image"}]
    picture = client.get(report["links"]["filters"] + "?columns=2&gap=1&scale=4")
    assert (picture.status_code, picture.content_type) == (200, "image/png")
    assert (picture.headers["Receptive-Rows"], picture.headers["Receptive-Columns"]) == ("3", "2")
    assert Image.open(io.BytesIO(picture.data)).width >= 2 * 3 * 4
    assert client.get(report["links"]["filters"] + "?gap=1&columns=2&scale=4").data == picture.data


def test_layer_is_found_by_index_and_by_encoded_name(client: FlaskClient) -> None:
    name = "/block//1/Conv é"
    place = post(client, convolution(WEIGHTS, name=name)).headers["Location"]
    by_index = client.get(f"{place}/layers/0")
    assert by_index.get_json()["name"] == name
    assert client.get(f"{place}/layers/{quote(name, safe='')}").data == by_index.data
    assert client.get(f"{place}/layers/-1").data == by_index.data
    for unknown in ("1", "-2", "nothing", "%00"):
        response = client.get(f"{place}/layers/{unknown}")
        assert (response.status_code, response.get_json()["code"]) == (404, "layer-not-found")
        picture = client.get(f"{place}/filters.png?layer={unknown}")
        assert (picture.status_code, picture.get_json()["code"]) == (404, "layer-not-found")
    rows = client.get(f"{place}/layers?kind=convolution").get_json()
    assert [(row["name"], row["connections_exact"], row["receptive_field_height"]) for row in rows] == [(name, 27 * 5 * 36, 3)]
    assert client.get(f"{place}/layers?kind=dense").get_json() == []


def test_table_of_layers_is_paged(client: FlaskClient) -> None:
    layers = [{"name": f"a{number}", "type": "activation", "function": "relu"} for number in range(5)]
    place = post(client, json.dumps({**SMALLEST, "layers": layers}).encode(), "application/json").headers["Location"]
    first = client.get(f"{place}/layers?limit=3")
    assert [row["index"] for row in first.get_json()] == [0, 1, 2]
    following = first.headers["Link"].split(">")[0].removeprefix("<")
    rest = client.get(following)
    assert [row["index"] for row in rest.get_json()] == [3, 4]
    assert "Link" not in rest.headers


def test_model_without_filters_says_so(client: FlaskClient) -> None:
    place = post(client, json.dumps(SMALLEST).encode(), "application/json").headers["Location"]
    response = client.get(f"{place}/filters.png")
    assert (response.status_code, response.get_json()["code"]) == (404, "no-filters")


def test_external_data_comes_in_a_form(client: FlaskClient, settings: Settings) -> None:
    model = convolution(WEIGHTS, external="weights.bin")
    data = WEIGHTS.astype("<f4").tobytes()

    def form(name: str, content: bytes) -> TestResponse:
        parts: dict[str, Any] = {"model": (io.BytesIO(model), "m.onnx"), "external": (io.BytesIO(content), name)}
        return client.post(URL, data=parts, content_type="multipart/form-data")

    missing = post(client, model)
    assert (missing.status_code, missing.get_json()["code"]) == (422, "external-missing")
    assert form("other.bin", data).get_json()["code"] == "external-missing"
    short = form("weights.bin", data[:-1])
    assert (short.status_code, short.get_json()["code"]) == (422, "external-range")
    assert left_over(settings) == []
    report = form("weights.bin", data).get_json()
    assert report["summary"]["sparsity"]["weight"] == 0.0
    inline = post(client, convolution(WEIGHTS)).get_json()
    picture = client.get(report["links"]["filters"])
    assert picture.status_code == 200
    assert picture.data == client.get(inline["links"]["filters"]).data
    ignored = post(client, model, external_missing="ignore")
    assert ignored.status_code == 201
    assert client.get(ignored.get_json()["links"]["filters"]).get_json()["code"] == "no-filters"


def test_symbolic_axes_are_fixed_by_options(client: FlaskClient) -> None:
    model = onnx.ModelProto.FromString(convolution(WEIGHTS))
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    body = model.SerializeToString()
    open_report = post(client, body).get_json()
    ReportSchema().load(open_report)
    assert open_report["layers"][0]["connections"]["exact"] is None
    for query in ({"input_shape": "1,3,8,8"}, {"input_shapes": '{"image": [1, 3, 8, 8]}'}):
        assert post(client, body, **query).get_json()["layers"][0]["connections"]["exact"] == 27 * 5 * 36
    wrong = post(client, body, input_shapes='{"nothing": [1]}')
    assert wrong.status_code == 422


def random_bytes(size: int) -> bytes:
    return np.random.default_rng(7).integers(0, 256, size, dtype=np.uint8).tobytes()


BAD: list[tuple[str, bytes, str, set[int]]] = [
    ("one zero byte", b"\0", "application/onnx", {400}),
    ("random bytes", random_bytes(1 << 16), "application/onnx", {400}),
    ("a web page", b"<!doctype html><html><title>Log in</title></html>", "application/onnx", {400, 415}),
    ("a pickle", b"\x80\x04\x95" + random_bytes(50), "application/onnx", {400, 415}),
    ("a PyTorch file", b"PK\x03\x04" + random_bytes(100), "application/octet-stream", {415}),
    ("an HDF5 file", b"\x89HDF\r\n\x1a\n" + bytes(100), "application/octet-stream", {415}),
    ("a GGUF file", b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "application/octet-stream", {415}),
    ("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "application/onnx", {422}),
    ("a length past the end", b"\x3a\xff\xff\xff\xff\x0f", "application/onnx", {400}),
    ("empty nodes", b"\x08\x08" + b"\x3a\x80\x80\x40" + b"\x0a\x00" * (1 << 19), "application/onnx", {400, 422}),
    (
        "a spec with a wrong field",
        json.dumps({**SMALLEST, "layers": [{"type": "conv", "filters": 1, "kernle": 2}]}).encode(),
        "application/json",
        {422},
    ),
    (
        "a spec with a wrong kernel",
        json.dumps({**SMALLEST, "layers": [{"type": "conv", "filters": 1, "kernel": 0}]}).encode(),
        "application/json",
        {422},
    ),
    ("JSON that is no spec", b'{"a": 1}', "application/json", {400, 415, 422}),
    ("JSON that breaks off", b'{"receptive": 1, ', "application/json", {400}),
    ("deep JSON", b'{"a":' + b"[" * 100_000, "application/json", {400, 422}),
    ("a long number", b'{"receptive": 1' + b"0" * 1_000_000 + b"}", "application/json", {400, 422}),
    ("UTF-16", '{"receptive": 1}'.encode("utf-16"), "application/octet-stream", {400, 415}),
]


@pytest.mark.parametrize(("what", "body", "kind", "statuses"), BAD, ids=[each[0] for each in BAD])
def test_bad_input_is_a_clear_problem_and_nothing_stays(
    client: FlaskClient, settings: Settings, what: str, body: bytes, kind: str, statuses: set[int]
) -> None:
    response = post(client, body, kind)
    assert response.status_code in statuses, f"{what}: {response.text}"
    problem = response.get_json()
    assert problem["code"] not in ("analysis-failed", "worker-died", "internal-error")
    assert problem["detail"]
    assert left_over(settings) == []
    assert client.get("/readyz").status_code == 200


def test_wrong_spec_field_is_pointed_at(client: FlaskClient) -> None:
    layers = [SMALLEST["layers"][0], {"name": "c2", "type": "conv", "filters": 1, "kernel": -1}]  # type: ignore[index]
    problem = post(client, json.dumps({**SMALLEST, "layers": layers}).encode(), "application/json").get_json()
    assert [error["pointer"] for error in problem["errors"]] == ["/layers/1/kernel"]


def test_model_cut_off_anywhere_is_refused(client: FlaskClient, settings: Settings) -> None:
    body = convolution(WEIGHTS)
    for part in range(1, 16):
        response = post(client, body[: len(body) * part // 16])
        assert response.status_code in (400, 422), part
        assert response.get_json()["code"] not in ("analysis-failed", "worker-died")
    assert left_over(settings) == []


def test_hostile_names_are_only_text(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    name = '<script>\n{"level": "error", "event": "forged"}\u202e=cmd()\0{{7*7}}'
    response = post(client, convolution(WEIGHTS, name=name), name="<script>")
    assert response.status_code == 201
    assert response.get_json()["layers"][0]["name"] == name
    assert b"\n" not in response.data
    assert all(json.loads(line)["event"] != "forged" for line in capsys.readouterr().out.splitlines())


@pytest.mark.corpus
def test_corpus_files_are_answered(client: FlaskClient, corpus: Path) -> None:
    for name in ("exported/lenet5.onnx", "models/trt_residual_block.onnx"):
        response = post(client, (corpus / name).read_bytes())
        assert response.status_code == 201
        ReportSchema().load(response.get_json())
        assert client.get(response.get_json()["links"]["filters"]).status_code == 200
