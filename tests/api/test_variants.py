"""Variants over HTTP: the report of a changed network, its comparison with the base, and what is wrong with edits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.api.features.variants import VariantSchema
from tests.networks import conv, pool, spec_of

BASE = spec_of([3, 32, 32], conv("conv1", 4, 5, 2), pool("pool1", 2, 2), conv("conv2", 8, 3), name="net")
CHANGED = spec_of([3, 64, 64], conv("conv1", 4, 5, 1), conv("conv2", 8, 3), name="net")
EDITS = [{"layer": "conv1", "set": {"stride": 1}}, {"layer": "pool1", "remove": True}]


def posted(http: FlaskClient, spec: dict[str, Any]) -> dict[str, Any]:
    response = http.post("/v1/analyses", data=json.dumps(spec).encode(), content_type="application/json")
    assert response.status_code in (200, 201)
    report: dict[str, Any] = response.get_json()
    return report


@pytest.fixture(scope="module")
def base(http: FlaskClient) -> dict[str, Any]:
    return posted(http, BASE)


def varied(http: FlaskClient, report: dict[str, Any], **body: Any) -> tuple[int, dict[str, Any]]:
    response = http.post(f"/v1/analyses/{report['id']}/variants", json=body)
    return response.status_code, response.get_json()


def test_variant_is_the_report_of_the_network_rebuilt(http: FlaskClient, base: dict[str, Any]) -> None:
    status, variant = varied(http, base, edits=EDITS, input_shapes={"": [64, 64]})
    assert status == 201
    VariantSchema().load(variant)
    rebuilt = posted(http, CHANGED)
    assert [variant[key] for key in ("summary", "layers", "findings", "ledger")] == [
        rebuilt[key] for key in ("summary", "layers", "findings", "ledger")
    ]
    assert variant["model"]["digest"] == base["model"]["digest"]
    assert variant["model"]["inputs"] == rebuilt["model"]["inputs"]
    assert variant["options"]["edits"] == EDITS
    assert variant["options"]["resized"] == {"input": [-1, -1, 64, 64]}


def test_variant_has_an_address_of_its_own(http: FlaskClient, base: dict[str, Any]) -> None:
    first = http.post(f"/v1/analyses/{base['id']}/variants", json={"edits": [{"layer": -1, "set": {"dilation": 2}}]})
    again = http.post(f"/v1/analyses/{base['id']}/variants", json={"edits": [{"layer": "conv2", "set": {"dilation": 2}}]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Location"] == again.headers["Location"] == f"/v1/analyses/{first.get_json()['id']}"
    assert first.get_json()["id"] != base["id"]
    kept = http.get(first.headers["Location"]).get_json()
    assert kept == {key: value for key, value in first.get_json().items() if key != "comparison"}


def test_variant_is_compared_with_its_base(http: FlaskClient, base: dict[str, Any]) -> None:
    _, variant = varied(http, base, edits=EDITS)
    comparison = variant["comparison"]
    assert (comparison["base"]["id"], comparison["head"]["id"]) == (base["id"], variant["id"])
    assert [layer["status"] for layer in comparison["layers"]] == ["changed", "removed", "changed"]


def test_variant_of_a_variant_has_the_edits_of_both(http: FlaskClient, base: dict[str, Any]) -> None:
    _, first = varied(http, base, edits=EDITS[:1])
    _, second = varied(http, first, edits=EDITS[1:])
    _, both = varied(http, base, edits=EDITS)
    assert second["id"] == both["id"]
    assert second["comparison"]["base"]["id"] == first["id"]
    status, problem = varied(http, first, edits=[{"layer": "conv2", "set": {"kernel": 99, "padding": 0}}])
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, ["/edits/0/set/kernel"])


@pytest.mark.parametrize(
    ("edits", "pointer", "code", "words"),
    [
        ([{"layer": "conv1", "set": {"stride": 1}}, {"layer": "conv3", "remove": True}], "/edits/1/layer", "unknown-layer", "did you mean"),
        ([{"layer": 3, "remove": True}], "/edits/0/layer", "unknown-layer", "no layer '3'"),
        ([{"layer": "conv1", "set": {"strides": 1}}], "/edits/0/set/strides", "unknown-field", "did you mean 'stride'"),
        ([{"layer": "conv1", "set": {"padding": "sane"}}], "/edits/0/set/padding", "unknown-value", "did you mean 'same'"),
        ([{"layer": "conv1", "set": {"stride": 0}}], "/edits/0/set/stride", "out-of-range", "from 1 to"),
        ([{"layer": "conv1", "set": {"stride": True}}], "/edits/0/set/stride", "out-of-range", "whole number"),
        ([{"layer": "conv1", "set": {"stride": [1, 1, 1]}}], "/edits/0/set/stride", "wrong-rank", "2 of them"),
        ([{"layer": "conv1", "set": {}}], "/edits/0/set", "not-an-object", "kernel, stride"),
        ([{"layer": "conv1"}], "/edits/0", "required", "either"),
        ([{"layer": "conv1", "set": {"stride": 1}, "remove": True}], "/edits/0", "required", "either"),
        ([{"layer": "conv1", "sett": {"stride": 1}}], "/edits/0/sett", "unknown-field", "did you mean 'set'"),
        ([{"layer": None, "remove": True}], "/edits/0/layer", "required", "name of a layer"),
        ([7], "/edits/0", "not-an-object", "object"),
        ({"layer": "conv1"}, "/edits", "not-a-list", "list"),
        ([{"layer": "pool1", "remove": True}] * 201, "/edits", "too-many-edits", "200"),
    ],
)
def test_impossible_edit_is_named(http: FlaskClient, base: dict[str, Any], edits: Any, pointer: str, code: str, words: str) -> None:
    status, problem = varied(http, base, edits=edits)
    assert (status, problem["code"]) == (422, "invalid-edit")
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert words in error["detail"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"input_shapes": {"imput": [64, 64]}}, "invalid-edit", "/input_shapes/imput"),
        ({"input_shapes": {"input": [1, 1, 3, 64, 64]}}, "invalid-edit", "/input_shapes/input"),
        ({"input_shapes": {"input": [1, 1]}}, "invalid-edit", "/input_shapes/input"),
        ({"input_shapes": {"input": [0, 1]}}, "invalid-arguments", "/input_shapes/input/value/0"),
        ({"edits": []}, "invalid-arguments", None),
        ({"edit": []}, "invalid-arguments", "/edit"),
        ([], "invalid-arguments", "/_schema"),
    ],
)
def test_what_is_no_variant_is_refused(http: FlaskClient, base: dict[str, Any], body: Any, code: str, pointer: str | None) -> None:
    response = http.post(f"/v1/analyses/{base['id']}/variants", json=body)
    problem = response.get_json()
    assert (response.status_code, problem["code"]) == (422, code)
    assert [error["pointer"] for error in problem.get("errors", [])] == ([] if pointer is None else [pointer])


def test_variant_of_nothing_is_not_found(http: FlaskClient) -> None:
    assert varied(http, {"id": f"sha256-{'0' * 64}"}, edits=EDITS)[0] == 404


def test_proposals_are_possible_variants(http: FlaskClient) -> None:
    tight = posted(http, spec_of([1, 7, 7], conv("a", 2, 3), pool("p", 2, 2), conv("b", 2, 3), conv("c", 2, 3), name="tight"))
    response = http.get(f"/v1/analyses/{tight['id']}/proposals?goal=productive")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    found = response.get_json()
    assert found["base"]["unproductive_layers"] == 1
    assert "accuracy" in found["note"]
    for each in found["proposals"]:
        status, variant = varied(http, tight, edits=each["edits"], input_shapes=each["input_shapes"])
        assert status in (200, 201)
        assert variant["summary"]["receptive_field"]["unproductive_layers"] == each["measures"]["unproductive_layers"] == 0
        assert variant["summary"]["connections"]["exact"] == each["measures"]["connections"]


@pytest.mark.parametrize(("query", "code"), [("", "invalid-arguments"), ("?goal=faster", "invalid-goal")])
def test_proposals_need_a_goal(http: FlaskClient, base: dict[str, Any], query: str, code: str) -> None:
    response = http.get(f"/v1/analyses/{base['id']}/proposals{query}")
    assert (response.status_code, response.get_json()["code"]) == (422, code)


def test_preview_shows_a_variant_and_keeps_nothing(http: FlaskClient, base: dict[str, Any]) -> None:
    before = len(http.get("/v1/analyses?limit=200").get_json()["items"])
    edits = [{"layer": "conv1", "set": {"stride": 1}}]
    response = http.post(f"/v1/analyses/{base['id']}/variants/preview", json={"edits": edits})
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert len(http.get("/v1/analyses?limit=200").get_json()["items"]) == before
    found, variant = response.get_json(), varied(http, base, edits=edits)[1]
    assert [layer["connections"] for layer in found["layers"]] == [(each["connections"] or {}).get("exact") for each in variant["layers"]]
    assert [layer["output_shape"] for layer in found["layers"]] == [each["output_shape"] for each in variant["layers"]]
    assert found["measures"]["parameters"] == variant["summary"]["parameters"]["stored"]
    refused = http.post(f"/v1/analyses/{variant['id']}/variants/preview", json={"edits": [{"layer": "pool1", "set": {"kernel": 99}}]})
    assert [error["pointer"] for error in refused.get_json()["errors"]] == ["/edits/0/set/kernel"]
