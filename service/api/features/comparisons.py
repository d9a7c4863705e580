"""Two analyses side by side, and whether budgets hold."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Response
from marshmallow import ValidationError

from service.api.features.analyses import find_report
from service.api.features.schemas import ComparisonRequestSchema, ComparisonSchema
from service.api.http.bodies import json_body
from service.api.http.negotiation import choose
from service.api.http.problems import Problem, argument_errors
from service.api.http.responses import sent, worked_out
from service.api.http.specification import Feature
from service.api.services import text_of
from service.render.formats import COMPARISON_FORMATS, served
from service.report.comparison import Comparison
from service.report.plain import of_plain, plain_object
from service.store.interfaces import StoredReport
from service.work import tasks
from service.work.made import JSON, made_json

MOST_BYTES = 1024 * 1024

FORMATS = served(COMPARISON_FORMATS)

blueprint = Feature("comparisons", __name__, url_prefix="/v1/comparisons", description="Comparison of two analyses, with budgets.")


@blueprint.route("", methods=["POST"])
@blueprint.response(
    200,
    ComparisonSchema,
    description="Every layer's difference and the verdict; HTML, Markdown or JUnit XML (application/xml) by Accept.",
)
@blueprint.problems(400, 404, 406, 408, 413, 415, 422, 503)
@blueprint.doc(requestBody={"required": True, "content": {JSON: {"schema": ComparisonRequestSchema}}})
def create_comparison() -> Response:
    """Compare two analyses

    Layers are aligned by structure. `budgets` limit numbers of the head or its change from the base; the verdict is `pass` where all hold,
    `fail` where one does not, `none` where there are none. JUnit XML has one test case for each budget.
    """
    form = choose({name: each.accepted for name, each in FORMATS.items()})
    try:
        asked = ComparisonRequestSchema().load(json_body(MOST_BYTES))
    except ValidationError as error:
        raise Problem("invalid-arguments", "The comparison is not valid.", argument_errors(error.messages)) from None
    comparison = compared(find_report(asked["base"]), find_report(asked["head"]), asked["budgets"])
    content = made_json(plain_object(comparison)).content if form == "json" else FORMATS[form].write(comparison)
    return sent(content, FORMATS[form].media_type, {"Cache-Control": "no-store", "Vary": "Accept"})


def compared(base: StoredReport, head: StoredReport, budgets: Mapping[str, object]) -> Comparison:
    """The comparison of two reports. Refused `invalid-budget` where a budget makes no sense."""
    return of_plain(Comparison, json.loads(compared_document(base, head, budgets)))


def compared_document(base: StoredReport, head: StoredReport, budgets: Mapping[str, object]) -> bytes:
    """The comparison of two reports as JSON text."""
    return worked_out(tasks.COMPARISON, {"base": text_of(base), "head": text_of(head)}, budgets=budgets).content
