"""What requests cost the service, beside bare routes of Flask on the same gunicorn: processor time of the server and of all it starts."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

REPOSITORY = Path(__file__).resolve().parents[1]
BLOCK = 1 << 20
REQUESTS = 300


def bare(content: bytes) -> Flask:
    """Routes that do the least: one takes a body to the disk and hashes it, one answers `content`, and 304 to who has it."""
    app = Flask("bare")

    @app.post("/stream")
    def stream() -> str:
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=os.environ["RECEPTIVE_DATA_DIR"]) as file:
            while block := request.stream.read(BLOCK):
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    @app.get("/content")
    def answer() -> Response:
        response = Response(content, mimetype="application/json")
        response.set_etag("bare")
        return response.make_conditional(request)

    return app


def application() -> Flask:
    """The service, with the bare routes beside it under /bare, which share nothing with it but the server."""
    from service.api import create_app

    app = create_app()
    routes = bare(Path(os.environ["BENCH_CONTENT"]).read_bytes())
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/bare": routes.wsgi_app})  # type: ignore[method-assign]
    return app


@contextlib.contextmanager
def served(folder: Path, content: bytes) -> Iterator[tuple[int, int]]:
    """A server of its own on a free port: its session and the port."""
    (folder / "content").write_bytes(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = {"PORT": str(port), "RECEPTIVE_DATA_DIR": str(folder / "data"), "BENCH_CONTENT": str(folder / "content"), "PYTHONPATH": "."}
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "benchmarks.over_http:application()"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **more}, start_new_session=True, **quiet)
    try:
        until_ready(port)
        yield process.pid, port
    finally:
        for pid in members(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def until_ready(port: int, seconds: float = 60) -> None:
    """Wait until the service says that it is ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(port, "GET", "/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise TimeoutError("the service did not become ready")


def ask(port: int, method: str, path: str, body: Path | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes, str]:
    """Status, body and ETag of an answer."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        return asked(connection, method, path, body, headers)


def asked(
    connection: http.client.HTTPConnection, method: str, path: str, body: Path | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, str]:
    """The same over a connection that is open."""
    stated = dict(headers or {})
    with contextlib.ExitStack() as stack:
        file = None if body is None else stack.enter_context(body.open("rb"))
        if body is not None:
            stated |= {"Content-Length": str(body.stat().st_size), "Content-Type": "application/octet-stream"}
        connection.request(method, path, file, stated)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("ETag", "")


def members(session: int) -> list[int]:
    """The living processes of a session (field 6 of /proc/PID/stat; see proc(5))."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if (known := _fields(path)) and int(known[3]) == session]


def _fields(path: Path) -> list[str]:
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def processor_seconds(session: int) -> float:
    """The processor time of a session, with that of its processes that ended and were waited for."""
    ticks = 0
    for pid in members(session):
        known = _fields(Path(f"/proc/{pid}/stat"))
        ticks += sum(map(int, known[11:15])) if known else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(session: int) -> float:
    """The mebibytes that the largest process of a session holds."""
    pages = [int(known[21]) for pid in members(session) if (known := _fields(Path(f"/proc/{pid}/stat")))]
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def measure(model: Path, small: bytes) -> dict[str, float]:
    """Processor seconds by what was asked; of reports and of 304, for one request. `small` is the report that bare routes answer."""
    with tempfile.TemporaryDirectory() as name, served(Path(name), small) as (session, port):

        def cost(action: object, runs: int = 1) -> float:
            start = processor_seconds(session)
            action()  # type: ignore[operator]
            time.sleep(0.3)  # whoever ends is waited for
            return (processor_seconds(session) - start) / runs

        def many(path: str, headers: dict[str, str]) -> float:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                return cost(lambda: [asked(connection, "GET", path, headers=headers) for _ in range(REQUESTS)], REQUESTS)

        ask(port, "POST", "/bare/stream", model)
        streams = [cost(lambda: ask(port, "POST", "/bare/stream", model)) for _ in range(3)]
        reports = []
        for turn in range(3):
            query = "" if turn == 0 else f"?zero_tolerance={turn * 1e-30}"
            reports.append(cost(lambda query=query: _ended(port, ask(port, "POST", f"/v1/analyses{query}", model))))  # type: ignore[misc]
        made = json.loads(ask(port, "POST", "/v1/analyses", model)[1])
        path, tag = f"/v1/analyses/{made['id']}", ask(port, "GET", f"/v1/analyses/{made['id']}")[2]
        for _ in range(2):
            found = {
                "cached report": many(path, {}),
                "bare answer": many("/bare/content", {}),
                "304": many(path, {"If-None-Match": tag}),
                "bare 304": many("/bare/content", {"If-None-Match": '"bare"'}),
            }
        return {"stream": min(streams), "upload to report": min(reports), "memory": memory(session), **found}


def _ended(port: int, answer: tuple[int, bytes, str]) -> None:
    status, content, _ = answer
    while status == 202:
        time.sleep(0.2)
        status, content, _ = ask(port, "GET", json.loads(content)["links"]["self"])
        if status == 200 and json.loads(content).get("state") not in ("queued", "running"):
            return
    assert status in (200, 201), content[:300]


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes())))
