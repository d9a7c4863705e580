"""Every bad input over HTTP: the answer that is right, never one of 500, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from tests.bad_inputs import BadInput
from tests.bad_inputs.damaged_bytes import BYTES
from tests.bad_inputs.documents import DOCUMENTS
from tests.bad_inputs.graphs import GRAPHS

ALL = (*BYTES, *GRAPHS, *DOCUMENTS)
URL = "/v1/analyses"
LEFT_OUT = {31}
"""A file of 3 GiB is read by its wire format elsewhere (test_wire); over HTTP it would only measure the disk."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("bad") / "data", wait_seconds=60.0))
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture(scope="module")
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_every_kind_up_to_46_is_here() -> None:
    assert {bad.number for bad in ALL} == set(range(1, 47)) - LEFT_OUT
    assert len({bad.id for bad in ALL}) == len(ALL)


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.id)
def test_a_bad_input_has_a_clear_answer(client: FlaskClient, bad: BadInput) -> None:
    response = client.post(URL, data=bad.make(), content_type=bad.kind)
    if response.status_code in (200, 201):
        code = ""
    else:
        assert 400 <= response.status_code < 500
        assert response.content_type == "application/problem+json"
        problem = response.get_json()
        code = problem["code"]
        assert problem["detail"]
        assert len(response.data) < 65_536
    assert code not in ("analysis-failed", "limit-memory", "limit-cpu", "limit-time")
    assert not bad.codes or code in bad.codes


def test_the_service_is_ready_and_nothing_is_left_behind(app: Flask, client: FlaskClient) -> None:
    assert client.get("/readyz").status_code == 200
    service = app.extensions[EXTENSION]
    assert not list(service.store.jobs.active())
    data: Path = service.settings.data_dir
    parts = [path for path in data.rglob("*") if path.is_file() and "upload" in path.parent.name]
    assert parts == []


def test_a_number_of_thousands_of_digits_is_named_and_cut(client: FlaskClient) -> None:
    bad = next(each for each in GRAPHS if each.name == "length-5000-digits")
    detail = client.post(URL, data=bad.make(), content_type=bad.kind).get_json()["detail"]
    assert "9" * 40 in detail
    assert "9" * 80 not in detail
