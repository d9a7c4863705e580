"""What is told of a stored report, by name: whoever has the report at hand calls the function, whoever does not names it to a process
that has (work.report_pictures.tell). Arguments are JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from service.faults import Refused
from service.render import pages
from service.render.figures.charts import grows
from service.render.figures.connectivity_svg import View, connectivity_svg
from service.render.metrics import report_metrics
from service.render.tables import layers_csv
from service.render.words.explain import explain
from service.render.words.markdown import report_markdown
from service.render.words.pictured import drawable
from service.report.document import Report
from service.report.identity import options_document, read_options
from service.report.layers import find_layer
from service.report.plain import plain_object
from service.report.quantities import flat_numbers
from service.report.variant import variant_options

Tells = Callable[..., bytes]


def _layer(report: Report, wanted: str) -> bytes:
    """One layer with the derivations of its numbers, as JSON."""
    found = find_layer(report.layers, wanted)
    document = {**plain_object(found), "explain": explain(report, found)}
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _connectivity(report: Report, wanted: str, view: View, animate: bool) -> bytes:
    """The connections of a layer as a picture."""
    return connectivity_svg(find_layer(report.layers, wanted), view, animate)


def _seen_layer(report: Report, wanted: str | None) -> bytes:
    """The name, as JSON, of the layer whose field is drawn: the one that is wanted, or that of the largest local field."""
    field = report.summary.receptive_field
    if wanted is not None:
        return json.dumps(find_layer(report.layers, wanted).name).encode()
    if field is None or field.largest is None:
        raise Refused("invalid", "no-field", "The model has no layer with a local receptive field.")
    return json.dumps(field.largest.layer).encode()


def _varied(report: Report, options: Mapping[str, Any], asked: Mapping[str, Any], shapes: Mapping[str, list[int]]) -> bytes:
    """The options of a variant: those of the report with what was asked for on top, as JSON."""
    edits = read_options(asked).edits
    varied = variant_options(read_options(options), report, edits, {name: tuple(shape) for name, shape in shapes.items()})
    return json.dumps(options_document(varied)).encode()


def _metrics(report: Report) -> bytes:
    """The flat numbers as JSON."""
    return json.dumps(flat_numbers(report)).encode()


def _pictured(report: Report) -> bytes:
    """Which pictures of the report there are, as JSON."""
    return json.dumps({"filters": bool(drawable(report)), "growth": grows(report)}).encode()


TOLD: Mapping[str, Tells] = {
    "csv": layers_csv,
    "md": report_markdown,
    "metrics": _metrics,
    "pictured": _pictured,
    "openmetrics": report_metrics,
    "layer": _layer,
    "connectivity": _connectivity,
    "seen-layer": _seen_layer,
    "variant": _varied,
    "page": pages.overview,
    "page-findings": pages.findings,
    "page-layers": pages.layers,
    "page-receptive-field": pages.receptive_field,
    "page-filters": pages.filters,
    "page-what-if": pages.what_if,
    "page-layer": pages.layer,
    "page-worksheet": pages.show_worksheet,
}
