"""The layers of a report: the flat table, and one layer with the derivation of its numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.report_schemas import ExplainedLayerSchema
from service.api.features.schemas import LayersQuerySchema
from service.api.http.negotiation import NEXT_LINK, REVALIDATE, choose
from service.api.http.problems import Problem
from service.api.http.responses import answer, tag
from service.api.http.specification import Chosen, Feature
from service.api.services import text_of
from service.render.tables import COLUMNS, LayerTable, write_csv
from service.render.words.explain import explain
from service.report.document import Layer
from service.report.plain import plain_object, read_report
from service.suggestions import did_you_mean
from service.work.made import CSV, JSON, Made, made_json

_INDEX = re.compile(r"-?[0-9]{1,9}", re.ASCII)

MAX_COMPARED = 10_000
"""Names with which a misspelt one is compared."""

blueprint = Feature("layers", __name__, url_prefix="/v1/analyses", description="The layers of a report.")

_ROWS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {each.column: {"description": each.described} for each in COLUMNS if not each.has_axes},
        "additionalProperties": {
            "type": ["number", "null"],
            "description": "A column for each axis, its name last: " + ", ".join(f"`{each.column}_…`" for each in COLUMNS if each.has_axes),
        },
    },
}


@blueprint.route("/<report:report_id>/layers", methods=["GET"])
@blueprint.arguments(LayersQuerySchema, location="query")
@blueprint.response(
    200,
    _ROWS,
    description="One flat object a layer, names joined by `;`. What has axes has a number for each of them. CSV by Accept.",
    headers=NEXT_LINK,
)
@blueprint.alt_response(304, description="The rows are those that If-None-Match names.")
@blueprint.problems(404, 406)
def list_layers(query: Chosen, report_id: str) -> Response:
    """List the layers as a flat table"""
    return _table(report_id, query, choose({"json": JSON, "csv": "text/csv"}), "layers")


@blueprint.route("/<report:report_id>/layers.csv", methods=["GET"])
@blueprint.arguments(LayersQuerySchema, location="query")
@blueprint.response(200, {"type": "string"}, content_type="text/csv", description="One row a layer (RFC 4180).", headers=NEXT_LINK)
@blueprint.alt_response(304, description="The rows are those that If-None-Match names.")
@blueprint.problems(404)
def list_layers_csv(query: Chosen, report_id: str) -> Response:
    """List the layers as CSV"""
    return _table(report_id, query, "csv", "layers.csv")


def _table(report_id: str, query: Chosen, form: str, address: str) -> Response:
    """The rows that `query` asks for, and a link to those after them."""
    report = find_report(report_id)
    content_type = CSV if form == "csv" else JSON

    def make() -> Made:
        """The rows, and the link to those after them where there are any."""
        document = read_report(text_of(report).whole())
        table, first, kind = LayerTable(document), query["cursor"], query.get("kind")
        chosen = [layer for layer in document.layers if kind in (None, layer.kind) and layer.index >= first]
        rows = [table.row(layer) for layer in chosen[: query["limit"]]]
        content = write_csv(rows, table.columns) if form == "csv" else json.dumps(rows).encode()
        if len(chosen) == len(rows):
            return Made(content, content_type)
        rest = urlencode({**query, "cursor": chosen[len(rows)].index})
        return Made(content, content_type, {"Link": f'</v1/analyses/{report_id}/{address}?{rest}>; rel="next"'})

    return answer(tag(report.etag, address, form, query), make, content_type, REVALIDATE)


@blueprint.route("/<report:report_id>/layers/<layer:layer>", methods=["GET"])
@blueprint.response(200, ExplainedLayerSchema, description="The layer as it stands in the report, and how its numbers follow.")
@blueprint.alt_response(304, description="The layer is the one that If-None-Match names.")
@blueprint.problems(404)
def get_layer(report_id: str, layer: str) -> Response:
    """Read one layer, by its index (-1 is the last) or its percent-encoded name"""
    report = find_report(report_id)

    def make() -> Made:
        document = read_report(text_of(report).whole())
        found = find_layer(document.layers, layer)
        return made_json({**plain_object(found), "explain": explain(document, found)})

    return answer(tag(report.etag, "layer", layer), make, JSON, REVALIDATE)


def find_layer(layers: Sequence[Layer], wanted: str) -> Layer:
    """The layer of that index, counted from the end where it is negative, or of that name; else the problem that there is none."""
    index = int(wanted) if _INDEX.fullmatch(wanted) else None
    if index is not None and -len(layers) <= index < len(layers):
        return layers[index]
    for layer in layers:
        if layer.name == wanted:
            return layer
    near = did_you_mean(wanted, (layer.name for layer in layers[:MAX_COMPARED]))
    expected = f"its layers are 0 to {len(layers) - 1}" if layers else "it has no layers"
    raise Problem("layer-not-found", f"The model has no layer {wanted[:200]!r}{near or f'; {expected}.'}")
