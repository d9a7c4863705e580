"""What the pages say of watched models and of a fleet, in words and rows: pure functions of flat numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.render.figures.history import Point
from service.render.words.numbers import number, percent, times
from service.report.quantities import PREFIX

WIDTH, HEIGHT = 100, 24
"""Of a sparkline, in the units of its picture."""

SIZES, COUNT, SHARE = "sizes", "count", "share"
SHOWN: Mapping[str, tuple[str, str]] = {
    "receptive_field": ("receptive field", SIZES),
    "parameters": ("parameters", COUNT),
    "sharing_factor": ("uses per weight", COUNT),
    "connection_sparsity": ("connections left out", SHARE),
    "unproductive_layers": ("unproductive layers", COUNT),
}
"""The numbers of a model that stand in tables: by the name of the flat number, in words, and how each is written."""

VERDICTS = {
    "pass": "holds",
    "fail": "broken",
    "none": "no budget",
    "pending": "being judged",
    "unknown": "cannot be judged",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a version as text, its change from the version before ("" where there is none), and the line of those before it."""

    text: str
    change: str
    line: str


def cells(points: Sequence[Point]) -> list[Cell]:
    """The numbers of the last of some versions, oldest first; each with its change and its line."""
    return [_cell(points, name, form) for name, (_, form) in SHOWN.items()]


def _cell(points: Sequence[Point], name: str, form: str) -> Cell:
    values = [_values(point.metrics, name) for point in points]
    newest, before = values[-1], values[-2] if len(values) > 1 else ()
    return Cell(_text(newest, form), _change(before, newest), sparkline([each[0] if each else None for each in values]))


def _values(metrics: Mapping[str, int | float], name: str) -> tuple[int | float, ...]:
    """The number, or one for each axis; nothing where there is none."""
    whole = f"{PREFIX}{name}"
    if whole in metrics:
        return (metrics[whole],)
    return tuple(value for key, value in metrics.items() if key.startswith(f"{whole}."))


def _text(values: Sequence[int | float], form: str) -> str:
    if not values:
        return "–"
    return times(values) if form == SIZES else percent(values[0]) if form == SHARE else number(values[0])


def _change(before: Sequence[int | float], after: Sequence[int | float]) -> str:
    """How much more or less the first of them is."""
    if not before or not after or before[0] == after[0]:
        return ""
    if not before[0]:
        return f"{after[0] - before[0]:+,.4g}"
    return f"{100 * (after[0] - before[0]) / abs(before[0]):+.3g} %".replace("-", "−")


def sparkline(values: Sequence[int | float | None]) -> str:
    """The points of a polyline through the known values, as SVG takes them; "" where fewer than two are known."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    least, most = min(value for _, value in known), max(value for _, value in known)
    step = (WIDTH - 4) / (len(values) - 1)
    span = most - least
    heights = [0.5 if not span else (value - least) / span for _, value in known]
    return " ".join(
        f"{2 + place * step:.1f},{HEIGHT - 3 - height * (HEIGHT - 6):.1f}" for (place, _), height in zip(known, heights, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """A bin of a distribution: its range in words, its count, and its length as a share of the longest, in per cent."""

    label: str
    count: int
    length: float


DISTRIBUTIONS = {
    "receptive_field_coverage": ("Receptive field against input", SHARE, "What the output sees, along the axis where that is least."),
    "sharing_factor": ("Sharing", COUNT, "Uses of each weight."),
    "connection_sparsity": ("Connections left out", SHARE, "Of those that a dense network would have."),
    "weight_sparsity": ("Weights at zero", SHARE, "Of the weights whose values were read."),
    "parameters": ("Parameters", COUNT, "Each stored tensor once."),
}
"""The distributions of a fleet: by name, in words, how the edges are written, and what is counted."""


def bars(bins: Sequence[tuple[float | None, float | None, int]], form: str) -> list[Bar]:
    """The bins of a distribution, given as lower edge, upper edge and count."""
    longest = max((count for _, _, count in bins), default=0) or 1
    return [Bar(_range(low, high, form), count, round(100 * count / longest, 1)) for low, high, count in bins]


def _range(low: float | None, high: float | None, form: str) -> str:
    if low is None:
        return f"below {_edge(high, form)}"
    if high is None:
        return f"{_edge(low, form)} or more"
    return f"{_edge(low, form)} to {_edge(high, form)}"


def _edge(value: float | None, form: str) -> str:
    if value is None:
        return ""
    if form == SHARE:
        return f"{100 * value:.0f} %"
    for power, unit in ((12, "trillion"), (9, "billion"), (6, "million")):
        if value >= 10**power:
            return f"{value / 10**power:,.0f} {unit}"
    return f"{value:,.0f}"
