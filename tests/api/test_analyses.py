"""Reports over HTTP: reading, listing, forgetting."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import get_args
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api.services import EXTENSION
from service.graph.network import Kind
from service.report.document import KINDS
from service.report.identity import DEFAULT_PROJECT
from service.settings import Settings
from tests.api.conftest import left_over

UNKNOWN = "/v1/analyses/sha256-" + "0" * 64


def create(client: FlaskClient, body: bytes, name: str | None = None) -> str:
    response = client.post("/v1/analyses", data=body, content_type="application/onnx", query_string={"name": name} if name else None)
    assert response.status_code in (200, 201)
    return str(response.headers["Location"])


def code(response: TestResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, response.get_json()["code"]


def test_schema_knows_the_kinds_of_the_graph() -> None:
    """It says them again, because this room may not import the graph."""
    assert get_args(Kind) == KINDS


def test_report_is_immutable(client: FlaskClient) -> None:
    place = create(client, b"model")
    first = client.get(place)
    assert first.content_type == "application/json"
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    assert client.get(place + ".json").data == first.data
    for suffix in ("", ".json"):
        second = client.get(place + suffix, headers={"If-None-Match": f'"other", {etag}'})
        assert (second.status_code, second.data, second.headers["ETag"]) == (304, b"", etag)
        assert client.get(place + suffix, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.head(place).headers["ETag"] == etag


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("text/plain, application/json;q=0.1", 200),
        ("image/png", 406),
        ("application/json;q=0", 406),
    ],
)
def test_representation_is_negotiated(client: FlaskClient, accept: str, status: int) -> None:
    response = client.get(create(client, b"model"), headers={"Accept": accept})
    assert response.status_code == status
    if status == 406:
        assert code(response) == (406, "not-acceptable")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (UNKNOWN, "analysis-not-found"),
        (UNKNOWN + ".json", "analysis-not-found"),
        (UNKNOWN + "/layers", "analysis-not-found"),
        (UNKNOWN + "/layers/0", "analysis-not-found"),
        (UNKNOWN + "/filters.png", "analysis-not-found"),
        ("/v1/analyses/sha256-xyz", "not-found"),
        ("/v1/analyses/..%2f..%2fetc%2fpasswd", "not-found"),
        ("/v1/jobs/unknown", "job-not-found"),
        ("/v1/jobs/unknown/events", "job-not-found"),
        ("/nothing", "not-found"),
    ],
)
def test_what_is_not_there_is_a_problem(client: FlaskClient, path: str, expected: str) -> None:
    assert code(client.get(path)) == (404, expected)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/analyses", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", UNKNOWN, {"GET", "HEAD", "OPTIONS", "DELETE"}),
        ("POST", "/livez", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_wrong_method_is_told_the_right_ones(client: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    response = client.open(path, method=method)
    assert code(response) == (405, "method-not-allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_forgotten_report_takes_its_file_along(client: FlaskClient, settings: Settings) -> None:
    one, third = create(client, b"model", "one"), create(client, b"third")
    other = client.post("/v1/analyses?zero_tolerance=0.5", data=b"model", content_type="application/onnx").headers["Location"]
    digests = sorted(hashlib.sha256(body).hexdigest() for body in (b"model", b"third"))
    assert left_over(settings) == digests
    assert client.delete(one).status_code == 204
    assert left_over(settings) == digests
    assert client.get(other).status_code == 200
    assert client.delete(other).status_code == 204
    assert left_over(settings) == [hashlib.sha256(b"third").hexdigest()]
    assert code(client.delete(other)) == (404, "analysis-not-found")
    assert [item["links"]["self"] for item in client.get("/v1/analyses").get_json()["items"]] == [third]
    assert create(client, b"model", "one") == one


def test_list_is_paged_newest_first(client: FlaskClient) -> None:
    places = [create(client, b"model %d" % number, "even" if number % 2 == 0 else "odd") for number in range(5)]
    seen, url = [], "/v1/analyses?limit=2"
    while url:
        response = client.get(url)
        page = response.get_json()
        seen += [item["links"]["self"] for item in page["items"]]
        link = response.headers.get("Link", "")
        assert (page["next_cursor"] is None) == (link == "")
        url = link.removeprefix("<").split(">")[0]
    assert seen == places[::-1]
    entry = client.get("/v1/analyses?limit=1").get_json()["items"][0]
    assert entry["digest"] == "sha256:" + hashlib.sha256(b"model 4").hexdigest()
    assert (entry["name"], entry["format"], entry["size_bytes"], entry["layers"], entry["parameters"]) == ("even", "onnx", 7, 0, 0)


def test_list_is_filtered(client: FlaskClient) -> None:
    create(client, b"model 1", "one & two")
    client.post("/v1/analyses?zero_tolerance=0.5&name=other", data=b"model 1", content_type="application/onnx")
    create(client, b"model 2", "other")
    digest = hashlib.sha256(b"model 1").hexdigest()

    def names(query: str) -> list[str]:
        return [item["name"] for item in client.get(f"/v1/analyses?{query}").get_json()["items"]]

    assert names("name=" + quote("one & two")) == ["one & two"]
    assert names(f"digest={digest}") == names(f"digest=sha256:{digest}") == ["other", "one & two"]
    assert names(f"digest={digest}&name=other") == ["other"]
    assert names("name=nobody") == []
    following = client.get(f"/v1/analyses?limit=1&digest={digest}").headers["Link"]
    assert digest in following and "limit=1" in following


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "limit=x", "cursor=!", "digest=abc", "unknown=1"])
def test_wrong_list_arguments_are_named(client: FlaskClient, query: str) -> None:
    response = client.get(f"/v1/analyses?{query}")
    assert code(response) == (422, "invalid-arguments")
    assert response.get_json()["errors"][0]["pointer"].startswith("/query/" + query.split("=")[0])


def test_filters_are_a_picture_that_may_be_kept_for_ever(client: FlaskClient) -> None:
    place = create(client, b"model")
    url = f"{place}/filters.png?columns=3&layer=conv1"
    first = client.get(url)
    assert (first.status_code, first.content_type) == (200, "image/png")
    assert first.data == b"model [('columns', 3), ('layer', 'conv1')] []"
    assert first.headers["Receptive-Rows"] == "1"
    assert "immutable" in first.headers["Cache-Control"]
    again = client.get(f"{place}/filters.png?layer=conv1&columns=3", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    other = client.get(f"{place}/filters.png?columns=4")
    assert other.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    "query",
    [
        "columns=0",
        "scale=1.5",
        "gap=-1",
        "normalize=max",
        "channels=0,1",
        "colums=3",
        "colormap=jet",
        "sort=size",
        "labels=maybe",
        "background=nothing",
    ],
)
def test_wrong_grid_arguments_are_named(client: FlaskClient, query: str) -> None:
    response = client.get(f"{create(client, b'model')}/filters.png?{query}")
    assert code(response) == (422, "invalid-arguments")
    assert response.get_json()["errors"][0]["pointer"].startswith("/query/" + query.split("=")[0])


def test_unexpected_error_is_a_problem_that_tells_nothing(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("service.store.sql.reports.SqlReports.get", broken)
    response = client.get(UNKNOWN)
    assert code(response) == (500, "internal-error")
    assert "secret" not in response.text
    assert "secret" in capsys.readouterr().out


def test_flat_numbers_are_one_request_away(client: FlaskClient) -> None:
    """The same numbers at /metrics, in the list, and as OpenMetrics text by Accept."""
    place = create(client, b"model")
    numbers = client.get(f"{place}/metrics").get_json()
    assert numbers["receptive.parameters"] == 0 and all(name.startswith("receptive.") for name in numbers)
    (row,) = (item for item in client.get("/v1/analyses").get_json()["items"] if place.endswith(item["id"]))
    assert row["metrics"] == numbers
    prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
    text = client.get(f"{place}/metrics", headers={"Accept": prometheus})
    assert text.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.data.decode().endswith("# EOF\n") and 'receptive_model_layers{model="fake"}' in text.data.decode()
    assert client.get(f"{place}/metrics", headers={"If-None-Match": text.headers["ETag"], "Accept": prometheus}).status_code == 304
    assert client.get(f"{place}/metrics", headers={"Accept": "image/png"}).status_code == 406


def test_beginning_of_an_id_is_enough_where_it_is_of_one_only(client: FlaskClient, app: Flask) -> None:
    place = create(client, b"model")
    whole = client.get(place)
    report_id = place.removeprefix("/v1/analyses/")
    for length in (8, 20, 63):
        short = client.get(place[: len("/v1/analyses/sha256-") + length])
        assert (short.status_code, short.data, short.headers["ETag"]) == (200, whole.data, whole.headers["ETag"])
    assert client.get(place[: len("/v1/analyses/sha256-") + 7]).status_code == 404
    picture, short = (client.get(f"{each}/filters.png") for each in (place, place[:-50]))
    assert picture.headers["ETag"] == short.headers["ETag"]
    assert "immutable" in picture.headers["Cache-Control"] and "immutable" not in short.headers["Cache-Control"]
    body = {"base": report_id[:15], "head": report_id, "budgets": {}}
    assert client.post("/v1/comparisons", json=body).status_code in (200, 422)
    reports = app.extensions[EXTENSION].store.reports
    stored = reports.get(DEFAULT_PROJECT, report_id)
    twin = report_id[:-1] + ("0" if report_id[-1] != "0" else "1")
    reports.add(replace(stored, id=twin, entry={**stored.entry, "id": twin}), reports.document(stored).whole())
    assert code(client.get(place[:-1])) == (409, "ambiguous-id")
    assert client.get(place).status_code == 200
    assert code(client.delete(place[:-1])) == (409, "ambiguous-id")


def test_damaged_file_is_the_services_fault_and_is_mended_by_the_next_upload(client: FlaskClient, settings: Settings) -> None:
    place = create(client, b"model")
    (path,) = (settings.data_dir / "blobs").glob("??/*")
    for damage in (b"mod", b"", b"invalid"):
        path.write_bytes(damage)
        broken = code(client.get(f"{place}/filters.map.json"))
        assert broken == (503, "blob-damaged")
        assert client.post("/v1/analyses", data=b"model", content_type="application/onnx").status_code == 200
        assert path.read_bytes() == b"model"
