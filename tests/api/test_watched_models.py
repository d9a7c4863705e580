"""Watched models over HTTP: versions, verdicts, stable addresses and histories, with the real analysis."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api.services import EXTENSION

KERNELS = (5, 7, 3)


def spec(kernel: int, filters: int = 4, name: str = "net") -> dict[str, Any]:
    layers = [{"type": "conv", "filters": filters, "kernel": kernel}, {"type": "conv", "filters": 4, "kernel": 3}]
    return {"receptive": 1, "name": name, "input": {"shape": [1, 32, 32]}, "layers": layers}


def analysed(http: FlaskClient, document: dict[str, Any], **query: str) -> TestResponse:
    return http.post("/v1/analyses", json=document, query_string=query)


@pytest.fixture(scope="module")
def ids(http: FlaskClient) -> list[str]:
    return [analysed(http, spec(kernel)).json["id"] for kernel in KERNELS]


@pytest.fixture
def name(http: FlaskClient, request: pytest.FixtureRequest) -> str:
    """A name that no other test watches."""
    return f"model of {request.node.name}"


def put(http: FlaskClient, name: str, version: str, analysis: str) -> TestResponse:
    return http.put(f"/v1/models/{name}/versions/{version}", json={"analysis": analysis})


@pytest.fixture
def watched(http: FlaskClient, ids: list[str], name: str) -> str:
    """A model of three versions: the second sees more than the first, the third less."""
    for number, analysis in enumerate(ids, 1):
        assert put(http, name, f"v{number}", analysis).status_code == 201
    return name


def test_version_is_put_once_and_put_again(http: FlaskClient, ids: list[str], name: str) -> None:
    assert http.get(f"/v1/models/{name}").json["code"] == "model-not-found"
    answer = put(http, name, "1.0", ids[0][:20])
    assert answer.status_code == 201
    assert http.get(answer.headers["Location"]).headers["Location"] == f"/v1/analyses/{ids[0]}"
    assert answer.json["analysis"] == ids[0], "an abbreviated id is written out"
    assert answer.json["metrics"] == http.get(f"/v1/analyses/{ids[0]}/metrics").json
    assert put(http, name, "1.0", ids[0]).status_code == 200
    assert put(http, name, "1.0", ids[1]).json["analysis"] == ids[1]
    assert http.get(f"/v1/models/{name}").json["version_count"] == 1


def test_post_with_a_name_does_both(http: FlaskClient, name: str) -> None:
    answer = analysed(http, spec(9, name="both"), model=name, version="7")
    assert answer.status_code == 201
    versions = http.get(f"/v1/models/{name}").json["versions"]
    assert [(each["version"], each["analysis"]) for each in versions] == [("7", answer.json["id"])]
    assert analysed(http, spec(9, name="both"), model=name, version="8").status_code == 200, "the report is known, the version is new"
    assert [each["version"] for each in http.get(f"/v1/models/{name}").json["versions"]] == ["8", "7"]


def test_post_that_is_not_waited_for_becomes_a_version_when_it_is_done(http: FlaskClient, name: str) -> None:
    asked = http.post(
        "/v1/analyses", json=spec(11, name="later"), query_string={"model": name, "version": "1"}, headers={"Prefer": "wait=0"}
    )
    assert asked.status_code in (201, 202)
    deadline = time.monotonic() + 30
    while http.get(f"/v1/models/{name}").status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert http.get(f"/v1/models/{name}/versions/1").status_code == 307


def test_model_that_is_refused_becomes_no_version(http: FlaskClient, service: Flask, name: str) -> None:
    bad = {**spec(3), "layers": [{"type": "conv", "filters": 4, "kernel": 99}]}
    assert analysed(http, bad, model=name, version="1").status_code == 422
    store = service.extensions[EXTENSION].store
    assert [each.label.version for each in store.models.awaited(9) if each.label.model == name] == ["1"]
    assert http.get(f"/v1/models/{name}").status_code == 404


@pytest.mark.parametrize("query", [{"model": "a"}, {"version": "1"}, {"model": "a/b", "version": "1"}, {"model": "a", "version": "latest"}])
def test_half_a_name_and_a_bad_one_are_refused_before_anything_is_analysed(http: FlaskClient, query: dict[str, str]) -> None:
    answer = analysed(http, spec(3), **query)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid-arguments")


@pytest.mark.parametrize("version", ["latest", "baseline", "x" * 201, "a%00b", "a%0Ab"])
def test_names_that_mean_something_else_are_refused(http: FlaskClient, ids: list[str], name: str, version: str) -> None:
    assert put(http, name, version, ids[0]).json["code"] == "invalid-arguments"


def test_names_of_any_script_and_sign_are_kept(http: FlaskClient, ids: list[str]) -> None:
    for version in ("1.0.html", "v 1+2%", "モデル", "'; DROP TABLE models", "a?b#c"):
        answer = http.put(f"/v1/models/<b>näme/versions/{quote(version, safe='')}", json={"analysis": ids[0]})
        assert answer.json["version"] == version
        assert http.get(answer.json["links"]["self"]).headers["Location"] == f"/v1/analyses/{ids[0]}"
    names = {each["name"] for each in http.get("/v1/models?limit=200").json["items"]}
    assert "<b>näme" in names


def test_verdict_is_held_against_the_version_before(http: FlaskClient, watched: str, ids: list[str]) -> None:
    answer = http.patch(f"/v1/models/{watched}", json={"budgets": {"min_receptive_field": 6, "max_parameters_change": 0.0}})
    assert answer.json["verdict"] == "fail", "the newest version is judged anew"
    judged = answer.json["latest"]
    assert judged["base"] == "v2"
    assert {each["budget"]: each["passed"] for each in judged["budgets"]} == {"min_receptive_field": False, "max_parameters_change": True}
    grown = put(http, watched, "v4", ids[1]).json
    assert (grown["verdict"], grown["base"]) == ("fail", "v3")
    assert {each["budget"]: each["passed"] for each in grown["budgets"]} == {"min_receptive_field": True, "max_parameters_change": False}
    badge = http.get(f"/v1/models/{watched}/versions/latest/badge.json?metric=receptive-field")
    assert badge.json["message"] == "9×9 px"


def test_verdict_is_held_against_the_baseline_where_one_is_set(http: FlaskClient, watched: str, ids: list[str]) -> None:
    changed = http.patch(f"/v1/models/{watched}", json={"baseline": "v2", "budgets": {"max_parameters_change": 0.0}}).json
    assert (changed["verdict"], changed["latest"]["base"]) == ("pass", "v2")
    again = put(http, watched, "v4", ids[1]).json
    assert (again["verdict"], again["base"]) == ("pass", "v2"), "the same as the baseline, and more than the version before"
    assert http.get(f"/v1/models/{watched}/versions/baseline").headers["Location"] == f"/v1/analyses/{ids[1]}"
    assert http.patch(f"/v1/models/{watched}", json={"baseline": None}).json["latest"]["base"] == "v3"


def test_first_version_is_held_to_plain_limits(http: FlaskClient, name: str, ids: list[str]) -> None:
    assert put(http, name, "1", ids[0]).json["verdict"] == "none"
    assert http.patch(f"/v1/models/{name}", json={"budgets": {"max_layers": 1, "max_parameters_change": 0.0}}).json["verdict"] == "fail"
    assert http.patch(f"/v1/models/{name}", json={"budgets": {"max_layers": 2, "no_new_findings": True}}).json["verdict"] == "pass"
    assert http.patch(f"/v1/models/{name}", json={"budgets": {}}).json["verdict"] == "none"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"budgets": {"max_speed": 1}}, "invalid-budget"),
        ({"budgets": {"max_layers": "many"}}, "invalid-budget"),
        ({"budgets": {"max_layers": True}}, "invalid-budget"),
        ({"budgets": {"max_layers": 10**400}}, "invalid-budget"),
        ({"budgets": {"no_new_findings": [1]}}, "invalid-budget"),
        ({"budgets": 3}, "invalid-arguments"),
        ({"baseline": "nowhere"}, "version-not-found"),
        ({"colour": "red"}, "invalid-arguments"),
        ([], "invalid-arguments"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(http: FlaskClient, watched: str, body: Any, code: str) -> None:
    before = http.get(f"/v1/models/{watched}").json
    assert http.patch(f"/v1/models/{watched}", json=body).json["code"] == code
    assert http.get(f"/v1/models/{watched}").json == before


def test_everything_below_an_analysis_is_below_its_version(http: FlaskClient, watched: str, ids: list[str]) -> None:
    base, newest = f"/v1/models/{watched}/versions/latest", f"/v1/analyses/{ids[2]}"
    for below in ("", ".html", ".json", ".md", ".csv", "/metrics", "/layers?limit=1", "/layers/0", "/sweep?sizes=32,64"):
        answer = http.get(base + below)
        assert (answer.status_code, answer.headers["Location"]) == (307, newest + below)
        assert "no-cache" in answer.headers["Cache-Control"]
        assert http.get(answer.headers["Location"]).status_code == 200
    assert http.get(f"/v1/models/{watched}/versions/v9").json["code"] == "version-not-found"
    assert http.get(f"/v1/models/{watched}/versions/v9/badge.svg").json["code"] == "version-not-found"
    assert http.get("/v1/models/nobody/versions/latest").json["code"] == "model-not-found"


def test_pictures_and_badges_are_answered_in_place_and_revalidated(http: FlaskClient, watched: str, ids: list[str]) -> None:
    base, newest = f"/v1/models/{watched}/versions/latest", f"/v1/analyses/{ids[2]}"
    for below in ("/badge.svg", "/badge.json?metric=parameters", "/layers/0/connectivity.svg"):
        answer, direct = http.get(base + below), http.get(newest + below)
        assert (answer.status_code, answer.data, answer.content_type) == (200, direct.data, direct.content_type)
        assert answer.headers["ETag"] == direct.headers["ETag"]
        assert answer.headers["Cache-Control"] == "private, no-cache", "another version may be meant later"
        assert http.get(base + below, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert http.get(f"{base}/badge.svg?metric=nothing").json["code"] == "invalid-arguments"
    assert http.get(f"{base}/filters.png").json["code"] == "no-filters"
    assert http.get(f"{base}/nothing.png").json["code"] == "not-found"


def test_history_has_every_number_of_every_version(http: FlaskClient, watched: str, ids: list[str]) -> None:
    answer = http.get(f"/v1/models/{watched}/history")
    assert [(each["version"], each["analysis"]) for each in answer.json["items"]] == list(zip(("v1", "v2", "v3"), ids, strict=True))
    assert [each["metrics"]["receptive.receptive_field.height"] for each in answer.json["items"]] == [7, 9, 5]
    assert http.get(f"/v1/models/{watched}/history", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    table = list(csv.DictReader(io.StringIO(http.get(f"/v1/models/{watched}/history.csv").text)))
    assert [row["version"] for row in table] == ["v1", "v2", "v3"]
    assert set(table[0]) == {"version", "created_at", "analysis", "verdict", *answer.json["items"][0]["metrics"]}


def test_history_is_drawn_of_all_numbers_or_of_some(http: FlaskClient, watched: str) -> None:
    every = http.get(f"/v1/models/{watched}/history.vl.json").json
    numbers = http.get(f"/v1/models/{watched}/history").json["items"][0]["metrics"]
    assert len(every["concat"]) == len(numbers)
    one = http.get(f"/v1/models/{watched}/history.vl.json?metric=receptive.receptive_field.height").json
    assert [row["value"] for row in one["concat"][0]["data"]["values"]] == [7, 9, 5]
    drawn = http.get(f"/v1/models/{watched}/history.svg?metric=receptive.layers,receptive.parameters")
    assert drawn.status_code == 200 and drawn.data.startswith(b"<svg") and b"parameters" in drawn.data
    assert http.get(f"/v1/models/{watched}/history.png?metric=receptive.layers").data.startswith(b"\x89PNG")
    assert http.get(f"/v1/models/{watched}/history.svg?metric=speed").json["code"] == "invalid-arguments"
    assert http.get(f"/v1/models/{watched}/history.svg?metric=receptive.weight_sparsity").json["code"] == "no-chart"


def test_model_and_version_are_forgotten_and_their_analyses_stay(http: FlaskClient, watched: str, ids: list[str]) -> None:
    assert http.delete(f"/v1/models/{watched}/versions/v3").status_code == 204
    assert http.get(f"/v1/models/{watched}").json["latest"]["version"] == "v2"
    assert http.delete(f"/v1/models/{watched}").status_code == 204
    assert http.delete(f"/v1/models/{watched}").json["code"] == "model-not-found"
    assert http.get(f"/v1/models/{watched}/versions/v2").status_code == 404
    assert http.get(f"/v1/analyses/{ids[2]}").status_code == 200


def test_list_goes_on_where_it_ended(http: FlaskClient, watched: str) -> None:
    seen: list[str] = []
    address = "/v1/models?limit=1"
    while True:
        answer = http.get(address)
        seen += [each["name"] for each in answer.json["items"]]
        if answer.json["next_cursor"] is None:
            break
        address = answer.headers["Link"].partition(">")[0].lstrip("<")
    assert seen == sorted(seen) and watched in seen
    item = next(each for each in http.get("/v1/models?limit=200").json["items"] if each["name"] == watched)
    assert (item["version_count"], item["latest"]["version"], item["metrics"]["receptive.layers"]) == (3, "v3", 2)
    assert json.dumps(item["metrics"]) == json.dumps(item["latest"]["metrics"])
