"""The worker under clients that are slow, many or gone: whoever is none of these is answered."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.api.http.problem_types import PROBLEM_TYPES
from service.server.answers import DETAILS
from tests.serving import MODEL, asked, gunicorn, wait_until_ready

COUNT = 500
SPEC = MODEL.read_bytes()
HEAD = b"POST /v1/analyses HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module", autouse=True)
def _files() -> Iterator[None]:
    """Descriptors enough for the clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    data = tmp_path_factory.mktemp("worker") / "data"
    with gunicorn(data, RECEPTIVE_UPLOAD_IDLE_SECONDS="3", RECEPTIVE_MAX_UPLOAD_BYTES=str(1 << 30)) as (_, port):
        wait_until_ready(port)
        yield port


@pytest.fixture(scope="module")
def report(port: int) -> str:
    """The address of a report."""
    return asked(port, "POST", "/v1/analyses", SPEC).headers["Location"]


def connected(port: int, text: bytes, receive: int = 0) -> socket.socket:
    """A client that has sent so much."""
    client = socket.socket()
    if receive:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    with contextlib.suppress(ConnectionError):
        client.sendall(text)
    return client


def answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body of one answer."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, dict(response.headers), response.read()


def problem(client: socket.socket) -> tuple[int, str]:
    """The status and the code of a problem."""
    status, _, body = answer(client)
    return status, json.loads(body)["code"]


def reset(client: socket.socket) -> None:
    """Closes the connection at once."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


KINDS: dict[str, Callable[[str], bytes]] = {
    "idle": lambda _: b"",
    "half a header": lambda _: b"GET /livez HTTP/1.1\r\nX",
    "half a body": lambda _: HEAD + b"Content-Length: %d\r\n\r\n" % len(SPEC) + SPEC[:100],
    "half a large body": lambda _: HEAD + b"Content-Length: 999999999\r\n\r\n" + b" " * 100_000,
    "half a chunk": lambda _: HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n{",
    "a body that it is asked for": lambda _: HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    "an answer that is not read": lambda report: b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % report.encode() * 3,
    "a reset in the middle": lambda report: b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % report.encode(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_probes_and_requests_are_answered_beside_many_slow_clients(port: int, report: str, kind: str) -> None:
    held: list[socket.socket] = []

    def come() -> None:
        for _ in range(COUNT):
            held.append(connected(port, KINDS[kind](report), 4096))
            if kind == "a reset in the middle":
                reset(held[-1])

    coming = threading.Thread(target=come)
    coming.start()
    seconds: list[float] = []
    while coming.is_alive() or len(seconds) < 20:
        begun = time.monotonic()
        assert asked(port, "GET", "/livez").status == 200
        seconds.append(time.monotonic() - begun)
        assert asked(port, "GET", report).status == 200
        assert asked(port, "POST", "/v1/analyses", SPEC).status == 200
    coming.join()
    for client in held:
        client.close()
    # Other tests keep the processors busy: a server that is held up does not answer for as long as its clients like.
    assert sorted(seconds)[len(seconds) * 9 // 10] < 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + b"Content-Length: 1000\r\n\r\n{}", (408, "upload-stalled")),
        (HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 100_000, (408, "upload-stalled")),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", (408, "upload-stalled")),
    ],
    ids=["small", "large", "chunked"],
)
def test_body_that_stops_is_given_up(port: int, text: bytes, expected: tuple[int, str]) -> None:
    with connected(port, text) as client:
        assert problem(client) == expected


def test_header_that_stops_is_given_up(port: int) -> None:
    with connected(port, b"GET / HTTP/1.1\r\n") as client:
        assert problem(client) == (408, "request-stalled")
        assert client.recv(1) == b""


@pytest.mark.parametrize("missing", [1, 100, 200_000])
def test_body_that_ends_before_its_length_is_incomplete(port: int, missing: int) -> None:
    with connected(port, HEAD + b"Content-Length: %d\r\n\r\n" % (len(SPEC) + missing) + SPEC) as client:
        client.shutdown(socket.SHUT_WR)
        assert problem(client) == (400, "incomplete-body")


@pytest.mark.parametrize("chunks", [b"", b"5\r\n{", b"2\r\n{}\r\n", b"2\r\n{}\r\n0\r\n", b"zz\r\n{}\r\n0\r\n\r\n"])
def test_chunks_that_end_early_or_are_none_are_incomplete(port: int, chunks: bytes) -> None:
    with connected(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks) as client:
        client.shutdown(socket.SHUT_WR)
        assert problem(client) == (400, "incomplete-body")


def test_slow_chunks_arrive_whole(port: int) -> None:
    with connected(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n") as client:
        for begin in range(0, len(SPEC), 200):
            piece = SPEC[begin : begin + 200]
            client.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
            time.sleep(0.02)
        client.sendall(b"0\r\n\r\n")
        assert answer(client)[0] in (200, 201)


def test_too_large_a_body_is_refused_before_it_is_sent(port: int) -> None:
    with connected(port, HEAD + b"Content-Length: 5368709120\r\nExpect: 100-continue\r\n\r\n") as client:
        assert problem(client) == (413, "body-too-large")


def test_body_that_is_wanted_is_asked_for(port: int) -> None:
    with connected(port, HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(SPEC)) as client:
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(SPEC)
        assert answer(client)[0] in (200, 201)


@pytest.mark.parametrize("size", [1_000_000, 30_000_000])
def test_refusal_reaches_a_client_that_is_still_sending(port: int, size: int) -> None:
    text = HEAD.replace(b"application/json", b"text/plain") + b"Content-Length: %d\r\n\r\n" % size
    with connected(port, text) as client:
        for _ in range(size // 1_000_000):
            client.sendall(bytes(1_000_000))
        status, headers, _ = answer(client)
        assert (status, headers["Connection"]) == (415, "close")
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n12345", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, br, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
        (b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 10_000), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"x" * 10_000), 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"x" * 100_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
    ids=["both lengths", "two lengths", "negative", "coding", "codings", "expectation", "address", "field", "fields", "endless", "TLS"],
)
def test_what_is_no_request_gets_a_problem(port: int, text: bytes, status: int) -> None:
    with connected(port, text) as client:
        got, headers, body = answer(client)
        assert (got, headers["Content-Type"], headers["Connection"]) == (status, "application/problem+json", "close")
        assert json.loads(body)["status"] == status


def test_requests_in_a_row_are_all_answered(port: int, report: str) -> None:
    """Pipelined, with an empty line between (RFC 9112, 2.2)."""
    text = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(SPEC) + SPEC
    with connected(port, text + b"GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
        content = b""
        while piece := client.recv(65536):
            content += piece
    assert content.count(b"HTTP/1.1 200 OK") == 3
    assert content.count(b'"receptive.report/1"') == 1


def test_own_answers_are_in_the_table_of_problems() -> None:
    assert {code: status for status, (code, _) in DETAILS.items()} == {code: PROBLEM_TYPES[code].status for code, _ in DETAILS.values()}


def test_few_open_files_cost_requests_and_not_the_server(tmp_path: Path) -> None:
    with gunicorn(tmp_path / "data", ["prlimit", "--nofile=64:64"]) as (process, port):
        wait_until_ready(port)
        workers = children(process)
        held = [connected(port, b"GET /livez HTTP/1.1\r\nX") for _ in range(200)]
        statuses = {asked(port, "GET", "/livez").status for _ in range(20)}
        assert statuses <= {200, 503}
        for client in held:
            client.close()
        deadline = time.monotonic() + 20
        while asked(port, "POST", "/v1/analyses", SPEC).status not in (200, 201) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert asked(port, "POST", "/v1/analyses", SPEC).status == 200
        assert children(process) == workers, "the worker was not restarted"


def children(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()


def test_bound_of_connections_gives_the_longest_silent_away(tmp_path: Path) -> None:
    settings = {"GUNICORN_CMD_ARGS": "--worker-connections 40 --threads 8"}
    with gunicorn(tmp_path / "data", **settings) as (_, port):
        wait_until_ready(port)
        held = [connected(port, b"") for _ in range(100)]
        assert asked(port, "GET", "/livez").status == 200
        held[0].settimeout(5)
        assert held[0].recv(1) == b"", "the oldest was closed"
        for client in held:
            client.close()
