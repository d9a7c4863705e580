"""Receptive-field verdicts against the size of the input."""

from __future__ import annotations

from functools import partial

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.schemas import SweepQuerySchema, SweepSchema
from service.api.http.responses import answer, tag, worked_out
from service.api.http.specification import Chosen, Feature
from service.api.services import text_of
from service.work import tasks
from service.work.made import JSON

blueprint = Feature("sweep", __name__, url_prefix="/v1/analyses", description="Other sizes of the input.")


@blueprint.route("/<report:report_id>/sweep", methods=["GET"])
@blueprint.arguments(SweepQuerySchema, location="query")
@blueprint.response(200, SweepSchema, description="A verdict for each size, in rising order.")
@blueprint.alt_response(304, description="The verdicts are those that If-None-Match names.")
@blueprint.problems(404, 503)
def get_sweep(chosen: Chosen, report_id: str) -> Response:
    """Judge the receptive fields at other sizes of the input

    A convolution layer is unproductive where the narrowest path to it sees the whole input already (Richter et al. 2021). Sizes are those
    of square inputs; the geometry is that of the analysed model.
    """
    report = find_report(report_id)
    sizes = chosen["sizes"]
    return answer(tag(report.id, "sweep", sizes), partial(worked_out, tasks.SWEEP, {"report": text_of(report)}, sizes=sizes), JSON)
