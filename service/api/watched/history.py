"""The history of a watched model: every flat number against its versions."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from service.api.http.caller import project
from service.api.http.negotiation import REVALIDATE
from service.api.http.responses import answer, redrawn, tag
from service.api.http.specification import Chosen, Feature
from service.api.services import current
from service.api.watched.model_schemas import MAX_VERSIONS, HistoryQuerySchema, HistorySchema
from service.api.watched.models import find_model, version_row
from service.render.formats import CHART_FORMATS
from service.render.tables import Row, write_csv
from service.work import tasks
from service.work.made import CSV, JSON, Made, made_json

blueprint = Feature("history", __name__, url_prefix="/v1/models", description="Numbers of watched models against their versions.")

_LABELS = ("version", "created_at", "analysis", "verdict")
_SAME = "The history is the one that If-None-Match names."


@blueprint.route("/<name>/history", methods=["GET"])
@blueprint.response(200, HistorySchema, description="The flat numbers of every version, oldest first.")
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404)
def get_history(name: str) -> Response:
    """Read every number of a model against its versions"""
    model, rows = find_model(name), history_rows(name)
    document = {"model": model.name, "baseline": model.baseline, "items": rows}
    return answer(_tag(document), lambda: made_json(document), JSON, REVALIDATE)


@blueprint.route("/<name>/history.csv", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/csv", description="One row a version, one column a number.")
@blueprint.alt_response(304, description=_SAME)
@blueprint.problems(404)
def get_history_csv(name: str) -> Response:
    """Read every number of a model against its versions, as CSV"""
    find_model(name)
    rows = history_rows(name)

    def make() -> Made:
        """One row a version."""
        numbers = list(dict.fromkeys(number for row in rows for number in row["metrics"]))
        table: list[Row] = [{**{key: row[key] for key in _LABELS}, **row["metrics"]} for row in rows]
        return Made(write_csv(table, [*_LABELS, *numbers]), CSV)

    return answer(_tag(rows, "csv"), make, CSV, REVALIDATE)


def _add_route(form: str) -> None:
    """Adds the route of the chart in one form."""
    content_type = CHART_FORMATS[form].media_type

    def get_chart(query: Chosen, name: str) -> Response:
        find_model(name)
        rows = [{"version": row["version"], "verdict": row["verdict"], "metrics": row["metrics"]} for row in history_rows(name)]
        arguments = {"model": name, "rows": rows, "metrics": query["metric"], "form": form}
        return answer(_tag(arguments), lambda: redrawn(tasks.HISTORY, **arguments), content_type, REVALIDATE)

    get_chart.__name__ = f"get_history_{form}".replace(".", "_")
    get_chart.__doc__ = f"Draw the numbers of a model against its versions, as {'Vega-Lite' if form == 'vl.json' else form.upper()}"
    function = blueprint.picture(content_type, "chart", 404, 422, 503)(get_chart)
    function = blueprint.arguments(HistoryQuerySchema, location="query")(function)
    blueprint.route(f"/<name>/history.{form}", methods=["GET"])(function)


for _form in CHART_FORMATS:
    _add_route(_form)


def history_rows(name: str) -> list[dict[str, Any]]:
    """The newest versions of a model as JSON data, oldest first."""
    versions = current().store.models.newest(project(), [name], MAX_VERSIONS).get(name, [])
    return [version_row(version) for version in reversed(versions)]


def _tag(*shown: Any) -> str:
    # As text, because a budget that was judged may hold a number that JSON lacks.
    return tag("history", json.dumps(shown, sort_keys=True))
