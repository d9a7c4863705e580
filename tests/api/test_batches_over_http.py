"""Batches over HTTP: folders of a real S3 server, single files, a registry; every model ends once, with its report or its problem."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import pytest
from flask import Flask
from flask.testing import FlaskClient
from obstore.store import S3Store

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from service.sources import buckets
from tests.api.test_sources import convolutional
from tests.machine import Bucket, new_bucket, s3_server
from tests.sources.registry import Mlflow, mlflow
from tests.sources.servers import Site, site


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server() as endpoint, pytest.MonkeyPatch.context() as patch:
        made = new_bucket(endpoint)
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def registry() -> Iterator[Mlflow]:
    with mlflow() as made:
        yield made


@pytest.fixture(scope="module")
def settings(bucket: Bucket, server: Site, registry: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    allowed = f"s3://{bucket.name}/ {server.origin} models:/"
    return Settings(
        data_dir=tmp_path_factory.mktemp("batches") / "data", sources_allowed=allowed, mlflow_url=registry.url, wait_seconds=60.0
    )


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[Flask]:
    made = create_app(settings)
    yield made
    made.extensions[EXTENSION].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def begun(client: FlaskClient, *sources: str, **more: object) -> Any:
    answer = client.post("/v1/batches", json={"sources": sources, **more})
    assert answer.status_code == 202, answer.json
    assert answer.headers["Location"] == answer.json["links"]["self"]
    return answer.json


def ended(client: FlaskClient, batch: Any) -> Any:
    deadline = time.monotonic() + 60
    while (found := client.get(batch["links"]["self"]).json)["status"] == "running":
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def items(client: FlaskClient, batch: Any) -> list[Any]:
    found: list[Any] = client.get(batch["links"]["items"]).json["items"]
    return found


def test_folder_is_analysed_a_page_at_a_time(client: FlaskClient, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PAGE_OBJECTS", 2)
    store = S3Store(bucket.name)
    for number in range(3):
        obstore.put(store, f"folder/{number}.onnx", convolutional(more=number))
    obstore.put(store, "folder/notes.txt", b"no model")
    obstore.put(store, "folder/wrong.onnx", b"no model either")
    batch = ended(client, begun(client, f"s3://{bucket.name}/folder/", f"s3://{bucket.name}/folder/1.onnx"))
    assert (batch["status"], batch["listed"], batch["problems"]) == ("done", True, [])
    assert batch["counts"] == {"queued": 0, "running": 0, "done": 3, "failed": 1, "cancelled": 0, "total": 4}
    by_name = {item["source"].rpartition("/")[2]: item for item in items(client, batch)}
    assert by_name["wrong.onnx"]["status"] == "failed" and by_name["wrong.onnx"]["problem"]["status"] in (400, 415)
    for number in range(3):
        assert client.get(f"/v1/analyses/{by_name[f'{number}.onnx']['analysis']}").status_code == 200
    page = client.get(f"/batches/{batch['id']}").text
    assert "3 of 4 models have a report, 1 failed" in page and by_name["0.onnx"]["analysis"] in page


def test_failures_are_each_models_own(client: FlaskClient, server: Site) -> None:
    good = server.put("good.onnx", convolutional())
    batch = ended(client, begun(client, good, f"{server.origin}/missing.onnx"))
    done, failed = items(client, batch)
    assert (done["status"], done["problem"]) == ("done", None)
    assert (failed["status"], failed["analysis"], failed["problem"]["code"]) == ("failed", None, "source-not-found")
    assert failed["problem"]["status"] == 424


def test_registry_is_a_batch_and_its_runs_are_analysed_once(client: FlaskClient, registry: Mlflow) -> None:
    registry.log("net", 1, "run1", convolutional())
    registry.log("net", 2, "run2", convolutional(more=2))
    registry.log("copy", 1, "run1", convolutional())
    batch = ended(client, begun(client, "models:/", model="registered"))
    found = {item["source"]: item["analysis"] for item in items(client, batch)}
    assert len(found) == 3 and None not in found.values()
    assert found["models:/net/1"] == found["models:/copy/1"] != found["models:/net/2"]
    deadline = time.monotonic() + 30
    while client.get("/v1/models/registered/versions/2").status_code != 307:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_folder_that_cannot_be_listed_is_said(client: FlaskClient, server: Site) -> None:
    batch = ended(client, begun(client, f"{server.origin}/folder/"))
    assert (batch["status"], batch["counts"]["total"]) == ("done", 0)
    assert [(problem["source"], problem["code"]) for problem in batch["problems"]] == [(f"{server.origin}/folder/", "source-address")]
    assert "could not be listed" in client.get(f"/batches/{batch['id']}").text


def test_cancelled_batch_stops(client: FlaskClient, server: Site) -> None:
    server.misbehave = lambda handler, start, stop: (time.sleep(0.3), handler.range(server.files[handler.path[1:]], start, stop))[1]
    sources = [server.put(f"slow/{number}.onnx", convolutional(more=number + 1)) for number in range(20)]
    batch = begun(client, *sources)
    assert client.delete(batch["links"]["self"]).status_code == 204
    server.misbehave = None
    deadline = time.monotonic() + 30
    while client.get(batch["links"]["self"]).json["counts"]["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    counts = client.get(batch["links"]["self"]).json["counts"]
    assert counts["cancelled"] >= 17 and counts["total"] == 20 and counts["queued"] == 0
    assert client.get(batch["links"]["self"]).json["status"] == "cancelled"
    assert "was cancelled" in client.get(f"/batches/{batch['id']}").text


def test_batch_is_followed_by_events(client: FlaskClient, server: Site) -> None:
    batch = begun(client, server.put("event.onnx", convolutional(more=50)))
    stream = client.get(batch["links"]["events"])
    assert stream.mimetype == "text/event-stream"
    told = [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert told[-1]["status"] == "done" and told[-1]["counts"]["done"] == 1


def test_items_are_paged_and_filtered(client: FlaskClient, server: Site) -> None:
    sources = [server.put(f"page/{number}.onnx", convolutional()) for number in range(3)]
    batch = ended(client, begun(client, *sources))
    first = client.get(batch["links"]["items"] + "?limit=2").json
    assert [item["number"] for item in first["items"]] == [0, 1] and first["next_cursor"] == 2
    rest = client.get(batch["links"]["items"] + "?limit=2&cursor=2").json
    assert [item["source"] for item in rest["items"]] == sources[2:] and rest["next_cursor"] is None
    assert client.get(batch["links"]["items"] + "?state=failed").json["items"] == []


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "invalid-arguments", "/sources"),
        ({"sources": []}, "invalid-arguments", "/sources"),
        ({"sources": "s3://b/"}, "invalid-arguments", "/sources"),
        ({"sources": [3]}, "invalid-arguments", "/sources/0"),
        ({"sources": ["models:/"], "options": {"read_weights": "some"}}, "invalid-arguments", "/options/read_weights"),
        ({"sources": ["models:/"], "model": "a/b"}, "invalid-arguments", "/model"),
        ({"sources": ["models:/", "s3://other/"]}, "source-not-allowed", "/sources/1"),
        ({"sources": ["models:/", "file:///etc/"]}, "source-unsupported", "/sources/1"),
        ({"sources": ["http://0x7f.1/"]}, "source-address", "/sources/0"),
    ],
)
def test_batch_that_is_not_valid_is_refused(client: FlaskClient, body: dict[str, object], code: str, pointer: str) -> None:
    answer = client.post("/v1/batches", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("path", ["/v1/batches/none", "/v1/batches/none/items", "/v1/batches/none/events"])
def test_batch_that_is_not_there(client: FlaskClient, path: str) -> None:
    assert (client.get(path).status_code, client.get(path).json["code"]) == (404, "batch-not-found")
    assert client.get("/batches/none", headers={"Accept": "text/html"}).status_code == 404


def test_batch_goes_on_after_a_restart(settings: Settings, server: Site, tmp_path: Path) -> None:
    """The first server stops in the middle; the second finds what is left, and every model has one report."""
    mine = replace(settings, data_dir=tmp_path / "data")
    server.misbehave = lambda handler, start, stop: (time.sleep(0.02), handler.range(server.files[handler.path[1:]], start, stop))[1]
    sources = [server.put(f"restart/{number}.onnx", convolutional(more=number)) for number in range(12)]
    first = create_app(mine)
    batch = begun(first.test_client(), *sources)
    while not first.test_client().get(batch["links"]["self"]).json["counts"]["done"]:
        time.sleep(0.02)
    first.extensions[EXTENSION].close()
    second = create_app(mine)
    client = second.test_client()
    second.extensions[EXTENSION].start()
    found = ended(client, batch)
    reports = client.get("/v1/analyses?limit=200").json["items"]
    second.extensions[EXTENSION].close()
    server.misbehave = None
    assert found["counts"]["done"] == 12
    assert len({item["id"] for item in reports}) == len(reports) == 12
