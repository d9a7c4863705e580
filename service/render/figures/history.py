"""The numbers of a model against its versions, as a Vega-Lite specification of one small panel for each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.render.figures.chart_parts import CONFIG, SCHEMA, Specification
from service.render.words.text import shown
from service.report.quantities import PREFIX, QUANTITIES
from service.report.quantity import Quantity

MAX_LABELS = 12
"""Names of versions below a panel; of more, every n-th stands there."""

COLUMNS = 2
COLOURS = {"pass": "#2f8f5b", "fail": "#b3261e"}
OTHER_COLOUR = "#1f5fa8"


@dataclass(frozen=True, slots=True)
class Point:
    """A version: its name, its verdict and its flat numbers."""

    version: str
    verdict: str
    metrics: Mapping[str, int | float]


def history(model: str, points: Sequence[Point], metrics: Sequence[str] = ()) -> Specification | None:
    """Every flat number of a model, or those named, against its versions from left to right; None where there is nothing to show. What
    changes comes first.

    A mark is green where the budgets held for the version and red where one did not.
    """
    known = dict.fromkeys(name for point in points for name in point.metrics)
    chosen = [name for name in metrics or sorted(known, key=lambda name: _is_constant(points, name)) if name in known]
    if not chosen:
        return None
    alone = len(chosen) == 1
    panels = [_panel(points, name, 640 if alone else 330, 320 if alone else 120) for name in chosen]
    title = {"text": f"{shown(model, 80)}: numbers against versions", "subtitle": "green: budgets hold, red: a budget is broken"}
    return {"$schema": SCHEMA, "title": title, "columns": 1 if alone else COLUMNS, "concat": panels, "config": CONFIG}


def _panel(points: Sequence[Point], metric: str, width: int, height: int) -> Specification:
    rows = [
        {"place": place, "version": shown(point.version, 40), "value": point.metrics[metric], "verdict": point.verdict}
        for place, point in enumerate(points)
        if metric in point.metrics
    ]
    names = [shown(point.version, 16) for point in points]
    every = -(-len(points) // MAX_LABELS)
    places = list(range(0, len(points), every))
    labels = " : ".join(f"datum.value === {place} ? {_quoted(names[place])}" for place in places)
    x = {
        "field": "place",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, max(len(points) - 1, 1)], "nice": False},
        "axis": {"values": places, "labelExpr": f"{labels} : ''", "labelAngle": -35, "grid": False},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": False},
        "axis": {"tickCount": 4, "format": _format(metric)},
    }
    tests = [{"test": f"datum.verdict === '{verdict}'", "value": colour} for verdict, colour in COLOURS.items()]
    tooltip = [{"field": "version"}, {"field": "value", "type": "quantitative", "format": ",.6~f"}, {"field": "verdict"}]
    marks = {"x": x, "y": y, "color": {"condition": tests, "value": OTHER_COLOUR}, "tooltip": tooltip}
    line = {"mark": {"type": "line", "interpolate": "step-after", "color": OTHER_COLOUR}, "encoding": {"x": x, "y": y}}
    point = {"mark": {"type": "point", "filled": True, "size": 40, "opacity": 1, "aria": False}, "encoding": marks}
    title = {"text": _words(metric), "fontSize": 11}
    return {"title": title, "data": {"values": rows}, "width": width, "height": height, "layer": [line, point]}


def _is_constant(points: Sequence[Point], name: str) -> bool:
    return len({point.metrics[name] for point in points if name in point.metrics}) < 2


def _format(metric: str) -> str:
    """How an axis writes the number, in the language of d3-format."""
    quantity = _quantity(metric)
    return {"share": ".3~%", "ratio": ",.4~r"}.get(quantity.format if quantity else "", ".4~s")


def _quoted(text: str) -> str:
    """Text as a string of Vega's expressions: a version may hold quotes and backslashes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _words(metric: str) -> str:
    """A flat number in words, with its axis."""
    quantity = _quantity(metric)
    if quantity is None:
        return metric
    return quantity.name if metric == f"{PREFIX}{quantity.flat}" else f"{quantity.name}, {metric.rpartition('.')[2]}"


def _quantity(metric: str) -> Quantity | None:
    """The quantity of a flat number, whose name may end in an axis."""
    named = {f"{PREFIX}{quantity.flat}": quantity for quantity in QUANTITIES if quantity.flat}
    return named.get(metric) or named.get(metric.rpartition(".")[0])
