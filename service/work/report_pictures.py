"""What the drawer's process makes of stored reports: charts, and the HTML document with charts and pictures in it.

Charts are drawn by vl-convert, which is a JavaScript engine: its first chart takes a second or two, it reserves 64 GiB of addresses, and
it holds Python's lock while it draws. None of that belongs in the server's process, nor in one that lives for a single chart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from service.render.figures import charts
from service.render.html import report_html
from service.work.lesson import lesson

Form = Literal["svg", "png", "vl.json"]


def chart_picture(document: bytes, name: str, form: Form) -> bytes | None:
    """One of `charts.CHARTS` of a report, given as JSON text, as a picture or as its specification; None where it would show nothing."""
    chart, has_data = charts.CHARTS[name]
    report = json.loads(document)
    if not has_data(report):
        return None
    specification = chart(report)
    return (
        json.dumps(specification, separators=(",", ":"), allow_nan=False).encode()
        if form == "vl.json"
        else charts.picture(specification, form)
    )


def report_page(document: bytes, pictures: Mapping[str, bytes]) -> bytes:
    """A report, given as JSON text, as one HTML file with these pictures of the model's filters."""
    return report_html(json.loads(document), pictures)


def warm_up() -> None:
    """Draws charts that nobody asked for: the JavaScript engine starts with the first one and is fast from the second on."""
    chosen = {"size": 8, "channels": 1, "filters": 1, "kernel": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "depth": 2}
    report = lesson(chosen)["report"]
    for chart in (charts.growth, charts.sharing):
        charts.picture(chart(report), "png")
