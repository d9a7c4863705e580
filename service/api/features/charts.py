"""Charts of a report: receptive-field growth, sharing and sparsity, colour against depth."""

from __future__ import annotations

from typing import Any

from flask import Response

from service.api.features.analyses import find_report
from service.api.http.problems import Problem
from service.api.http.responses import JSON, PNG, SVG, answer, rendered, tag
from service.api.http.specification import Feature

PICTURE = "service.work.report_pictures:chart_picture"
FORMS = {"svg": SVG, "png": PNG, "vl.json": JSON}

blueprint = Feature("charts", __name__, url_prefix="/v1/analyses", description="Charts of a report.")


# By address: the name of the chart, and what it shows.
CHARTS = {
    "receptive-field": ("growth", "Draw how the receptive field grows with depth"),
    "sharing": ("sharing", "Draw what every layer shares and what it skips"),
    "colour": ("colour", "Draw the colour share of the filters against depth"),
}


def _add_route(address: str, form: str) -> None:
    """Adds the route of one chart in one form."""
    chart, summary = CHARTS[address]
    content_type = FORMS[form]

    def get_chart(report_id: str) -> Response:
        report = find_report(report_id)

        def make() -> bytes:
            picture: bytes | None = rendered(PICTURE, report.document, chart, form)
            if picture is None:
                raise Problem("no-chart", f"The report has nothing to show in the chart {address}.")
            return picture

        return answer(tag(report_id, address, form), make, content_type)

    get_chart.__name__ = f"get_{address}_{form}".replace("-", "_").replace(".", "_")
    get_chart.__doc__ = f"{summary}, as {'a Vega-Lite specification' if form == 'vl.json' else form.upper()}"
    schema = {"type": "object"} if form == "vl.json" else {"type": "string", "contentMediaType": content_type}
    function: Any = blueprint.problems(404, 503)(get_chart)
    function = blueprint.alt_response(304, description="The chart is the one that If-None-Match names.")(function)
    function = blueprint.response(200, schema, content_type=content_type, description="The chart.")(function)
    blueprint.route(f"/<report:report_id>/{address}.{form}", methods=["GET"])(function)


for _address in CHARTS:
    for _form in FORMS:
        _add_route(_address, _form)
