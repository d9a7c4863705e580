"""`--url`: a running service does the work, and says the same."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from service.api import create_app
from service.cli.failures import FAILED
from service.settings import Settings
from tests.cli.test_commands import PHOTOGRAPHS, SHIFT, parted, run
from tests.serving import served

__all__ = ["parted"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service on a free port."""
    # Its log goes to the standard output of this process, where the command writes too.
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("service"), log_level="ERROR"))
    with served(app) as address:
        yield address
    app.extensions["receptive"].close()


def without_time(text: str) -> dict[str, Any]:
    """A report but for its date."""
    return {key: value for key, value in json.loads(text).items() if key != "created_at"}


@pytest.mark.parametrize("options", [(), ("--read-weights", "first", "--name", "Größe=1"), ("--input-shape", "1,3,64,64")])
def test_the_service_gives_the_same_report_with_the_same_address(url: str, options: tuple[str, ...]) -> None:
    there, here = run("analyze", PHOTOGRAPHS, *options, "--url", f"{url}/"), run("analyze", PHOTOGRAPHS, *options)
    assert there.exit_code == 0, there.stderr
    assert without_time(there.stdout) == without_time(here.stdout)


def test_a_spec_is_sent_as_one(url: str) -> None:
    assert without_time(run("analyze", SHIFT, "--url", url).stdout) == without_time(run("analyze", SHIFT).stdout)


def test_external_data_is_sent_along(url: str, parted: Path) -> None:
    there, here = run("analyze", parted, "--url", url), run("analyze", parted)
    assert there.exit_code == 0, there.stderr
    assert without_time(there.stdout) == without_time(here.stdout)


def test_the_service_makes_the_same_document_with_the_same_pictures(url: str) -> None:
    """One policy: which filters a document shows does not depend on where it was made."""
    there, here = (run("analyze", PHOTOGRAPHS, "--format", "html", *more).stdout for more in (("--url", url), ()))
    date = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
    assert here.count("data:image/png;base64,") == 2
    assert date.sub("", there) == date.sub("", here)


def test_the_service_draws_the_same_grid(url: str, tmp_path: Path) -> None:
    for name, more in {"there.png": ("--url", url), "here.png": ()}.items():
        assert run("filters", PHOTOGRAPHS, "--columns", "6", "-o", tmp_path / name, *more).exit_code == 0
    assert (tmp_path / "there.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_what_the_service_refuses_is_told_as_here(url: str, tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(
        '{"receptive": 1,\n "inputs": [{"name": "x", "shape": [1, 8, 8]}],\n "layers": [{"type": "convolve"}]}'
    )
    there, here = run("analyze", tmp_path / "net.json", "--url", url), run("analyze", tmp_path / "net.json")
    assert (there.exit_code, there.stdout) == (FAILED, "")
    assert there.stderr == here.stderr
    assert "line 3, /layers/0/type" in there.stderr


@pytest.mark.parametrize("wrong", ["localhost:8080", "file:///etc/passwd", "ftp://example.org", "http://", "http://me:secret@example.org"])
def test_what_is_no_address_is_wrong_usage(wrong: str) -> None:
    assert run("analyze", SHIFT, "--url", wrong).exit_code == FAILED


def test_nobody_there_is_one_line() -> None:
    result = run("analyze", SHIFT, "--url", "http://127.0.0.1:9")
    assert result.exit_code == FAILED
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("[service-unreachable]\n")


class Scripted(http.server.BaseHTTPRequestHandler):
    """A server that answers each request with the next of `script`: status, headers, body. It keeps what it was asked."""

    script: ClassVar[list[tuple[int, dict[str, str], bytes]]] = []
    asked: ClassVar[list[tuple[str, str, dict[str, str]]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, dict(self.headers)))
        status, headers, body = self.script.pop(0)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def scripted() -> Iterator[tuple[str, type[Scripted]]]:
    """The address of a scripted server, and the script."""
    handler = type("Fresh", (Scripted,), {"script": [], "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


Script = tuple[str, type[Scripted]]


def test_a_job_is_followed_until_it_is_done(scripted: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    url, handler = scripted
    report = json.loads(run("analyze", SHIFT).stdout)
    monkeypatch.setenv("RECEPTIVE_TOKEN", "a token")
    job = {"id": "7", "status": "queued", "problem": None, "links": {"self": "/v1/jobs/7"}}
    done = {**job, "status": "done", "links": {"analysis": "/v1/analyses/here"}}
    handler.script[:] = [
        (503, {"Retry-After": "0"}, b""),
        (202, {}, json.dumps(job).encode()),
        (200, {}, json.dumps({**job, "status": "running"}).encode()),
        (200, {}, json.dumps(done).encode()),
        (200, {}, json.dumps(report).encode()),
    ]
    result = run("analyze", SHIFT, "--url", url)
    assert json.loads(result.stdout) == report
    assert [(method, path) for method, path, _ in handler.asked] == [
        ("POST", "/v1/analyses"),
        ("POST", "/v1/analyses"),
        ("GET", "/v1/jobs/7"),
        ("GET", "/v1/jobs/7"),
        ("GET", "/v1/analyses/here"),
    ]
    assert {headers["Authorization"] for _, _, headers in handler.asked} == {"Bearer a token"}
    assert "wait=" in handler.asked[0][2]["Prefer"]


def test_the_problem_of_a_job_is_told(scripted: Script) -> None:
    url, handler = scripted
    problem = {"title": "Too slow", "detail": "The analysis took more than 180 seconds.", "code": "limit-time", "errors": []}
    handler.script[:] = [(202, {}, json.dumps({"id": "7", "status": "failed", "problem": problem}).encode())]
    result = run("analyze", SHIFT, "--url", url)
    assert result.exit_code == FAILED
    assert result.stderr == f"receptive: {SHIFT}: The analysis took more than 180 seconds. [limit-time]\n"


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b"{}"),
        (404, {}, b"<html>not found</html>"),
        (308, {"Location": "https://elsewhere.example/"}, b""),
        (429, {}, b""),
    ],
)
def test_what_is_no_receptive_service_is_one_line(answer: tuple[int, dict[str, str], bytes], scripted: Script) -> None:
    url, handler = scripted
    handler.script[:] = [answer]
    result = run("analyze", SHIFT, "--url", url)
    assert result.exit_code == FAILED
    assert result.stderr.count("\n") == 1 and len(handler.asked) == 1, "a redirect is not followed: the model would go elsewhere"
