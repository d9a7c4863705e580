"""The connections of a layer as a picture."""

from __future__ import annotations

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.layers import find_layer
from service.api.features.schemas import ConnectivityQuerySchema
from service.api.http.responses import answer, tag
from service.api.http.specification import Chosen, Feature
from service.api.services import text_of
from service.render.figures.connectivity_svg import connectivity_svg
from service.report.plain import read_report
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
        return connectivity_svg(find_layer(read_report(text_of(report).whole()).layers, layer), chosen["view"], chosen["animate"])

    return answer(tag(report.id, "connectivity", layer, chosen), make, SVG)
