"""The chart of input sizes: how many layers still have something new to see."""

from __future__ import annotations

from service.render.figures.chart_parts import CONFIG, SCHEMA, WIDTH, Specification, model_name
from service.report.document import Report
from service.report.sweep import sweep

STEPS = 48
"""Sizes that are drawn."""


def sweeps(report: Report) -> bool:
    """Whether any layer needs an input of a certain size, so that there is something to draw."""
    return report.summary.receptive_field is not None and bool(sweep(report, ()).layers)


def sizes_of(report: Report) -> list[int]:
    """Sizes from small to beyond both the model's own input and the smallest at which every layer is productive."""
    judged = sweep(report, ())
    longest = max([judged.smallest_productive or 1, *(size for size in judged.input_size or () if size)])
    step = max(1, -(-int(longest * 1.25) // STEPS))
    return list(range(step, step * STEPS + 1, step))


def size_chart(report: Report) -> Specification:
    """The share of the layers that add context against the size of a square input; the vertical line is the model's own input."""
    judged = sweep(report, sizes_of(report))
    rows = [
        {"size": each.size, "adding": judged.layers - each.unproductive, "layers": judged.layers, "verdict": each.verdict}
        for each in judged.sizes
    ]
    x = {"field": "size", "type": "quantitative", "title": "side of the input, pixels", "axis": {"format": ",d"}}
    y = {
        "field": "adding",
        "type": "quantitative",
        "title": f"layers that add context, of {judged.layers:,}",
        "scale": {"domain": [0, judged.layers]},
        "axis": {"tickMinStep": 1, "format": ",d"},
    }
    tooltip = [{"field": "size"}, {"field": "adding"}, {"field": "layers"}, {"field": "verdict"}]
    line = {
        "mark": {"type": "line", "interpolate": "step-after", "color": "#256d48", "strokeWidth": 3, "point": {"size": 18, "aria": False}},
        "encoding": {"x": x, "y": y, "tooltip": tooltip},
    }
    layers = [line, *_own_size(judged.input_size)]
    title = {"text": "Layers that add context against the size of the input", "subtitle": model_name(report)}
    chart = {"width": WIDTH, "height": 220, "layer": layers}
    return {"$schema": SCHEMA, "title": title, "data": {"values": rows}, **chart, "config": CONFIG}


def _own_size(lengths: tuple[float | None, ...] | None) -> list[Specification]:
    """The size of the model's own input as a vertical line; nothing where it is open."""
    known = [length for length in lengths or () if length]
    if not known:
        return []
    place = {"x": {"field": "size", "type": "quantitative"}}
    said = {**place, "y": {"value": -4}, "text": {"value": f"this model: {min(known):,}"}}
    rule = {"mark": {"type": "rule", "strokeDash": [6, 4], "color": "#555"}, "encoding": place}
    words = {"mark": {"type": "text", "baseline": "bottom"}, "encoding": said}
    return [{"data": {"values": [{"size": min(known)}]}, "layer": [rule, words]}]
