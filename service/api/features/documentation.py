"""The description of this interface: OpenAPI 3.1 as YAML and JSON, and as a page."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from flask import Response, render_template, request
from flask_smorest import current_api

from service import __version__
from service.api.http.model_problems import MODEL_PROBLEMS
from service.api.http.problem_types import PROBLEM_TYPES
from service.api.http.specification import Feature
from service.api.pages.web import as_page, page
from service.render.templating import framing

SPECIFICATION = {
    "info": {
        "description": "Reads a neural network's architecture and says of every layer what it shares, what it skips and how far it sees.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "servers": [{"url": "/"}],
    # Where the service wants no tokens, none is needed.
    "security": [{"token": []}, {}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A project's token, where required."}}},
}
YAML_TYPE = "application/yaml"
SCHEMA_TYPE = "application/schema+json"
LAYER_SPEC = Path(__file__).resolve().parents[1] / "schemas" / "layer-spec.json"
"""Generated from the reader's table of layers, which a test holds it to: `python -m service.readers.spec.json_schema`."""

blueprint = Feature("documentation", __name__, description="The description of this interface.")


@blueprint.route("/openapi.yaml", methods=["GET"])
@blueprint.response(200, {"type": "object"}, content_type=YAML_TYPE, description="OpenAPI 3.1.")
def openapi_yaml() -> Response:
    """Describe this interface in OpenAPI, as YAML"""
    text = yaml.dump(description(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
    return Response(text, content_type=YAML_TYPE)


@blueprint.route("/openapi.json", methods=["GET"])
@blueprint.response(200, {"type": "object"}, description="OpenAPI 3.1.")
def openapi_json() -> Response:
    """Describe this interface in OpenAPI, as JSON"""
    return Response(json.dumps(description()), content_type="application/json")


@blueprint.route("/v1/schemas/layer-spec.json", methods=["GET"])
@blueprint.response(200, {"type": "object"}, content_type=SCHEMA_TYPE, description="JSON Schema 2020-12.")
def layer_spec() -> Response:
    """Describe the JSON layer spec as a JSON Schema, for editors

    It takes every document that the service takes. What depends on shapes and on other layers only the service finds.
    """
    return Response(LAYER_SPEC.read_bytes(), content_type=SCHEMA_TYPE)


@blueprint.route("/docs", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/html", description="A page.")
def docs() -> Response:
    """Describe this interface on a page"""
    values = {"spec": description(), "problems": PROBLEM_TYPES, "model_problems": MODEL_PROBLEMS, "reference": reference}
    # Flask's own templates let a field be missing, as many of a description are.
    return as_page(render_template("docs.html", version=__version__, here=request.path, **framing(request.args), **values))


@blueprint.route("/docs/try", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/html", description="A page.")
def try_out() -> Response:
    """Try this interface on a page"""
    return page("try.html")


def description() -> dict[str, object]:
    """The OpenAPI document: answers in the order of their status, and objects in a query string as the JSON text that they are."""
    document: dict[str, Any] = copy.deepcopy(current_api.spec.to_dict())
    operations = (entry for item in document["paths"].values() for entry in item.values() if isinstance(entry, dict))
    for operation in operations:
        operation["responses"] = dict(sorted(operation["responses"].items()))
        for parameter in operation.get("parameters", ()):
            if parameter["schema"].get("type") == "object":
                parameter["content"] = {"application/json": {"schema": parameter.pop("schema")}}
    first = ("openapi", "info", "servers", "security", "tags", "paths", "components")
    return {key: document[key] for key in first}


class _Dumper(yaml.SafeDumper):
    """Writes twice what occurs twice, because readers of OpenAPI do not expect anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def reference(schema: object) -> str:
    """The name of the component that a schema refers to, itself or by its items, else its type."""
    if not isinstance(schema, dict):
        return "any"
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    for key in ("items", "additionalProperties"):
        inner = schema.get(key)
        if isinstance(inner, dict) and inner:
            return f"{'list' if key == 'items' else 'map'} of {reference(inner)}"
    for key in ("anyOf", "allOf", "oneOf"):
        if key in schema:
            return " or ".join(reference(inner) for inner in schema[key])
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
