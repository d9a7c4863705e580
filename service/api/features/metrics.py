"""The flat numbers of a report, for trackers, dashboards and gates."""

from __future__ import annotations

import json

from flask import Response, request

from service.api.features.analyses import find_report
from service.api.http.negotiation import REVALIDATE, choose
from service.api.http.responses import answer, tag, told
from service.api.http.specification import Feature
from service.render.metrics import OPENMETRICS, openmetrics
from service.work.made import JSON, Made, made_json

blueprint = Feature("metrics", __name__, url_prefix="/v1/analyses", description="The numbers of a report, flat.")

_NUMBERS = {"type": "object", "additionalProperties": {"type": "number"}, "example": {"receptive.parameters": 60000}}


@blueprint.route("/<report:report_id>/metrics", methods=["GET"])
@blueprint.response(
    200,
    _NUMBERS,
    description="Numbers by name; one that does not exist is left out. OpenMetrics text by Accept, dots as underscores.",
)
@blueprint.alt_response(304, description="The numbers are those that If-None-Match names.")
@blueprint.problems(404, 406)
def get_metrics(report_id: str) -> Response:
    """Read the flat numbers of a report

    The names are fixed, so that a dashboard or a gate takes them as they are.
    """
    report = find_report(report_id)
    form = _form()

    def make() -> Made:
        # An entry of an earlier version may lack them.
        numbers = report.entry["metrics"] if "metrics" in report.entry else json.loads(told("metrics", report))
        return Made(openmetrics(numbers, report.entry["name"]), OPENMETRICS) if form == "openmetrics" else made_json(numbers)

    return answer(tag(report.etag, "metrics", form), make, OPENMETRICS if form == "openmetrics" else JSON, REVALIDATE)


def _form() -> str:
    """The form that the client likes best. Prometheus asks for OpenMetrics with parameters, which do not matter."""
    media_type = OPENMETRICS.partition(";")[0]
    liked = max((quality for value, quality in request.accept_mimetypes if value.partition(";")[0].strip() == media_type), default=0.0)
    return "openmetrics" if liked > request.accept_mimetypes[JSON] else choose({"json": JSON, "openmetrics": media_type})
