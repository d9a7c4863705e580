"""What the drawer's process makes of stored reports: charts, and the HTML document with charts and pictures in it.

Charts are drawn by vl-convert, which is a JavaScript engine: its first chart takes a second or two, it reserves 64 GiB of addresses, and
it holds Python's lock while it draws. None of that belongs in the server's process, nor in one that lives for a single chart.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from service.faults import Refused
from service.render.beside import beside
from service.render.figures import charts
from service.render.figures.history import Point, history
from service.render.figures.sharing_chart import sharing
from service.render.formats import CHART_FORMATS
from service.render.html import report_html
from service.render.told import TOLD
from service.report.document import Report
from service.report.plain import read_report
from service.work.lesson import chain, network
from service.work.made import HTML, JSON, PNG, TEXT, Made


def chart_picture(report: bytes, name: str, form: str) -> Made:
    """Draw one of `charts.CHARTS` of a report, given as JSON text. Refused `no-chart` where it would show nothing."""
    chart, has_data = charts.CHARTS[name]
    document = _known(report)
    if not has_data(document):
        raise Refused("invalid", "no-chart", f"The report has nothing to show in the chart {name}.")
    return Made(CHART_FORMATS[form].write(chart(document)), CHART_FORMATS[form].media_type)


def history_picture(model: str, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], form: str) -> Made:
    """Draw the numbers of a model against its versions. Refused `no-chart` where there is nothing to show."""
    chart = history(model, [Point(row["version"], row["verdict"], row["metrics"]) for row in rows], metrics)
    if chart is None:
        raise Refused("invalid", "no-chart", "No version has such a number.")
    return Made(CHART_FORMATS[form].write(chart), CHART_FORMATS[form].media_type)


def report_page(report: bytes, pictures: Mapping[str, str]) -> Made:
    """Write a report, given as JSON text, as one HTML file with these pictures of the model's filters: PNGs in base64 by name."""
    drawn = {name: base64.b64decode(picture) for name, picture in pictures.items()}
    return Made(report_html(_known(report), drawn), HTML)


def tell(report: bytes, name: str, asked: Mapping[str, Any]) -> Made:
    """Tell one of `told.TOLD` of a report, given as JSON text."""
    return Made(TOLD[name](_known(report), **asked), TEXT)


def describe(report: bytes) -> Made:
    """What is kept beside a report, given as JSON text."""
    read = _known(report)
    return Made(beside(read, read, report).encode(), JSON)


@lru_cache(maxsize=1)
def _known(text: bytes) -> Report:
    """The report that was asked for last: whoever looks at a large one asks for several things of it."""
    return read_report(text)


def warm_up() -> Made:
    """Draws charts that nobody asked for: the JavaScript engine starts with the first one and is fast from the second on."""
    chosen = {"size": 8, "channels": 1, "filters": 1, "kernel": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "depth": 2}
    report = network(chosen, chain(chosen))
    pictures = [charts.picture(chart(report), "png") for chart in (charts.growth, sharing)]
    return Made(pictures[-1], PNG)
