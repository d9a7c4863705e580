"""Watched models: names with versions, each an analysis, and the verdict on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from marshmallow import Schema, ValidationError

from service.api.http.bodies import json_body
from service.api.http.caller import project
from service.api.http.negotiation import NEXT_LINK
from service.api.http.problems import Problem, argument_errors
from service.api.http.specification import Chosen, Feature
from service.api.services import current
from service.api.watched.model_schemas import (
    MAX_VERSIONS,
    ModelChangeSchema,
    ModelListSchema,
    ModelsQuerySchema,
    WatchedModelDetailSchema,
)
from service.report.comparison import check_budgets
from service.store.watched import Label, Version, WatchedModel
from service.work.made import JSON

MAX_BYTES = 64 * 1024
"""Of a body that says what a version is, or what must hold."""

blueprint = Feature("models", __name__, url_prefix="/v1/models", description="Watched models: versions, baselines, budgets and verdicts.")


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ModelsQuerySchema, location="query")
@blueprint.response(200, ModelListSchema, description="By name.", headers=NEXT_LINK)
def list_models(query: Chosen) -> Any:
    """List the watched models, with the newest numbers and verdict of each"""
    found = current().store.models.page(project(), query["limit"] + 1, query.get("cursor", ""))
    shown, headers, cursor = found[: query["limit"]], {}, None
    if len(found) > len(shown):
        cursor = shown[-1].name
        headers["Link"] = f'</v1/models?{urlencode({**query, "cursor": cursor})}>; rel="next"'
    return {"items": model_rows(shown), "next_cursor": cursor}, headers


@blueprint.route("/<name>", methods=["GET"])
@blueprint.response(200, WatchedModelDetailSchema, description="The model with its versions.")
@blueprint.problems(404)
def get_model(name: str) -> Any:
    """Read a watched model"""
    return _detail(find_model(name))


@blueprint.route("/<name>", methods=["PATCH"])
@blueprint.response(200, WatchedModelDetailSchema, description="The model as it is now. Its newest version is judged anew.")
@blueprint.problems(400, 404, 408, 413, 415, 422, 503)
@blueprint.doc(requestBody={"required": True, "content": {JSON: {"schema": ModelChangeSchema}}})
def change_model(name: str) -> Any:
    """Set what the versions of a model are held against, and what must hold

    Every new version gets a verdict: the budgets, held against the baseline, or against the version before where none is set.
    """
    asked = body_of(ModelChangeSchema(partial=True))
    model = find_model(name)
    if "baseline" in asked:
        if asked["baseline"] is not None:
            find_version(Label(project(), name, asked["baseline"]))
        model = replace(model, baseline=asked["baseline"])
    if "budgets" in asked:
        check_budgets(asked["budgets"])
        model = replace(model, budgets=asked["budgets"])
    store = current().store.models
    store.change(model)
    for version in store.newest(project(), [name], 1).get(name, ()):
        store.judge(version, "pending")
        current().engines.judge.settle(version.label, current().settings.wait_seconds)
    return _detail(find_model(name))


@blueprint.route("/<name>", methods=["DELETE"])
@blueprint.response(204, description="The model is not watched any more; the analyses of its versions stay.")
@blueprint.problems(404)
def delete_model(name: str) -> Any:
    """Stop watching a model"""
    if not current().store.models.remove(project(), name):
        raise _unknown(name)
    return ""


def body_of(schema: Schema) -> dict[str, Any]:
    """The small JSON document that is the body of this request, as its schema reads it."""
    try:
        read: dict[str, Any] = schema.load(json_body(MAX_BYTES))
        return read
    except ValidationError as error:
        raise Problem("invalid-arguments", "The body is not valid.", argument_errors(error.messages)) from None


def find_model(name: str) -> WatchedModel:
    """The watched model of that name, else the problem that there is none."""
    model = current().store.models.get(project(), name)
    if model is None:
        raise _unknown(name)
    return model


def find_version(label: Label) -> Version:
    """That version of a model, else the problem that there is none."""
    version = current().store.models.version(label)
    if version is None:
        find_model(label.model)
        raise Problem("version-not-found", f"The model {label.model[:200]} has no version {label.version[:200]}.")
    return version


def _unknown(name: str) -> Problem:
    return Problem("model-not-found", f"No model {name[:200]} is watched.")


# -- as JSON data ----------------------------------------------------------------------------------------------------


def model_address(name: str) -> str:
    """Where a watched model is, as a path."""
    return f"/v1/models/{quote(name, safe='')}"


def version_row(version: Version) -> dict[str, Any]:
    """A version as JSON data."""
    base = f"{model_address(version.label.model)}/versions/{quote(version.label.version, safe='')}"
    return {
        "version": version.label.version,
        "analysis": version.report_id,
        "created_at": version.created_at,
        "verdict": version.verdict,
        "base": version.base,
        "budgets": list(version.judged),
        "metrics": version.entry.get("metrics", {}),
        "links": {"self": base, "analysis": f"/v1/analyses/{version.report_id}", "badge": f"{base}/badge.svg"},
    }


def model_rows(models: Sequence[WatchedModel]) -> list[dict[str, Any]]:
    """Models as JSON data, each with its newest version."""
    store, names = current().store.models, [model.name for model in models]
    newest, counts = store.newest(project(), names, 1), store.versions_of(project(), names)
    return [_row(model, newest.get(model.name, ()), counts.get(model.name, 0)) for model in models]


def _row(model: WatchedModel, newest: Sequence[Version], count: int) -> dict[str, Any]:
    latest = version_row(newest[0]) if newest else None
    base = model_address(model.name)
    return {
        "name": model.name,
        "created_at": model.created_at,
        "baseline": model.baseline,
        "budgets": model.budgets,
        "version_count": count,
        "latest": latest,
        "verdict": latest["verdict"] if latest else "none",
        "metrics": latest["metrics"] if latest else {},
        "links": {"self": base, "history": f"{base}/history", "latest": f"{base}/versions/latest", "page": base.removeprefix("/v1")},
    }


def _detail(model: WatchedModel) -> dict[str, Any]:
    versions = current().store.models.newest(project(), [model.name], MAX_VERSIONS).get(model.name, [])
    count = current().store.models.versions_of(project(), [model.name]).get(model.name, 0)
    return {**_row(model, versions, count), "versions": [version_row(version) for version in versions]}
