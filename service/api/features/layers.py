"""The layers of a report: the flat table, and one layer with the derivation of its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from urllib.parse import urlencode

from flask import Response

from service.api.features.analyses import find_report
from service.api.features.report_schemas import ExplainedLayerSchema
from service.api.features.schemas import LayersQuerySchema
from service.api.http.negotiation import NEXT_LINK, REVALIDATE, choose
from service.api.http.responses import MAX_PARSED_BYTES, answer, beside_report, tag, told
from service.api.http.specification import Chosen, Feature
from service.api.services import text_of
from service.render.beside import Beside
from service.render.tables import COLUMNS, LayerTable, write_csv
from service.report.document import KINDS, Layer
from service.report.layers import layers_of
from service.store.interfaces import StoredReport
from service.work.made import CSV, JSON, Made

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
        kept = beside_report(report)
        chosen, rest = _chosen(kept, query)
        table = LayerTable(kept.columns)
        rows = [table.row(layer) for start, stop in _runs(chosen) for layer in _read(report, kept, start, stop)]
        content = write_csv(rows, table.columns) if form == "csv" else json.dumps(rows).encode()
        if rest is None:
            return Made(content, content_type)
        link = f'</v1/analyses/{report_id}/{address}?{urlencode({**query, "cursor": rest})}>; rel="next"'
        return Made(content, content_type, {"Link": link})

    return answer(tag(report.etag, address, form, query), make, content_type, REVALIDATE)


def _chosen(kept: Beside, query: Chosen) -> tuple[list[int], int | None]:
    """The layers that `query` asks for, up to so many bytes of the report, and the first one that is left for the next page."""
    kind = None if "kind" not in query else KINDS.index(query["kind"])
    chosen: list[int] = []
    taken = 0
    for index in range(query["cursor"], len(kept.kinds)):
        if kind not in (None, kept.kinds[index]):
            continue
        taken += kept.places[index + 1] - kept.places[index]
        if chosen and (len(chosen) == query["limit"] or taken > MAX_PARSED_BYTES):
            return chosen, index
        chosen.append(index)
    return chosen, None


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Layers that stand side by side, as the first of each run and the one behind its last."""
    for _, run in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        members = [index for _, index in run]
        yield members[0], members[-1] + 1


def _read(report: StoredReport, kept: Beside, start: int, stop: int) -> list[Layer]:
    """Some layers, read where they lie in the report."""
    return layers_of(text_of(report).read(kept.places[start], kept.places[stop]))


@blueprint.route("/<report:report_id>/layers/<layer:layer>", methods=["GET"])
@blueprint.response(200, ExplainedLayerSchema, description="The layer as it stands in the report, and how its numbers follow.")
@blueprint.alt_response(304, description="The layer is the one that If-None-Match names.")
@blueprint.problems(404)
def get_layer(report_id: str, layer: str) -> Response:
    """Read one layer, by its index (-1 is the last) or its percent-encoded name"""
    report = find_report(report_id)

    return answer(tag(report.etag, "layer", layer), partial(told, "layer", report, wanted=layer), JSON, REVALIDATE)
