"""Derivations: how every number of a layer follows from its geometry, as a line that can be checked by hand.

"(5·5·1 + 1)·6·28·28 = 122,304". A line is an expression with · × / + - ² √ min and max, with words beside its figures, then " = " and the
report's own number; a test evaluates the lines. Where axes differ, a line says each: "height: 3 + (3 - 1)·2 = 7; width: …". A number that
is not known has no line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from service.render.words.explain_field import field_lines
from service.render.words.numbers import counted, number, product, product_of
from service.report.document import AxisTaps, Connections, Layer, Report, Shape
from service.report.sliding import sliding_window, tied_groups, whole

Lines = dict[str, str]
Makers = Mapping[str, Layer]
"""The layer that makes a tensor, by the tensor's name."""


def makers_of(report: Report) -> Makers:
    """Who makes which tensor: made once for a report, because looking for it layer by layer would take quadratic time."""
    return {output: layer for layer in report.layers for output in layer.outputs}


def explain(report: Report, layer: Layer, makers: Makers | None = None) -> Lines:
    """For each number of the layer, by its path in the record, the line that derives it."""
    counts = layer.connections
    window = None if counts is None else _Window.of(layer, counts)
    lines = _parameter_lines(layer, window)
    if counts is not None:
        lines |= {
            **_connection_lines(layer, counts, window),
            **_unit_lines(layer, counts, window),
            **_sparsity_lines(layer, counts),
            **_sharing_lines(layer, counts, window),
        }
    return lines | field_lines(report, layer, makers_of(report) if makers is None else makers)


class _Window:
    """A layer whose kernel slides: its taps along every axis, and the pairs of channels that meet at each of its places."""

    def __init__(self, kernel: Sequence[int], axes: Sequence[AxisTaps], exact: int, channels: Sequence[int]) -> None:
        self.axes, self.kernel, self._channels = axes, kernel, channels
        self.places = [axis.places or 0 for axis in axes]
        self._real = math.prod(axis.real or 0 for axis in axes)
        self.pairs = exact // self._real if self._real else 0

    @classmethod
    def of(cls, layer: Layer, counts: Connections) -> _Window | None:
        """The window of a layer; None where the layer is none, or of unknown size, or reads nothing real."""
        geometry, axes, exact = sliding_window(layer), layer.taps, counts.exact
        before, after = layer.input_shape, layer.output_shape
        if geometry is None or not geometry.is_known or not axes or not exact or before is None or after is None:
            return None
        # The layer may begin or end with operators that change the rank.
        if {len(before), len(after)} != {len(geometry.kernel) + 2} or None in (*before[1:], *after[1:]):
            return None
        kernel = [length or 0 for length in geometry.kernel]
        window = cls(kernel, axes, exact, [(before[1] or 0) // geometry.groups, after[1] or 0])
        return window if window.pairs * window._real == exact else None

    @property
    def filters(self) -> str:
        """The pairs of an input and an output channel that a filter joins: 3·48, or how many there are where a table chooses them."""
        return product_of(self.pairs, self._channels, self._channels[1:]) or f"{number(self.pairs)} pairs of channels"

    def exact(self) -> str:
        """Pairs of channels times the real taps of every axis, those on padding subtracted."""
        spare = [k * places - (axis.real or 0) for k, places, axis in zip(self.kernel, self.places, self.axes, strict=True)]
        if not any(spare):
            return f"{product(self.kernel)}·{self.filters}·{product(self.places)}"
        each = (
            f"({number(k)}·{number(places)}{f' - {number(lost)}' if lost else ''})"
            for k, places, lost in zip(self.kernel, self.places, spare, strict=True)
        )
        return f"{self.filters}·{'·'.join(each)}"

    def padded(self) -> str:
        """Every tap of every place, on padding or not."""
        return f"{product(self.kernel)}·{self.filters}·{product(self.places)}"


def _parameter_lines(layer: Layer, window: _Window | None) -> Lines:
    parameters, shape = layer.parameters, layer.parameters.shape
    weights, biases, total, other = parameters.weights, parameters.biases, parameters.total, parameters.other
    lines = {}
    made = _weights(layer, weights, window) if weights else None
    if made is not None:
        lines["parameters.weights"] = f"{made} = {number(weights)}"
    if layer.kind == "convolution" and shape and biases == shape[0] and _size(shape) == weights:
        lines["parameters.total"] = f"({_product([*shape[2:], shape[1]])} + 1)·{number(shape[0])} = {number(total)}"
    elif total:
        lines["parameters.total"] = (
            f"{counted(weights or 0, 'weight')} + {number(biases)} {'bias' if biases == 1 else 'biases'} = {number(total)}"
        )
    lengths = (layer.output_shape or ())[1:]
    each = next((length for length in (*lengths[:1], *lengths[-1:]) if length and other and other % length == 0), None)
    if each is not None and other is not None:
        lines["parameters.other"] = f"{number(other // each)}·{number(each)} channels = {number(other)}"
    return lines


def _size(shape: Shape | None) -> int | None:
    """The number of entries of a shape; None where an axis is open."""
    lengths = [length for length in shape or () if length is not None]
    return math.prod(lengths) if len(lengths) == len(shape or ()) else None


def _product(shape: Sequence[int | None]) -> str:
    return product(length or 0 for length in shape)


def _weights(layer: Layer, weights: int, window: _Window | None) -> str | None:
    """The weights of a layer as a product."""
    shape = layer.parameters.shape or ()
    hidden = whole(layer.attributes, "hidden")
    if "cell" in layer.attributes and hidden and len(shape) == 3 and None not in shape:
        directions, rows, features = (length or 0 for length in shape)
        if directions * rows * (features + hidden) == weights:
            gates = f"{counted(directions, 'direction')}·{counted(rows // hidden, 'gate')}"
            return f"{gates}·{number(hidden)}·({number(features)} inputs + {number(hidden)} hidden)"
    if layer.kind == "locally-connected" and layer.connections is not None and layer.connections.exact == weights:
        return f"{counted(weights, 'connection')}·1 weight each"
    ties = tied_groups(layer)
    if ties:
        return product_of(weights, [len(ties), whole(layer.attributes, "units")])
    if _size(shape) != weights and window is not None and window.pairs * math.prod(window.kernel) == weights:
        return f"{window.filters}·{product(window.kernel)}"
    return product_of(weights, shape)


def _connection_lines(layer: Layer, counts: Connections, window: _Window | None) -> Lines:
    exact, padded, with_bias = counts.exact, counts.padded, counts.with_bias
    if exact is None or padded is None or with_bias is None or layer.units is None:
        return {}
    lines = {"connections.exact": f"{window.exact() if window else _per_position(layer, exact)} = {number(exact)}"}
    if window:
        lines["connections.padded"] = f"{window.padded()} = {number(padded)}"
    else:
        lines["connections.padded"] = f"{number(exact)} real + {counted(padded - exact, 'tap')} on padding = {number(padded)}"
    lines["connections.with_bias"] = f"{_with_bias(layer, exact, padded, with_bias, window)} = {number(with_bias)}"
    sides = ((layer.units.in_, layer.input_shape), (layer.units.out, layer.output_shape))
    lines["connections.dense"] = f"{'·'.join(_factors(units, shape) for units, shape in sides)} = {number(counts.dense)}"
    if counts.effective is not None:
        left = counts.effective
        lines["connections.effective"] = f"{number(exact)} - {number(exact - left)} by weights at zero = {number(left)}"
    return lines


def _factors(units: int | None, shape: Shape | None) -> str:
    """Units as a product of the lengths of their axes, without the batch."""
    lengths = (shape or ())[1:]
    found = product_of(units, lengths)
    return f"({found})" if found is not None and len(lengths) > 1 else number(units)


def _per_position(layer: Layer, exact: int) -> str:
    """The kernel at every position, in the factors of the kernel's shape where these are its weights."""
    positions, weights = layer.sharing and layer.sharing.positions, layer.parameters.weights
    if positions and weights is not None and positions * weights == exact:
        return f"{counted(positions, 'position')}·{product_of(weights, layer.parameters.shape) or number(weights)}"
    if positions and exact % positions == 0:
        return f"{counted(positions, 'position')}·{counted(exact // positions, 'connection')} each"
    units, mean = layer.units and layer.units.out, layer.fan_in.mean if layer.fan_in else None
    return f"{counted(units or 0, 'unit')}·{number(mean)} connections each"


def _with_bias(layer: Layer, exact: int, padded: int, with_bias: int, window: _Window | None) -> str:
    """LeCun's form where every unit has all its taps and its bias, "(5·5·1 + 1)·6·28·28", else the sum."""
    # Only the result of a window is known to have an axis of filters.
    filters = ((layer.output_shape or (0, 0))[1] or 0) if window else 0
    biased = with_bias - exact
    if window and filters and biased and exact == padded and biased == math.prod([filters, *window.places]):
        channels, rest = divmod(window.pairs, filters)
        if not rest:
            return f"({product([*window.kernel, channels])} + 1)·{product([filters, *window.places])}"
    return f"{number(exact)} exact + {counted(biased, 'biased unit')}"


def _unit_lines(layer: Layer, counts: Connections, window: _Window | None) -> Lines:
    """Connections of one output unit, and uses of one weight: the fewest, the mean, the most."""
    exact, lines = counts.exact, {}
    divided = (("fan_in", layer.fan_in, layer.units and layer.units.out, "unit"), ("uses", layer.uses, layer.parameters.weights, "weight"))
    for name, spread, divisor, word in divided:
        if spread is None:
            continue
        mean = f"{number(exact)} / {counted(divisor, word)}" if exact is not None and divisor else None
        if mean is not None and spread.mean is not None:
            lines[f"{name}.mean"] = f"{mean} = {number(spread.mean)}"
        for end, value in (("min", spread.min), ("max", spread.max)):
            made = _end(layer, window, name, end, value) or (mean if spread.min == spread.max else None)
            if value is not None and made:
                lines[f"{name}.{end}"] = f"{made} = {number(value)}"
    return lines


def _end(layer: Layer, window: _Window | None, name: str, end: str, value: float | None) -> str | None:
    """The fewest or most real taps of one place, with its channels; the fewest or most places where one tap is real."""
    ties = tied_groups(layer)
    if value is not None and ties and name == "uses":
        size = (min if end == "min" else max)(len(group) for group in ties)
        return f"{counted(int(value) // size, 'position')}·{counted(size, 'input')} of the group"
    if window is None or value is None:
        # Of a window at an unknown number of places the whole kernel is known.
        shape = layer.parameters.shape or ()
        return product_of(value, [*shape[2:], shape[1]]) if len(shape) > 2 and name == "fan_in" else None
    if name == "uses":
        return product_of(value, [(axis.fewest_uses if end == "min" else axis.most_uses) for axis in window.axes])
    taps = [(axis.least if end == "min" else axis.most) or 0 for axis in window.axes]
    each = math.prod(taps)
    return product_of(value, [*taps, int(value) // each] if each else taps)


def _sparsity_lines(layer: Layer, counts: Connections) -> Lines:
    sparsity, weights = layer.sparsity, layer.parameters.weights
    if sparsity is None:
        return {}
    dense, lines = number(counts.dense), {}
    if sparsity.connection is not None and counts.exact is not None:
        lines["sparsity.connection"] = f"1 - {number(counts.exact)} / {dense} = {number(sparsity.connection)}"
    if sparsity.weight is not None and weights:
        zeros = round(sparsity.weight * weights)
        lines["sparsity.weight"] = f"{number(zeros)} at zero / {counted(weights, 'weight')} = {number(sparsity.weight)}"
    if sparsity.effective is not None and counts.effective is not None:
        lines["sparsity.effective"] = f"1 - {number(counts.effective)} / {dense} = {number(sparsity.effective)}"
    return lines


def _sharing_lines(layer: Layer, counts: Connections, window: _Window | None) -> Lines:
    sharing, lines = layer.sharing, {}
    exact, dense, weights = (number(value) for value in (counts.exact, counts.dense, layer.parameters.weights))
    shape = list(layer.input_shape or ())
    # The steps of a recurrent layer come first in ONNX and last in a layer spec.
    around = (shape[:1], shape[-1:]) if layer.kind == "recurrent" else (shape[1:-1] or [1], shape[1:])
    if sharing is not None:
        positions = product_of(sharing.positions, window.places if window else None, *around)
        if positions is not None:
            lines["sharing.positions"] = f"{positions} = {number(sharing.positions)}"
        if sharing.factor is not None:
            lines["sharing.factor"] = f"{exact} / {weights} = {number(sharing.factor)}"
    return lines | _reduction_lines(layer, exact, dense, weights)


def _reduction_lines(layer: Layer, exact: str, dense: str, weights: str) -> Lines:
    reduction, lines = layer.reduction, {}
    if reduction is None:
        return {}
    sparsity, sharing = number(reduction.from_sparsity), number(reduction.from_sharing)
    if reduction.from_sparsity is not None:
        lines["reduction.from_sparsity"] = f"{dense} / {exact} = {sparsity}"
    if reduction.from_sharing is not None:
        lines["reduction.from_sharing"] = f"{exact} / {weights} = {sharing}"
    if reduction.total is not None:
        parts = "" if reduction.from_sparsity is None else f" = {sparsity} from sparsity × {sharing} from sharing"
        lines["reduction.total"] = f"{dense} / {weights}{parts} = {number(reduction.total)}"
    return lines
