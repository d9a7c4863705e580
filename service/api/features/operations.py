"""What operators and orchestrators ask."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service import __version__
from service.api.features.schemas import HealthSchema, VersionSchema
from service.api.http.specification import Feature
from service.api.services import Service, current
from service.store.sql.database import is_current

blueprint = Feature("operations", __name__, description="Operations.")

LEAST_FREE_BYTES = 16 * 1024 * 1024

log = structlog.get_logger(__name__)


@blueprint.route("/livez", methods=["GET"])
@blueprint.response(200, HealthSchema, description="The process answers.")
def livez() -> Any:
    """Say whether the process answers"""
    return {"status": "ok", "checks": {}}


@blueprint.route("/readyz", methods=["GET"])
@blueprint.response(200, HealthSchema, description="The service can take work.")
@blueprint.alt_response(503, schema=HealthSchema, description="It cannot; `checks` says why.")
def readyz() -> Any:
    """Say whether the service can take work"""
    return _health()


@blueprint.route("/healthz", methods=["GET"])
@blueprint.response(200, HealthSchema, description="The service can take work.")
@blueprint.alt_response(503, schema=HealthSchema, description="It cannot; `checks` says why.")
def healthz() -> Any:
    """Say whether the service can take work, under the name that some orchestrators ask for"""
    return _health()


@blueprint.route("/version", methods=["GET"])
@blueprint.response(200, VersionSchema, description="What runs here.")
def version() -> Any:
    """Say what runs here"""
    return {"name": "receptive", "version": __version__, "python": platform.python_version(), "onnx": metadata.version("onnx")}


def _health() -> Any:
    service = current()
    checks = {"database": _database(service), "disk": _disk(service)}
    # A process that is asked for its health takes over what a dead one left behind.
    service.start()
    healthy = all(check == "ok" for check in checks.values())
    return {"status": "ok" if healthy else "unavailable", "checks": checks}, 200 if healthy else 503


def _database(service: Service) -> str:
    try:
        return "ok" if is_current(service.store.engine) else "its tables are not those of this version"
    except SQLAlchemyError as error:
        log.error("storage-unavailable", error=str(error))
        return "does not answer"


def _disk(service: Service) -> str:
    try:
        free = shutil.disk_usage(service.store.directory).free
    except OSError as error:
        return error.strerror or "not there"
    if not os.access(service.store.directory, os.W_OK):
        return "not writable"
    return "ok" if free >= LEAST_FREE_BYTES else "full"
