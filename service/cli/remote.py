"""A running service as the engine: what `--url` uses. Standard library only."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener
from uuid import uuid4

import click

from service import __version__
from service.cli.engine import Chosen
from service.cli.failures import Failure
from service.cli.progress import TURN_SECONDS, Tick, stage, watched
from service.edits import Edit, plain_edits
from service.faults import Detail
from service.options import Options
from service.report.document import SCHEMA, Report
from service.report.plain import NotAReport, of_plain
from service.report.proposals import Proposals

Document = dict[str, Any]

PIECE_BYTES = 1 << 18
ANSWER_SECONDS = 120.0
"""How long the service may say nothing."""
WAIT_SECONDS = 5
"""How long the service is asked to wait before it answers with a job, which is then asked for by and by."""
ASK_SECONDS = 0.5
PATIENCE_SECONDS = 300.0
"""How long a service that is too busy is asked again."""
LONGEST_PAUSE = 30.0
MOST_PROBLEM_BYTES = 1 << 20


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: it would send the model again, as a GET without a body or to somebody else."""

    def redirect_request(self, *_: Any) -> None:
        """None, so that the redirect is an answer like any other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered."""

    status: int
    content: bytes


Body = Callable[[], Iterator[bytes]]


class Service:
    """A Receptive service at an address, with the bearer token that it wants, if any. Every method raises Failure."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url, self._token = url.rstrip("/"), token
        self._opener = build_opener(_Stay())

    def get(self, path: str, file: Path | None = None) -> Answer:
        """The answer to a GET of a path below the service's address; `file` is what a problem is about."""
        return self.send("GET", path, None, {}, file)

    def send(self, method: str, path: str, body: Body | None, headers: Mapping[str, str], file: Path | None) -> Answer:
        """The answer to a request, which is sent again for a while where the service is too busy."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            request = Request(f"{self.url}{path}", None if body is None else body(), dict(headers), method=method)
            request.add_header("User-Agent", f"receptive/{__version__}")
            if self._token:
                request.add_unredirected_header("Authorization", f"Bearer {self._token}")
            try:
                with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                    return Answer(answer.status, answer.read())
            except HTTPError as refusal:
                with refusal:
                    pause = _pause(refusal)
                    if pause is None or time.monotonic() + pause > deadline:
                        raise _refused(refusal, file) from None
            except (URLError, OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error or type(error).__name__
                raise Failure("service-unreachable", f"{self.url} does not answer: {reason}.") from None
            with stage("Waiting, because the service is busy") as tick:
                _wait(pause, tick)


class RemoteModel:
    """A model that is sent to a service, with its files of external data."""

    def __init__(self, service: Service, path: Path, options: Options, externals: Mapping[str, Path]) -> None:
        self._service, self._path, self._options, self._externals = service, path, options, dict(externals)

    def report(self) -> Report:
        """The report that the service has or makes."""
        return self._report

    def variant(self, report: Report, edits: Sequence[Edit], shapes: Mapping[str, tuple[int, ...]]) -> Report:
        """The report on the model with edits, which the service has or makes."""
        body = json.dumps({"edits": plain_edits(edits), "input_shapes": {name: list(shape) for name, shape in shapes.items()}}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Prefer": f"wait={WAIT_SECONDS}"}
        with stage(f"The service changes {self._path.name}"):
            answer = self._service.send("POST", f"/v1/analyses/{report.id}/variants", lambda: iter((body,)), headers, self._path)
        return self._read(document_of(answer))

    def proposals(self, report: Report, goal: str, seconds: float) -> Proposals:
        """The smallest edits with which the model reaches a goal; the service bounds the time."""
        with stage(f"The service searches edits of {self._path.name}"):
            answer = self._service.get(f"/v1/analyses/{report.id}/proposals?{urlencode({'goal': goal})}", self._path)
        try:
            return of_plain(Proposals, document_of(answer))
        except NotAReport as error:
            raise _unexpected(f"It sent something other than proposals: {error}.") from None

    def page(self, report: Report) -> bytes:
        """The report as one HTML file, as the service makes it."""
        with stage("Fetching the report as HTML"):
            return self._service.get(f"/v1/analyses/{report.id}.html", self._path).content

    def filters(self, chosen: Chosen) -> bytes:
        """The weight grid of a convolution as a PNG."""
        return self._picture("filters.png", chosen)

    def hierarchy(self, depth: int, strongest: int, chosen: Chosen) -> bytes:
        """The filters of the depth-th convolution in pixels as a PNG."""
        return self._picture(f"hierarchy/{depth}.png", {"strongest": strongest, **chosen})

    def _picture(self, name: str, chosen: Chosen) -> bytes:
        query = urlencode({key: str(value).lower() if isinstance(value, bool) else value for key, value in chosen.items()})
        with stage(f"Fetching {name}"):
            return self._service.get(f"/v1/analyses/{self._report.id}/{name}{'?' if query else ''}{query}", self._path).content

    @cached_property
    def _report(self) -> Report:
        return self._read(document_of(self._send()))

    def _read(self, answer: Document) -> Report:
        """The report that the service answered with, or that of the job which makes it."""
        if answer.get("schema") != SCHEMA:
            answer = self._followed(answer)
        try:
            return of_plain(Report, answer)
        except NotAReport as error:
            raise _unexpected(f"It sent something other than a report: {error}.") from None

    def _send(self) -> Answer:
        """Posts the model: as it is, or in a form where other files go with it."""
        files = [("model", self._path.name, self._path), *(("external", name, file) for name, file in sorted(self._externals.items()))]
        if self._externals:
            boundary = uuid4().hex
            parts: list[bytes | Path] = []
            for field, name, file in files:
                parts += [_part_head(boundary, field, name), file, b"\r\n"]
            parts.append(f"--{boundary}--\r\n".encode())
            kind = f"multipart/form-data; boundary={boundary}"
        else:
            parts, kind = [self._path], "application/json" if self._path.suffix == ".json" else "application/octet-stream"
        size = sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in parts)
        headers = {"Content-Type": kind, "Content-Length": str(size), "Prefer": f"wait={WAIT_SECONDS}"}
        query = urlencode(_query(self._options))
        path = f"/v1/analyses{'?' if query else ''}{query}"
        return self._service.send("POST", path, lambda: _pieces(parts, size, f"Sending {self._path.name}"), headers, self._path)

    def _followed(self, job: Document) -> Document:
        """The report of a job, when it is finished."""
        path = f"/v1/jobs/{quote(str(job.get('id')), safe='')}"
        with stage(f"The service analyses {self._path.name}") as tick:
            while job.get("status") in ("queued", "running"):
                _wait(ASK_SECONDS, tick)
                job = document_of(self._service.get(path, self._path))
        if job.get("problem"):
            raise _problem(job["problem"], self._path)
        if job.get("status") != "done":
            raise Failure("job-cancelled", "The service stopped the analysis.", self._path)
        return document_of(self._service.get(job["links"]["analysis"], self._path))


def _query(options: Options) -> dict[str, str]:
    """The options that are not the default, as the service's query string has them."""
    default = Options()
    names = ("name", "read_weights", "zero_tolerance", "channel_order", "external_missing")
    query = {name: str(getattr(options, name)) for name in names if getattr(options, name) != getattr(default, name)}
    if options.input_shapes:
        query["input_shapes"] = json.dumps({name: list(shape) for name, shape in options.input_shapes.items()})
    return query


def _part_head(boundary: str, field: str, name: str) -> bytes:
    """The head of one file in a form; a name is escaped as browsers do (WHATWG, multipart/form-data)."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{escaped}"'
    return f"--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(errors="surrogateescape")


def _pieces(parts: list[bytes | Path], size: int, label: str) -> Iterator[bytes]:
    """The parts of a body, piece by piece, with a bar that shows how far it got."""
    with click.progressbar(length=size, label=label, file=sys.stderr, hidden=not watched()) as bar:
        for part in parts:
            for piece in [part] if isinstance(part, bytes) else _content(part):
                yield piece
                bar.update(len(piece))


def _content(path: Path) -> Iterator[bytes]:
    file: IO[bytes]
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def document_of(answer: Answer) -> Document:
    """The JSON object that the service answered with."""
    try:
        document = json.loads(answer.content)
    except ValueError:
        raise _unexpected("It did not send JSON.") from None
    if not isinstance(document, dict):
        raise _unexpected("It sent something other than a report.")
    return document


def _unexpected(detail: str) -> Failure:
    return Failure("unexpected-answer", f"This seems to be no Receptive service. {detail}")


def _pause(refusal: HTTPError) -> float | None:
    """For how many seconds a service that is too busy wants to be left alone; None where asking again would not help."""
    after = refusal.headers.get("Retry-After", "")
    if refusal.code not in (429, 503) or not (after.isascii() and after.isdigit()):
        return None
    return min(float(after[:9]), LONGEST_PAUSE)


def _wait(seconds: float, tick: Tick) -> None:
    """Lets the time pass while the stage under way goes on being drawn."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(TURN_SECONDS)
        tick()


def _refused(refusal: HTTPError, file: Path | None) -> Failure:
    """The failure that an answer of 300 or more is: a problem document (RFC 9457) where the service sent one."""
    try:
        problem = json.loads(refusal.read(MOST_PROBLEM_BYTES))
    except (ValueError, OSError, http.client.HTTPException):
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return _problem(problem, file)
    moved = refusal.headers.get("Location")
    return _unexpected(f"It answered {refusal.code} {refusal.reason}{f' and points to {moved}' if moved else ''}.")


def _problem(problem: Mapping[str, Any], file: Path | None) -> Failure:
    entries = [entry for entry in problem.get("errors") or () if isinstance(entry, dict)]
    errors = [Detail(*(str(entry.get(key, "")) for key in ("pointer", "detail", "code"))) for entry in entries]
    return Failure(str(problem["code"]), str(problem.get("detail") or problem.get("title")), file, errors)
