"""Versions of watched models: put one, and everything that an analysis has under addresses that stay while versions come.

Pictures and badges are answered in place, because what embeds them may not follow redirects; all else is a redirect to the analysis.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Response, current_app, g, request
from marshmallow import ValidationError

from service.api.features.analyses import find_report
from service.api.http.caller import project
from service.api.http.problems import Problem, argument_errors
from service.api.http.specification import Feature
from service.api.services import current
from service.api.watched.model_schemas import ModelVersionRequestSchema, ModelVersionSchema, check_name, check_version
from service.api.watched.models import body_of, find_model, find_version, version_row
from service.render.formats import REPORT_FORMATS, served
from service.store.watched import Label, Version
from service.work.made import JSON

blueprint = Feature("model_versions", __name__, url_prefix="/v1/models", description="Versions of watched models.")

IN_PLACE = (".svg", ".png", "/badge.json")
"""Ends of the addresses that are answered in place."""

SUFFIXES = tuple(f".{name}" for name in served(REPORT_FORMATS))
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}


@blueprint.route("/<name>/versions/<version>", methods=["PUT"])
@blueprint.response(201, ModelVersionSchema, description="The version is new.", headers=_LOCATION)
@blueprint.alt_response(200, schema=ModelVersionSchema, description="There was such a version already; it is this analysis now.")
@blueprint.problems(400, 404, 408, 413, 415, 422, 503)
@blueprint.doc(requestBody={"required": True, "content": {JSON: {"schema": ModelVersionRequestSchema}}})
def put_version(name: str, version: str) -> Any:
    """Have an analysis be a version of a model

    A model that was not watched is from now on. The version is judged at once, by the budgets of the model.
    """
    label = _label(name, version)
    report = find_report(body_of(ModelVersionRequestSchema())["analysis"])
    service = current()
    new = service.engines.judge.put(label, report.id, service.settings.wait_seconds)
    row = version_row(find_version(label))
    return row, 201 if new else 200, {"Location": row["links"]["self"]}


@blueprint.route("/<name>/versions/<version>", methods=["DELETE"])
@blueprint.response(204, description="The model has no such version any more; its analysis stays.")
@blueprint.problems(404)
def delete_version(name: str, version: str) -> Any:
    """Forget a version of a model"""
    label = find_version(Label(project(), name, version)).label
    current().store.models.withdraw(label)
    return ""


@blueprint.route("/<name>/versions/<version>", methods=["GET"])
@blueprint.response(307, description="The analysis of the version, or of `latest` or `baseline`; `.json`, `.html`, `.md` and `.csv` too.")
@blueprint.problems(404)
def get_version(name: str, version: str) -> Response:
    """Go to the analysis of a version"""
    ending = next((suffix for suffix in SUFFIXES if version.endswith(suffix)), "")
    found = _meant(name, version)
    if found is None and ending:
        found = _meant(name, version.removesuffix(ending))
    else:
        ending = ""
    return _redirect((found or _missing(name, version)).report_id + ending)


@blueprint.route("/<name>/versions/<version>/<layer:rest>", methods=["GET"])
@blueprint.response(200, {"type": "string", "contentMediaType": "image/*"}, content_type="image/*", description="A picture or a badge.")
@blueprint.alt_response(304, description="The picture is the one that If-None-Match names.")
@blueprint.alt_response(307, description="Anything else that the analysis has.")
@blueprint.problems(404, 503)
def get_of_version(name: str, version: str, rest: str) -> Response:
    """Go to what the analysis of a version has, or get its picture

    Whatever stands below `/v1/analyses/{id}` stands below the version too, which may be `latest` or `baseline`. Pictures and badges are
    answered here, with an ETag; all else is a redirect.
    """
    found = _meant(name, version) or _missing(name, version)
    if f"/{rest}".endswith(IN_PLACE):
        return _in_place(f"/v1/analyses/{found.report_id}/{rest}")
    return _redirect(f"{found.report_id}/{quote(rest, safe='/')}")


def _label(name: str, version: str) -> Label:
    """The label that an address says. Problem where a model or a version cannot be called so."""
    errors: dict[str, Any] = {}
    for key, text, check in (("name", name, check_name), ("version", version, check_version)):
        try:
            check(text)
        except ValidationError as error:
            errors[key] = error.messages
    if errors:
        raise Problem("invalid-arguments", "The address is not valid.", argument_errors(errors, "/path"))
    return Label(project(), name, version)


def _meant(name: str, version: str) -> Version | None:
    """The version of that name, the newest one (`latest`), or the one that the newest is held against (`baseline`)."""
    models = current().store.models
    if version not in ("latest", "baseline"):
        return models.version(Label(project(), name, version))
    model = find_model(name)
    if version == "baseline" and model.baseline is not None:
        return models.version(Label(project(), name, model.baseline))
    newest = models.newest(project(), [name], 2).get(name, [])
    return newest[-1 if version == "baseline" else 0] if newest else None


def _missing(name: str, version: str) -> Version:
    """Raises the problem that there is no such model, or no such version of it."""
    find_model(name)
    raise Problem("version-not-found", f"The model {name[:200]} has no version {version[:200]}.")


def _redirect(rest: str) -> Response:
    query = request.query_string.decode("ascii", "replace")
    address = f"/v1/analyses/{rest}{f'?{query}' if query else ''}"
    return Response(status=307, headers={"Location": address, "Cache-Control": "no-cache"})


def _in_place(path: str) -> Response:
    """What the address of an analysis answers, for this request. Another version may be meant later, so it is not for ever."""
    g.abbreviated = True
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None
    endpoint, arguments = adapter.match(path, "GET")
    response: Response = current_app.ensure_sync(current_app.view_functions[endpoint])(**arguments)
    return response
