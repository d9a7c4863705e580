"""Pieces of the report: geometry, connections, ratios, the receptive field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from service.analysis.connections.connectivity import weight_node
from service.analysis.connections.kernels import effective_connections
from service.analysis.evidence import Examined
from service.analysis.field.axes import axis_names
from service.analysis.field.intervals import SEVERITY
from service.analysis.field.receptive_field import View
from service.graph import Layer
from service.graph import operators as core
from service.report import document as report


def attributes(layer: Layer) -> dict[str, object]:
    """The geometry of a layer's main operator, as plain data."""
    windows = (n for n in layer.nodes if isinstance(n.operator, core.Window) and layer.kind != "reshape")
    node = weight_node(layer) or next(windows, layer.nodes[-1] if layer.nodes else None)
    if node is None:
        return {}
    operator = node.operator
    if isinstance(operator, core.Window):
        record: dict[str, object] = {
            "kernel": list(operator.kernel),
            "strides": list(operator.strides),
            "dilations": list(operator.dilations),
            "pads": [list(pad) for pad in operator.pads],
        }
        if hasattr(operator, "groups"):
            record["groups"] = operator.groups
        if isinstance(operator, core.Convolution) and operator.table is not None:
            record["connection_table"] = _plain(operator.table)
        if isinstance(operator, core.Pooling):
            record |= {"mode": operator.mode, "ceil_mode": operator.ceil}
        return record
    names = (name for name in getattr(operator, "__dataclass_fields__", {}) if name not in ("blocked", "indices", "results"))
    return {name: _plain(getattr(operator, name)) for name in names}


def _plain(value: object) -> object:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def receptive_field(one: Examined, source: str) -> report.LayerField | None:
    """What the layer's output sees of the input `source`; None where it sees none."""
    view = one.view
    if view is None:
        return None
    worst = max(view.fields, key=lambda field: SEVERITY[field.reach])
    measures = one.measures
    local = any(m.size is not None for m in measures)
    return report.LayerField(
        input=source,
        axes=axis_names(len(measures)),
        size=tuple(m.size for m in measures) if local else None,
        min_size=tuple(m.min_size for m in measures) if local else None,
        stride=_defined([_number(m.stride) for m in measures]),
        padding=_defined([m.padding for m in measures]),
        coverage=_defined([m.coverage for m in measures]),
        density=view.density if local else None,
        effective=_effective(view, [m.size for m in measures]) if local and not any(m.scores for m in measures) else None,
        phases=tuple(tuple(m.phases) if len(m.phases) <= MAX_PHASES else None for m in measures) if local else None,
        status=worst.reach,
        because=worst.because,
        needed_input=one.needed,
        unproductive=one.unproductive,
    )


MAX_PHASES = 64
"""Sizes of an inner period of units that a record lists at the most."""


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)


def _defined(values: Sequence[float | None]) -> report.PerAxis | None:
    """None instead of nothing but None."""
    return None if all(value is None for value in values) else tuple(values)


def _effective(view: View, sizes: Sequence[int | None]) -> report.EffectiveField | None:
    """Sigma, and the width that holds 95 %: nothing lies beyond the field itself, whatever the Gaussian says."""
    sigma = tuple(s.sigma for s in view.spread if s.sigma is not None)
    if not sigma or len(sigma) < len(view.spread):
        return None
    source: Literal["uniform", "weights"] = "weights" if all(s.weighted for s in view.spread) else "uniform"
    widths = (report.WIDTH95 * s if size is None else min(report.WIDTH95 * s, float(size)) for s, size in zip(sigma, sizes, strict=True))
    return report.EffectiveField(sigma, tuple(widths), source)


@dataclass(frozen=True, slots=True)
class Ratios:
    """Shares and quotients of counts; None where nothing is there to divide by."""

    sparsity: report.Sparsity
    factor: float | None
    reduction: report.Reduction


@dataclass(frozen=True, slots=True)
class Counts:
    """Connections, fan-in, uses, sparsity, sharing and reduction of a layer; all None for a layer without connections."""

    connections: report.Connections | None = None
    fan_in: report.Spread | None = None
    uses: report.Spread | None = None
    sparsity: report.Sparsity | None = None
    sharing: report.Sharing | None = None
    reduction: report.Reduction | None = None


def taps(one: Examined) -> tuple[report.AxisTaps, ...] | None:
    """How the kernel meets every axis; None where it does not slide."""
    if one.counts is None or not one.counts.axes:
        return None
    return tuple(
        report.AxisTaps(axis.places, axis.real, axis.least, axis.most, min(axis.uses, default=0), max(axis.uses, default=0))
        for axis in one.counts.axes
    )


def connections(one: Examined) -> Counts:
    """What is counted of a layer."""
    counts, known = one.counts, one.statistics
    if counts is None:
        return Counts()
    biased = counts.units_out if one.layer.bias else 0
    effective = None if known is None else effective_connections(counts.tap_uses, known)
    zeros = None if known is None or not counts.weights else (counts.weights - known.nonzero) / counts.weights
    ratios = _ratios(counts.exact, counts.dense, counts.weights, effective, zeros)
    return Counts(
        report.Connections(counts.exact, counts.padded, counts.exact + biased, counts.dense, effective),
        report.Spread(*counts.fan_in),
        report.Spread(*counts.uses) if counts.weights else None,
        ratios.sparsity,
        report.Sharing(ratios.factor, counts.positions),
        ratios.reduction,
    )


MOST_LISTED = 256
"""Filters that a record lists by number at the most."""


def values(one: Examined) -> report.Values | None:
    """What the values of a layer's kernel show; None where they were not read or there is no kernel."""
    known = one.statistics
    if known is None or one.counts is None:
        return None
    return report.Values(
        nonzero=known.nonzero,
        zero=one.counts.weights - known.nonzero,
        not_finite=known.nonfinite,
        dead_filters=tuple(known.dead_filters[:MOST_LISTED]),
        duplicate_filters=tuple(known.duplicate_filters[:MOST_LISTED]),
        pattern=known.pattern,
    )


def _ratios(exact: int | None, dense: int | None, weights: int, effective: int | None, zeros: float | None) -> Ratios:
    if exact is None or dense is None:
        return Ratios(report.Sparsity(None, zeros, None), None, report.Reduction(None, None, None))
    left = None if effective is None or not dense else 1 - effective / dense
    sharing = exact / weights if weights else None
    return Ratios(
        report.Sparsity(1 - exact / dense if dense else None, zeros, left),
        sharing,
        report.Reduction(dense / weights if weights else None, dense / exact if exact else None, sharing),
    )


def sum_connections(layers: Iterable[report.Layer]) -> report.Connections:
    """The connections of several layers together; effective ones where those of every layer are known.

    None where a layer has a kernel and it is not known what that joins.
    """
    layers = list(layers)
    if any(layer.connections is None and layer.parameters.weights for layer in layers):
        return report.Connections(None, None, None, None, None)
    counted = [layer.connections for layer in layers if layer.connections is not None]
    effective = [each.effective for each in counted if each.effective is not None]
    return report.Connections(
        exact=sum(each.exact or 0 for each in counted),
        padded=sum(each.padded or 0 for each in counted),
        with_bias=sum(each.with_bias or 0 for each in counted),
        dense=sum(each.dense or 0 for each in counted),
        effective=sum(effective) if effective and len(effective) == len(counted) else None,
    )


def total_ratios(layers: Sequence[report.Layer], connections: report.Connections, weights: int) -> Ratios:
    """The ratios of the sums over all layers, for a model of so many stored weights.

    What each weight serves is counted in the layers that have a kernel: one that is computed from the data is none of the model's.
    """
    known = [
        (layer.sparsity.weight, layer.parameters.weights) for layer in layers if layer.sparsity is not None and layer.parameters.weights
    ]
    zeros = [(share * count, count) for share, count in known if share is not None]
    zero = sum(share for share, _ in zeros) / sum(count for _, count in zeros) if zeros and len(zeros) == len(known) else None
    own = sum_connections(layer for layer in layers if layer.parameters.shape is not None)
    served = _ratios(own.exact, own.dense, weights, own.effective, zero)
    return replace(served, sparsity=_ratios(connections.exact, connections.dense, weights, connections.effective, zero).sparsity)
