"""Badges: one number of a report as a shields.io endpoint object, or as a small SVG of our own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

from service.report.comparison import Comparison, number_of
from service.report.document import Report
from service.report.quantities import QUANTITIES
from service.report.quantity import Quantity

METRICS: dict[str, Quantity] = {each.badge.metric: each for each in QUANTITIES if each.badge is not None}
"""The numbers a badge can show."""


@dataclass(frozen=True, slots=True)
class Badge:
    """The endpoint object of shields.io (schema version 1), its fields named as they are there."""

    schemaVersion: int
    label: str
    message: str
    color: str


def _compact(value: float | None) -> str:
    """A count in at most four characters and a prefix: 11.7M."""
    if value is None:
        return "unknown"
    if abs(value) < 1000:
        return f"{value:.4g}"
    power = min(int(math.log10(abs(value)) // 3), 5)
    return f"{value / 1000**power:.3g}{('', 'k', 'M', 'G', 'T', 'P')[power]}"


def message(quantity: Quantity, report: Report) -> str:
    """The number of a report as short as a badge is."""
    value = quantity.of_model(report)
    if quantity.format == "sizes":
        sizes = value if isinstance(value, tuple) else ()
        unit = "positions" if len(sizes) == 1 else "px"
        return f"{'×'.join('?' if size is None else f'{size:,}' for size in sizes)} {unit}" if sizes else "none"
    if quantity.format == "share":
        share = number_of(value)
        return "unknown" if share is None else f"{100 * share:.1f} %"
    return _compact(number_of(value))


VERDICT = "verdict"
"""What a badge can show besides: whether budgets hold, which takes a comparison."""


def endpoint(report: Report, metric: str) -> Badge:
    """The badge of one of `METRICS`. KeyError where there is no such metric."""
    return badge_of(metric, message(METRICS[metric], report))


def badge_of(metric: str, said: str) -> Badge:
    """The badge of one of `METRICS` that says so. KeyError where there is no such metric."""
    badge = METRICS[metric].badge
    assert badge is not None
    return Badge(1, badge.label, said, "1f5fa8")


def verdict(comparison: Comparison) -> Badge:
    """The badge of a comparison's verdict."""
    said = {"pass": ("within budget", "2f8f5b"), "fail": ("over budget", "b3261e"), "none": ("no budget", "666666")}
    message, colour = said[comparison.verdict]
    return Badge(1, "receptive", message, colour)


def badge_svg(badge: Badge) -> bytes:
    """A badge as a flat picture of 20 pixels' height. Widths are those of an 11-pixel sans serif, fixed by textLength."""
    left, right = (round(6.7 * len(text) + 12) for text in (badge.label, badge.message))
    label, message = escape(badge.label), escape(badge.message)
    title = f"{label}: {message}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}"><title>{title}</title>'
        f'<rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{right}" height="20" fill="#{badge.color}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11">'
        f'<text x="{left / 2}" y="14" textLength="{left - 12}">{label}</text>'
        f'<text x="{left + right / 2}" y="14" textLength="{right - 12}">{message}</text></g></svg>'
    ).encode()
