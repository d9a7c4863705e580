"""The pages of a report: its tabs, each with an address, and a page for every layer."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from service.api.features.analyses import find_report
from service.api.features.layers import find_layer
from service.api.http.problems import Problem
from service.api.pages.web import page
from service.api.services import text_of
from service.faults import Refused
from service.render.figures import charts
from service.render.figures.connections import window
from service.render.figures.connectivity_svg import View
from service.render.figures.sharing_chart import shares
from service.render.formats import REPORT_FORMATS, served
from service.render.grid.options import Normalize
from service.render.html import PICTURES
from service.render.words import view
from service.render.words.answers import answers
from service.report.document import Layer, Report
from service.report.plain import read_report

blueprint = Blueprint("analysis_pages", __name__, url_prefix="/analyses")

TABS = (("", "Overview"), ("findings", "Findings"), ("layers", "Layers"), ("receptive-field", "Receptive field"), ("filters", "Filters"))
GRID_CHOICES = {
    "normalize": get_args(Normalize),
    "channels": ("rgb", "mean", "each"),
}


@blueprint.route("/<report:report_id>")
def overview(report_id: str) -> Response:
    """What the model shares, skips and sees."""
    report = _report(report_id)
    return _tab("overview.html", report, "", kinds=view.kinds(report), connected=shares(report), grows=charts.grows(report))


@blueprint.route("/<report:report_id>/findings")
def findings(report_id: str) -> Response:
    """What stands out."""
    return _tab("findings.html", _report(report_id), "findings")


@blueprint.route("/<report:report_id>/layers")
def layers(report_id: str) -> Response:
    """The layer table."""
    report = _report(report_id)
    text = request.args.get("start", "")
    start = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    start = start if start < len(report.layers) else 0
    return _tab("layers.html", report, "layers", rows=view.rows(report, start), start=start, most=view.MOST_ROWS)


@blueprint.route("/<report:report_id>/receptive-field")
def receptive_field(report_id: str) -> Response:
    """How the receptive field grows."""
    report = _report(report_id)
    field = report.summary.receptive_field
    pixels = view.pixels(field.axes if field else None)
    return _tab("receptive_field.html", report, "receptive-field", grows=charts.grows(report), pixels=pixels)


@blueprint.route("/<report:report_id>/filters")
def filters(report_id: str) -> Response:
    """The learned filters as pictures."""
    report = _report(report_id)
    chosen = {key: request.args[key] for key, values in GRID_CHOICES.items() if request.args.get(key) in values}
    depth = request.args.get("depth", "1")
    depths = [row.depth for row in report.hierarchy]
    deep = int(depth) if depth.isascii() and depth.isdigit() and int(depth) in depths else 1
    address = f"/v1/analyses/{report_id}/" + ("filters.png" if deep == 1 else f"hierarchy/{deep}.png")
    query = f"?{urlencode(chosen)}" if chosen and deep == 1 else ""
    first = {one.layer for one in report.first_layers}
    drawn = bool(depths) or any(one.values is not None for one in report.layers if one.name in first)
    more = {"chosen": chosen, "choices": GRID_CHOICES, "depth": deep, "picture": address + query, "captions": PICTURES}
    return _tab("filters.html", report, "filters", drawn=drawn, **more)


@blueprint.route("/<report:report_id>/layers/<layer:layer>")
def layer(report_id: str, layer: str) -> Response:
    """One layer: its numbers and how they follow, its connections, its receptive field."""
    report = _report(report_id)
    found = find_layer(report.layers, layer)
    row = view.row(report, found)
    shape = request.args.get("view", "graph")
    if shape not in get_args(View):
        raise Problem("not-found", "There is no such view.")
    groups = view.finding_groups([f for f in report.findings if f.layer == found.name], report.layers)
    return page(
        "layer.html",
        report=report,
        layer=found,
        row=row,
        themes=view.THEMES,
        pixels=view.pixels(found.receptive_field.axes if found.receptive_field else None),
        groups=groups,
        shape=shape,
        animate=request.args.get("animate") == "true",
        drawable=_drawable(found),
        seen=_seen(found),
        base=f"/analyses/{report_id}",
    )


def _drawable(layer: Layer) -> bool:
    try:
        window(layer)
    except Refused:
        return False
    return True


def _seen(layer: Layer) -> bool:
    """Whether the field of one unit can be drawn on an image."""
    field = layer.receptive_field
    return field is not None and bool(field.size) and len(field.axes) == 2


def _report(report_id: str) -> Report:
    return read_report(text_of(find_report(report_id)).whole())


def _tab(template: str, report: Report, tab: str, **values: Any) -> Response:
    """One tab of a report; every one begins with the model and the tabs."""
    base = f"/analyses/{report.id}"
    groups = view.finding_groups(report.findings, report.layers)
    common: dict[str, Any] = {"report": report, "base": base, "tab": tab, "tabs": TABS, "about": view.about(report)}
    common["formats"] = [(name, each.label) for name, each in served(REPORT_FORMATS).items()]
    return page(template, **common, answers=answers(report), groups=groups, **values)
