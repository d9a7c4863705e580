"""Logs: one JSON object a line on standard output, each with the id of the request it belongs to."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request

# What a proxy or a client may choose for an id; anything else could forge log lines or headers.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)

# A newer version may say more behind (W3C Trace Context, 4.1).
TRACE_PARENT = re.compile(r"(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<parent_id>[0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)

log = structlog.get_logger("access")


def register(app: Flask) -> None:
    """Gives every request an id and writes a line for it."""
    app.before_request(_begin)
    app.after_request(_end)


def trace(parent: str) -> dict[str, str]:
    """The trace that a request belongs to, and the span that made it, by its header `traceparent` (W3C Trace Context); else nothing."""
    found = TRACE_PARENT.fullmatch(parent)
    if not found or found["version"] == "ff" or not int(found["trace_id"], 16) or not int(found["parent_id"], 16):
        return {}
    return {"trace_id": found["trace_id"], "parent_id": found["parent_id"]}


def _begin() -> None:
    asked = request.headers.get("X-Request-ID", "")
    g.request_id = asked if REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id, **trace(request.headers.get("traceparent", "")))


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    quiet = request.endpoint in ("operations.livez", "operations.readyz", "operations.healthz")
    write = log.debug if quiet else log.info
    milliseconds = round((time.perf_counter() - g.started) * 1000, 1)
    write("request", method=request.method, path=request.path, status=response.status_code, milliseconds=milliseconds)
    return response
