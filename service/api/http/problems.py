"""Every error is a problem document (RFC 9457, application/problem+json)."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from service import metrics
from service.api.http.model_problems import anchor_of
from service.api.http.problem_types import HTTP_CODES, problem_type
from service.faults import Refused
from service.jobs.message import BrokenAnalysisError, Stopped
from service.store.interfaces import StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5

log = structlog.get_logger(__name__)


_ADVICE = {
    "external-missing": " Send multipart/form-data with the model as the part `model` and each such file as a part `external`"
    " (curl -F model=@model.onnx -F external=@file), or set external_missing=ignore to go without its values.",
}
"""What a client of this interface can do about a problem that is worded for all."""


class Problem(Exception):
    """An answer that is a problem document: its code (see problem_types), what is wrong in this case, and where."""

    def __init__(
        self,
        code: str,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        *,
        fault: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        kind = problem_type(code, fault)
        self.code, self.detail, self.headers = code, detail, dict(headers or {})
        self.errors: list[Mapping[str, str]] = list(errors)
        self.status, self.title = kind.status, kind.title
        if self.status == 503:
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))

    def response(self) -> Response:
        """The problem document."""
        metrics.REFUSALS.labels(self.code).inc()
        document: dict[str, object] = {
            "type": f"/docs#problem-{anchor_of(self.code)}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request.path,
            "code": self.code,
            "request_id": g.get("request_id"),
        }
        if self.errors:
            document["errors"] = self.errors
        return Response(json.dumps(document), self.status, self.headers, content_type=MEDIA_TYPE)


def kept_problem(record: Mapping[str, Any]) -> Problem:
    """The problem that was kept with a job (see service.faults.Refused.record)."""
    detail = record["detail"] + _ADVICE.get(record["code"], "")
    return Problem(record["code"], detail, record["errors"], fault=record["fault"])


def read_problem(error: Refused) -> Problem:
    """The problem that a model has."""
    return kept_problem(error.record())


def http_problem(error: HTTPException) -> Problem:
    """The problem that an HTTPException of Werkzeug, Flask or webargs stands for."""
    if error.response is not None and error.code is None:
        return Problem("http-error", "The request failed.")
    status = error.code or 500
    code = HTTP_CODES.get(status, "http-error")
    data = getattr(error, "data", None) or {}
    headers = {name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")}
    errors = argument_errors(data["messages"]) if "messages" in data else []
    detail = "The arguments are not valid: " + "; ".join(each["detail"] for each in errors) if errors else error.description or error.name
    problem = Problem(code, detail, errors, headers=headers)
    if code == "http-error":
        problem.status, problem.title = status, error.name
    return problem


def argument_errors(messages: object, pointer: str = "") -> list[dict[str, str]]:
    """marshmallow's nested messages as a flat list with JSON pointers (RFC 6901)."""
    if isinstance(messages, Mapping):
        nested = (argument_errors(value, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}") for key, value in messages.items())
        return [error for errors in nested for error in errors]
    texts = messages if isinstance(messages, list) else [messages]
    return [{"pointer": pointer, "detail": str(text), "code": "invalid-argument"} for text in texts]


def other_problem(error: Exception) -> Problem:
    """The problem for any other exception: what the machine cannot do now, or a fault of ours, which goes to the log."""
    if isinstance(error, Stopped):
        return Problem("too-busy", "The server is stopping.")
    if isinstance(error, BrokenAnalysisError):
        log.error("analysis-failed", error=str(error))
        return Problem("analysis-failed", "The service could not analyse this model.")
    if (isinstance(error, StoreError) and error.full) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        log.error("storage-full", error=str(error))
        return Problem("storage-full", "There is no space left to store this.")
    if isinstance(error, (StoreError, OSError)):
        log.error("storage-unavailable", exc_info=error)
        return Problem("storage-unavailable", "The store does not answer.")
    log.error("internal-error", exc_info=error)
    return Problem("internal-error", "The service failed; the request_id finds the reason in its log.")


def register(app: Flask) -> None:
    """Makes every error of `app` a problem document."""
    app.register_error_handler(Problem, lambda problem: problem.response())
    app.register_error_handler(Refused, lambda error: read_problem(error).response())
    app.register_error_handler(HTTPException, lambda error: http_problem(error).response())
    app.register_error_handler(Exception, lambda error: other_problem(error).response())
