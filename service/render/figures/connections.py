"""The connections of a layer one by one, on a window of it that fits a picture: which pixel is joined to which hidden unit by which weight.

1. One input channel and one filter are shown; the others are the same, with weights of their own.
2. A layer that is small enough is shown whole; of a larger one the corner at the first output unit, padding included as what it is:
   nothing.
3. The connections are enumerated from the definition of the operator, so that the picture can be checked by hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from service.faults import Refused
from service.report.document import Layer
from service.report.sliding import SlidingWindow, sliding_window, tied_groups

MOST_INPUTS = 64
MOST_OUTPUTS = 36
MOST_CONNECTIONS = 400
"""Units and connections shown at the most, unless a single place of the kernel has more: lines beyond that cannot be followed."""

MOST_DENSE_INPUTS = 24
MOST_DENSE_OUTPUTS = 4
"""The same of a dense layer, where every input is joined to every unit."""

MOST_SHOWN = 512
"""Pixels and weights of a single place of the kernel beyond which there is nothing to see any more."""

WEIGHTED_WINDOWS = {"convolution", "locally-connected", "transposed-convolution"}


@dataclass(frozen=True, slots=True)
class Connection:
    """Input unit, output unit and weight, each by its index from 0 in row-major order."""

    source: int
    target: int
    weight: int


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a layer: the spatial shapes of its input and output, its connections, and a sentence that says which part.

    `slides`: a filter slides over the input from output unit to output unit.
    """

    layer: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: int
    connections: tuple[Connection, ...]
    part: str
    slides: bool


def window(layer: Layer) -> Window:
    """The window of a layer. Refused where it has no connections that could be drawn."""
    geometry = sliding_window(layer) if layer.kind in WEIGHTED_WINDOWS else None
    if geometry is not None and layer.connections is not None and _is_known(layer, geometry):
        return _sliding(layer, geometry)
    fan_in = layer.fan_in.max if layer.fan_in else None
    if geometry is not None or layer.connections is None or fan_in is None or layer.units is None or layer.units.out is None:
        raise Refused("invalid", "no-connections", f"{layer.name} has no connections to draw")
    return _dense(layer, int(fan_in), layer.units.out)


def _is_known(layer: Layer, geometry: SlidingWindow) -> bool:
    """Whether the sizes that a picture needs are numbers: those of a model with open axes may be null."""
    shapes = (shape and shape[1:] for shape in (layer.input_shape, layer.output_shape))
    return geometry.is_known and all(sizes is not None and None not in sizes for sizes in shapes)


def _known(lengths: Sequence[int | None] | None) -> tuple[int, ...]:
    """Lengths of which none is open."""
    return tuple(length for length in lengths or () if length is not None)


def _sliding(layer: Layer, geometry: SlidingWindow) -> Window:
    kernel, strides, dilations = (_known(lengths) for lengths in (geometry.kernel, geometry.strides, geometry.dilations))
    before = _known([pad[0] for pad in geometry.pads])
    whole_in, whole_out = _known((layer.input_shape or ())[2:]), _known((layer.output_shape or ())[2:])
    back = layer.kind == "transposed-convolution"
    axes = list(zip(kernel, strides, dilations, before, strict=True))
    outputs = _fitting(whole_out, whole_in, axes, back)
    inputs = tuple(min(n, _reach(m, axis, back)) for n, m, axis in zip(whole_in, outputs, axes, strict=True))
    if math.prod(inputs) > MOST_SHOWN or math.prod(kernel) > MOST_SHOWN:
        raise Refused("invalid", "no-connections", f"{layer.name} reads {_times(inputs)} pixels at one place, more than a picture can show")
    connections: list[Connection] = []
    for target, place in enumerate(product(*map(range, outputs))):
        for tap, index in enumerate(product(*map(range, kernel))):
            source = [_source(o, k, axis, back) for o, k, axis in zip(place, index, axes, strict=True)]
            if all(i is not None and 0 <= i < n for i, n in zip(source, inputs, strict=True)):
                flat = _flat([i or 0 for i in source], inputs)
                weight = len(connections) if layer.kind == "locally-connected" else tap
                connections.append(Connection(flat, target, weight))
    weights = len(connections) if layer.kind == "locally-connected" else math.prod(kernel)
    part = _part(layer, inputs, whole_in, outputs, whole_out)
    return Window(layer.name, layer.kind, inputs, outputs, weights, tuple(connections), part, slides=not back)


def _fitting(whole: Sequence[int], inputs: Sequence[int], axes: Sequence[tuple[int, int, int, int]], back: bool) -> tuple[int, ...]:
    """The largest corner of the output whose units and inputs are few enough; one place at the least."""
    best = tuple(min(n, 1) for n in whole)
    for size in range(1, max(whole, default=1) + 1):
        outputs = tuple(min(n, size) for n in whole)
        reached = [min(n, _reach(m, axis, back)) for n, m, axis in zip(inputs, outputs, axes, strict=True)]
        connections = math.prod(outputs) * math.prod(kernel for kernel, *_ in axes)
        if math.prod(outputs) > MOST_OUTPUTS or math.prod(reached) > MOST_INPUTS or connections > MOST_CONNECTIONS:
            break
        best = outputs
    return best


def _reach(outputs: int, axis: tuple[int, int, int, int], back: bool) -> int:
    """How many input units the first output units of an axis reach."""
    kernel, stride, dilation, before = axis
    if back:
        return (outputs - 1 + before) // stride + 1
    return max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - before, 1)


def _source(place: int, tap: int, axis: tuple[int, int, int, int], back: bool) -> int | None:
    """The input unit that a tap of an output unit reads; None where a transposed window has none there."""
    _, stride, dilation, before = axis
    if not back:
        return place * stride + tap * dilation - before
    position = place + before - tap * dilation
    return position // stride if position % stride == 0 else None


def _flat(index: Sequence[int], shape: Sequence[int]) -> int:
    flat = 0
    for i, n in zip(index, shape, strict=True):
        flat = flat * n + i
    return flat


def _dense(layer: Layer, fan_in: int, units_out: int) -> Window:
    """Every input with every unit; tied inputs share their weight, one group after the other."""
    positions = (layer.sharing.positions if layer.sharing else None) or 1
    units = max(units_out // max(positions, 1), 1)
    inputs, outputs = min(fan_in, MOST_DENSE_INPUTS), min(units, MOST_DENSE_OUTPUTS)
    groups = tied_groups(layer) or tuple((i,) for i in range(inputs))
    owner = {member: group for group, members in enumerate(groups) for member in members}
    kept = sorted({owner[i] for i in range(inputs)})
    connections = tuple(Connection(i, unit, kept.index(owner[i]) * outputs + unit) for unit in range(outputs) for i in range(inputs))
    part = _part(layer, (inputs,), (fan_in,), (outputs,), (units,))
    return Window(layer.name, layer.kind, (inputs,), (outputs,), len(kept) * outputs, connections, part, slides=False)


def _part(layer: Layer, inputs: Sequence[int], whole_in: Sequence[int], outputs: Sequence[int], whole_out: Sequence[int]) -> str:
    """Which part of the layer is shown."""
    slides = layer.kind in WEIGHTED_WINDOWS
    channels, filters = (shape[1] or 1 if slides and shape and len(shape) > 2 else 1 for shape in (layer.input_shape, layer.output_shape))
    said = []
    if channels > 1 or filters > 1:
        said.append(f"input channel 1 of {channels}, filter 1 of {filters}")
    if tuple(inputs) != tuple(whole_in) or tuple(outputs) != tuple(whole_out):
        said.append(f"the first {_times(inputs)} of {_times(whole_in)} inputs and {_times(outputs)} of {_times(whole_out)} units")
    return "; ".join(said) if said else "the whole layer"


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
