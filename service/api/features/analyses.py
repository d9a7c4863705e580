"""Analyses: make one, list them, read one, forget one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, request

from service.api.features.jobs import job_response
from service.api.features.report_schemas import ReportSchema
from service.api.features.schemas import JobSchema, ListQuerySchema, ListSchema, OptionsSchema, make_options
from service.api.features.source_schemas import SourceSchema
from service.api.http.caller import caller, project
from service.api.http.negotiation import NEXT_LINK, REVALIDATE, choose, preferred_wait, tagged, unchanged
from service.api.http.problems import Problem, kept_problem
from service.api.http.receive import received, upload_place
from service.api.http.responses import answer, awaited, drawn, rendered, tag, told
from service.api.http.specification import Chosen, Feature
from service.api.services import current, text_of
from service.api.watched.model_schemas import CreateQuerySchema
from service.jobs.intake import Accepted
from service.options import Options
from service.render.formats import REPORT_FORMATS, served
from service.report.identity import Question
from service.store.interfaces import Job, StoredReport
from service.store.watched import Label
from service.work import tasks
from service.work.made import Made

blueprint = Feature("analyses", __name__, url_prefix="/v1/analyses", description="Reports on models.")

FORMATS = {**served(REPORT_FORMATS), "openmetrics": REPORT_FORMATS["openmetrics"]}
"""Representations of a report by name, most of which are the suffix of its address too."""

ACCEPTED = {name: each.accepted for name, each in FORMATS.items()}
"""Their media types, as an Accept header names them."""

_FORM = {
    "type": "object",
    "required": ["model"],
    "properties": {
        "model": {"type": "string", "contentMediaType": "application/octet-stream", "description": "An ONNX file or a layer spec."},
        "external": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "description": "Files of external data, matched by their bare name.",
        },
        "options": OptionsSchema,
    },
}
_SPEC = {"type": "object", "description": "A layer spec, or what Keras' `model.to_json()` gives."}
_BODY = {
    "required": True,
    "content": {
        "application/onnx": {"schema": {}},
        "application/octet-stream": {"schema": {}},
        "application/json": {"schema": {"anyOf": [_SPEC, SourceSchema]}},
        "multipart/form-data": {"schema": _FORM, "encoding": {"options": {"contentType": "application/json"}}},
    },
}
_ETAG = {"ETag": {"schema": {"type": "string"}}}
_TEXT = {"type": "string"}
_SAME = "The report is the one that If-None-Match names."
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}


@blueprint.route("", methods=["POST"])
@blueprint.arguments(CreateQuerySchema, location="query")
@blueprint.response(201, ReportSchema, description="The report.", headers=_LOCATION)
@blueprint.alt_response(200, schema=ReportSchema, description="The report, which was known already.", headers=_LOCATION)
@blueprint.alt_response(202, schema=JobSchema, description="The analysis is not finished yet.", headers=_LOCATION)
@blueprint.problems(400, 408, 409, 413, 415, 424, 503)
@blueprint.doc(requestBody=_BODY)
def create_analysis(chosen: Chosen) -> Response:
    """Analyse a model

    The body is an ONNX file, a layer spec, a form, or a document that names where the model lies.
    `Prefer: respond-async` answers 202 at once, `Prefer: wait=N` waits N seconds.
    The report comes as JSON, or by Accept as Markdown, HTML, CSV or OpenMetrics text.
    With `model` and `version` the analysis is that version of a watched model, as soon as it is there.
    """
    form = choose(ACCEPTED)
    model, version = chosen.pop("model", None), chosen.pop("version", None)
    accepted = take_in(chosen)
    if model is not None and version is not None:
        current().engines.judge.expect(Label(project(), model, version), accepted.report_id)
    return _answer(accepted, form)


def take_in(chosen: Mapping[str, object]) -> Accepted:
    """Receives the model that this request brings and has it analysed, with the options `chosen` and those that came with it."""
    service = current()
    with upload_place(service), received(request, service.store.uploads) as arrived:
        source = arrived.source
        if source is not None:
            return _ask(source, {**chosen, **arrived.options})
        options = make_options({**chosen, **arrived.options}, arrived.size_bytes, service.settings.auto_read_bytes)
        question = Question.of_digests(arrived.model.digest, {name: part.digest for name, part in arrived.externals.items()}, options)
        return service.engines.intake.accept(project(), arrived.parts, question, client=caller().name)


def _ask(source: str, chosen: Mapping[str, object]) -> Accepted:
    """Has the model at an address analysed."""
    service = current()
    address, options = service.store.sources.check(source), unsettled(chosen)
    return awaited(lambda seconds: service.engines.asking.ask(project(), address, options, seconds, client=caller().name))


def unsettled(chosen: Mapping[str, Any]) -> Options:
    """The options of models whose size is not known yet."""
    return replace(make_options(chosen, 0, 0), read_weights=chosen.get("read_weights", "auto"))


def _answer(accepted: Accepted, form: str) -> Response:
    """201 or 200 with the report in one of the formats, 202 with the job where it takes too long, or the problem of the model."""
    working = wait_for(accepted)
    if working is not None:
        return job_response(working, 202)
    service = current()
    service.engines.judge.welcome(accepted.report_id, service.settings.wait_seconds)
    return located(_represented(accepted.report_id, form), accepted)


def wait_for(accepted: Accepted) -> Job | None:
    """Waits for the report as long as the client wants; the job where that takes longer. Raises the problem of the model."""
    if accepted.job is None:
        return None
    service = current()
    seconds = preferred_wait(service.settings.wait_seconds, longest=service.settings.job_wall_seconds)
    with service.waits.place() as free:
        job = service.engines.keeper.wait(accepted.job, seconds if free else 0.0)
    if job is None or not job.finished:
        return job or accepted.job
    if job.problem is not None:
        raise kept_problem(job.problem)
    if job.state == "cancelled":
        raise Problem("job-cancelled", "The job was cancelled.")
    return None


def located(response: Response, accepted: Accepted) -> Response:
    """The answer with a report: 201 where it was made for it, 200 where it was known already, and its address."""
    response.status_code = 200 if accepted.job is None else 201
    response.headers["Location"] = f"/v1/analyses/{accepted.report_id}"
    return response


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ListQuerySchema, location="query")
@blueprint.response(200, ListSchema, description="Newest first.", headers=NEXT_LINK)
def list_analyses(query: Chosen) -> object:
    """List analyses"""
    digest = query.get("digest")
    if digest is not None and not digest.startswith("sha256:"):
        digest = f"sha256:{digest}"
    page = current().store.reports.page(project(), query["limit"], query.get("cursor"), query.get("name"), digest)
    headers = {}
    if page.cursor is not None:
        headers["Link"] = f'</v1/analyses?{urlencode({**query, "cursor": page.cursor})}>; rel="next"'
    return {"items": page.items, "next_cursor": page.cursor}, headers


@blueprint.route("/<report:report_id>", methods=["GET"])
@blueprint.response(200, ReportSchema, description="The report; HTML, Markdown or CSV by Accept.", headers=_ETAG)
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404, 406, 503)
def get_analysis(report_id: str) -> Response:
    """Read a report

    The representation is chosen by the Accept header.
    """
    return _represented(report_id, choose(ACCEPTED))


@blueprint.route("/<report:report_id>.json", methods=["GET"])
@blueprint.response(200, ReportSchema, description="The report.", headers=_ETAG)
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404)
def get_analysis_json(report_id: str) -> Response:
    """Read a report as JSON"""
    return _represented(report_id, "json")


@blueprint.route("/<report:report_id>.html", methods=["GET"])
@blueprint.response(200, _TEXT, content_type="text/html", description="One file that is complete without a network.", headers=_ETAG)
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404, 503)
def get_analysis_html(report_id: str) -> Response:
    """Read a report as HTML"""
    return _represented(report_id, "html")


@blueprint.route("/<report:report_id>.md", methods=["GET"])
@blueprint.response(200, _TEXT, content_type="text/markdown", description="For a pull request or a model card.", headers=_ETAG)
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404)
def get_analysis_markdown(report_id: str) -> Response:
    """Read a report as Markdown"""
    return _represented(report_id, "md")


@blueprint.route("/<report:report_id>.csv", methods=["GET"])
@blueprint.response(200, _TEXT, content_type="text/csv", description="The layer table (RFC 4180).", headers=_ETAG)
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404)
def get_analysis_csv(report_id: str) -> Response:
    """Read a report's layers as CSV"""
    return _represented(report_id, "csv")


def _represented(report_id: str, form: str) -> Response:
    """The report in one of the formats."""
    report = find_report(report_id)
    if form == "json":
        return unchanged(report.etag, REVALIDATE) or _report_response(report)

    def make() -> bytes | Made:
        """The content where the client does not have it yet."""
        if form == "html":
            pictures = drawn(tasks.PAGE_PICTURES, report, {"report": text_of(report)})
            return rendered(tasks.PAGE, report, pictures=json.loads(pictures.content))
        return told(form, report)

    return answer(tag(report.etag, "report", form), make, FORMATS[form].media_type, REVALIDATE)


@blueprint.route("/<report:report_id>", methods=["DELETE"])
@blueprint.response(204, description="The report is gone, and so is the model if no other report needs it.")
@blueprint.problems(404)
def delete_analysis(report_id: str) -> object:
    """Forget a report"""
    if not current().store.forget(project(), find_report(report_id).id):
        raise _unknown(report_id)
    return ""


def find_report(report_id: str) -> StoredReport:
    """The report of that id, or of the one that begins so; else the problem that there is none, or more than one."""
    report = current().store.reports.get(project(), report_id) or _by_prefix(report_id)
    if report is None:
        raise _unknown(report_id)
    return report


def _by_prefix(prefix: str) -> StoredReport | None:
    """The report whose id begins so. That may be said of two later, so the answer is not for ever (see negotiation.tagged)."""
    reports = current().store.reports
    ids = reports.matching(project(), prefix)
    if len(ids) > 1:
        raise Problem("ambiguous-id", f"More than one analysis has an id that begins with {prefix}.")
    g.abbreviated = True
    return reports.get(project(), ids[0]) if ids else None


def _unknown(report_id: str) -> Problem:
    return Problem("analysis-not-found", f"There is no analysis {report_id}.")


def _report_response(report: StoredReport) -> Response:
    pieces = text_of(report).pieces()
    # The first piece before anything is said: where the store fails, that is the answer.
    first = next(pieces, b"")
    response = Response(chain([first], pieces), content_type="application/json", headers={"Content-Length": str(report.size_bytes)})
    return tagged(response, report.etag, REVALIDATE)
