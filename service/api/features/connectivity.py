"""The connections of a layer as a picture."""

from __future__ import annotations

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.schemas import ConnectivityQuerySchema
from service.api.http.responses import answer, tag, told
from service.api.http.specification import Chosen, Feature
from service.work.made import SVG

blueprint = Feature("connectivity", __name__, url_prefix="/v1/analyses", description="The connections of a layer.")


@blueprint.route("/<report:report_id>/layers/<layer:layer>/connectivity.svg", methods=["GET"])
@blueprint.arguments(ConnectivityQuerySchema, location="query")
@blueprint.picture(SVG, "picture", 404)
def get_connectivity(chosen: Chosen, report_id: str, layer: str) -> Response:
    """Draw a layer as its connections

    Enumerated pixels, hidden units, and one colour for each weight. Of a layer that does not fit, the picture shows a part and says which.
    """
    report = find_report(report_id)

    def make() -> bytes:
        return told("connectivity", report, wanted=layer, view=chosen["view"], animate=chosen["animate"])

    return answer(tag(report.id, "connectivity", layer, chosen), make, SVG)
