"""The few answers that a worker gives itself, where the application is not asked: problem documents (RFC 9457) like its own."""

from __future__ import annotations

import json
from http import HTTPStatus

DETAILS = {
    400: ("bad-request", "The request is not HTTP."),
    408: ("request-stalled", "The header of the request did not arrive in time."),
    414: ("uri-too-long", "The address is too long."),
    417: ("expectation-failed", "The only expectation that is met is 100-continue."),
    431: ("header-too-large", "The header of the request is too large."),
    500: ("internal-error", "The service failed."),
    501: ("not-implemented", "The transfer coding is not supported."),
    503: ("too-busy", "Too many connections are open."),
}
"""Code and detail by status."""

RETRY_SECONDS = 5


def answer(status: int) -> bytes:
    """The whole answer with that status; the connection ends with it."""
    code, detail = DETAILS[status]
    phrase = HTTPStatus(status).phrase
    document = {"type": f"/docs#problem-{code}", "title": phrase, "status": status, "detail": detail, "code": code}
    body = json.dumps(document).encode()
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *([f"Retry-After: {RETRY_SECONDS}"] if status == 503 else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
