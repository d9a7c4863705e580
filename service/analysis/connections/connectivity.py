"""Connections, weights and sharing of one layer: the exact counts of design section 2, one rule per weight operator.

1. A connection is a pair (input unit, output unit) joined by a kernel weight. A tap that falls on padding joins nothing.
2. The number of real taps is counted axis by axis in closed form, so the cost does not depend on the number of pixels.
3. Counts are per sample: a rule counts the whole tensors, and the batch is divided out at the end.

Sources: LeCun, Bottou, Bengio and Haffner 1998 (LeNet-5: connections count biases too, our `with_bias`); Goodfellow, Bengio and Courville
2016, section 9.2 and figure 9.6 (sparse interactions, parameter sharing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.graph import Layer, Node, Operator, Shape
from service.graph import operators as core
from service.graph.geometry import AxisTaps, transposed_taps, window_taps


@dataclass(frozen=True, slots=True)
class Connectivity:
    """The counts of one layer, per sample.

    `weights` are independent kernel scalars, `positions` the places at which the kernel is applied; `uses` are (least, mean, most) uses of
    a weight, `fan_in` the same of the exact connections of an output unit. `tap_uses` counts the uses of the weight at each index of the
    kernel's trailing axes (a scalar: every weight is used so often), from which the connections of a pruned kernel follow. `axes` say how a
    window meets each axis.
    """

    units_in: int
    units_out: int
    weights: int
    exact: int
    padded: int
    positions: int
    fan_in: tuple[int, float, int]
    uses: tuple[int, float, int]
    tap_uses: NDArray[np.int64]
    axes: tuple[AxisTaps, ...] = ()

    @property
    def dense(self) -> int:
        """Connections of a dense layer between the same units."""
        return self.units_in * self.units_out


Rule = Callable[..., Connectivity]


def connectivity(layer: Layer, shapes: Callable[[str], Shape | None], batch: int) -> Connectivity | None:
    """The counts of a layer; None where it has no weight operator or the shapes are unknown. `batch` samples are divided out."""
    for node in layer.nodes:
        rule = RULES.get(type(node.operator))
        if rule is not None:
            inputs, output = shapes(node.inputs[0]), shapes(node.outputs[0])
            if inputs is None or output is None:
                return None
            return _per_sample(rule(node.operator, inputs, output, sum(w.count for w in layer.kernel)), batch)
    return None


def weight_node(layer: Layer) -> Node | None:
    """The node of a layer that its kernel belongs to."""
    return next((node for node in layer.nodes if type(node.operator) in RULES), None)


def _per_sample(counts: Connectivity, batch: int) -> Connectivity:
    totals = (counts.units_in, counts.units_out, counts.exact, counts.padded, counts.positions)
    if batch <= 1 or any(total % batch for total in totals):
        return counts
    units_in, units_out, exact, padded, positions = (total // batch for total in totals)
    least, _, most = counts.uses
    return replace(
        counts,
        units_in=units_in,
        units_out=units_out,
        exact=exact,
        padded=padded,
        positions=positions,
        uses=(least // batch, exact / counts.weights if counts.weights else 0.0, most // batch),
        tap_uses=counts.tap_uses // batch,
    )


def _outer(vectors: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """The products of one entry of each vector, one axis per vector."""
    result = np.ones((), dtype=np.int64)
    for vector in vectors:
        result = np.multiply.outer(result, np.array(vector, dtype=np.int64))
    return result


def _windowed(
    axes: Sequence[AxisTaps], rows: Sequence[int], shape: Shape, output: Shape, weights: int, kernel: Sequence[int]
) -> Connectivity:
    """A window whose filter f reads rows[f] channels at every place."""
    batch = shape[0]
    real, places = math.prod(a.real for a in axes), math.prod(a.places for a in axes)
    channels = sum(rows)
    exact = batch * channels * real
    units_out = math.prod(output)
    tap_uses = batch * _outer([a.uses for a in axes])
    return Connectivity(
        units_in=math.prod(shape),
        units_out=units_out,
        weights=weights,
        exact=exact,
        padded=batch * channels * places * math.prod(kernel),
        positions=batch * places,
        fan_in=(
            min(rows) * math.prod(a.least for a in axes),
            exact / units_out if units_out else 0.0,
            max(rows) * math.prod(a.most for a in axes),
        ),
        uses=(int(tap_uses.min()), exact / weights if weights else 0.0, int(tap_uses.max())),
        tap_uses=tap_uses,
        axes=tuple(axes),
    )


def _axes(operator: core.Window, taps: Callable[..., AxisTaps], shape: Shape, output: Shape) -> list[AxisTaps]:
    geometry = zip(operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True)
    return [taps(n, m, k, s, d, before) for n, m, (k, s, d, (before, _)) in zip(shape[2:], output[2:], geometry, strict=True)]


def convolution(operator: core.Convolution, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """exact = Σ over filters of channels read, times the real (place, tap) pairs of every axis."""
    table = operator.table
    rows = [shape[1] // operator.groups] * operator.filters if table is None else [len(row) for row in table]
    return _windowed(_axes(operator, window_taps, shape, output), rows, shape, output, weights, operator.kernel)


def transposed_convolution(operator: core.TransposedConvolution, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """As the convolution that leads back from the output to the input."""
    rows = [shape[1] // operator.groups] * operator.filters
    return _windowed(_axes(operator, transposed_taps, shape, output), rows, shape, output, weights, operator.kernel)


def locally_connected(operator: core.LocallyConnected, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """One weight per exact connection: nothing is shared."""
    rows = [shape[1] // operator.groups] * operator.filters
    counts = _windowed(_axes(operator, window_taps, shape, output), rows, shape, output, weights, operator.kernel)
    uses = shape[0] if weights else 0
    mean = counts.exact / weights if weights else 0.0
    return replace(counts, uses=(uses, mean, uses), tap_uses=np.array(uses, dtype=np.int64))


def subsampling(operator: core.Subsampling, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """One coefficient per map serves every real tap of every place of the map."""
    counts = _windowed(_axes(operator, window_taps, shape, output), [1] * shape[1], shape, output, weights, operator.kernel)
    per_map = counts.exact // shape[1]
    return replace(counts, uses=(per_map, float(per_map), per_map), tap_uses=np.array(per_map, dtype=np.int64))


def dense(operator: core.Dense, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """P leading positions, K inputs and N units: exact = P·K·N; tied inputs are connections of their own that share a weight."""
    positions, inputs = math.prod(shape[:-1]), shape[-1]
    groups = [1] * inputs if operator.ties is None else [len(group) for group in operator.ties]
    fan_in = sum(groups)
    exact = positions * fan_in * operator.units
    uses = positions * np.array(groups, dtype=np.int64)
    return Connectivity(
        units_in=math.prod(shape),
        units_out=math.prod(output),
        weights=weights,
        exact=exact,
        padded=exact,
        positions=positions,
        fan_in=(fan_in, float(fan_in), fan_in),
        uses=(int(uses.min()), exact / weights if weights else 0.0, int(uses.max())),
        tap_uses=uses[:, None] if operator.ties else np.array(positions, dtype=np.int64),
    )


def experts(operator: core.Experts, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """Both layers of the experts that a position goes through: of all weights, the share of the chosen ones joins units.

    Which experts these are depends on the data, so how many connections are not zero is not known.
    """
    positions, width = math.prod(shape[:-1]), shape[-1]
    chosen = operator.chosen
    exact = positions * chosen * weights // operator.count
    units_out = positions * (chosen * operator.inner + width)
    fans = (width, chosen * operator.middle)
    return Connectivity(
        units_in=positions * (width + chosen * operator.middle),
        units_out=units_out,
        weights=weights,
        exact=exact,
        padded=exact,
        positions=positions,
        fan_in=(min(fans), exact / units_out if units_out else 0.0, max(fans)),
        uses=(positions if chosen == operator.count else 0, exact / weights if weights else 0.0, positions),
        tap_uses=np.zeros(operator.count, dtype=np.int64),
    )


def recurrent(operator: core.Recurrent, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """The unrolled network: in = T·(input + hidden), out = T·gates·hidden, exact = T·weights, for each direction."""
    time, batch, features = shape
    steps = time * batch
    kernel = operator.directions * operator.gates * operator.hidden * (features + operator.hidden)
    fan_in = features + operator.hidden
    return Connectivity(
        units_in=operator.directions * steps * fan_in,
        units_out=operator.directions * steps * operator.gates * operator.hidden,
        weights=weights,
        exact=steps * kernel,
        padded=steps * kernel,
        positions=steps,
        fan_in=(fan_in, float(fan_in), fan_in),
        uses=(steps, float(steps), steps),
        tap_uses=np.array(steps, dtype=np.int64),
    )


def embedding(operator: core.Embedding, shape: Shape, output: Shape, weights: int) -> Connectivity:
    """A dense layer on one-hot inputs at T positions: in = T·V, out = T·D, exact = T·V·D."""
    positions, units = math.prod(shape), math.prod(operator.units)
    exact = positions * operator.vocabulary * units
    return Connectivity(
        units_in=positions * operator.vocabulary,
        units_out=positions * units,
        weights=weights,
        exact=exact,
        padded=exact,
        positions=positions,
        fan_in=(operator.vocabulary, float(operator.vocabulary), operator.vocabulary),
        uses=(positions, float(positions), positions),
        tap_uses=np.array(positions, dtype=np.int64),
    )


RULES: dict[type[Operator], Rule] = {
    core.Convolution: convolution,
    core.TransposedConvolution: transposed_convolution,
    core.LocallyConnected: locally_connected,
    core.Subsampling: subsampling,
    core.Dense: dense,
    core.Experts: experts,
    core.Recurrent: recurrent,
    core.Embedding: embedding,
}
