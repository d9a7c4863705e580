"""What a client may write and what it is told: formats by Accept, layers by name or place, and what a misspelt word was meant to be."""

from __future__ import annotations

import gzip

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import networks
from tests.bad_inputs.graphs import external

SPEC = networks.spec_of([1, 12, 12], networks.conv("first", 2, 3), networks.conv("second", 2, 3), networks.conv("third", 2, 3))


@pytest.fixture
def http(service: Flask) -> FlaskClient:
    return service.test_client()


@pytest.fixture
def place(http: FlaskClient) -> str:
    """The address of the report on `SPEC`."""
    return str(http.post("/v1/analyses", json=SPEC).headers["Location"])


@pytest.mark.parametrize(
    ("accept", "media_type", "beginning"),
    [
        ("*/*", "application/json", "{"),
        ("application/json", "application/json", "{"),
        ("text/markdown", "text/markdown", "## "),
        ("text/csv", "text/csv", "index,name,"),
        ("text/html,*/*;q=0.1", "text/html", "<!doctype html>"),
        ("application/openmetrics-text", "application/openmetrics-text", "# TYPE receptive_model_"),
    ],
)
def test_an_analysis_is_answered_as_the_client_likes_it(http: FlaskClient, accept: str, media_type: str, beginning: str) -> None:
    answer = http.post("/v1/analyses", json=SPEC, headers={"Accept": accept})
    assert answer.status_code in (200, 201)
    assert answer.mimetype == media_type
    assert answer.text.startswith(beginning)
    assert http.get(answer.headers["Location"], headers={"Accept": accept}).data == answer.data


def test_a_form_that_does_not_exist_is_refused_before_the_work(http: FlaskClient) -> None:
    answer = http.post("/v1/analyses", json=SPEC, headers={"Accept": "image/png"})
    assert (answer.status_code, answer.get_json()["code"]) == (406, "not-acceptable")


@pytest.mark.parametrize(("layer", "name"), [("0", "first"), ("-1", "third"), ("-3", "first"), ("second", "second")])
def test_a_layer_is_found_by_name_or_from_either_end(http: FlaskClient, place: str, layer: str, name: str) -> None:
    assert http.get(f"{place}/layers/{layer}").get_json()["name"] == name
    assert http.get(f"{place}/layers/{layer}/connectivity.svg").status_code == 200
    assert http.get(f"{place}/receptive-field/overlay.png?layer={layer}").status_code == 200


@pytest.mark.parametrize(
    ("layer", "said"), [("secnd", "did you mean 'second'?"), ("-4", "its layers are 0 to 2"), ("3", "its layers are 0 to 2")]
)
def test_a_layer_that_is_not_there_is_told_from_those_that_are(http: FlaskClient, place: str, layer: str, said: str) -> None:
    answer = http.get(f"{place}/layers/{layer}")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "layer-not-found")
    assert said in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/v1/analyses?input_shpe=1,3,4,4", "did you mean 'input_shape'?"),
        ("/v1/analyses?Read-Weights=all", "did you mean 'read_weights'?"),
        ("/v1/analyses?qqqq=1", "expected name, input_shapes"),
    ],
)
def test_a_misspelt_option_is_told_what_it_was_meant_to_be(http: FlaskClient, address: str, said: str) -> None:
    answer = http.post(address, json=SPEC)
    assert answer.status_code == 422
    assert said in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (gzip.compress(b"model", mtime=0), "gzip. Unpack it"),
        (b"<!doctype html><html><body>404</body></html>", "HTML page. A server has answered with a page"),
        (b"\x89PNG\r\n\x1a\n0000", "PNG. There is no model in it"),
        (b"GGUF0000", "GGUF. Convert it to ONNX first."),
    ],
)
def test_what_cannot_be_converted_is_not_told_to_be(http: FlaskClient, body: bytes, said: str) -> None:
    answer = http.post("/v1/analyses", data=body, content_type="application/onnx")
    assert answer.status_code == 415
    assert said in answer.get_json()["detail"]


def test_missing_external_data_says_what_to_send(http: FlaskClient) -> None:
    answer = http.post("/v1/analyses", data=external(location="weights.bin"), content_type="application/onnx").get_json()
    assert answer["code"] == "external-missing"
    assert "'weights.bin'" in answer["detail"] and "external=@file" in answer["detail"] and "external_missing=ignore" in answer["detail"]
