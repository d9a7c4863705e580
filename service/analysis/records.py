"""Pieces of the report as plain data: geometry, connections, ratios, the receptive field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.analysis.connections.connectivity import weight_node
from service.analysis.connections.kernels import effective_connections
from service.analysis.evidence import Examined
from service.analysis.field.axes import axis_names
from service.analysis.field.effective import WIDTH95
from service.analysis.field.intervals import SEVERITY
from service.analysis.field.receptive_field import View
from service.graph import Layer
from service.graph import operators as core

Record = dict[str, Any]


def attributes(layer: Layer) -> Record:
    """The geometry of a layer's main operator, as plain data."""
    windows = (n for n in layer.nodes if isinstance(n.operator, core.Window) and layer.kind != "reshape")
    node = weight_node(layer) or next(windows, layer.nodes[-1] if layer.nodes else None)
    if node is None:
        return {}
    operator = node.operator
    if isinstance(operator, core.Window):
        record: Record = {
            "kernel": list(operator.kernel),
            "strides": list(operator.strides),
            "dilations": list(operator.dilations),
            "pads": [list(pad) for pad in operator.pads],
        }
        if hasattr(operator, "groups"):
            record["groups"] = operator.groups
        if isinstance(operator, core.Pooling):
            record |= {"mode": operator.mode, "ceil_mode": operator.ceil}
        return record
    names = (name for name in getattr(operator, "__dataclass_fields__", {}) if name not in ("indices", "results"))
    return {name: _plain(getattr(operator, name)) for name in names}


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def receptive_field(one: Examined, source: str) -> Record | None:
    """What the layer's output sees of the input `source`; null where it sees none."""
    view = one.view
    if view is None:
        return None
    worst = max(view.fields, key=lambda field: SEVERITY[field.reach])
    sizes = [m.size for m in one.measures]
    local = any(size is not None for size in sizes)
    return {
        "input": source,
        "axes": list(axis_names(len(sizes))),
        "size": sizes if local else None,
        "min_size": [m.min_size for m in one.measures] if local else None,
        "stride": _defined([_number(m.stride) for m in one.measures]),
        "padding": _defined([m.padding for m in one.measures]),
        "coverage": _defined([m.coverage for m in one.measures]),
        "density": view.density if local else None,
        "effective": _effective(view) if local else None,
        "phases": [list(m.phases) if len(m.phases) <= 64 else None for m in one.measures] if local else None,
        "status": worst.reach,
        "because": worst.because,
        "needed_input": None if one.needed is None else list(one.needed),
        "unproductive": one.unproductive,
    }


def _number(value: Any) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)


def _defined(values: list[Any]) -> list[Any] | None:
    """None instead of a list of nothing but None."""
    return None if all(value is None for value in values) else values


def _effective(view: View) -> Record | None:
    sigma = [s.sigma for s in view.spread if s.sigma is not None]
    if not sigma or len(sigma) < len(view.spread):
        return None
    source = "weights" if all(s.weighted for s in view.spread) else "uniform"
    return {"sigma": sigma, "width95": [WIDTH95 * s for s in sigma], "source": source}


def connections(one: Examined) -> Record:
    """Connections, fan-in, uses, sparsity, sharing and reduction of a layer; null for a layer without connections."""
    counts = one.counts
    if counts is None:
        return dict.fromkeys(("connections", "fan_in", "uses", "sparsity", "sharing", "reduction"))
    biased = counts.units_out if one.layer.bias else 0
    known = one.statistics
    effective = None if known is None else effective_connections(counts.tap_uses, known)
    zeros = None if known is None or not counts.weights else (counts.weights - known.nonzero) / counts.weights
    return {
        "connections": {
            "exact": counts.exact,
            "padded": counts.padded,
            "with_bias": counts.exact + biased,
            "dense": counts.dense,
            "effective": effective,
        },
        "fan_in": _spread(counts.fan_in),
        "uses": _spread(counts.uses) if counts.weights else None,
        **_ratios(counts.exact, counts.dense, counts.weights, effective, zeros, {"positions": counts.positions}),
    }


MOST_LISTED = 256
"""Filters that a record lists by number at the most."""


def values(one: Examined) -> Record | None:
    """What the values of a layer's kernel show; null where they were not read or there is no kernel."""
    known = one.statistics
    if known is None or one.counts is None:
        return None
    return {
        "nonzero": known.nonzero,
        "zero": one.counts.weights - known.nonzero,
        "not_finite": known.nonfinite,
        "dead_filters": list(known.dead_filters[:MOST_LISTED]),
        "duplicate_filters": [list(pair) for pair in known.duplicate_filters[:MOST_LISTED]],
        "pattern": known.pattern,
    }


def _spread(values: tuple[int, float, int]) -> Record:
    return dict(zip(("min", "mean", "max"), values, strict=True))


def _ratios(exact: int, dense: int, weights: int, effective: int | None, zeros: float | None, sharing: Record | None = None) -> Record:
    """sparsity, sharing, reduction: ratios of the counts; null where nothing is there to divide by."""
    return {
        "sparsity": {
            "connection": 1 - exact / dense if dense else None,
            "weight": zeros,
            "effective": None if effective is None or not dense else 1 - effective / dense,
        },
        "sharing": {"factor": exact / weights if weights else None, **(sharing or {})},
        "reduction": {
            "total": dense / weights if weights else None,
            "from_sparsity": dense / exact if exact else None,
            "from_sharing": exact / weights if weights else None,
        },
    }


def total(layers: Iterable[Record], weights: int | None = None) -> Record:
    """The sums over layers with connections, and their ratios."""
    counted = [layer for layer in layers if layer["connections"] is not None]
    connections: Record = {}
    for key in ("exact", "padded", "with_bias", "dense", "effective"):
        values = [layer["connections"][key] for layer in counted]
        connections[key] = None if None in values or (key == "effective" and not values) else sum(values)
    if weights is None:
        weights = sum(layer["parameters"]["weights"] for layer in counted)
    known = [(layer["sparsity"]["weight"], layer["parameters"]["weights"]) for layer in counted if layer["parameters"]["weights"]]
    zeros = None
    if known and all(share is not None for share, _ in known):
        zeros = sum(share * count for share, count in known) / sum(count for _, count in known)
    return {
        "connections": connections,
        **_ratios(connections["exact"], connections["dense"], weights, connections["effective"], zeros),
    }
