"""Badges: one number of a report as a shields.io endpoint object, or as a small SVG of our own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

Report = Mapping[str, Any]


def _compact(value: float | None) -> str:
    """A count in at most four characters and a prefix: 11.7M."""
    if value is None:
        return "unknown"
    if abs(value) < 1000:
        return f"{value:.4g}"
    power = min(int(math.log10(abs(value)) // 3), 5)
    return f"{value / 1000**power:.3g}{('', 'k', 'M', 'G', 'T', 'P')[power]}"


def _receptive_field(report: Report) -> str:
    largest = (report["summary"]["receptive_field"] or {}).get("largest")
    if not largest:
        return "none"
    return "×".join(f"{size:,}" for size in largest["size"]) + (" positions" if len(largest["size"]) == 1 else " px")


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


METRICS: dict[str, tuple[str, Callable[[Report], str]]] = {
    "receptive-field": ("receptive field", _receptive_field),
    "parameters": ("parameters", lambda report: _compact(report["summary"]["parameters"]["stored"])),
    "connections": ("connections", lambda report: _compact(report["summary"]["connections"]["exact"])),
    "sharing": ("uses per weight", lambda report: _compact(report["summary"]["sharing"]["factor"])),
    "sparsity": ("connections left out", lambda report: _share(report["summary"]["sparsity"]["connection"])),
    "weight-sparsity": ("weights at zero", lambda report: _share(report["summary"]["sparsity"]["weight"])),
    "findings": ("warnings", lambda report: str(sum(f["severity"] != "info" for f in report["findings"]))),
}
"""The numbers a badge can show: what it is called, and how it is read off a report."""

VERDICT = "verdict"
"""What a badge can show besides: whether budgets hold, which takes a comparison."""


def endpoint(report: Report, metric: str) -> dict[str, Any]:
    """The endpoint object of shields.io (schema version 1). KeyError where there is no such metric."""
    label, read = METRICS[metric]
    return {"schemaVersion": 1, "label": label, "message": read(report), "color": "1f5fa8"}


def verdict(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The endpoint object of a comparison's verdict."""
    said = {"pass": ("within budget", "2f8f5b"), "fail": ("over budget", "b3261e"), "none": ("no budget", "666666")}
    message, colour = said[comparison["verdict"]]
    return {"schemaVersion": 1, "label": "receptive", "message": message, "color": colour}


def badge_svg(badge: Mapping[str, Any]) -> bytes:
    """An endpoint object as a flat badge of 20 pixels' height. Widths are those of an 11-pixel sans serif, fixed by textLength."""
    left, right = (round(6.7 * len(text) + 12) for text in (badge["label"], badge["message"]))
    label, message = escape(badge["label"]), escape(badge["message"])
    title = f"{label}: {message}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}"><title>{title}</title>'
        f'<rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{right}" height="20" fill="#{badge["color"]}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11">'
        f'<text x="{left / 2}" y="14" textLength="{left - 12}">{label}</text>'
        f'<text x="{left + right / 2}" y="14" textLength="{right - 12}">{message}</text></g></svg>'
    ).encode()
