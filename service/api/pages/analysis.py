"""The pages of a report: its tabs, each with an address, and a page for every layer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from service.api.features.analyses import find_report
from service.api.http.problems import Problem
from service.api.http.responses import told
from service.api.pages.web import as_page, page
from service.render.words.text import shown

CHARTS = {
    "receptive-field": "Receptive field against depth",
    "sharing": "Sharing and sparsity of every layer",
    "colour": "Colour share of the filters against depth",
}
"""The charts of a report that can be shown alone."""

blueprint = Blueprint("analysis_pages", __name__, url_prefix="/analyses")


@blueprint.route("/<report:report_id>")
def overview(report_id: str) -> Response:
    """What the model shares, skips and sees."""
    return report_page("page", report_id)


@blueprint.route("/<report:report_id>/findings")
def findings(report_id: str) -> Response:
    """What stands out."""
    return report_page("page-findings", report_id)


@blueprint.route("/<report:report_id>/layers")
def layers(report_id: str) -> Response:
    """The layer table."""
    return report_page("page-layers", report_id)


@blueprint.route("/<report:report_id>/receptive-field")
def receptive_field(report_id: str) -> Response:
    """How the receptive field grows."""
    return report_page("page-receptive-field", report_id)


@blueprint.route("/<report:report_id>/filters")
def filters(report_id: str) -> Response:
    """The learned filters as pictures."""
    return report_page("page-filters", report_id)


@blueprint.route("/<report:report_id>/what-if")
def what_if(report_id: str) -> Response:
    """The network, to be changed."""
    return report_page("page-what-if", report_id)


@blueprint.route("/<report:report_id>/charts/<name>")
def chart(report_id: str, name: str) -> Response:
    """A chart of a report alone: for panels of other pages."""
    report = find_report(report_id)
    if name not in CHARTS:
        raise Problem("not-found", "There is no such chart.")
    title = f"{CHARTS[name]}: {shown(report.name or 'model', 80)}"
    return page("chart.html", title=title, chart=f"/v1/analyses/{report.id}/{name}", query="", live="")


@blueprint.route("/<report:report_id>/layers/<layer:layer>")
def layer(report_id: str, layer: str) -> Response:
    """One layer: its numbers and how they follow, its connections, its receptive field."""
    return report_page("page-layer", report_id, wanted=layer, base=f"/analyses/{report_id}")


def report_page(name: str, report_id: str, **asked: Any) -> Response:
    """A page about a report, as render.told tells it."""
    content = told(name, find_report(report_id), here=request.path, asked=request.args.to_dict(), **asked)
    return as_page(content.decode())
