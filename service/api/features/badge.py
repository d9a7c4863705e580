"""One number of a report as a badge, or whether budgets hold for it."""

from __future__ import annotations

import json

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.comparisons import compared
from service.api.features.schemas import BadgeQuerySchema
from service.api.http.responses import answer, beside_report, tag
from service.api.http.specification import Chosen, Feature
from service.render.figures.badge import VERDICT, badge_of, badge_svg, verdict
from service.report.plain import plain_object
from service.work.made import JSON, SVG

blueprint = Feature("badge", __name__, url_prefix="/v1/analyses", description="Badges.")


@blueprint.route("/<report:report_id>/badge.json", methods=["GET"])
@blueprint.arguments(BadgeQuerySchema, location="query")
@blueprint.response(200, {"type": "object"}, description="The endpoint object of shields.io.")
@blueprint.alt_response(304, description="The badge is the one that If-None-Match names.")
@blueprint.problems(404, 503)
def get_badge(chosen: Chosen, report_id: str) -> Response:
    """Describe a badge for shields.io"""
    return _badge(report_id, chosen, "json")


@blueprint.route("/<report:report_id>/badge.svg", methods=["GET"])
@blueprint.arguments(BadgeQuerySchema, location="query")
@blueprint.picture(SVG, "badge", 404, 503)
def get_badge_svg(chosen: Chosen, report_id: str) -> Response:
    """Draw a badge"""
    return _badge(report_id, chosen, "svg")


def _badge(report_id: str, chosen: Chosen, form: str) -> Response:
    report = find_report(report_id)
    base = find_report(chosen.get("base", report_id))

    def make() -> bytes:
        """The badge in the form asked for."""
        if chosen["metric"] == VERDICT:
            badge = verdict(compared(base, report, chosen["budgets"]))
        else:
            badge = badge_of(chosen["metric"], beside_report(report).badges[chosen["metric"]])
        return badge_svg(badge) if form == "svg" else json.dumps(plain_object(badge)).encode()

    # As text, because a budget may be a number that JSON lacks (1e999) until the comparison refuses it.
    return answer(tag(report.id, "badge", json.dumps(chosen, sort_keys=True), form), make, SVG if form == "svg" else JSON)
