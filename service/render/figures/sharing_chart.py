"""The chart of what every layer shares and skips."""

from __future__ import annotations

from service.render.figures.chart_parts import CONFIG, MAX_MARKED, SCHEMA, WIDTH, Specification, layer_axis, model_name, thinned
from service.render.words.text import shown
from service.report.document import Layer, Report


def shares(report: Report) -> bool:
    """Whether it is known of any layer what it shares and skips, so that there is something to draw."""
    return any(map(_is_known, report.layers))


def _is_known(layer: Layer) -> bool:
    """Whether a layer has connections, and how they are shared or how many there might be is known; other bars have no length."""
    return layer.connections is not None and (_factor(layer) is not None or _one_in(layer) is not None)


def _factor(layer: Layer) -> float | None:
    return layer.sharing.factor if layer.sharing else None


def _one_in(layer: Layer) -> float | None:
    """Of how many possible connections one exists."""
    counts = layer.connections
    return counts.dense / counts.exact if counts is not None and counts.dense and counts.exact else None


def sharing(report: Report) -> Specification:
    """What each layer with connections shares and skips: the uses of each weight, and of how many possible connections one exists."""
    known = [layer for layer in report.layers if _is_known(layer)]
    known = known[:: thinned(len(known))]
    rows = [
        {
            "layer": shown(layer.name),
            "place": place,
            "sharing factor": _factor(layer),
            "one in": _one_in(layer),
            "sparsity": layer.sparsity.connection if layer.sparsity else None,
            "kind": layer.kind,
        }
        for place, layer in enumerate(known)
    ]
    ticks = {"values": _ticks(max((_factor(layer) or 0 for layer in known), default=0)), "format": ",~f"}
    shared = {"field": "sharing factor", "type": "quantitative", "scale": {"type": "symlog"}, "title": "uses of each weight", "axis": ticks}
    # Where every connection exists, the axis still goes up to ten.
    scale = {"type": "log", "domain": [1, max(10, *(_one_in(layer) or 1 for layer in known))]}
    powers = {"values": [10**power for power in range(19)], "format": ",~f"}
    left_out = {"field": "one in", "type": "quantitative", "scale": scale, "title": "one connection in N exists", "axis": powers}
    bare: Specification = {"labels": False, "ticks": False, "title": None}
    names = layer_axis(range(len(known)), [layer.name for layer in known], "layers with connections")
    uses = _panel({"y": shared}, bare, len(rows))
    exists = _panel({"y": left_out, "y2": {"datum": 1}}, names, len(rows))
    title = {"text": "What every layer shares and skips", "subtitle": model_name(report)}
    return {"$schema": SCHEMA, "title": title, "data": {"values": rows}, "vconcat": [uses, exists], "config": CONFIG}


def _panel(height: Specification, edge: Specification, count: int) -> Specification:
    """Bars of one number, one for each of `count` layers: their height, and the axis along the lower edge."""
    tooltip = [
        {"field": "layer"},
        {"field": "sharing factor", "type": "quantitative", "format": ",.4~f", "title": "uses of each weight"},
        {"field": "one in", "type": "quantitative", "format": ",.4~r", "title": "one connection in"},
        {"field": "sparsity", "type": "quantitative", "format": ".4%", "title": "do not exist"},
    ]
    domain = {"domain": [-0.6, max(count, 1) - 0.4], "nice": False}
    encoding = {
        "x": {"field": "place", "type": "quantitative", "scale": domain, "axis": edge},
        **height,
        "color": {"field": "kind", "type": "nominal", "title": None, "legend": {"orient": "bottom"}},
        "tooltip": tooltip,
    }
    size = {"expr": f"max(1, min(40, 0.75 * width / {max(count, 1)}))"}
    mark = {"type": "bar", "orient": "vertical", "size": size, "aria": count <= MAX_MARKED}
    return {"width": WIDTH, "height": 180, "mark": mark, "encoding": encoding}


def _ticks(largest: float) -> list[int]:
    """Round numbers for an axis that is nearly logarithmic: powers of ten, and 2 and 5 between them where there is room."""
    steps = (1, 2, 5) if largest < 100 else (1,)
    return [0, *(step * 10**power for power in range(13) for step in steps)]
