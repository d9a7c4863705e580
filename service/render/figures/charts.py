"""Charts as Vega-Lite specifications: pure functions of the report, for the page, for dashboards and for pictures alike.

One specification gives the interactive chart (vega-embed), the static image (`picture`) and the JSON that a dashboard embeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import vl_convert

from service.render.words.text import shown

Report = Mapping[str, Any]
Specification = dict[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
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
    return any(layer["receptive_field"] is not None and layer["receptive_field"]["size"] for layer in report["layers"])


def shares(report: Report) -> bool:
    """Whether it is known of any layer what it shares and skips, so that there is something to draw."""
    return any(map(_is_known, report["layers"]))


def _is_known(layer: Report) -> bool:
    """Whether a layer has connections, and how they are shared or how many there might be is known; other bars have no length."""
    return layer["connections"] is not None and (layer["sharing"]["factor"] is not None or layer["sparsity"]["connection"] is not None)


def coloured(report: Report) -> bool:
    """Whether the colour share of any convolution is known."""
    return any(row["colour_share"] is not None for row in report["hierarchy"])


def growth(report: Report) -> Specification:
    """Receptive-field growth against depth: the size in pixels over all local paths, over the narrowest, and the effective width.

    The dashed line is the size of the input, the vertical line the first layer that sees all of it, the shaded layers are unproductive.
    """
    summary = report["summary"]["receptive_field"] or {"axes": [], "input_size": []}
    points = _points(report, summary["axes"])
    sizes = [{"axis": axis, "size": size} for axis, size in zip(summary["axes"], summary["input_size"], strict=True) if size]
    same = len({tuple(p[k] for k in ("depth", "series", "pixels")) for p in points}) * max(len(summary["axes"]), 1) == len(points)
    axes = summary["axes"][:1] if same else summary["axes"]
    title = {"text": "Receptive field against depth", "subtitle": _subtitle(report, same)}
    data = {"values": [p for p in points if p["axis"] in axes]}
    if len(axes) < 2:
        return {
            "$schema": _SCHEMA,
            "title": title,
            "data": data,
            "width": 640,
            "height": 320,
            "layer": _panel(report, sizes),
            "config": _CONFIG,
        }
    rows = [
        {
            "width": 640,
            "height": 220,
            "transform": [{"filter": {"field": "axis", "equal": axis}}],
            "layer": _panel(report, [s for s in sizes if s["axis"] == axis], f" of the {axis}"),
        }
        for axis in axes
    ]
    return {"$schema": _SCHEMA, "title": title, "data": data, "vconcat": rows, "config": _CONFIG}


def _panel(report: Report, sizes: list[Specification], axis: str = "") -> list[Specification]:
    """What is drawn over one axis of the input, or over one that stands for all."""
    layers, first = report["layers"], (report["summary"]["receptive_field"] or {}).get("first_global_layer")
    marks = [_global_layer(first, layer["index"], len(layers)) for layer in layers if layer["name"] == first]
    return [*_unproductive(report), _lines(len(layers) <= MOST_MARKED, f"pixels{axis}"), *_input_size(sizes), *marks]


_CONFIG = {
    "font": "DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {"grid": True, "gridOpacity": 0.35},
    "background": "white",
    "title": {"anchor": "start"},
}


def _model(report: Report) -> str:
    return shown(report["model"]["name"] or "model")


def _subtitle(report: Report, same: bool) -> str:
    return f"{_model(report)}, pixels of the input{' (the same along every axis)' if same else ''}"


def _points(report: Report, axes: list[str]) -> list[Specification]:
    """One point for each layer, axis and series, null where a layer has no local path."""
    seen = [layer for layer in report["layers"] if layer["receptive_field"]]
    thinned = seen[:: max(1, -(-len(seen) // MOST_POINTS))]
    points = []
    for layer in thinned:
        field = layer["receptive_field"]
        effective = field["effective"] or {}
        series = {
            "all paths": field["size"],
            "narrowest path": field["min_size"],
            "effective, 95 % of the influence": effective.get("width95"),
        }
        for i, axis in enumerate(axes):
            for name, values in series.items():
                if values is not None and i < len(values) and values[i] is not None:
                    pixels = round(values[i], 3)
                    points.append({"depth": layer["index"], "layer": shown(layer["name"]), "axis": axis, "series": name, "pixels": pixels})
    return points


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


def _input_size(sizes: list[Specification]) -> list[Specification]:
    """The size of the input as a dashed line; nothing where it is not known, because an empty layer has no scale."""
    return [_level(each, "size", f"input: {each['size']:,} pixels") for each in sizes[:1]]


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
    zones: list[Specification] = []
    for layer in report["layers"]:
        if not layer["receptive_field"] or not layer["receptive_field"]["unproductive"]:
            continue
        if zones and zones[-1]["to"] == layer["index"] - 0.5:
            zones[-1]["to"] += 1
        else:
            zones.append({"from": layer["index"] - 0.5, "to": layer["index"] + 0.5})
    if not zones:
        return []
    shaded: Specification = {
        "data": {"values": zones},
        "mark": {"type": "rect", "color": "#c0392b", "opacity": 0.13},
        "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
    }
    return [shaded]


def sharing(report: Report) -> Specification:
    """What each layer with connections shares and skips: its sharing factor (uses per weight) and its connection sparsity."""
    rows = [
        {
            "layer": shown(layer["name"]),
            "place": f"{layer['index']} {shown(layer['name'], LONGEST_LABEL)}",
            "sharing factor": layer["sharing"]["factor"],
            "sparsity": layer["sparsity"]["connection"],
            "kind": layer["kind"],
        }
        for layer in report["layers"]
        if _is_known(layer)
    ][:MOST_POINTS]
    shared: Specification = {
        "x": {
            "field": "place",
            "type": "nominal",
            "sort": None,
            "title": None,
            "axis": {"labels": False, "ticks": False},
        },
        "color": {"field": "kind", "type": "nominal", "title": None, "legend": {"orient": "bottom"}},
    }
    # Names stand once, below both. Too long ones are cut before, because the engine would try out many lengths of each.
    every = -(-len(rows) // MOST_LABELS) or 1
    names = {"labelAngle": -60, "labelLimit": 0, "labelOverlap": False, "values": [row["place"] for row in rows[::every]]}
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
            "axis": {"values": _ticks(max((row["sharing factor"] or 0 for row in rows), default=0)), "format": ","},
            "title": "uses of each weight",
        },
        "tooltip": [{"field": "layer"}, {"field": "sharing factor", "type": "quantitative", "format": ",.4~f"}],
    }
    left_out = {
        **shared,
        "x": {**shared["x"], "title": "layers with connections, by index and name", "axis": names},
        "y": {"field": "sparsity", "type": "quantitative", "axis": {"format": "%"}, "title": "connections left out"},
        "tooltip": [{"field": "layer"}, {"field": "sparsity", "type": "quantitative", "format": ".4%"}],
    }
    title = {"text": "Sharing and sparsity of every layer with connections", "subtitle": _model(report)}
    return {
        "$schema": _SCHEMA,
        "title": title,
        "data": {"values": rows},
        "vconcat": [{**bars, "encoding": uses}, {**bars, "encoding": left_out}],
        "config": _CONFIG,
    }


def _ticks(largest: float) -> list[int]:
    """Round numbers for an axis that is nearly logarithmic: powers of ten, and 2 and 5 between them where there is room."""
    steps = (1, 2, 5) if largest < 100 else (1,)
    return [0, *(step * 10**power for power in range(13) for step in steps)]


def colour(report: Report) -> Specification:
    """Colour against depth: the share of the energy of each convolution's filters, drawn in pixels, that lies off the grey axis.

    The rule at 2/3 is what filters of independent random channels have.
    """
    rows = [row for row in report["hierarchy"] if row["colour_share"] is not None]
    x = {"field": "depth", "type": "quantitative", "title": "convolution (from the image on)", "axis": {"tickMinStep": 1}}
    y = {"field": "colour_share", "type": "quantitative", "title": "colour share", "scale": {"domain": [0, 1]}, "axis": {"format": "%"}}
    tooltip = [{"field": "layer"}, {"field": "colour_share", "type": "quantitative", "format": ".1%"}]
    line = {"mark": {"type": "line", "point": True, "color": "#d1662a"}, "encoding": {"x": x, "y": y, "tooltip": tooltip}}
    chance = _level({"share": 2 / 3}, "share", "filters of random channels: 2/3")
    title = {"text": "Colour against depth", "subtitle": _model(report)}
    layers = {"width": 480, "height": 260, "layer": [line, chance]}
    return {"$schema": _SCHEMA, "title": title, "data": {"values": rows}, **layers, "config": _CONFIG}


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
