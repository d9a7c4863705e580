"""Reports and comparisons as HTML documents of one file each, complete without a network: styles, script, charts and pictures inside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from markupsafe import Markup

from service.render.figures import charts
from service.render.figures.chart_parts import Specification
from service.render.figures.sharing_chart import shares, sharing
from service.render.templating import render, static_text
from service.render.words import view
from service.render.words.answers import answers
from service.render.words.difference import difference
from service.report.comparison import Comparison
from service.report.document import Report

PICTURES = {
    "filters": "The learned filters of the first convolution. A tile is one filter, in the colours of the image that it reads.",
    "hierarchy": "Filters of a deeper convolution, each drawn as the weighted sum of the filters below it.",
}
"""The pictures that a report may hold, by name, and what they show."""


def report_html(report: Report, pictures: Mapping[str, bytes] | None = None) -> bytes:
    """The report as one HTML file. `pictures` are PNGs by the names of `PICTURES`; KeyError for any other name."""
    drawn = [(name, PICTURES[name], _data_uri(png)) for name, png in (pictures or {}).items()]
    text = render(
        "report.html",
        report=report,
        answers=answers(report),
        groups=view.finding_groups(report.findings, report.layers),
        kinds=view.kinds(report),
        about=view.about(report),
        rows=view.rows(report),
        growth=_chart(charts.growth(report)) if charts.grows(report) else None,
        sharing=_chart(sharing(report)) if shares(report) else None,
        pictures=drawn,
        policy=_policy(),
    )
    return text.encode()


def comparison_html(comparison: Comparison) -> bytes:
    """A comparison as one HTML file: the verdict, the budgets, what changed in the model, and the layers that did."""
    return render("comparison.html", difference=difference(comparison), policy=_policy()).encode()


def _chart(specification: Specification) -> Markup:
    """A chart as SVG inside the document; vl-convert escapes the texts in it."""
    return Markup(charts.picture(specification, "svg").decode())


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _policy() -> str:
    """The document's own content security policy: our script by its digest, nothing from anywhere else."""
    digest = base64.b64encode(hashlib.sha256(static_text("table.js").encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
