"""Comparison of two analyses over HTTP: every representation, budgets, and what is wrong with a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api.features.schemas import ComparisonSchema
from service.report.comparison import compare
from service.report.document import Report
from service.report.plain import of_plain, plain_object
from tests.networks import conv, spec_of

URL = "/v1/comparisons"


@pytest.fixture(scope="module")
def reports(http: FlaskClient) -> list[dict[str, Any]]:
    """A network before and after it got a wider second layer."""
    specs = [spec_of([1, 16, 16], conv("a", 4, 3), conv("b", filters, 3), name=f"net-{filters}") for filters in (4, 8)]
    return [http.post("/v1/analyses", data=json.dumps(spec).encode(), content_type="application/json").get_json() for spec in specs]


def asked(reports: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"base": reports[0]["id"], "head": reports[1]["id"], **more}


def problem(response: TestResponse) -> tuple[int, str, list[str]]:
    document = response.get_json()
    return response.status_code, document["code"], [error["pointer"] for error in document.get("errors", [])]


def test_answer_is_the_comparison(http: FlaskClient, reports: list[dict[str, Any]]) -> None:
    budgets = {"max_parameters": 10, "min_receptive_field": 5, "no_new_findings": True}
    response = http.post(URL, json=asked(reports, budgets=budgets))
    assert response.status_code == 200
    answer = response.get_json()
    assert answer == json.loads(json.dumps(plain_object(compare(*(of_plain(Report, each) for each in reports[:2]), budgets))))
    ComparisonSchema().load(answer)
    assert answer["verdict"] == "fail"
    assert [budget["passed"] for budget in answer["budgets"]][:2] == [False, True]
    assert [layer["status"] for layer in answer["layers"]] == ["same", "changed"]


def test_model_with_itself_is_the_same(http: FlaskClient, reports: list[dict[str, Any]]) -> None:
    answer = http.post(URL, json={"base": reports[0]["id"], "head": reports[0]["id"]}).get_json()
    assert (answer["verdict"], answer["summary"], answer["counts"]["changed"]) == ("none", {}, 0)


def test_representation_is_negotiated(http: FlaskClient, reports: list[dict[str, Any]]) -> None:
    body = asked(reports, budgets={"max_parameters": 10, "max_layers": 9})
    for accept, beginning in (("text/html", "<!doctype html>"), ("text/markdown", "## net-4 → net-8"), ("application/xml", "<?xml")):
        response = http.post(URL, json=body, headers={"Accept": accept})
        assert (response.status_code, response.mimetype, "Accept" in response.vary) == (200, accept, True)
        assert response.data.decode().startswith(beginning)
        assert response.headers["Cache-Control"] == "no-store"
    suite = ElementTree.fromstring(response.data)
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert problem(http.post(URL, json=body, headers={"Accept": "image/png"})) == (406, "not-acceptable", [])


@pytest.mark.parametrize(
    ("budgets", "pointer"),
    [
        ({"max_parameter": 1}, "/budgets/max_parameter"),
        ({"max/parameters~": 1}, "/budgets/max~1parameters~0"),
        ({"max_parameters": "many"}, "/budgets/max_parameters"),
        ({"max_parameters": True}, "/budgets/max_parameters"),
        ({"no_new_findings": 3}, "/budgets/no_new_findings"),
    ],
)
def test_wrong_budget_is_pointed_at(http: FlaskClient, reports: list[dict[str, Any]], budgets: dict[str, Any], pointer: str) -> None:
    assert problem(http.post(URL, json=asked(reports, budgets=budgets))) == (422, "invalid-budget", [pointer])


def test_limit_that_is_no_number_in_json(http: FlaskClient, reports: list[dict[str, Any]]) -> None:
    """Python reads NaN and Infinity, which RFC 8259 does not know."""
    for word in ("NaN", "-Infinity", "1e999"):
        body = json.dumps(asked(reports)).removesuffix("}") + f', "budgets": {{"max_parameters": {word}}}}}'
        assert problem(http.post(URL, data=body, content_type="application/json"))[:2] == (422, "invalid-budget")


@pytest.mark.parametrize(
    ("body", "status", "code", "pointers"),
    [
        (b"{", 400, "not-json", []),
        (b"[" * 100_000, 400, "not-json", []),
        (b'{"base": ' + b"9" * 5000 + b"}", 400, "not-json", []),
        (b"\xff\xfe", 400, "not-json", []),
        (b"", 400, "empty-body", []),
        (b"[]", 422, "invalid-arguments", ["/_schema"]),
        (b"{}", 422, "invalid-arguments", ["/base", "/head"]),
        (b'{"base": "x", "head": 3}', 422, "invalid-arguments", ["/base", "/head"]),
    ],
)
def test_wrong_requests_are_problems(http: FlaskClient, body: bytes, status: int, code: str, pointers: list[str]) -> None:
    assert problem(http.post(URL, data=body, content_type="application/json")) == (status, code, pointers)


def test_unknown_fields_analyses_and_types(http: FlaskClient, reports: list[dict[str, Any]]) -> None:
    assert problem(http.post(URL, json=asked(reports, budget={})))[1:] == ("invalid-arguments", ["/budget"])
    assert problem(http.post(URL, json={**asked(reports), "head": "sha256-" + "0" * 64}))[:2] == (404, "analysis-not-found")
    assert problem(http.post(URL, data=b"{}", content_type="text/plain"))[:2] == (415, "unsupported-media-type")
    assert problem(http.post(URL, data=bytes(2 << 20), content_type="application/json"))[:2] == (413, "body-too-large")


def test_examples_of_a_pruned_model(http: FlaskClient) -> None:
    examples = Path(__file__).resolve().parents[2] / "examples"
    ids = []
    for name in ("photographs.onnx", "photographs-pruned.onnx"):
        response = http.post("/v1/analyses", data=(examples / name).read_bytes(), content_type="application/onnx")
        ids.append(response.get_json()["id"])
    answer = http.post(URL, json={"base": ids[0], "head": ids[1], "budgets": {"min_weight_sparsity": 0.1}}).get_json()
    change = answer["summary"]["sparsity.weight"]
    assert change["head"] > change["base"]
    assert answer["verdict"] == "pass"


def test_badge_shows_the_verdict(http: FlaskClient, reports: list[dict[str, Any]]) -> None:
    """Budgets of the head alone need no base; changes are measured from the one that is named."""
    base, head = reports

    def shown(form: str = "json", **query: str) -> TestResponse:
        return http.get(f"{head['links']['self']}/badge.{form}", query_string={"metric": "verdict", **query})

    grown = json.dumps({"max_parameters_change": 0.01})
    assert shown().get_json() == {"schemaVersion": 1, "label": "receptive", "message": "no budget", "color": "666666"}
    assert shown(budgets=json.dumps({"min_receptive_field": 5})).get_json()["message"] == "within budget"
    assert shown(budgets=grown).get_json()["message"] == "within budget"
    assert shown(budgets=grown, base=base["id"]).get_json()["message"] == "over budget"
    assert "receptive: over budget" in shown("svg", budgets=grown, base=base["id"]).text
    assert problem(shown(budgets='{"max_parameters": 1e999}')) == (422, "invalid-budget", ["/budgets/max_parameters"])
    assert problem(shown(budgets='{"max_joy": 1}')) == (422, "invalid-budget", ["/budgets/max_joy"])
    assert problem(shown(budgets="{"))[:2] == (422, "invalid-arguments")
    assert problem(shown(base="sha256-" + "0" * 64))[:2] == (404, "analysis-not-found")
