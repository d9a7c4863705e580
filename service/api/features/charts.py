"""Charts of a report: receptive-field growth, sharing and sparsity, colour against depth."""

from __future__ import annotations

from functools import partial

from flask import Response

from service.api.features.analyses import find_report
from service.api.http.responses import answer, rendered, tag
from service.api.http.specification import Feature
from service.render.formats import CHART_FORMATS
from service.work import tasks

blueprint = Feature("charts", __name__, url_prefix="/v1/analyses", description="Charts of a report.")


# By address: the name of the chart, and what it shows.
CHARTS = {
    "receptive-field": ("growth", "Draw how the receptive field grows with depth"),
    "sharing": ("sharing", "Draw what every layer shares and what it skips"),
    "sweep": ("sizes", "Draw how many layers add context against the size of the input"),
    "colour": ("colour", "Draw the colour share of the filters against depth"),
}


def _add_route(address: str, form: str) -> None:
    """Adds the route of one chart in one form."""
    chart, summary = CHARTS[address]
    content_type = CHART_FORMATS[form].media_type

    def get_chart(report_id: str) -> Response:
        report = find_report(report_id)
        return answer(tag(report.id, address, form), partial(rendered, tasks.CHART, report, name=chart, form=form), content_type)

    get_chart.__name__ = f"get_{address}_{form}".replace("-", "_").replace(".", "_")
    get_chart.__doc__ = f"{summary}, as {'a Vega-Lite specification' if form == 'vl.json' else form.upper()}"
    function = blueprint.picture(content_type, "chart", 404, 503)(get_chart)
    blueprint.route(f"/<report:report_id>/{address}.{form}", methods=["GET"])(function)


for _address in CHARTS:
    for _form in CHART_FORMATS:
        _add_route(_address, _form)
