"""Variants of an analysed model: the same network, changed."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from flask import Response
from marshmallow import ValidationError, fields

from service.api.features.analyses import find_report, located, wait_for
from service.api.features.comparisons import compared_document
from service.api.features.jobs import job_response
from service.api.features.report_schemas import ReportSchema, schema_of
from service.api.features.schemas import ComparisonSchema, JobSchema
from service.api.features.variant_schemas import VariantRequestSchema
from service.api.http.bodies import json_body
from service.api.http.caller import caller
from service.api.http.problems import Problem, argument_errors, read_problem
from service.api.http.responses import drawn, sent, told
from service.api.http.specification import Feature
from service.api.services import current, text_of
from service.faults import Refused
from service.jobs.stored import identities
from service.options import Options
from service.report.identity import Question, options_document, read_options
from service.report.preview import Preview
from service.store.interfaces import StoredReport
from service.work import tasks
from service.work.made import JSON

MAX_BYTES = 256 * 1024
"""Of the body of a request."""

blueprint = Feature("variants", __name__, url_prefix="/v1/analyses", description="The same network, changed.")
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}


class VariantSchema(ReportSchema):  # type: ignore[misc, valid-type]
    """The report on a variant, compared with that on its base."""

    comparison = fields.Nested(ComparisonSchema, required=True)


@blueprint.route("/<report:report_id>/variants", methods=["POST"])
@blueprint.response(201, VariantSchema, description="The report on the variant.", headers=_LOCATION)
@blueprint.alt_response(200, schema=VariantSchema, description="The report on the variant, which was known already.", headers=_LOCATION)
@blueprint.alt_response(202, schema=JobSchema, description="The analysis is not finished yet.", headers=_LOCATION)
@blueprint.problems(400, 404, 408, 409, 413, 415, 422, 503)
@blueprint.doc(requestBody={"required": True, "content": {JSON: {"schema": VariantRequestSchema}}})
def create_variant(report_id: str) -> Response:
    """Change a network and analyse it

    Edits are applied to the model before shapes are inferred. Weights whose shape no longer fits count by their shape and have no values.
    The report has an address of its own; `comparison` stands beside it. An edit that is not possible is a 422 with a pointer to it.
    """
    base = find_report(report_id)
    accepted = current().engines.intake.accept(base.project, {}, _question(base, json_body(MAX_BYTES)), client=caller().name)
    with _pointing(base):
        working = wait_for(accepted)
    if working is not None:
        return job_response(working, 202)
    report = find_report(accepted.report_id)
    content = text_of(report).whole()[:-1] + b',"comparison":' + compared_document(base, report, {}) + b"}"
    return located(sent(content, JSON, {"Cache-Control": "no-store"}), accepted)


@blueprint.route("/<report:report_id>/variants/preview", methods=["POST"])
@blueprint.response(200, schema_of(Preview), description="What a page shows of the variant.")
@blueprint.problems(400, 404, 408, 413, 415, 422, 503)
@blueprint.doc(requestBody={"required": True, "content": {JSON: {"schema": VariantRequestSchema}}})
def preview_variant(report_id: str) -> Response:
    """Change a network and look at it, without keeping a report

    The same edits as those of a variant. The values of weights are not read.
    """
    base = find_report(report_id)
    options = _question(base, json_body(MAX_BYTES)).options
    with _pointing(base):
        return sent(drawn(tasks.PREVIEW, base, options=options_document(options)).content, JSON, {"Cache-Control": "no-store"})


def _question(base: StoredReport, body: Any) -> Question:
    """The question about a variant of the model of a report."""
    try:
        asked = VariantRequestSchema().load(body)
    except ValidationError as error:
        raise Problem("invalid-arguments", "The variant is not valid.", argument_errors(error.messages)) from None
    shapes = {name: tuple(shape) for name, shape in asked["input_shapes"].items()}
    edits = options_document(Options(edits=tuple(asked["edits"])))
    options = read_options(json.loads(told("variant", base, options=base.options, asked=edits, shapes=shapes)))
    if not options.varied:
        raise Problem("invalid-arguments", "A variant has at least one edit or another shape of an input.")
    files = identities(base)
    return Question(files.pop(""), files, options)


@contextlib.contextmanager
def _pointing(base: StoredReport) -> Iterator[None]:
    """Has pointers to edits count from the first that this request asks for, behind those of its base."""
    earlier = len(read_options(base.options).edits)
    try:
        yield
    except (Problem, Refused) as error:
        problem = error if isinstance(error, Problem) else read_problem(error)
        problem.errors = [{**each, "pointer": _later(each["pointer"], earlier)} for each in problem.errors]
        raise problem from None


def _later(pointer: str, earlier: int) -> str:
    place = re.match(r"/edits/(\d+)", pointer)
    return pointer if place is None else f"/edits/{int(place[1]) - earlier}{pointer[place.end() :]}"
