"""The service as gunicorn runs it: soon ready, and gone with all its processes when it is told to stop."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "examples" / "lenet-5.json"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server in a session of its own, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "RECEPTIVE_DATA_DIR": str(tmp_path / "data"), "RECEPTIVE_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.api:create_app()"]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    yield process, port
    for pid in members(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def members(session: int) -> list[int]:
    """The living processes of a session (field 6 of /proc/PID/stat, counted from 1; see proc(5))."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def asked(port: int, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        response.read()
        return response


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if asked(port, "GET", "/readyz").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not get ready")


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
        for path, status, kept in [("/v1/analyses", 201, True), ("/v1/analyses?no=such", 422, False)]:
            connection.request("POST", path, MODEL.read_bytes(), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert (response.status, response.headers["Connection"]) == (status, "keep-alive" if kept else "close")
