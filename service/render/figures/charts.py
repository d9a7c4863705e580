"""Charts as Vega-Lite specifications: pure functions of the report, for the page, for dashboards and for pictures alike.

One specification gives the interactive chart (vega-embed), the static image (`picture`) and the JSON that a dashboard embeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import vl_convert

from service.render.words.text import shown
from service.render.words.view import pixels
from service.report.document import Layer, PerAxis, Report

Specification = dict[str, object]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_VERSION = "v6_4"
_SERIES = {
    "all paths": "#1f5fa8",
    "narrowest path": "#d1662a",
    "effective, 95 % of the influence": "#2f8f5b",
}
MOST_POINTS = 2000
"""Layers drawn at the most; of more, every n-th is."""

LONGEST_LABEL = 16
"""Characters of a layer's name under its bar, which its index leads."""

MOST_LABELS = 40
"""Names under the bars at the most; of more layers, every n-th has its name there."""

MOST_MARKED = 150
"""Up to so many layers each has a mark on its line, and a bar that screen readers read out."""


def grows(report: Report) -> bool:
    """Whether any layer sees a part of the input, so that there is growth to draw."""
    return any(layer.receptive_field is not None and bool(layer.receptive_field.size) for layer in report.layers)


def shares(report: Report) -> bool:
    """Whether it is known of any layer what it shares and skips, so that there is something to draw."""
    return any(map(_is_known, report.layers))


def _is_known(layer: Layer) -> bool:
    """Whether a layer has connections, and how they are shared or how many there might be is known; other bars have no length."""
    return layer.connections is not None and (_factor(layer) is not None or _left_out(layer) is not None)


def _factor(layer: Layer) -> float | None:
    return layer.sharing.factor if layer.sharing else None


def _left_out(layer: Layer) -> float | None:
    return layer.sparsity.connection if layer.sparsity else None


def coloured(report: Report) -> bool:
    """Whether the colour share of any convolution is known."""
    return any(row.colour_share is not None for row in report.hierarchy)


def growth(report: Report) -> Specification:
    """Receptive-field growth against depth: the size in pixels over all local paths, over the narrowest, and the effective width.

    The dashed line is the size of the input, the vertical line the first layer that sees all of it, the shaded layers are unproductive.
    """
    summary = report.summary.receptive_field
    every, lengths = (summary.axes, summary.input_size or ()) if summary else ((), ())
    points = _points(report, every)
    sizes = [(axis, size) for axis, size in zip(every, lengths, strict=False) if size]
    same = len({(point.depth, point.series, point.pixels) for point in points}) * max(len(every), 1) == len(points)
    axes = every[:1] if same else every
    title = {"text": "Receptive field against depth", "subtitle": _subtitle(report, same)}
    data = {"values": [asdict(point) for point in points if point.axis in axes]}
    if len(axes) < 2:
        return {
            "$schema": SCHEMA,
            "title": title,
            "data": data,
            "width": 640,
            "height": 320,
            "layer": _panel(report, sizes),
            "config": CONFIG,
        }
    rows = [
        {
            "width": 640,
            "height": 220,
            "transform": [{"filter": {"field": "axis", "equal": axis}}],
            "layer": _panel(report, [each for each in sizes if each[0] == axis], f" of the {axis}"),
        }
        for axis in axes
    ]
    return {"$schema": SCHEMA, "title": title, "data": data, "vconcat": rows, "config": CONFIG}


def _panel(report: Report, sizes: Sequence[tuple[str, float]], axis: str = "") -> list[Specification]:
    """What is drawn over one axis of the input, or over one that stands for all."""
    layers, summary = report.layers, report.summary.receptive_field
    first = summary.first_global_layer if summary else None
    marks = [_global_layer(layer.name, layer.index, len(layers)) for layer in layers if layer.name == first]
    unit = pixels(summary.axes if summary else None)
    return [*_unproductive(report), _lines(len(layers) <= MOST_MARKED, f"{unit}{axis}"), *_input_size(sizes, unit), *marks]


CONFIG = {
    "font": "DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {"grid": True, "gridOpacity": 0.35},
    "background": "white",
    "title": {"anchor": "start"},
}


def _model(report: Report) -> str:
    return shown(report.model.name or "model")


def _subtitle(report: Report, same: bool) -> str:
    field = report.summary.receptive_field
    unit = pixels(field.axes if field else None)
    return f"{_model(report)}, {unit} of the input{' (the same along every axis)' if same else ''}"


@dataclass(frozen=True, slots=True)
class _Point:
    """A point of the growth chart."""

    depth: int
    layer: str
    axis: str
    series: str
    pixels: float


def _points(report: Report, axes: Sequence[str]) -> list[_Point]:
    """One point for each layer, axis and series; none where a layer has no local path."""
    seen = [layer for layer in report.layers if layer.receptive_field]
    points = []
    for layer in seen[:: max(1, -(-len(seen) // MOST_POINTS))]:
        for i, axis in enumerate(axes):
            for name, values in _measured(layer).items():
                pixels = values[i] if values is not None and i < len(values) else None
                if pixels is not None:
                    points.append(_Point(layer.index, shown(layer.name), axis, name, round(pixels, 3)))
    return points


def _measured(layer: Layer) -> dict[str, PerAxis | None]:
    """The series of a layer."""
    field = layer.receptive_field
    if field is None:
        return {}
    width = field.effective.width95 if field.effective else None
    return dict(zip(_SERIES, (field.size, field.min_size, width), strict=True))


def _lines(marked: bool, title: str) -> Specification:
    return {
        "mark": {"type": "line", "interpolate": "step-after", "point": {"size": 18, "aria": False} if marked else False},
        "encoding": {
            "x": {
                "field": "depth",
                "type": "quantitative",
                "title": "layer (in topological order)",
                "axis": {"tickMinStep": 1, "format": "d"},
            },
            "y": {"field": "pixels", "type": "quantitative", "title": title},
            "color": {
                "field": "series",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(_SERIES), "range": list(_SERIES.values())},
                "legend": {"orient": "bottom", "labelLimit": 300},
            },
            # The first line is broad, so that it shows under another that runs along it.
            "strokeWidth": {"condition": {"test": f"datum.series === '{next(iter(_SERIES))}'", "value": 5}, "value": 2},
            "tooltip": [{"field": "layer"}, {"field": "series"}, {"field": "pixels", "type": "quantitative"}],
        },
    }


def _input_size(sizes: Sequence[tuple[str, float]], unit: str) -> list[Specification]:
    """The size of the input as a dashed line; nothing where it is not known, because an empty layer has no scale."""
    return [_level({"axis": axis, "size": size}, "size", f"input: {size:,} {unit}") for axis, size in sizes[:1]]


def _level(values: Specification, field: str, words: str) -> Specification:
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


def _global_layer(name: str, depth: int, layers: int) -> Specification:
    """The first global layer as a vertical line; its name stands above the chart, on the side that has room for it."""
    late = 2 * depth > layers
    return {
        "data": {"values": [{"depth": depth}]},
        "layer": [
            {"mark": {"type": "rule", "color": "#8a2be2"}, "encoding": {"x": {"field": "depth", "type": "quantitative"}}},
            {
                "mark": {"type": "text", "align": "right" if late else "left", "color": "#6a1fb0", "baseline": "bottom"},
                "encoding": {
                    "x": {"field": "depth", "type": "quantitative"},
                    "y": {"value": -4},
                    "text": {"value": f"first global layer: {shown(name, 32)}"},
                },
            },
        ],
    }


def _unproductive(report: Report) -> list[Specification]:
    """Runs of unproductive layers as shaded zones; nothing where there are none."""
    zones: list[tuple[float, float]] = []
    for layer in report.layers:
        if layer.receptive_field is None or not layer.receptive_field.unproductive:
            continue
        if zones and zones[-1][1] == layer.index - 0.5:
            zones[-1] = (zones[-1][0], layer.index + 0.5)
        else:
            zones.append((layer.index - 0.5, layer.index + 0.5))
    if not zones:
        return []
    shaded: Specification = {
        "data": {"values": [{"from": begin, "to": end} for begin, end in zones]},
        "mark": {"type": "rect", "color": "#c0392b", "opacity": 0.13},
        "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
    }
    return [shaded]


def sharing(report: Report) -> Specification:
    """What each layer with connections shares and skips: its sharing factor (uses per weight) and its connection sparsity."""
    known = [layer for layer in report.layers if _is_known(layer)][:MOST_POINTS]
    rows = [
        {
            "layer": shown(layer.name),
            "place": _place(layer),
            "sharing factor": _factor(layer),
            "sparsity": _left_out(layer),
            "kind": layer.kind,
        }
        for layer in known
    ]
    place: Specification = {"field": "place", "type": "nominal", "sort": None, "title": None, "axis": {"labels": False, "ticks": False}}
    shared: Specification = {
        "x": place,
        "color": {"field": "kind", "type": "nominal", "title": None, "legend": {"orient": "bottom"}},
    }
    # Names stand once, below both. Too long ones are cut before, because the engine would try out many lengths of each.
    every = -(-len(rows) // MOST_LABELS) or 1
    names = {"labelAngle": -60, "labelLimit": 0, "labelOverlap": False, "values": [_place(layer) for layer in known[::every]]}
    bars = {
        "width": {"step": max(1, min(28, 640 // max(len(rows), 1)))},
        "height": 180,
        "mark": {"type": "bar", "aria": len(rows) <= MOST_MARKED},
    }
    uses = {
        **shared,
        "y": {
            "field": "sharing factor",
            "type": "quantitative",
            "scale": {"type": "symlog"},
            "axis": {"values": _ticks(max((_factor(layer) or 0 for layer in known), default=0)), "format": ","},
            "title": "uses of each weight",
        },
        "tooltip": [{"field": "layer"}, {"field": "sharing factor", "type": "quantitative", "format": ",.4~f"}],
    }
    left_out = {
        **shared,
        "x": {**place, "title": "layers with connections, by index and name", "axis": names},
        "y": {"field": "sparsity", "type": "quantitative", "axis": {"format": "%"}, "title": "connections left out"},
        "tooltip": [{"field": "layer"}, {"field": "sparsity", "type": "quantitative", "format": ".4%"}],
    }
    title = {"text": "Sharing and sparsity of every layer with connections", "subtitle": _model(report)}
    return {
        "$schema": SCHEMA,
        "title": title,
        "data": {"values": rows},
        "vconcat": [{**bars, "encoding": uses}, {**bars, "encoding": left_out}],
        "config": CONFIG,
    }


def _place(layer: Layer) -> str:
    """What stands under the bar of a layer."""
    return f"{layer.index} {shown(layer.name, LONGEST_LABEL)}"


def _ticks(largest: float) -> list[int]:
    """Round numbers for an axis that is nearly logarithmic: powers of ten, and 2 and 5 between them where there is room."""
    steps = (1, 2, 5) if largest < 100 else (1,)
    return [0, *(step * 10**power for power in range(13) for step in steps)]


def colour(report: Report) -> Specification:
    """Colour against depth: the share of the energy of each convolution's filters, drawn in pixels, that lies off the grey axis.

    The rule at 2/3 is what filters of independent random channels have.
    """
    rows = [asdict(row) for row in report.hierarchy if row.colour_share is not None]
    x = {"field": "depth", "type": "quantitative", "title": "convolution (from the image on)", "axis": {"tickMinStep": 1}}
    y = {"field": "colour_share", "type": "quantitative", "title": "colour share", "scale": {"domain": [0, 1]}, "axis": {"format": "%"}}
    tooltip = [{"field": "layer"}, {"field": "colour_share", "type": "quantitative", "format": ".1%"}]
    line = {"mark": {"type": "line", "point": True, "color": "#d1662a"}, "encoding": {"x": x, "y": y, "tooltip": tooltip}}
    chance = _level({"share": 2 / 3}, "share", "filters of random channels: 2/3")
    title = {"text": "Colour against depth", "subtitle": _model(report)}
    layers = {"width": 480, "height": 260, "layer": [line, chance]}
    return {"$schema": SCHEMA, "title": title, "data": {"values": rows}, **layers, "config": CONFIG}


CHARTS: Mapping[str, tuple[Callable[[Report], Specification], Callable[[Report], bool]]] = {
    "growth": (growth, grows),
    "sharing": (sharing, shares),
    "colour": (colour, coloured),
}
"""By name: the chart, and whether a report has anything to show in it."""


def picture(specification: Specification, form: Literal["svg", "png"]) -> bytes:
    """A chart drawn by vl-convert: SVG text (UTF-8) or PNG at twice the size, for high-resolution screens. The same bytes every time."""
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(specification, vl_version=_VERSION)).encode()
    return bytes(vl_convert.vegalite_to_png(specification, vl_version=_VERSION, scale=2))
