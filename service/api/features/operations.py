"""What operators and orchestrators ask."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata

from flask import Response

from service import __version__, metrics
from service.api.features.schemas import HealthSchema, VersionSchema
from service.api.http.specification import Feature
from service.api.services import current

blueprint = Feature("operations", __name__, description="Operations.")


@blueprint.route("/livez", methods=["GET"])
@blueprint.response(200, HealthSchema, description="The process answers.")
def livez() -> object:
    """Say whether the process answers"""
    return {"status": "ok", "checks": {}}


@blueprint.route("/readyz", methods=["GET"])
@blueprint.response(200, HealthSchema, description="The service can take work.")
@blueprint.alt_response(503, schema=HealthSchema, description="It cannot; `checks` says why.")
def readyz() -> object:
    """Say whether the service can take work"""
    return _health()


@blueprint.route("/healthz", methods=["GET"])
@blueprint.response(200, HealthSchema, description="The service can take work.")
@blueprint.alt_response(503, schema=HealthSchema, description="It cannot; `checks` says why.")
def healthz() -> object:
    """Say whether the service can take work, under the name that some orchestrators ask for"""
    return _health()


@blueprint.route("/version", methods=["GET"])
@blueprint.response(200, VersionSchema, description="What runs here.")
def version() -> object:
    """Say what runs here"""
    return {"name": "receptive", "version": __version__, "python": platform.python_version(), "onnx": metadata.version("onnx")}


@blueprint.route("/metrics", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type=metrics.CONTENT_TYPE, description="Every metric in Prometheus's text format.")
def read_metrics() -> object:
    """Read what Prometheus collects: requests, analyses, jobs, refusals and the store, over all processes"""
    store = current().store
    metrics.STORED.labels("local").set(store.reports.count())
    metrics.FREE.labels("local").set(shutil.disk_usage(store.directory).free)
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _health() -> object:
    service = current()
    checks = {**service.store.check(), "workers": service.check()}
    # A process that is asked for its health takes over what a dead one left behind.
    service.start()
    healthy = all(check == "ok" for check in checks.values())
    return {"status": "ok" if healthy else "unavailable", "checks": checks}, 200 if healthy else 503
