"""What the routes of pictures and tables share: entity tags, work in other processes, and how the answer goes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response

from service.api.http.negotiation import IMMUTABLE, tagged, unchanged
from service.api.http.problems import Problem
from service.api.services import current
from service.report.identity import ANALYZER, canonical
from service.store.interfaces import StoredReport

CSV = "text/csv; charset=utf-8; header=present"
SVG = "image/svg+xml"
PNG = "image/png"
JSON = "application/json"

# A picture or a report that a browser opens by itself runs no script but its own and loads nothing.
_POLICIES = {SVG: "default-src 'none'; style-src 'unsafe-inline'", "text/html": "frame-ancestors 'none'"}


def tag(source: str, *chosen: Any) -> str:
    """The entity tag of an answer that follows from `source` (the id or the entity tag of a report) and from what the client chose."""
    return hashlib.sha256(canonical({"of": source, "chosen": chosen, "analyzer": ANALYZER}).encode()).hexdigest()


def answer(
    etag: str, make: Callable[[], bytes | tuple[bytes, Mapping[str, str]]], content_type: str, cache_control: str = IMMUTABLE
) -> Response:
    """304 where the client has it, else what `make` gives: the content, or the content and more headers."""
    known = unchanged(etag, cache_control)
    if known is not None:
        return known
    made = make()
    content, headers = (made, {}) if isinstance(made, bytes) else made
    return tagged(sent(content, content_type, headers), etag, cache_control)


def sent(content: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Content of that type, which a browser takes for nothing else."""
    response = Response(content, content_type=content_type, headers={"X-Content-Type-Options": "nosniff", **(headers or {})})
    if response.mimetype in _POLICIES:
        response.headers["Content-Security-Policy"] = _POLICIES[response.mimetype]
    return response


def json_text(value: Any) -> bytes:
    """JSON in as few bytes as it takes. ValueError where the value holds a number that JSON cannot say."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def drawn(task: str, report: StoredReport, *arguments: Any) -> Any:
    """What the function that `task` names makes of the files and options of a report, in a job's process."""
    return _awaited(lambda seconds: current().runner.draw(task, report, seconds, *arguments))


def worked_out(task: str, *arguments: Any) -> Any:
    """What the function that `task` names makes of its arguments, in a job's process."""
    return _awaited(lambda seconds: current().runner.call(task, seconds, *arguments))


def rendered(task: str, *arguments: Any) -> Any:
    """What the function that `task` names makes of stored reports, in the process that is kept for drawing them."""
    return _awaited(lambda seconds: current().drawer.draw(task, seconds, *arguments))


def _awaited(work: Callable[[float], Any]) -> Any:
    service = current()
    with service.waits.place() as free:
        if not free:
            raise Problem("too-busy", "Too many requests are waiting.")
        try:
            return work(service.settings.wait_seconds)
        except TimeoutError:
            raise Problem("not-finished", "This takes too long; ask again later.") from None
