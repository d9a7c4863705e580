"""What the charts have in common: their size, the names of layers along their lower edge, and a dashed level across them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from service.render.words.text import shown
from service.report.document import Report

Specification = dict[str, object]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH = 860
"""Pixels of a picture; a page draws the same chart as wide as there is room for."""

MAX_POINTS = 2000
"""Layers drawn at the most; of more, every n-th is."""

MAX_MARKED = 150
"""Up to so many layers each has a mark of its own that can be pointed at, and that screen readers read out."""

MAX_LABEL = 18
"""Characters of a layer's name along the edge."""

MAX_LABELS = 40
"""Names along the edge at the most; of more layers, every n-th has its name there."""

CONFIG = {
    "font": "DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {"grid": True, "gridOpacity": 0.35},
    "background": "white",
    "title": {"anchor": "start", "limit": WIDTH},
}


def model_name(report: Report) -> str:
    """The name of the model, as a chart says it."""
    return shown(report.model.name or "model")


def thinned(count: int) -> int:
    """Every how many-th of so many layers is drawn."""
    return -(-count // MAX_POINTS) or 1


def short_names(names: Sequence[str]) -> list[str]:
    """The names as far as they differ: whole words that all of them begin with are dropped, and long ones are cut in the middle."""
    first, last = min(names, default=""), max(names, default="")
    # What the first and the last in the order of the alphabet have in common, all have.
    common = next((end for end, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), min(len(first), len(last)))
    words = re.match(r".*[/.:_]", first[:common], re.DOTALL)
    dropped = len(words[0]) if words and len(names) > 1 and all(len(name) > len(words[0]) for name in names) else 0
    return [shown(name[dropped:], MAX_LABEL) for name in names]


def layer_axis(indices: Sequence[int], names: Sequence[str], title: str) -> Specification:
    """An axis with the names of layers at their indices; of many layers, every n-th has its name there."""
    every = -(-len(indices) // MAX_LABELS) or 1
    labels = short_names(names)
    values, said = list(indices[::every]), labels[::every]
    # An expression of Vega; JSON is a part of that language.
    return {
        "values": values,
        "labelExpr": f"{json.dumps(said)}[indexof({json.dumps(values)}, datum.value)]",
        "labelAngle": -55,
        "labelAlign": "right",
        "labelLimit": 0,
        "labelOverlap": False,
        "grid": len(indices) <= MAX_LABELS,
        "title": title,
    }


def level(values: Specification, field: str, words: str) -> Specification:
    """A dashed line across a chart at the height that a field of `values` says, with words at its beginning."""
    height = {"y": {"field": field, "type": "quantitative"}}
    said = {**height, "x": {"value": 0}, "text": {"value": words}}
    return {
        "data": {"values": [values]},
        "layer": [
            {"mark": {"type": "rule", "strokeDash": [6, 4], "color": "#555"}, "encoding": height},
            {"mark": {"type": "text", "align": "left", "dx": 4, "dy": -6, "color": "#333"}, "encoding": said},
        ],
    }
