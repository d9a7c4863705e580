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
"""A file of 3 GiB would only measure the disk over HTTP: see `ELSEWHERE`."""
ELSEWHERE = {
    31: {
        "readers/test_wire": ["test_large_sparse_file_opens_in_little_memory"],
        "server/test_worker": ["test_too_large_a_body_is_refused_before_it_is_sent"],
    },
    47: {
        "server/test_worker": [
            "test_body_that_ends_before_its_length_is_incomplete",
            "test_chunks_that_end_early_or_are_none_are_incomplete",
            "test_slow_chunks_arrive_whole",
            "test_what_is_no_request_gets_a_problem",
            "test_too_large_a_body_is_refused_before_it_is_sent",
        ],
        "api/test_uploads": ["test_chunked_body_is_taken_up_to_the_limit"],
    },
    48: {"api/test_uploads": ["test_wrong_forms_are_refused", "test_wrong_boundaries_are_refused"]},
    49: {"api/test_uploads": ["test_compressed_body_is_refused"]},
    50: {"server/test_worker": ["test_probes_and_requests_are_answered_beside_many_slow_clients", "test_body_that_stops_is_given_up"]},
    51: {
        "api/test_uploads": ["test_client_that_goes_away_leaves_nothing_behind"],
        "server/test_client": ["test_client_that_is_abandoned_stalls_at_once"],
    },
    52: {"sources/test_allowed": ["test_addresses_that_are_not_public"], "sources/test_address": ["test_other_schemes_are_named"]},
    53: {"jobs/test_pool": ["test_misfortune_is_the_models_and_nobody_elses", "test_job_that_is_killed_from_outside_is_tried_again"]},
    54: {
        "api/test_uploads": ["test_disk_that_is_full_is_the_services_problem", "test_database_that_fails_for_a_while_delays_the_job"],
        "jobs/test_keeper": ["test_locked_database_delays_and_loses_nothing", "test_keeper_that_closes_leaves_the_job_to_another_process"],
        "api/test_server": ["test_server_that_is_told_to_stop_leaves_nothing_behind"],
        "store/test_postgres": ["test_store_goes_on_after_its_connections_were_closed"],
    },
}
"""The kinds that are no bytes to post: of HTTP, of sources and of the machine. By number, where they are tried."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("bad") / "data", wait_seconds=60.0))
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture(scope="module")
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_every_kind_is_here_or_elsewhere() -> None:
    here = {bad.number for bad in ALL}
    assert here == set(range(1, 47)) - LEFT_OUT
    assert here | ELSEWHERE.keys() == set(range(1, 55))
    assert len({bad.id for bad in ALL}) == len(ALL)
    tests = Path(__file__).resolve().parents[1]
    named = {(file, name) for files in ELSEWHERE.values() for file, names in files.items() for name in names}
    assert [(file, name) for file, name in named if f"\ndef {name}(" not in (tests / f"{file}.py").read_text()] == []


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
