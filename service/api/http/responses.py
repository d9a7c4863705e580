"""What the routes of pictures and tables share: entity tags, work in other processes, and how the answer goes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Response

from service.api.http.negotiation import IMMUTABLE, tagged, unchanged
from service.api.http.problems import Problem
from service.api.services import current, text_of
from service.jobs.message import Call, Lying
from service.render.beside import Beside, beside
from service.render.told import TOLD
from service.report.identity import ANALYZER, canonical
from service.report.plain import read_report
from service.store.interfaces import StoredReport
from service.work import tasks
from service.work.made import HTML, SVG, Made
from service.work.tasks import Task

T = TypeVar("T")

MAX_PARSED_BYTES = 1 << 20
"""The longest report that the server itself reads. A larger one would hold its lock, and take many times its bytes of memory."""

# A picture or a report that a browser opens by itself runs no script but its own and loads nothing.
_POLICIES = {SVG: "default-src 'none'; style-src 'unsafe-inline'", HTML.partition(";")[0]: "frame-ancestors 'none'"}


def tag(source: str, *chosen: object) -> str:
    """The entity tag of an answer that follows from `source` (the id or the entity tag of a report) and from what the client chose."""
    return hashlib.sha256(canonical({"of": source, "chosen": chosen, "analyzer": ANALYZER}).encode()).hexdigest()


def answer(etag: str, make: Callable[[], bytes | Made], content_type: str, cache_control: str = IMMUTABLE) -> Response:
    """304 where the client has it, else what `make` gives, as the type that the route says: a process that read a model is not believed."""
    known = unchanged(etag, cache_control)
    if known is not None:
        return known
    made = make()
    content, headers = (made, {}) if isinstance(made, bytes) else (made.content, made.headers)
    return tagged(sent(content, content_type, headers), etag, cache_control)


def sent(content: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Content of that type, which a browser takes for nothing else."""
    response = Response(content, content_type=content_type, headers={"X-Content-Type-Options": "nosniff", **(headers or {})})
    if response.mimetype in _POLICIES:
        response.headers["Content-Security-Policy"] = _POLICIES[response.mimetype]
    return response


def drawn(task: Task, report: StoredReport, documents: Mapping[str, bytes | Lying] | None = None, **arguments: object) -> Made:
    """What a task makes of the files and options of a report, in a job's process."""
    return awaited(lambda seconds: current().engines.drawing.of_report(task, report, seconds, documents or {}, arguments))


def worked_out(task: Task, documents: Mapping[str, bytes | Lying] | None = None, **arguments: object) -> Made:
    """What a task makes of its documents and arguments, in a job's process."""
    return awaited(lambda seconds: current().engines.drawing.of_call(Call(task, arguments, documents or {}), seconds))


def rendered(task: Task, report: StoredReport, **arguments: object) -> Made:
    """What a task makes of a stored report, in the process that is kept for drawing them."""
    return awaited(lambda seconds: current().engines.drawer.draw(Call(task, arguments, {"report": text_of(report)}), seconds))


def redrawn(task: Task, **arguments: object) -> Made:
    """What a task makes of its arguments alone, in the process that is kept for drawing."""
    return awaited(lambda seconds: current().engines.drawer.draw(Call(task, arguments), seconds))


def told(name: str, report: StoredReport, **asked: Any) -> bytes:
    """One of `TOLD` about a stored report: here where the report is small, else by the process that is kept for drawing."""
    if report.size_bytes <= MAX_PARSED_BYTES:
        return TOLD[name](read_report(text_of(report).whole()), **asked)
    return rendered(tasks.TELL, report, name=name, asked=asked).content


def beside_report(report: StoredReport) -> Beside:
    """What is kept beside a report. Where an earlier version kept nothing, it is worked out, and kept from then on."""
    reports = current().store.reports
    kept = reports.beside(report)
    if kept is None and report.size_bytes <= MAX_PARSED_BYTES:
        text = text_of(report).whole()
        read = read_report(text)
        kept = beside(read, read, text)
        reports.describe(report, kept)
    elif kept is None:
        kept = rendered(tasks.DESCRIBE, report).content.decode()
        reports.describe(report, kept)
    return Beside(**json.loads(kept))


def awaited(work: Callable[[float], T]) -> T:
    """What `work` gives within the time that a request waits; Problem `too-busy` or `not-finished` where it gives nothing."""
    service = current()
    with service.waits.place() as free:
        if not free:
            raise Problem("too-busy", "Too many requests are waiting.")
        try:
            return work(service.settings.wait_seconds)
        except TimeoutError:
            raise Problem("not-finished", "This takes too long; ask again later.") from None
