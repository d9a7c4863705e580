"""Analyses that take longer than their request."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api import create_app
from service.api.services import EXTENSION
from service.jobs import watch
from service.report.identity import DEFAULT_PROJECT
from service.settings import Settings
from tests.api.conftest import FAKE, left_over

URL = "/v1/analyses"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """The settings of an application that no other test shares."""
    return replace(settings, data_dir=tmp_path)


def start(client: FlaskClient, body: bytes, prefer: str = "respond-async") -> str:
    response = client.post(URL, data=body, content_type="application/onnx", headers={"Prefer": prefer})
    assert response.status_code == 202
    job = response.get_json()
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert response.headers["Retry-After"]
    return str(response.headers["Location"])


def finish(client: FlaskClient, job: str) -> dict[str, Any]:
    """The job when it is finished."""
    service = client.application.extensions[EXTENSION]
    asked = service.store.jobs.get(DEFAULT_PROJECT, job.removeprefix("/v1/jobs/"))
    ended = service.engines.keeper.wait(asked, 60)
    assert ended is not None and ended.finished
    document: dict[str, Any] = client.get(job).get_json()
    return document


def test_job_ends_in_a_report(client: FlaskClient) -> None:
    done = finish(client, start(client, b"slow 0.1"))
    assert (done["status"], done["problem"]) == ("done", None)
    assert client.get(done["links"]["analysis"]).status_code == 200
    assert client.post(URL, data=b"slow 0.1", content_type="application/onnx", headers=ASYNC).status_code == 200


def test_job_ends_in_a_problem(client: FlaskClient, settings: Settings) -> None:
    failed = finish(client, start(client, b"invalid"))
    assert failed["status"] == "failed"
    assert "analysis" not in failed["links"]
    assert (failed["problem"]["status"], failed["problem"]["code"], failed["problem"]["errors"][0]["pointer"]) == (
        422,
        "fake-invalid",
        "/layers/3",
    )
    assert left_over(settings) == []


@pytest.mark.parametrize(("prefer", "status"), [("wait=0", 202), ("wait=20", 201), ("respond-async, wait=20", 201), ("nonsense", 201)])
def test_client_chooses_how_long_to_wait(client: FlaskClient, prefer: str, status: int) -> None:
    response = client.post(URL, data=b"slow 0.3", content_type="application/onnx", headers={"Prefer": prefer})
    assert response.status_code == status


def test_request_waits_for_the_configured_time(own: Settings) -> None:
    app = create_app(replace(own, wait_seconds=0.05), FAKE)
    start(app.test_client(), b"slow 3", prefer="nonsense")
    app.extensions[EXTENSION].close()


def test_cancelled_job_leaves_nothing_behind(client: FlaskClient, settings: Settings) -> None:
    job = start(client, b"sleep")
    assert client.delete(job).status_code == 204
    assert finish(client, job)["status"] == "cancelled"
    assert left_over(settings) == []
    assert client.delete(job).status_code == 204
    assert client.get(job).get_json()["status"] == "cancelled"


def test_waiting_request_hears_of_the_cancellation(app: Flask) -> None:
    client = app.test_client()
    job = start(client, b"sleep")
    client.delete(job)
    response = app.test_client().post(URL, data=b"sleep", content_type="application/onnx", headers={"Prefer": "wait=0"})
    assert response.status_code in (202, 409)


def test_events_tell_each_change(client: FlaskClient) -> None:
    job = start(client, b"slow 0.2")
    stream = client.get(f"{job}/events")
    assert stream.mimetype == "text/event-stream"
    events = [json.loads(event.split("data: ")[1]) for event in stream.text.split("\n\n") if "event: status" in event]
    assert [event["status"] for event in events][-1] == "done"
    assert len({event["status"] for event in events}) == len(events)
    assert client.get(f"{job}/events").text.count("event: status") == 1


def test_too_many_jobs_are_turned_away(own: Settings) -> None:
    app = create_app(replace(own, pool_size=1, queue_size=1), FAKE)
    client = app.test_client()
    first = start(client, b"sleep")
    deadline = time.monotonic() + 10
    while app.extensions[EXTENSION].engines.queue.status(first.removeprefix("/v1/jobs/")) != "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    start(client, b"sleep 2")
    response = client.post(URL, data=b"sleep 3", content_type="application/onnx")
    assert (response.status_code, response.get_json()["code"]) == (503, "too-busy")
    assert response.headers["Retry-After"]
    client.delete(first)
    assert finish(client, first)["status"] == "cancelled"
    app.extensions[EXTENSION].close()


def test_slow_requests_leave_places_for_quick_ones(own: Settings) -> None:
    app = create_app(replace(own, max_uploads=1, max_waits=1), FAKE)
    service = app.extensions[EXTENSION]
    client = app.test_client()
    place = client.post(URL, data=b"model", content_type="application/onnx").headers["Location"]
    with service.uploads.place():
        response = client.post(URL, data=b"model", content_type="application/onnx")
        assert (response.status_code, response.get_json()["code"]) == (503, "too-busy")
    with service.waits.place():
        job = start(client, b"slow 0.1", prefer="wait=10")
        assert client.get(f"{job}/events").text.count("event: status") == 1
        response = client.get(f"{place}/filters.png")
        assert (response.status_code, response.get_json()["code"]) == (503, "too-busy")
    assert finish(client, job)["status"] == "done"
    assert client.get(f"{place}/filters.png").status_code == 200
    service.close()


def test_other_process_sees_waits_for_and_cancels_a_job(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BEAT_SECONDS", 0.05)
    app, other = create_app(own, FAKE), create_app(own, FAKE)
    mine, theirs = app.test_client(), other.test_client()
    job = start(mine, b"slow 0.4")
    joined = theirs.post(URL, data=b"slow 0.4", content_type="application/onnx")
    assert joined.status_code == 201
    assert theirs.get(job).get_json()["status"] == "done"
    endless = start(mine, b"sleep")
    assert theirs.delete(endless).status_code == 204
    assert finish(theirs, endless)["status"] == "cancelled"
    app.extensions[EXTENSION].close()
    other.extensions[EXTENSION].close()


def test_job_of_a_dead_process_is_finished_by_another(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BEAT_SECONDS", 0.05)
    app = create_app(own, FAKE)
    job = start(app.test_client(), b"slow 1.5")
    app.extensions[EXTENSION].close()
    other = create_app(own, FAKE)
    assert other.test_client().get("/readyz").status_code == 200
    assert finish(other.test_client(), job)["status"] == "done"
    other.extensions[EXTENSION].close()


def test_job_that_takes_every_process_with_it_is_given_up(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(watch, "MAX_ATTEMPTS", 0)
    app = create_app(own, FAKE)
    job = start(app.test_client(), b"slow 1.5")
    app.extensions[EXTENSION].close()
    other = create_app(own, FAKE)
    other.test_client().get("/readyz")
    failed = finish(other.test_client(), job)
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "worker-died")
    assert left_over(own) == []
    other.extensions[EXTENSION].close()
