"""The filters of a convolution as a picture and as numbers."""

from __future__ import annotations

from functools import partial

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.schemas import FilterLayerQuerySchema, GridQuerySchema
from service.api.http.negotiation import choose
from service.api.http.responses import answer, drawn, tag
from service.api.http.specification import Chosen, Feature
from service.api.services import current
from service.work import tasks
from service.work.made import CSV, JSON, PNG

blueprint = Feature("filters", __name__, url_prefix="/v1/analyses", description="The learned filters of a model.")


@blueprint.route("/<report:report_id>/filters.png", methods=["GET"])
@blueprint.arguments(GridQuerySchema, location="query")
@blueprint.picture(PNG, "weight grid", 404, 503)
def get_filters(chosen: Chosen, report_id: str) -> Response:
    """Draw the first-layer filters as a weight grid

    The same address gives the same bytes. The headers Receptive-Rows, Receptive-Columns and Receptive-Tile say where each filter is;
    filters.map.json, with the same arguments, says it in full.
    """
    report = find_report(report_id)
    return answer(tag(report.id, "grid", chosen), lambda: drawn(current().tasks.filters, report, chosen=chosen), PNG)


@blueprint.route("/<report:report_id>/filters.map.json", methods=["GET"])
@blueprint.arguments(GridQuerySchema, location="query")
@blueprint.response(200, {"type": "object"}, description="Rows, columns, sizes in pixels, and for each filter its tile and its marks.")
@blueprint.alt_response(304, description="The map is the one that If-None-Match names.")
@blueprint.problems(404, 503)
def get_filters_map(chosen: Chosen, report_id: str) -> Response:
    """Say which filter is at which pixel of filters.png, drawn with the same arguments"""
    report = find_report(report_id)
    return answer(tag(report.id, "grid map", chosen), lambda: drawn(tasks.FILTERS_MAP, report, chosen=chosen), JSON)


@blueprint.route("/<report:report_id>/filters", methods=["GET"])
@blueprint.arguments(FilterLayerQuerySchema, location="query")
@blueprint.response(
    200,
    {"type": "object"},
    description="The layer in sum, and in `filters` one flat object for each filter; CSV by Accept.",
)
@blueprint.alt_response(304, description="The measurements are those that If-None-Match names.")
@blueprint.problems(404, 406, 503)
def get_measurements(chosen: Chosen, report_id: str) -> Response:
    """Measure the filters of a convolution

    For each filter its norm, colour share, orientation, frequency, symmetry, smoothness, label and nearest duplicate; docs/filters.md has
    the formulas.
    """
    return _measurements(report_id, chosen, choose({"json": JSON, "csv": "text/csv"}))


@blueprint.route("/<report:report_id>/filters.csv", methods=["GET"])
@blueprint.arguments(FilterLayerQuerySchema, location="query")
@blueprint.response(200, {"type": "string"}, content_type="text/csv", description="One row for each filter.")
@blueprint.alt_response(304, description="The measurements are those that If-None-Match names.")
@blueprint.problems(404, 503)
def get_measurements_csv(chosen: Chosen, report_id: str) -> Response:
    """Measure the filters of a convolution, as CSV"""
    return _measurements(report_id, chosen, "csv")


def _measurements(report_id: str, chosen: Chosen, form: str) -> Response:
    report = find_report(report_id)
    content_type = CSV if form == "csv" else JSON
    make = partial(drawn, tasks.FILTER_MEASUREMENTS, report, layer=chosen.get("layer"), form=form)
    return answer(tag(report.id, "measurements", form, chosen), make, content_type)
