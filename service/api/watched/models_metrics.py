"""The numbers of watched models as Prometheus collects them."""

from __future__ import annotations

from flask import Response

from service.api.http.caller import project
from service.api.http.responses import sent
from service.api.http.specification import Feature
from service.api.services import current
from service.render.metrics import OPENMETRICS, ModelNumbers, models_metrics

MAX_SERIES = 1000
"""Watched models that have series: each has some twenty, and a Prometheus keeps every one."""

blueprint = Feature("models_metrics", __name__, description="The numbers of watched models.")


@blueprint.route("/metrics/models", methods=["GET"])
@blueprint.response(
    200,
    {"type": "string"},
    content_type=OPENMETRICS,
    description=f"OpenMetrics text with labels `model` and `version`, for the first {MAX_SERIES} models by name.",
)
def read_models_metrics() -> Response:
    """Read the flat numbers of the newest version of every watched model, as Prometheus collects them

    At most so many models have series; `receptive_models_left_out` says how many do not.
    """
    store = current().store.models
    names = [model.name for model in store.page(project(), MAX_SERIES)]
    newest = [versions[0] for versions in store.newest(project(), names, 1).values()]
    rows = [ModelNumbers(each.label.model, each.label.version, each.entry.get("metrics", {}), each.verdict == "fail") for each in newest]
    left_out = store.count(project()) - len(names)
    return sent(models_metrics(rows, max(left_out, 0)), OPENMETRICS, {"Cache-Control": "no-store"})
