"""Counts requests, and what is refused, for /metrics."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from service import metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def register(app: Flask) -> None:
    """Counts every answer of `app`."""
    app.after_request(_count)


def _count(response: Response) -> Response:
    # What clients choose freely would be a label of its own each time.
    method = request.method if request.method in METHODS else "other"
    endpoint = request.endpoint or "none"
    metrics.REQUESTS.labels(method, endpoint, str(response.status_code)).inc()
    metrics.SECONDS.labels(endpoint).observe(time.perf_counter() - g.started)
    # The length of a stream is not known before its end, and asking for it would read it to the end.
    length = response.content_length if response.is_streamed else response.calculate_content_length()
    metrics.BYTES.labels("out").inc(length or 0)
    return response
