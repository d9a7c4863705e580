"""Charts as Vega-Lite specifications: pure functions of the report, for the page, for dashboards and for pictures alike.

One specification gives the interactive chart (vega-embed), the static image (`picture`) and the JSON that a dashboard embeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import vl_convert

from service.render.figures.chart_parts import CONFIG, MAX_MARKED, SCHEMA, WIDTH, Specification, layer_axis, level, model_name, thinned
from service.render.figures.sharing_chart import shares, sharing
from service.render.figures.sweep_chart import size_chart, sweeps
from service.render.words.text import shown
from service.render.words.view import pixels
from service.report.document import Layer, PerAxis, Report

_VERSION = "v6_4"
_SERIES = {
    "all paths": "#1f5fa8",
    "narrowest path": "#d1662a",
    "effective, 95 % of the influence": "#2f8f5b",
}


_ESTIMATE = "effective, 95 % of the influence"


def grows(report: Report) -> bool:
    """Whether any layer sees a part of the input, so that there is growth to draw."""
    return any(layer.receptive_field is not None and bool(layer.receptive_field.size) for layer in report.layers)


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
    sizes_of = [point for point in points if point.series != _ESTIMATE]
    # The estimate from weights differs a little along the axes of a square; that is no reason to draw everything twice.
    same = len({(point.depth, point.series, point.pixels) for point in sizes_of}) * max(len(every), 1) == len(sizes_of)
    axes = every[:1] if same else every
    title = {"text": "Receptive field against depth", "subtitle": _subtitle(report, same)}
    data = {"values": [asdict(point) for point in points if point.axis in axes]}
    if len(axes) < 2:
        return {
            "$schema": SCHEMA,
            "title": title,
            "data": data,
            "width": WIDTH,
            "height": 320,
            "layer": _panel(report, sizes),
            "config": CONFIG,
        }
    rows = [
        {
            "width": WIDTH,
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
    return [*_unproductive(report), _lines(layers, f"{unit}{axis}"), *_input_size(sizes, unit), *marks]


def _subtitle(report: Report, same: bool) -> str:
    field = report.summary.receptive_field
    unit = pixels(field.axes if field else None)
    return f"{model_name(report)}, {unit} of the input{' (the same along every axis)' if same else ''}"


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
    for layer in seen[:: thinned(len(seen))]:
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


def _lines(layers: Sequence[Layer], title: str) -> Specification:
    marked, seen = len(layers) <= MAX_MARKED, [layer for layer in layers if layer.receptive_field]
    return {
        "mark": {"type": "line", "interpolate": "step-after", "point": {"size": 18, "aria": False} if marked else False},
        "encoding": {
            "x": {
                "field": "depth",
                "type": "quantitative",
                "scale": {"nice": False},
                "axis": layer_axis([layer.index for layer in seen], [layer.name for layer in seen], "layers, from the input on"),
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
    return [level({"axis": axis, "size": size}, "size", f"input: {size:,} {unit}") for axis, size in sizes[:1]]


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


def colour(report: Report) -> Specification:
    """Colour against depth: the share of the energy of each convolution's filters, drawn in pixels, that lies off the grey axis.

    The rule at 2/3 is what filters of independent random channels have.
    """
    rows = [asdict(row) for row in report.hierarchy if row.colour_share is not None]
    x = {"field": "depth", "type": "quantitative", "title": "convolution (from the image on)", "axis": {"tickMinStep": 1}}
    y = {"field": "colour_share", "type": "quantitative", "title": "colour share", "scale": {"domain": [0, 1]}, "axis": {"format": "%"}}
    tooltip = [{"field": "layer"}, {"field": "colour_share", "type": "quantitative", "format": ".1%"}]
    line = {"mark": {"type": "line", "point": True, "color": "#d1662a"}, "encoding": {"x": x, "y": y, "tooltip": tooltip}}
    chance = level({"share": 2 / 3}, "share", "filters of random channels: 2/3")
    title = {"text": "Colour against depth", "subtitle": model_name(report)}
    layers = {"width": WIDTH, "height": 260, "layer": [line, chance]}
    return {"$schema": SCHEMA, "title": title, "data": {"values": rows}, **layers, "config": CONFIG}


CHARTS: Mapping[str, tuple[Callable[[Report], Specification], Callable[[Report], bool]]] = {
    "growth": (growth, grows),
    "sharing": (sharing, shares),
    "sizes": (size_chart, sweeps),
    "colour": (colour, coloured),
}
"""By name: the chart, and whether a report has anything to show in it."""


def picture(specification: Specification, form: Literal["svg", "png"]) -> bytes:
    """A chart drawn by vl-convert: SVG text (UTF-8) or PNG at twice the size, for high-resolution screens. The same bytes every time."""
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(specification, vl_version=_VERSION)).encode()
    return bytes(vl_convert.vegalite_to_png(specification, vl_version=_VERSION, scale=2))
