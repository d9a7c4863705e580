"""Proposals: the smallest edits with which a network reaches a goal."""

from __future__ import annotations

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.report_schemas import schema_of
from service.api.features.variant_schemas import GoalQuerySchema
from service.api.http.responses import drawn, sent
from service.api.http.specification import Chosen, Feature
from service.api.services import current
from service.report.proposals import Proposals, read_goal
from service.work import tasks
from service.work.made import JSON

SEARCH_SECONDS = 12.0
"""How long a search may take, and which share of the time that a request waits."""
SEARCH_SHARE = 0.5

blueprint = Feature("proposals", __name__, url_prefix="/v1/analyses", description="The smallest edits that reach a goal.")


@blueprint.route("/<report:report_id>/proposals", methods=["GET"])
@blueprint.arguments(GoalQuerySchema, location="query")
@blueprint.response(200, schema_of(Proposals), description="The proposals, best first.")
@blueprint.problems(404, 422, 503)
def get_proposals(chosen: Chosen, report_id: str) -> Response:
    """Find the smallest edits that reach a goal

    Strides, dilations, kernels and removals are searched within a bound on tries and time; `complete` is false where that ended the search.
    What is proposed is analysed, and measured as any variant. It promises nothing of accuracy.
    """
    report = find_report(report_id)
    read_goal(chosen["goal"])
    seconds = min(SEARCH_SECONDS, current().settings.wait_seconds * SEARCH_SHARE)
    return sent(drawn(tasks.PROPOSALS, report, goal=chosen["goal"], seconds=seconds).content, JSON, {"Cache-Control": "no-store"})
