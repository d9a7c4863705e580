"""What POST /v1/analyses takes, and what it refuses. The analysis is a stand-in (tests/jobs/fakes.py) that does what the body says."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api.services import PAUSED_SECONDS, Gate
from service.server.client import Client, Room
from service.settings import Settings
from service.store.interfaces import StoreError
from service.store.sql.reports import SqlReports
from tests.api.conftest import left_over

URL = "/v1/analyses"


def post(
    client: FlaskClient, body: bytes, kind: str = "application/onnx", query: dict[str, str] | None = None, **headers: str
) -> TestResponse:
    return client.post(URL, data=body, content_type=kind, query_string=query, headers={k.replace("_", "-"): v for k, v in headers.items()})


def problem(response: TestResponse) -> tuple[int, str]:
    """Status and code of a problem document that is complete."""
    assert response.content_type == "application/problem+json"
    document = response.get_json()
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document.keys() >= {"type", "title", "detail", "instance", "code"}
    return response.status_code, document["code"]


def test_new_model_is_created_and_known_the_next_time(client: FlaskClient, settings: Settings) -> None:
    first = post(client, b"model one")
    assert first.status_code == 201
    report = first.get_json()
    assert first.headers["Location"] == f"/v1/analyses/{report['id']}" == report["links"]["self"]
    assert report["schema"] == "receptive.report/1"
    assert report["model"]["digest"] == "sha256:" + hashlib.sha256(b"model one").hexdigest()
    again = post(client, b"model one", kind="application/octet-stream")
    assert again.status_code == 200
    assert (again.data, again.headers["Location"], again.headers["ETag"]) == (first.data, first.headers["Location"], first.headers["ETag"])
    assert left_over(settings) == [hashlib.sha256(b"model one").hexdigest()]


def test_options_are_part_of_the_question(client: FlaskClient) -> None:
    ids = {
        post(client, b"model", query=query).get_json()["id"]
        for query in ({}, {"zero_tolerance": "0.5"}, {"input_shape": "1,3,8,8"}, {"input_shapes": '{"x": [1, 3, 8, 8]}'})
    }
    assert len(ids) == 4


def test_name_is_a_label_and_no_part_of_the_question(client: FlaskClient) -> None:
    first, second = (post(client, b"model", query={"name": name}) for name in ("one", "another"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.get_json() == first.get_json()
    assert first.get_json()["model"]["name"] == "one"


def test_auto_is_settled_by_size(client: FlaskClient) -> None:
    assert post(client, b"model", query={"read_weights": "auto"}).get_json()["options"]["read_weights"] == "all"
    assert post(client, b"model", query={"read_weights": "all"}).status_code == 200
    assert post(client, b"model", query={"read_weights": "none"}).get_json()["options"]["read_weights"] == "none"


@pytest.mark.parametrize(
    "query",
    [
        {"read_weights": "some"},
        {"zero_tolerance": "-1"},
        {"zero_tolerance": "nan"},
        {"input_shape": "1,x"},
        {"input_shape": "0,3"},
        {"input_shapes": "[]"},
        {"input_shapes": '{"x": [1.5]}'},
        {"input_shapes": "[" * 5000},
        {"input_shape": "1", "input_shapes": "{}"},
        {"colums": "3"},
        {"name": ""},
    ],
)
def test_wrong_options_are_named(client: FlaskClient, settings: Settings, query: dict[str, str]) -> None:
    response = post(client, b"model", query=query)
    assert problem(response) == (422, "invalid-arguments")
    pointers = [error["pointer"] for error in response.get_json()["errors"]]
    assert any(pointer.startswith(f"/query/{name}") for pointer in pointers for name in query)
    assert left_over(settings) == []


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"", "application/onnx", (400, "empty-body")),
        (b"x" * 4097, "application/onnx", (413, "body-too-large")),
        (b'{"receptive": 1}', "application/onnx", (400, "not-onnx")),
        (b"model", "application/json", (400, "not-json")),
        (b'{"source": "s3://bucket/model.onnx"}', "application/json", (422, "source-unsupported")),
        (b"model", "text/plain", (415, "unsupported-media-type")),
        (b"model", "", (415, "unsupported-media-type")),
        (b"model", "application/x-www-form-urlencoded", (415, "unsupported-media-type")),
        (b"malformed", "application/onnx", (400, "fake-malformed")),
        (b"unsupported", "application/onnx", (415, "fake-unsupported")),
        (b"invalid", "application/onnx", (422, "fake-invalid")),
        (b"limit", "application/onnx", (422, "fake-limit")),
        (b"crash", "application/onnx", (422, "worker-died")),
        (b"bomb", "application/onnx", (422, "limit-memory")),
        (b"sleep", "application/onnx", (422, "limit-time")),
        (b"broken", "application/onnx", (422, "analysis-failed")),
        (b"nan", "application/onnx", (422, "analysis-failed")),
    ],
)
def test_refused_model_leaves_nothing_behind(
    client: FlaskClient, settings: Settings, body: bytes, kind: str, expected: tuple[int, str]
) -> None:
    assert problem(post(client, body, kind)) == expected
    assert left_over(settings) == []
    assert client.get(URL).get_json()["items"] == []
    assert client.get("/readyz").status_code == 200


def test_details_of_a_wrong_model_are_passed_on(client: FlaskClient) -> None:
    assert post(client, b"invalid").get_json()["errors"] == [{"pointer": "/layers/3", "detail": "This place.", "code": "fake-place"}]


def test_compressed_body_is_refused(client: FlaskClient) -> None:
    response = post(client, b"model", Content_Encoding="gzip")
    assert problem(response) == (415, "unsupported-content-encoding")
    assert response.headers["Accept-Encoding"] == "identity"


class Stream(io.RawIOBase):
    """A body without a stated length that ends, or breaks, after so many bytes."""

    def __init__(self, size: int, breaks: bool = False) -> None:
        self._left, self._breaks = size, breaks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and self._breaks:
            raise ConnectionResetError
        size = min(len(buffer), self._left, 6)
        buffer[:size] = b"x" * size
        self._left -= size
        return size


@pytest.mark.parametrize(("size", "expected"), [(100, 201), (4095, 201), (4097, 413)])
def test_chunked_body_is_taken_up_to_the_limit(client: FlaskClient, settings: Settings, size: int, expected: int) -> None:
    chunked = {"wsgi.input": Stream(size), "wsgi.input_terminated": True}
    response = client.post(URL, content_type="application/onnx", environ_overrides=chunked)
    assert response.status_code == expected
    assert len(left_over(settings)) == (1 if expected == 201 else 0)


@pytest.mark.parametrize("kind", ["application/onnx", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("breaks", [True, False])
def test_client_that_goes_away_leaves_nothing_behind(client: FlaskClient, settings: Settings, kind: str, breaks: bool) -> None:
    short = {"wsgi.input": Stream(100, breaks), "CONTENT_LENGTH": "200"}
    response = client.post(URL, content_type=kind, environ_overrides=short)
    assert problem(response) == (400, "incomplete-body")
    assert left_over(settings) == []


class StalledBody:
    """The body from a client that sends nothing, read from its connection as gunicorn does."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection

    def read(self, size: int = -1) -> bytes:
        return self._connection.recv(size)


def test_upload_that_stalls_is_ended(client: FlaskClient, settings: Settings) -> None:
    ours, theirs = socket.socketpair()
    with theirs, closing(Client(ours, Room(0))) as connection:
        threading.Timer(0.1, connection.abandon).start()
        environment = {"wsgi.input": StalledBody(connection), "gunicorn.socket": connection, "CONTENT_LENGTH": "200"}
        assert problem(client.post(URL, content_type="application/onnx", environ_overrides=environment)) == (408, "upload-stalled")
        assert connection.gettimeout() == settings.upload_idle_seconds
    assert left_over(settings) == []


def test_upload_that_pauses_loses_its_place_to_one_that_does_not() -> None:
    gate = Gate(1)
    pairs = [socket.socketpair() for _ in range(2)]
    paused, other = (Client(ours, Room(0)) for ours, _ in pairs)
    with gate.place(paused) as free:
        assert free
        with gate.place(other) as second:
            assert not second, "it has not paused for long enough"
        while paused.paused_seconds <= PAUSED_SECONDS:
            time.sleep(0.05)
        with gate.place(other) as second:
            assert not second, "the place is not given up yet"
        with pytest.raises(TimeoutError):
            paused.recv(1)
    with gate.place(other) as free:
        assert free
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def form(client: FlaskClient, *parts: tuple[str, str | tuple[io.BytesIO, str]], **query: str) -> TestResponse:
    data: dict[str, list[Any]] = {}
    for name, value in parts:
        data.setdefault(name, []).append(value)
    return client.post(URL, data=data, content_type="multipart/form-data", query_string=query)


def file(content: bytes, name: str) -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), name


def test_form_brings_external_data_by_bare_name(client: FlaskClient, settings: Settings) -> None:
    response = form(
        client, ("model", file(b"model", "m.onnx")), ("external", file(b"one", "dir/a.bin")), ("external", file(b"two", "b.bin"))
    )
    assert response.status_code == 201
    assert response.get_json()["summary"]["parameters"]["stored"] == 2
    assert left_over(settings) == sorted(hashlib.sha256(content).hexdigest() for content in (b"model", b"one", b"two"))
    same = form(client, ("external", file(b"two", "b.bin")), ("external", file(b"one", "../a.bin")), ("model", file(b"model", "x")))
    assert same.status_code == 200
    other = form(client, ("model", file(b"model", "m.onnx")), ("external", file(b"one", "b.bin")), ("external", file(b"two", "a.bin")))
    assert other.status_code == 201


def test_equal_parts_are_one_file(client: FlaskClient, settings: Settings) -> None:
    response = form(client, ("model", file(b"same", "m.onnx")), ("external", file(b"same", "a.bin")))
    assert response.status_code == 201
    assert left_over(settings) == [hashlib.sha256(b"same").hexdigest()]


def test_form_brings_options_as_text_or_file(client: FlaskClient) -> None:
    options = {"name": "mine", "input_shapes": {"x": [1, 3, 8, 8]}}
    for part in (json.dumps(options), file(json.dumps(options).encode(), "options.json")):
        report = form(client, ("model", file(b"model", "m")), ("options", part)).get_json()
        assert (report["options"]["name"], report["options"]["input_shapes"]) == ("mine", {"x": [1, 3, 8, 8]})


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], (400, "malformed-form")),
        ([("model", "text")], (400, "malformed-form")),
        ([("model", (b"", "m"))], (400, "empty-body")),
        ([("model", (b"a", "m")), ("model", (b"b", "m"))], (400, "malformed-form")),
        ([("model", (b"a", "m")), ("extern", (b"b", "m"))], (400, "malformed-form")),
        ([("model", (b"a", "m")), ("external", (b"b", "x")), ("external", (b"c", "y/x"))], (400, "malformed-form")),
        ([("model", (b"a", "m")), ("external", (b"b", ".."))], (400, "malformed-form")),
        ([("model", (b"a", "m")), ("options", "[1")], (400, "not-json")),
        ([("model", (b"a", "m")), ("options", "[]")], (422, "invalid-arguments")),
        ([("model", (b"a", "m")), ("options", '{"zero_tolerance": "x"}')], (422, "invalid-arguments")),
        ([("model", (b"a", "m")), ("options", "{}"), ("options", "{}")], (400, "malformed-form")),
        ([("model", (b"a", "m"))] + [("external", (b"x", f"{number}")) for number in range(20)], (413, "body-too-large")),
    ],
)
def test_wrong_forms_are_refused(client: FlaskClient, settings: Settings, parts: list[tuple[str, Any]], expected: tuple[int, str]) -> None:
    made = [(name, value if isinstance(value, str) else file(*value)) for name, value in parts]
    assert problem(form(client, *made)) == expected
    assert left_over(settings) == []


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=é", f"multipart/form-data; boundary={'x' * 8000}"])
def test_wrong_boundaries_are_refused(client: FlaskClient, kind: str) -> None:
    assert problem(post(client, b"--y\r\n\r\nx\r\n--y--", kind)) == (400, "malformed-form")


def test_same_model_at_the_same_time_is_analysed_once(app: Flask, settings: Settings) -> None:
    answers: list[TestResponse] = []
    threads = [threading.Thread(target=lambda: answers.append(post(app.test_client(), b"slow 0.5"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert len(left_over(settings)) == 1


def test_disk_that_is_full_is_the_services_problem(client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.store.disk.uploads.Part.write", full)
    response = post(client, b"model")
    assert problem(response) == (503, "storage-full")
    assert response.headers["Retry-After"]
    assert left_over(settings) == []


def test_blob_that_does_not_fit_is_refused_and_leaves_nothing(
    client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("No space left on device", full=True)

    monkeypatch.setattr("service.store.disk.blobs.LocalBlobs.put", full)
    assert problem(post(client, b"model")) == (503, "storage-full")
    assert left_over(settings) == []


def test_database_that_fails_for_a_while_delays_the_job(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, works = list[int](), SqlReports.add

    def flaky(self: SqlReports, *arguments: Any) -> None:
        if len(failed) < 2:
            failed.append(1)
            raise StoreError("database is locked")
        works(self, *arguments)

    monkeypatch.setattr("service.jobs.keeper.RETRY_SECONDS", 0.05)
    monkeypatch.setattr(SqlReports, "add", flaky)
    assert post(client, b"model").status_code == 201
    assert len(failed) == 2


def test_data_directory_is_relative_to_where_the_service_starts(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert post(client, b"model").status_code == 201
