"""The fleet over HTTP: two web tiers that keep nothing, a worker behind them, rows in PostgreSQL, models in S3, messages in Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api import create_app
from service.api.services import EXTENSION
from tests.api.conftest import FAKE, SMALL
from tests.fleet import WorkerProcess, queue_of_its_own
from tests.machine import new_bucket, postgres_database

ONNX = {"content_type": "application/onnx"}
LATER = {**ONNX, "headers": {"Prefer": "respond-async"}}


@pytest.fixture(scope="module")
def tiers(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Flask]]:
    """Two applications that share everything but their directory, and a worker."""
    folder, bucket = tmp_path_factory.mktemp("fleet"), new_bucket(s3)
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in bucket.environment.items():
            environment.setenv(name, value)
        url, queue = stack.enter_context(queue_of_its_own("redis"))
        database = stack.enter_context(postgres_database())
        shared = replace(SMALL, database_url=database, blobs_url=bucket.url, broker_url=url, broker_queue=queue, wait_seconds=20.0)
        apps = []
        for number in range(2):
            app = create_app(replace(shared, data_dir=folder / f"web-{number}"), FAKE)
            stack.callback(app.extensions[EXTENSION].close)
            apps.append(app)
        worker = WorkerProcess(url, queue)
        stack.callback(worker.close)
        worker.work_for(apps[0].extensions[EXTENSION].store, bucket.url, folder / "worker")
        yield apps


@pytest.fixture
def clients(tiers: list[Flask]) -> tuple[FlaskClient, FlaskClient]:
    return tiers[0].test_client(), tiers[1].test_client()


def ended(client: FlaskClient, place: str) -> dict[str, object]:
    """A job when it has ended."""
    deadline = time.monotonic() + 30
    while (job := client.get(place).get_json())["status"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(job)


def answer(response: TestResponse) -> tuple[int, str | None, bytes]:
    """What two tiers must agree on."""
    return response.status_code, response.headers.get("ETag"), response.data


def test_model_that_one_takes_both_know(clients: tuple[FlaskClient, FlaskClient]) -> None:
    one, other = clients
    made = one.post("/v1/analyses", data=b"a model", **ONNX)
    assert made.status_code == 201
    place = made.headers["Location"]
    for path in (place, f"{place}.md", f"{place}.html", f"{place}/layers", f"{place}/filters.png", f"{place}/badge.svg", "/v1/analyses"):
        first, second = one.get(path), other.get(path)
        assert first.status_code == 200 and answer(first) == answer(second), path
    for page in ("/", place.removeprefix("/v1")):
        assert one.get(page).status_code == other.get(page).status_code == 200
    assert other.post("/v1/analyses", data=b"a model", **ONNX).status_code == 200
    assert other.delete(place).status_code == 204
    assert one.get(place).status_code == 404


def test_job_that_one_took_is_followed_at_the_other(clients: tuple[FlaskClient, FlaskClient]) -> None:
    one, other = clients
    place = one.post("/v1/analyses", data=b"slow 0.3 model", **LATER).headers["Location"]
    events = other.get(f"{place}/events").text
    assert [json.loads(line[6:])["status"] for line in events.splitlines() if line.startswith("data: ")][-1] == "done"
    assert answer(one.get(place)) == answer(other.get(place))


def test_job_that_one_took_is_cancelled_at_the_other(clients: tuple[FlaskClient, FlaskClient]) -> None:
    one, other = clients
    running = one.post("/v1/analyses", data=b"sleep", **LATER).headers["Location"]
    waiting = one.post("/v1/analyses", data=b"slow 0 waits", **LATER).headers["Location"]
    for place in (waiting, running):
        assert other.delete(place).status_code == 204
        assert ended(one, place)["status"] == "cancelled"


@pytest.mark.parametrize(("model", "code"), [(b"crash", "worker-died"), (b"invalid", "fake-invalid"), (b"broken", "analysis-failed")])
def test_model_that_fails_is_the_same_problem_as_without_a_fleet(clients: tuple[FlaskClient, FlaskClient], model: bytes, code: str) -> None:
    refused = clients[0].post("/v1/analyses", data=model, **ONNX)
    assert (refused.mimetype, refused.get_json()["code"]) == ("application/problem+json", code)


def test_tiers_keep_no_model(clients: tuple[FlaskClient, FlaskClient], tiers: list[Flask]) -> None:
    place = clients[0].post("/v1/analyses", data=b"kept elsewhere", **ONNX).headers["Location"]
    for app in tiers:
        directory: Path = app.extensions[EXTENSION].settings.data_dir
        assert [path.name for path in directory.rglob("*") if path.is_file() and path.parent.name != "cache"] == ["migrate.lock"]
    assert clients[1].get(f"{place}/filters.png").data.startswith(b"kept elsewhere")


def test_both_are_ready(clients: tuple[FlaskClient, FlaskClient]) -> None:
    for client in clients:
        assert client.get("/readyz").get_json() == {
            "status": "ok",
            "checks": {"database": "ok", "blobs": "ok", "disk": "ok", "workers": "ok"},
        }
