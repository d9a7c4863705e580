"""The formats of everything that is written: one table for the API, the command line, links and pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.render.figures import charts
from service.render.figures.badge import Badge, badge_svg, verdict
from service.render.figures.chart_parts import Specification
from service.render.html import comparison_html, report_html
from service.render.junit import comparison_junit
from service.render.metrics import OPENMETRICS, report_metrics
from service.render.tables import layers_csv
from service.render.words.markdown import comparison_markdown, report_markdown
from service.render.words.terminal import comparison_text, report_text
from service.report.comparison import Comparison
from service.report.document import Report
from service.report.plain import plain_object
from service.report.quantities import flat_numbers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Format(Generic[T]):
    """A way to write something: its media type as it is sent, its words on a page, the ends of file names that mean it, and the writer.

    `served` says whether the API answers with it; other formats are for a terminal or a file.
    """

    media_type: str
    label: str
    write: Callable[[T], bytes]
    suffixes: tuple[str, ...]
    served: bool = True

    @property
    def accepted(self) -> str:
        """The media type without parameters, as an Accept header names it."""
        return self.media_type.partition(";")[0]


def as_json(document: Report | Comparison | Badge) -> bytes:
    """A document as JSON text of many lines, ASCII only, so that no name in it can do anything to a terminal."""
    return json.dumps(plain_object(document), indent=2).encode() + b"\n"


def _metrics(report: Report) -> bytes:
    return json.dumps(flat_numbers(report), indent=2).encode() + b"\n"


def _vega_lite(specification: Specification) -> bytes:
    return json.dumps(specification, separators=(",", ":"), allow_nan=False).encode()


JSON, HTML, MARKDOWN = "application/json", "text/html; charset=utf-8", "text/markdown; charset=utf-8"
CSV, TEXT, SVG, PNG = "text/csv; charset=utf-8; header=present", "text/plain; charset=utf-8", "image/svg+xml", "image/png"

REPORT_FORMATS: Mapping[str, Format[Report]] = {
    "json": Format(JSON, "JSON", as_json, (".json",)),
    "html": Format(HTML, "one HTML file", report_html, (".html", ".htm")),
    "md": Format(MARKDOWN, "Markdown", report_markdown, (".md",)),
    "csv": Format(CSV, "CSV", layers_csv, (".csv",)),
    "text": Format(TEXT, "text", report_text, (".txt",), served=False),
    "metrics": Format(JSON, "flat numbers", _metrics, (".metrics.json",), served=False),
    "openmetrics": Format(OPENMETRICS, "OpenMetrics", report_metrics, (".prom",), served=False),
}
"""A report by the name of the format, which is the end of its address too."""

COMPARISON_FORMATS: Mapping[str, Format[Comparison]] = {
    "json": Format(JSON, "JSON", as_json, (".json",)),
    "html": Format(HTML, "one HTML file", comparison_html, (".html", ".htm")),
    "md": Format(MARKDOWN, "Markdown", comparison_markdown, (".md",)),
    "junit": Format("application/xml; charset=utf-8", "JUnit XML", comparison_junit, (".xml",)),
    "text": Format(TEXT, "text", comparison_text, (".txt",), served=False),
    "badge": Format(SVG, "badge", lambda comparison: badge_svg(verdict(comparison)), (".svg",), served=False),
}

CHART_FORMATS: Mapping[str, Format[Specification]] = {
    "svg": Format(SVG, "SVG", lambda chart: charts.picture(chart, "svg"), (".svg",)),
    "png": Format(PNG, "PNG", lambda chart: charts.picture(chart, "png"), (".png",)),
    "vl.json": Format(JSON, "Vega-Lite", _vega_lite, (".vl.json",)),
}

BADGE_FORMATS: Mapping[str, Format[Badge]] = {
    "svg": Format(SVG, "SVG", badge_svg, (".svg",)),
    "json": Format(JSON, "JSON", as_json, (".json",)),
}


def served(formats: Mapping[str, Format[T]]) -> dict[str, Format[T]]:
    """The formats that the API answers with, by name."""
    return {name: each for name, each in formats.items() if each.served}
