"""The filters of a convolution as a picture."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response

from service.api.analyses import find_report
from service.api.context import current
from service.api.negotiation import IMMUTABLE, tagged, unchanged
from service.api.problems import Problem
from service.api.schemas import GridQuerySchema
from service.api.specification import Feature
from service.jobs.question import canonical

blueprint = Feature("filters", __name__, url_prefix="/v1/analyses", description="The learned filters of a model.")


@blueprint.route("/<report:report_id>/filters.png", methods=["GET"])
@blueprint.arguments(GridQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "contentMediaType": "image/png"}, content_type="image/png", description="The weight grid.")
@blueprint.alt_response(304, description="The picture is the one that If-None-Match names.")
@blueprint.problems(404, 503)
def get_filters(chosen: dict[str, Any], report_id: str) -> Response:
    """Draw the first-layer filters as a weight grid

    The same address gives the same bytes. The headers Receptive-Rows, Receptive-Columns and Receptive-Tile say where each filter is.
    """
    report = find_report(report_id)
    etag = hashlib.sha256(canonical({"id": report_id, "grid": chosen}).encode()).hexdigest()
    service = current()
    answer = unchanged(etag, IMMUTABLE)
    if answer is not None:
        return answer
    with service.waits.place() as free:
        if not free:
            raise Problem("too-busy", "Too many requests are waiting.")
        try:
            picture, headers = service.runner.draw(service.tasks.filters, report, service.settings.wait_seconds, chosen)
        except TimeoutError:
            raise Problem("not-finished", "The picture takes too long; ask again later.") from None
    response = Response(picture, content_type="image/png", headers=headers)
    return tagged(response, etag, IMMUTABLE)
