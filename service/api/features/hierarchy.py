"""The filters of a deeper convolution in pixels."""

from __future__ import annotations

from functools import partial

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.schemas import HierarchyQuerySchema
from service.api.http.responses import answer, drawn, tag
from service.api.http.specification import Chosen, Feature
from service.work import tasks
from service.work.made import PNG

blueprint = Feature("hierarchy", __name__, url_prefix="/v1/analyses", description="Deeper filters in pixels.")


@blueprint.route("/<report:report_id>/hierarchy/<int:depth>.png", methods=["GET"])
@blueprint.arguments(HierarchyQuerySchema, location="query")
@blueprint.picture(PNG, "picture", 404, 503)
def get_hierarchy(chosen: Chosen, report_id: str, depth: int) -> Response:
    """Draw the filters of the depth-th convolution as weighted sums of those below it

    Depth 1 is the first convolution on the image. Of a wide layer the filters of the largest norm are drawn; the header Receptive-Filters
    names them in the order of the index.
    """
    report = find_report(report_id)
    grid = {key: value for key, value in chosen.items() if key != "strongest"}
    make = partial(drawn, tasks.HIERARCHY_PNG, report, depth=depth, strongest=chosen["strongest"], chosen=grid)
    return answer(tag(report.id, "hierarchy", depth, chosen), make, PNG)
