"""The pages that teach: a small network that the reader changes, and worksheets made of any analysis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from service.api.http.caller import project
from service.api.http.negotiation import REVALIDATE
from service.api.http.problems import Problem, read_problem
from service.api.http.responses import sent, worked_out
from service.api.pages.analysis import report_page
from service.api.pages.web import page
from service.api.services import current
from service.faults import Refused
from service.render.figures.connections import Window, window
from service.render.figures.connectivity_svg import View, connectivity_svg
from service.render.words import view
from service.report.document import Layer, Report
from service.report.plain import of_plain
from service.work import tasks
from service.work.made import SVG

RECENT = 20

blueprint = Blueprint("learn_pages", __name__, url_prefix="/learn")


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that the reader can change: its name, what it is called, its unit, and its bounds."""

    name: str
    label: str
    start: int
    lowest: int
    highest: int


CHOICES = (
    Choice("size", "image side, pixels", 3, 2, 8),
    Choice("channels", "channels of the image", 1, 1, 4),
    Choice("filters", "filters", 1, 1, 8),
    Choice("kernel", "kernel side, pixels", 2, 1, 5),
    Choice("stride", "stride, pixels", 1, 1, 3),
    Choice("padding", "padding, pixels", 0, 0, 2),
    Choice("dilation", "dilation", 1, 1, 3),
    Choice("groups", "groups", 1, 1, 4),
    Choice("depth", "such layers in a row", 1, 1, 5),
)


@blueprint.route("")
def learn() -> Response:
    """The three ideas on a network that the reader changes."""
    chosen = _chosen()
    values: dict[str, Any] = {"choices": CHOICES, "chosen": chosen, "query": urlencode(chosen), "problem": None, "lesson": None}
    recent = current().store.reports.page(project(), RECENT).items
    try:
        record = _lesson(tuple(chosen.items()))
    except Problem as problem:
        return page("learn.html", recent=recent, **{**values, "problem": problem})
    part = window(record.convolution)
    beside = [(name, view.row(record.report, layer), layer) for name, layer in zip(BESIDE, record.beside, strict=True)]
    shown = {"lesson": record, "rows": view.rows(record.report), "part": part, "sums": _sums(part), "beside": beside}
    return page("learn.html", recent=recent, **{**values, **shown})


BESIDE = ("fully connected", "locally connected, nothing shared", "convolution")


@dataclass(frozen=True, slots=True)
class Lesson:
    """The chosen network, and its convolution beside layers of the same units that share less."""

    report: Report
    dense: Layer
    local: Layer

    @property
    def convolution(self) -> Layer:
        """The first of the chosen convolutions."""
        return self.report.layers[0]

    @property
    def beside(self) -> tuple[Layer, Layer, Layer]:
        """The three layers of `BESIDE`."""
        return self.dense, self.local, self.convolution


@blueprint.route("/connections.svg")
def connections() -> Response:
    """The connections of the chosen layer, drawn."""
    record = _lesson(tuple(_chosen().items()))
    shape: View = "matrix" if request.args.get("view") == "matrix" else "graph"
    drawing = connectivity_svg(record.convolution, shape, animate=request.args.get("animate") == "true")
    return sent(drawing, SVG, {"Cache-Control": REVALIDATE})


@blueprint.route("/worksheet/<report:report_id>")
def show_worksheet(report_id: str) -> Response:
    """Questions on an analysis, and with ?key=true their answers."""
    return report_page("page-worksheet", report_id)


def _chosen() -> dict[str, int]:
    """What the reader chose; where that is nothing or out of bounds, the nearest that is in them."""
    chosen = {}
    for choice in CHOICES:
        text = request.args.get(choice.name, "")
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else choice.start
        chosen[choice.name] = min(max(value, choice.lowest), choice.highest)
    return chosen


@lru_cache(maxsize=512)
def _lesson(chosen: tuple[tuple[str, int], ...]) -> Lesson:
    """The lesson's network as the engine sees it. It depends on nothing but the choices, so it is kept."""
    try:
        report, beside = (of_plain(Report, each) for each in json.loads(worked_out(tasks.LESSON, chosen=dict(chosen)).content))
    except Refused as error:
        raise read_problem(error) from None
    dense, local = (next(layer for layer in beside.layers if layer.kind == kind) for kind in ("dense", "locally-connected"))
    return Lesson(report, dense, local)


def _sums(part: Window) -> list[str]:
    """What each hidden unit adds up: f1 = w1·x1 + w2·x2."""
    terms: dict[int, list[str]] = {}
    for each in part.connections:
        terms.setdefault(each.target, []).append(f"w{each.weight + 1}·x{each.source + 1}")
    return [f"f{unit + 1} = {' + '.join(terms.get(unit, ['0']))}" for unit in range(max(terms, default=-1) + 1)]
