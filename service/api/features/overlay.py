"""The receptive field of one unit, drawn on an image."""

from __future__ import annotations

import json

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.schemas import OverlayQuerySchema
from service.api.http.bodies import small_body
from service.api.http.responses import answer, drawn, sent, tag, told
from service.api.http.specification import Chosen, Feature
from service.store.interfaces import StoredReport
from service.work import tasks
from service.work.made import PNG, Made

MOST_IMAGE_BYTES = 16 * 1024 * 1024
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")

blueprint = Feature("overlay", __name__, url_prefix="/v1/analyses", description="The receptive field of one unit on an image.")

_BODY = {"required": True, "content": {kind: {"schema": {}} for kind in IMAGE_TYPES}}


@blueprint.route("/<report:report_id>/receptive-field/overlay.png", methods=["GET"])
@blueprint.arguments(OverlayQuerySchema, location="query")
@blueprint.picture(PNG, "picture", 404, 503)
def get_overlay(chosen: Chosen, report_id: str) -> Response:
    """Draw what one unit sees on a neutral ground

    The frame is the theoretical receptive field, the tint the influence of each pixel, by the weights where they were read. The headers
    Receptive-Unit and Receptive-Origin say which unit it is and where its field begins.
    """
    report = find_report(report_id)
    return answer(tag(report.id, "overlay", chosen), lambda: _drawn(report, chosen, None), PNG)


@blueprint.route("/<report:report_id>/receptive-field/overlay.png", methods=["POST"])
@blueprint.arguments(OverlayQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "contentMediaType": PNG}, content_type=PNG, description="The picture.")
@blueprint.problems(400, 404, 408, 413, 415, 503)
@blueprint.doc(requestBody=_BODY)
def post_overlay(chosen: Chosen, report_id: str) -> Response:
    """Draw what one unit sees on an image of yours

    The body is an image of up to 16 MiB, which is fitted to the model's input. It is not kept.
    """
    report = find_report(report_id)
    picture = _drawn(report, chosen, small_body(IMAGE_TYPES, MOST_IMAGE_BYTES))
    return sent(picture.content, PNG, {**picture.headers, "Cache-Control": "no-store"})


def _drawn(report: StoredReport, chosen: Chosen, image: bytes | None) -> Made:
    layer = json.loads(told("seen-layer", report, wanted=chosen.get("layer")))
    documents = {} if image is None else {"image": image}
    return drawn(tasks.OVERLAY_PNG, report, documents, layer=layer, unit=chosen.get("unit"))
