"""Derivations: how every number of a layer follows from its geometry, as a line that can be checked by hand.

"(5·5·1 + 1)·6·28·28 = 122,304". A line is an expression with · × / + - ² √ min and max, with words beside its figures, then " = " and the
report's own number; a test evaluates the lines. Where axes differ, a line says each: "height: 3 + (3 - 1)·2 = 7; width: …". A number that
is not known has no line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.graph.geometry import AxisTaps, transposed_taps, window_taps
from service.render.words.explain_field import field_lines
from service.render.words.numbers import counted, number, product, product_of

Record = Mapping[str, Any]
Lines = dict[str, str]


def explain(report: Record, layer: Record) -> Lines:
    """For each number of the layer, by its path in the record, the line that derives it."""
    window = None if layer["connections"] is None else _Window.of(layer)
    lines = _parameter_lines(layer, window)
    if layer["connections"] is not None:
        lines |= {
            **_connection_lines(layer, window),
            **_unit_lines(layer, window),
            **_sparsity_lines(layer),
            **_sharing_lines(layer, window),
        }
    return lines | field_lines(report, layer)


class _Window:
    """A layer whose kernel slides: its taps along every axis, and the pairs of channels that meet at each of its places."""

    def __init__(self, layer: Record, axes: Sequence[AxisTaps]) -> None:
        self.axes, self.kernel = axes, list[int](layer["attributes"]["kernel"])
        self.places = [axis.places for axis in axes]
        exact, real = layer["connections"]["exact"], math.prod(axis.real for axis in axes)
        self.pairs = exact // real if real else 0
        channels, filters = layer["input_shape"][1], layer["output_shape"][1]
        self._channels = [channels // (layer["attributes"].get("groups") or 1), filters]

    @classmethod
    def of(cls, layer: Record) -> _Window | None:
        """The window of a layer; None where the layer is none, or of unknown size, or reads nothing real."""
        geometry, exact = layer["attributes"], layer["connections"]["exact"]
        shapes = (shape and shape[1:] for shape in (layer["input_shape"], layer["output_shape"]))
        known = (*shapes, *(geometry.get(key) for key in ("kernel", "strides", "dilations", "pads")))
        if not exact or any(lengths is None or None in lengths for lengths in known):
            return None
        # The layer may begin or end with operators that change the rank.
        if {len(layer["input_shape"]), len(layer["output_shape"])} != {len(geometry["kernel"]) + 2}:
            return None
        taps = transposed_taps if layer["kind"] == "transposed-convolution" else window_taps
        lengths = zip(layer["input_shape"][2:], layer["output_shape"][2:], strict=True)
        steps = zip(geometry["kernel"], geometry["strides"], geometry["dilations"], geometry["pads"], strict=True)
        window = cls(layer, [taps(n, m, k, s, d, pad[0]) for (n, m), (k, s, d, pad) in zip(lengths, steps, strict=True)])
        return window if window.pairs * math.prod(axis.real for axis in window.axes) == exact else None

    @property
    def filters(self) -> str:
        """The pairs of an input and an output channel that a filter joins: 3·48, or how many there are where a table chooses them."""
        return product_of(self.pairs, self._channels, self._channels[1:]) or f"{number(self.pairs)} pairs of channels"

    def exact(self) -> str:
        """Pairs of channels times the real taps of every axis, those on padding subtracted."""
        spare = [k * axis.places - axis.real for k, axis in zip(self.kernel, self.axes, strict=True)]
        if not any(spare):
            return f"{product(self.kernel)}·{self.filters}·{product(self.places)}"
        each = (
            f"({number(k)}·{number(axis.places)}{f' - {number(lost)}' if lost else ''})"
            for k, axis, lost in zip(self.kernel, self.axes, spare, strict=True)
        )
        return f"{self.filters}·{'·'.join(each)}"

    def padded(self) -> str:
        """Every tap of every place, on padding or not."""
        return f"{product(self.kernel)}·{self.filters}·{product(self.places)}"


def _parameter_lines(layer: Record, window: _Window | None) -> Lines:
    parameters, shape = layer["parameters"], layer["parameters"]["shape"]
    weights, biases, total, other = (parameters[key] for key in ("weights", "biases", "total", "other"))
    lines = {}
    made = _weights(layer, window) if weights else None
    if made is not None:
        lines["parameters.weights"] = f"{made} = {number(weights)}"
    if layer["kind"] == "convolution" and shape and biases == shape[0] and math.prod(shape) == weights:
        lines["parameters.total"] = f"({product([*shape[2:], shape[1]])} + 1)·{number(shape[0])} = {number(total)}"
    elif total:
        lines["parameters.total"] = (
            f"{counted(weights, 'weight')} + {number(biases)} {'bias' if biases == 1 else 'biases'} = {number(total)}"
        )
    lengths = (layer["output_shape"] or [])[1:]
    each = next((length for length in (*lengths[:1], *lengths[-1:]) if length and other and other % length == 0), None)
    if each is not None:
        lines["parameters.other"] = f"{number(other // each)}·{number(each)} channels = {number(other)}"
    return lines


def _weights(layer: Record, window: _Window | None) -> str | None:
    """The weights of a layer as a product."""
    weights, shape, geometry = layer["parameters"]["weights"], layer["parameters"]["shape"] or [], layer["attributes"]
    if "cell" in geometry and len(shape) == 3:
        directions, rows, features = shape
        hidden = geometry["hidden"]
        if directions * rows * (features + hidden) == weights:
            gates = f"{counted(directions, 'direction')}·{counted(rows // hidden, 'gate')}"
            return f"{gates}·{number(hidden)}·({number(features)} inputs + {number(hidden)} hidden)"
    if layer["kind"] == "locally-connected" and layer["connections"]["exact"] == weights:
        return f"{counted(weights, 'connection')}·1 weight each"
    if geometry.get("ties"):
        return product_of(weights, [len(geometry["ties"]), geometry["units"]])
    if math.prod(shape) != weights and window is not None and window.pairs * math.prod(window.kernel) == weights:
        return f"{window.filters}·{product(window.kernel)}"
    return product_of(weights, shape)


def _connection_lines(layer: Record, window: _Window | None) -> Lines:
    counts, units = layer["connections"], layer["units"]
    exact, padded, with_bias, dense, effective = (counts[key] for key in ("exact", "padded", "with_bias", "dense", "effective"))
    if exact is None:
        return {}
    lines = {"connections.exact": f"{window.exact() if window else _per_position(layer)} = {number(exact)}"}
    if window:
        lines["connections.padded"] = f"{window.padded()} = {number(padded)}"
    else:
        lines["connections.padded"] = f"{number(exact)} real + {counted(padded - exact, 'tap')} on padding = {number(padded)}"
    lines["connections.with_bias"] = f"{_with_bias(layer, window)} = {number(with_bias)}"
    sides = (_factors(units[side], layer[f"{side}put_shape"]) for side in ("in", "out"))
    lines["connections.dense"] = f"{'·'.join(sides)} = {number(dense)}"
    if effective is not None:
        lines["connections.effective"] = f"{number(exact)} - {number(exact - effective)} by weights at zero = {number(effective)}"
    return lines


def _factors(units: int, shape: Sequence[int | None] | None) -> str:
    """Units as a product of the lengths of their axes, without the batch."""
    lengths = (shape or [])[1:]
    found = product_of(units, lengths)
    return f"({found})" if found is not None and len(lengths) > 1 else number(units)


def _per_position(layer: Record) -> str:
    """The kernel at every position, in the factors of the kernel's shape where these are its weights."""
    exact, positions, weights = layer["connections"]["exact"], layer["sharing"]["positions"], layer["parameters"]["weights"]
    shape = layer["parameters"]["shape"]
    if positions and positions * weights == exact:
        return f"{counted(positions, 'position')}·{product_of(weights, shape) or number(weights)}"
    if positions and exact % positions == 0:
        return f"{counted(positions, 'position')}·{counted(exact // positions, 'connection')} each"
    return f"{counted(layer['units']['out'], 'unit')}·{number(layer['fan_in']['mean'])} connections each"


def _with_bias(layer: Record, window: _Window | None) -> str:
    """LeCun's form where every unit has all its taps and its bias, "(5·5·1 + 1)·6·28·28", else the sum."""
    counts = layer["connections"]
    biased = counts["with_bias"] - counts["exact"]
    filters = layer["output_shape"][1] if window else 0
    if window and biased and counts["exact"] == counts["padded"] and biased == math.prod([filters, *window.places]):
        channels, rest = divmod(window.pairs, filters)
        if not rest:
            return f"({product([*window.kernel, channels])} + 1)·{product([filters, *window.places])}"
    return f"{number(counts['exact'])} exact + {counted(biased, 'biased unit')}"


def _unit_lines(layer: Record, window: _Window | None) -> Lines:
    """Connections of one output unit, and uses of one weight: the fewest, the mean, the most."""
    exact = layer["connections"]["exact"]
    lines = {}
    for name, divisor, word in (("fan_in", layer["units"]["out"], "unit"), ("uses", layer["parameters"]["weights"], "weight")):
        spread = layer[name] or {}
        mean = f"{number(exact)} / {counted(divisor, word)}" if exact is not None and divisor else None
        for end in ("min", "mean", "max"):
            made = mean if end == "mean" else _end(layer, window, name, end) or (mean if spread.get("min") == spread.get("max") else None)
            if spread.get(end) is not None and made:
                lines[f"{name}.{end}"] = f"{made} = {number(spread[end])}"
    return lines


def _end(layer: Record, window: _Window | None, name: str, end: str) -> str | None:
    """The fewest or most real taps of one place, with its channels; the fewest or most places where one tap is real."""
    value, pick = (layer[name] or {}).get(end), min if end == "min" else max
    if value is not None and layer["attributes"].get("ties") and name == "uses":
        size = pick(len(group) for group in layer["attributes"]["ties"])
        return f"{counted(value // size, 'position')}·{counted(size, 'input')} of the group"
    if window is None or value is None:
        # Of a window at an unknown number of places the whole kernel is known.
        shape = layer["parameters"]["shape"] or []
        return product_of(value, [*shape[2:], shape[1]]) if len(shape) > 2 and name == "fan_in" else None
    if name == "uses":
        return product_of(value, [pick(axis.uses) for axis in window.axes])
    taps = [axis.least if end == "min" else axis.most for axis in window.axes]
    each = math.prod(taps)
    return product_of(value, [*taps, value // each] if each else taps)


def _sparsity_lines(layer: Record) -> Lines:
    counts, sparsity, weights = layer["connections"], layer["sparsity"], layer["parameters"]["weights"]
    dense = number(counts["dense"])
    lines = {}
    if sparsity["connection"] is not None and counts["exact"] is not None:
        lines["sparsity.connection"] = f"1 - {number(counts['exact'])} / {dense} = {number(sparsity['connection'])}"
    if sparsity["weight"] is not None and weights:
        zeros = round(sparsity["weight"] * weights)
        lines["sparsity.weight"] = f"{number(zeros)} at zero / {counted(weights, 'weight')} = {number(sparsity['weight'])}"
    if sparsity["effective"] is not None and counts["effective"] is not None:
        lines["sparsity.effective"] = f"1 - {number(counts['effective'])} / {dense} = {number(sparsity['effective'])}"
    return lines


def _sharing_lines(layer: Record, window: _Window | None) -> Lines:
    exact, dense, weights = layer["connections"]["exact"], layer["connections"]["dense"], layer["parameters"]["weights"]
    sharing, reduction = layer["sharing"], layer["reduction"]
    lines = {}
    shape = layer["input_shape"] or []
    # The steps of a recurrent layer come first in ONNX and last in a layer spec.
    around = (shape[:1], shape[-1:]) if layer["kind"] == "recurrent" else (shape[1:-1] or [1], shape[1:])
    positions = product_of(sharing["positions"], window.places if window else None, *around)
    if positions is not None:
        lines["sharing.positions"] = f"{positions} = {number(sharing['positions'])}"
    if sharing["factor"] is not None:
        lines["sharing.factor"] = f"{number(exact)} / {number(weights)} = {number(sharing['factor'])}"
    if reduction["from_sparsity"] is not None:
        lines["reduction.from_sparsity"] = f"{number(dense)} / {number(exact)} = {number(reduction['from_sparsity'])}"
    if reduction["from_sharing"] is not None:
        lines["reduction.from_sharing"] = f"{number(exact)} / {number(weights)} = {number(reduction['from_sharing'])}"
    if reduction["total"] is not None:
        parts = (
            ""
            if reduction["from_sparsity"] is None
            else f" = {number(reduction['from_sparsity'])} from sparsity × {number(reduction['from_sharing'])} from sharing"
        )
        lines["reduction.total"] = f"{number(dense)} / {number(weights)}{parts} = {number(reduction['total'])}"
    return lines
