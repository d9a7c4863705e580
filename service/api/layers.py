"""The layers of a report: the flat table, and one layer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response

from service.api.analyses import find_report
from service.api.negotiation import NEXT_LINK, REVALIDATE, tagged, unchanged
from service.api.problems import Problem
from service.api.report_schemas import LayerSchema
from service.api.schemas import LayersQuerySchema
from service.api.specification import Feature

blueprint = Feature("layers", __name__, url_prefix="/v1/analyses", description="The layers of a report.")


@blueprint.route("/<report:report_id>/layers", methods=["GET"])
@blueprint.arguments(LayersQuerySchema, location="query")
@blueprint.response(
    200,
    {"type": "array", "items": {"type": "object"}},
    description="One flat object a layer; nested names are joined by a dot, such as `connections.exact`.",
    headers=NEXT_LINK,
)
@blueprint.problems(404)
def list_layers(query: dict[str, Any], report_id: str) -> Response:
    """List the layers as a flat table"""
    report = find_report(report_id)
    layers = json.loads(report.document)["layers"]
    chosen = [layer for layer in layers if query.get("kind", layer["kind"]) == layer["kind"] and layer["index"] >= query["cursor"]]
    rows = [dict(flatten(layer)) for layer in chosen[: query["limit"]]]
    response = tagged(Response(json.dumps(rows), content_type="application/json"), report.etag, REVALIDATE)
    if len(chosen) > len(rows):
        rest = urlencode({**query, "cursor": chosen[len(rows)]["index"]})
        response.headers["Link"] = f'</v1/analyses/{report_id}/layers?{rest}>; rel="next"'
    return response


@blueprint.route("/<report:report_id>/layers/<layer:layer>", methods=["GET"])
@blueprint.response(200, LayerSchema, description="The layer as it stands in the report.")
@blueprint.alt_response(304, description="The layer is the one that If-None-Match names.")
@blueprint.problems(404)
def get_layer(report_id: str, layer: str) -> Response:
    """Read one layer, by its index or its percent-encoded name"""
    report = find_report(report_id)
    found = find_layer(json.loads(report.document)["layers"], layer)
    text = json.dumps(found, separators=(",", ":"))
    return unchanged(report.etag, REVALIDATE) or tagged(Response(text, content_type="application/json"), report.etag, REVALIDATE)


def find_layer(layers: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The layer of that index or name, else the problem that there is none."""
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and int(wanted) < len(layers):
        return layers[int(wanted)]
    for layer in layers:
        if layer["name"] == wanted:
            return layer
    raise Problem("layer-not-found", f"The model has no layer {wanted[:200]!r}.")


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of nested objects under dotted names; lists stay as they are."""
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            yield from flatten(entry, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", entry
