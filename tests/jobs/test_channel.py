"""What a process may answer: frames of JSON and bytes within bounds, never an object, and nothing that is not what it should be."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from service.faults import Detail, Refused
from service.jobs.local import channel
from service.jobs.local.channel import receive_call, receive_outcome, send_call, send_outcome
from service.jobs.message import BrokenAnalysisError, Call
from service.work import tasks
from service.work.made import PNG, Made
from tests.jobs.fakes import Exploit

Line = tuple[Connection, Connection]


@pytest.fixture
def line() -> Iterator[Line]:
    server, process = multiprocessing.Pipe()
    with server, process:
        yield server, process


def test_call_arrives_as_it_was_sent(line: Line) -> None:
    server, process = line
    files = {"": "/models/a", "w.bin": "/models/b"}
    send_call(server, Call(tasks.OVERLAY_PNG, {"layer": "c\ud800", "unit": [1, 2]}, {"image": b"\0\xff"}, files))
    call = receive_call(process)
    assert (call.task.name, call.task.function) == (tasks.OVERLAY_PNG.name, tasks.OVERLAY_PNG.function)
    assert (call.arguments, call.documents, call.files) == ({"layer": "c\ud800", "unit": [1, 2]}, {"image": b"\0\xff"}, files)


def test_what_was_made_arrives_as_it_was_sent(line: Line) -> None:
    server, process = line
    made = Made(bytes(range(256)) * 4096, PNG, {"Receptive-Rows": "3"})
    sending = threading.Thread(target=send_outcome, args=(process, made))
    sending.start()
    assert receive_outcome(server) == made
    sending.join()


def test_errors_arrive_whole(line: Line) -> None:
    server, process = line
    error = Refused("invalid", "bad-thing", "It is bad.", [Detail("/layers/3", "This.", "bad-place")])
    send_outcome(process, error)
    told = receive_outcome(server)
    assert isinstance(told, Refused) and told.record() == error.record()
    send_outcome(process, BrokenAnalysisError("Traceback"))
    told = receive_outcome(server)
    assert isinstance(told, BrokenAnalysisError) and str(told) == "Traceback"


def test_refusal_of_many_places_is_cut_to_the_bound(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_HEAD_BYTES", 4000)
    server, process = line
    send_outcome(process, Refused("invalid", "bad", "x" * 9000, [Detail("/" + "y" * 100, "no", "bad")] * 100))
    told = receive_outcome(server)
    assert isinstance(told, Refused) and (told.code, told.detail, told.errors) == ("bad", "x" * 1000, ())


HEAD = {"made": {"media_type": PNG, "headers": {}}}


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"made": 1}',
        b'{"made": {"media_type": 3, "headers": {}}}',
        b'{"made": {"media_type": "a\\r\\nSet-Cookie: x", "headers": {}}}',
        b'{"made": {"media_type": "image/png", "headers": {"Set-Cookie": "x"}}}',
        b'{"made": {"media_type": "image/png", "headers": {"Receptive-Rows": "3\\r\\nSet-Cookie: x"}}}',
        b'{"made": {"media_type": "image/png", "headers": {"Receptive-Rows": 3}}}',
        b'{"made": {"media_type": "image/png", "headers": ["Receptive-Rows"]}}',
        b'{"refused": {}}',
        b'{"refused": {"fault": "ours", "code": "a", "detail": "b", "errors": []}}',
        b'{"refused": {"fault": "limit", "code": 1, "detail": "b", "errors": []}}',
        b'{"refused": {"fault": "limit", "code": "a", "detail": "b", "errors": [{}]}}',
        b'{"refused": {"fault": "limit", "code": "a", "detail": "b", "errors": 3}}',
    ],
)
def test_answer_that_is_not_one_counts_as_none(line: Line, head: bytes) -> None:
    server, process = line
    process.send_bytes(head)
    process.send_bytes(b"content")
    with pytest.raises(EOFError):
        receive_outcome(server)


def test_nothing_is_unpickled(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEPTIVE_UNPICKLED", "no")
    server, process = line
    process.send(Exploit())
    with pytest.raises(EOFError):
        receive_outcome(server)
    process.send_bytes(json.dumps(HEAD).encode())
    process.send(Exploit())
    assert receive_outcome(server) == Made(pickle.dumps(Exploit()), PNG)  # bytes like any other
    assert os.environ["RECEPTIVE_UNPICKLED"] == "no"


@pytest.mark.parametrize("bound", ["MAX_HEAD_BYTES", "MAX_CONTENT_BYTES"])
def test_frame_is_bounded_before_it_is_read(line: Line, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    server, process = line
    head = json.dumps(HEAD).encode()
    frame = head if bound == "MAX_HEAD_BYTES" else b"c" * 100
    monkeypatch.setattr(channel, bound, len(frame))
    process.send_bytes(head)
    process.send_bytes(b"c" * 100)
    assert isinstance(receive_outcome(server), Made)
    monkeypatch.setattr(channel, bound, len(frame) - 1)
    process.send_bytes(head)
    process.send_bytes(b"c" * 100)
    with pytest.raises(OSError):
        receive_outcome(server)
