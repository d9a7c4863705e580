"""The problems of the HTTP interface by code: status and title, as docs/problems.md shows them. The readers add codes of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What problems of one code have in common: the HTTP status and a title."""

    status: int
    title: str


FAULTS: Mapping[str, ProblemType] = {
    "malformed": ProblemType(400, "The bytes are not what they claim to be"),
    "unsupported": ProblemType(415, "The format is not supported"),
    "invalid": ProblemType(422, "The model is not valid"),
    "limit": ProblemType(422, "The model exhausts a limit"),
    "source": ProblemType(424, "The source of the model failed"),
    "unavailable": ProblemType(503, "The service cannot do this now"),
}

PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "bad-request": ProblemType(400, "The request is malformed"),
    "empty-body": ProblemType(400, "The request has no body"),
    "incomplete-body": ProblemType(400, "The body ended before its announced length"),
    "not-json": ProblemType(400, "The body is not JSON"),
    "not-onnx": ProblemType(400, "The body is not ONNX"),
    "malformed-form": ProblemType(400, "The form cannot be read"),
    "token-missing": ProblemType(401, "A token is required"),
    "token-invalid": ProblemType(401, "The token is not valid"),
    "scope-missing": ProblemType(403, "The token does not allow this"),
    "cross-origin": ProblemType(403, "The page of another site may not do this"),
    "quota-exceeded": ProblemType(403, "The project has used up what it may store"),
    "not-found": ProblemType(404, "There is nothing at this address"),
    "analysis-not-found": ProblemType(404, "No such analysis"),
    "job-not-found": ProblemType(404, "No such job"),
    "model-not-found": ProblemType(404, "No such model is watched"),
    "version-not-found": ProblemType(404, "The model has no such version"),
    "batch-not-found": ProblemType(404, "No such batch"),
    "layer-not-found": ProblemType(404, "No such layer"),
    "no-filters": ProblemType(404, "The model has no filters to draw"),
    "no-connections": ProblemType(404, "The layer has no connections to draw"),
    "no-chart": ProblemType(404, "The report has nothing to show in this chart"),
    "no-such-depth": ProblemType(404, "The model has no convolution at this depth"),
    "method-not-allowed": ProblemType(405, "The method is not allowed here"),
    "not-acceptable": ProblemType(406, "The representation asked for does not exist"),
    "upload-stalled": ProblemType(408, "The upload stopped"),
    "request-stalled": ProblemType(408, "The header of the request stopped"),
    "length-required": ProblemType(411, "The length of the body must be stated"),
    "body-too-large": ProblemType(413, "The body is too large"),
    "uri-too-long": ProblemType(414, "The address is too long"),
    "unsupported-media-type": ProblemType(415, "The media type is not supported"),
    "unsupported-content-encoding": ProblemType(415, "The content encoding is not supported"),
    "expectation-failed": ProblemType(417, "The expectation of the request cannot be met"),
    "unknown-host": ProblemType(421, "The service is not known by this name"),
    "invalid-arguments": ProblemType(422, "The arguments are not valid"),
    "invalid-goal": ProblemType(422, "There is no such goal for this model"),
    "invalid-edit": ProblemType(422, "An edit is not possible"),
    "invalid-budget": ProblemType(422, "A budget is not valid"),
    "source-unsupported": ProblemType(422, "The source is not supported"),
    "source-address": ProblemType(422, "The address of the source is not valid"),
    "source-not-allowed": ProblemType(422, "The source is not allowed here"),
    "source-not-found": ProblemType(424, "There is nothing at the source"),
    "source-failed": ProblemType(424, "The source failed"),
    "source-changed": ProblemType(424, "The source changed while it was read"),
    "analysis-failed": ProblemType(422, "The model could not be analysed"),
    "limit-memory": ProblemType(422, "The analysis needs too much memory"),
    "limit-time": ProblemType(422, "The analysis takes too long"),
    "limit-depth": ProblemType(422, "The model is nested too deeply"),
    "report-too-large": ProblemType(422, "The report would be too large"),
    "worker-died": ProblemType(422, "The analysis ended without an answer"),
    "ambiguous-id": ProblemType(409, "More than one analysis has such an id"),
    "job-cancelled": ProblemType(409, "The job was cancelled"),
    "http-error": ProblemType(400, "The request failed"),
    "too-many-requests": ProblemType(429, "Too many requests"),
    "header-too-large": ProblemType(431, "The header of the request is too large"),
    "internal-error": ProblemType(500, "The service failed"),
    "not-implemented": ProblemType(501, "The transfer coding is not supported"),
    "too-busy": ProblemType(503, "Too many jobs, uploads or connections are waiting"),
    "not-finished": ProblemType(503, "The answer is not finished yet"),
    "storage-unavailable": ProblemType(503, "The store does not answer"),
    "blob-damaged": ProblemType(503, "The stored model is damaged"),
    "storage-full": ProblemType(503, "The store is full"),
}

# Werkzeug's exceptions by their status.
HTTP_CODES: Mapping[int, str] = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    411: "length-required",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-arguments",
    429: "too-many-requests",
    500: "internal-error",
}


def problem_type(code: str, fault: str | None = None) -> ProblemType:
    """The type of a problem: of its code where it is in the table, else of its fault."""
    return PROBLEM_TYPES.get(code) or FAULTS[fault or "invalid"]


def problems_table() -> str:
    """The problems as a Markdown table, as docs/problems.md shows it."""
    rows = [
        f"| `{code}` | {each.status} | {each.title} |"
        for code, each in sorted(PROBLEM_TYPES.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return "\n".join(["| code | status | title |", "|---|---|---|", *rows])
