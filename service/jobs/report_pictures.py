"""What a job's process does to draw a stored report: its charts, and the HTML document with charts and pictures in it.

Charts are drawn by vl-convert, which is a JavaScript engine: its first chart takes two seconds, it reserves 64 GiB of addresses, and it
holds Python's lock while it draws. None of that belongs in the server's process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from service.graph import GraphError
from service.jobs.limits import count_written_memory
from service.jobs.pictures import filters_png, hierarchy_png
from service.options import Options
from service.readers.errors import ReadError
from service.render import charts
from service.render.html import report_html

Record = Mapping[str, Any]

MOST_FILTERS, STRONGEST, DEEPEST = 64, 8, 3
"""What the picture of the hierarchy in a document shows: so many filters, channels followed back, and the depth at the most."""


def chart_picture(document: bytes, chart: Callable[[Record], charts.Specification], form: Literal["svg", "png"]) -> bytes:
    """A chart (a function of service.render.charts) of a report, given as JSON text."""
    specification = chart(json.loads(document))
    count_written_memory()
    return charts.picture(specification, form)


def report_page(path: str, options: Options, externals: Mapping[str, str], document: bytes) -> bytes:
    """A report, given as JSON text, as one HTML file with the pictures of the model's filters that can be drawn."""
    report = json.loads(document)
    pictures = _pictures(path, options, externals, report)
    count_written_memory()
    return report_html(report, pictures)


def _pictures(path: str, options: Options, externals: Mapping[str, str], report: Record) -> dict[str, bytes]:
    """The filter grid, and the hierarchy at the depth of the report's curve that is still small; none that cannot be drawn."""
    depths = [row["depth"] for row in report["hierarchy"]][:DEEPEST]
    wanted: dict[str, Callable[[], tuple[bytes, Any]]] = {}
    if report["first_layers"]:
        wanted["filters"] = lambda: filters_png(path, options, externals, {})
    if len(depths) > 1:
        wanted["hierarchy"] = lambda: hierarchy_png(path, options, externals, depths[-1], STRONGEST, {}, MOST_FILTERS)
    pictures = {}
    for name, draw in wanted.items():
        try:
            pictures[name] = draw()[0]
        except (ReadError, GraphError):
            continue
    return pictures
