"""The service as gunicorn runs it: soon ready, and gone with all its processes when it is told to stop."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import MODEL, asked, gunicorn, members, wait_until_ready


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server that gets ready, and its port."""
    with gunicorn(tmp_path / "data") as running:
        yield running


@pytest.mark.parametrize("drawing", [True, False], ids=["with a chart drawn", "while the drawer gets ready"])
def test_server_that_is_told_to_stop_leaves_nothing_behind(server: tuple[subprocess.Popen[bytes], int], drawing: bool) -> None:
    process, port = server
    wait_until_ready(port)
    if drawing:
        place = asked(port, "POST", "/v1/analyses", MODEL.read_bytes()).headers["Location"]
        assert asked(port, "GET", f"{place}/receptive-field.svg").status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    deadline = time.monotonic() + 5
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(process.pid) == []


def test_connection_is_kept_only_where_the_body_was_read(server: tuple[subprocess.Popen[bytes], int]) -> None:
    """A client that is told of a connection which stays sends its next request there, and must not find it closed."""
    _, port = server
    wait_until_ready(port)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        asked_for = [("POST", "/v1/analyses", 201, True), ("POST", "/v1/analyses?no=such", 422, False), ("PUT", "/v1/analyses", 405, False)]
        for method, path, status, kept in asked_for:
            connection.request(method, path, MODEL.read_bytes(), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert (response.status, response.headers["Connection"]) == (status, "keep-alive" if kept else "close")
