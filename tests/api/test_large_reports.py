"""A large report is never read by the server: what is told of it comes from beside it, from where it lies, or from the kept process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api import create_app
from service.api.features import layers as layers_feature
from service.api.http import responses
from service.api.services import EXTENSION
from service.store.interfaces import StoredReport
from tests.api.conftest import FAKE, SMALL
from tests.api.nulled import stored
from tests.api.test_every_address import of_spec, residual

TOLD = (".csv", ".md", "/metrics", "/badge.json", "/badge.svg?metric=sparsity", "/layers", "/layers.csv", "/layers/2", "/layers/a")
PICTURES = ("/layers/a/connectivity.svg",)
PAGES = ("", "/findings", "/layers", "/receptive-field", "/filters", "/layers/1")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = create_app(replace(SMALL, data_dir=tmp_path_factory.mktemp("large") / "data"), FAKE)
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture(scope="module")
def report(large: Flask) -> StoredReport:
    report, text = stored(of_spec(residual()), "large")
    large.extensions[EXTENSION].store.reports.add(report, text)
    return report


@pytest.fixture
def http(large: Flask) -> FlaskClient:
    return large.test_client()


def unread(text: bytes) -> None:
    raise AssertionError("the server read a large report")


def addresses(report: StoredReport) -> list[str]:
    return [
        *(f"/v1/analyses/{report.id}{end}" for end in (*TOLD, *PICTURES)),
        *(f"/analyses/{report.id}{end}" for end in PAGES),
        f"/learn/worksheet/{report.id}",
    ]


def test_answers_are_the_same_whoever_reads_the_report(http: FlaskClient, report: StoredReport, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {address: http.get(address) for address in addresses(report)}
    assert {address: response.status_code for address, response in small.items() if response.status_code != 200} == {}
    monkeypatch.setattr(responses, "MAX_PARSED_BYTES", 0)
    monkeypatch.setattr(responses, "read_report", unread)
    for address, response in small.items():
        other = http.get(address)
        assert (other.status_code, other.data, other.headers.get("ETag")) == (200, response.data, response.headers.get("ETag")), address
    missing = http.get(f"/v1/analyses/{report.id}/layers/nothing")
    assert (missing.status_code, json.loads(missing.data)["code"]) == (404, "layer-not-found")


def test_what_stands_beside_an_old_report_is_worked_out_once(
    http: FlaskClient, large: Flask, report: StoredReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = large.extensions[EXTENSION].store.reports
    text = reports.document(report).whole()
    for number, bound in enumerate((0, 1 << 20)):
        old = replace(report, id=f"sha256-{number:064x}", entry={key: value for key, value in report.entry.items() if key != "metrics"})
        reports.add(old, text)
        monkeypatch.setattr(responses, "MAX_PARSED_BYTES", bound)
        for end in ("/badge.json", "/layers", "/metrics"):
            assert http.get(f"/v1/analyses/{old.id}{end}").data == http.get(f"/v1/analyses/{report.id}{end}").data
        assert reports.beside(old) is not None


def test_pages_of_layers_hold_so_many_bytes(http: FlaskClient, report: StoredReport, monkeypatch: pytest.MonkeyPatch) -> None:
    base = f"/v1/analyses/{report.id}/layers"
    whole = http.get(base).get_json()
    monkeypatch.setattr(layers_feature, "MAX_PARSED_BYTES", 4000)
    rows, address = [], base
    while address:
        response = http.get(address)
        rows += response.get_json()
        address = response.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert rows == whole and len(whole) == 8
    kinds = http.get(f"{base}?kind=convolution&limit=1")
    assert [row["name"] for row in kinds.get_json()] == ["a"] and "cursor=1" in kinds.headers["Link"]


def test_report_itself_goes_out_piece_by_piece(http: FlaskClient, large: Flask, report: StoredReport) -> None:
    response = http.get(f"/v1/analyses/{report.id}.json", buffered=False)
    assert response.is_streamed and int(response.headers["Content-Length"]) == report.size_bytes
    assert response.get_data() == large.extensions[EXTENSION].store.reports.document(report).whole()
