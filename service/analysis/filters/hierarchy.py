"""Hierarchy: a filter of a deeper convolution drawn in pixels, as the weighted sum of the filters below it.

As Lee, Grosse, Ranganath and Ng (*Convolutional Deep Belief Networks*, ICML 2009) drew theirs: the network is taken as linear, so that one
unit of the filter is a sum over input pixels whose coefficients are products of weights along paths.

1. A convolution goes back by its transposed kernel; of the channels that it reads only the strongest are followed.
2. Batch normalisation goes back by its scale; a pool and an interpolation by the mean of what they read; joins by the sum.
3. Activations are taken as the identity; numbers are float32.
4. The picture is cropped to the pixels that are reached: the filter's own receptive field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.connectivity import weight_node
from service.analysis.field.axes import spatial_axes
from service.analysis.field.dependence import Slide, paths
from service.analysis.field.influence import Reached, back_along, whole
from service.analysis.field.intervals import TooLarge
from service.graph import Graph, Layer, Node, Shape, Weight, WeightReader
from service.graph import operators as core
from service.graph.geometry import transposed_length
from service.report.document import Depth

Pixels = NDArray[np.floating]

MOST_COEFFICIENTS = 1 << 23
"""Coefficients of one tensor that are held at the most, over the filters that are drawn together (64 MiB)."""

MOST_SIDE = 8192
"""Pixels along any axis of a receptive field that is drawn: of a longer one a picture would show nothing any more."""

TOGETHER = 16
"""Filters that are drawn together."""

MOST_WORK = 20_000_000_000
"""Multiplications that a projector spends at the most."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Filters of a layer in pixels: `pixels` has shape (filters, channels of the image, *receptive field); `filters` are their indices."""

    layer: str
    filters: tuple[int, ...]
    pixels: Pixels


def convolutions(graph: Graph) -> list[Layer]:
    """The convolutions that depend on an image, in topological order: the d-th is drawn at depth d (from 1)."""
    reached = {graph.inputs[index].name for index in spatial_axes(graph)}
    found = []
    for layer in graph.layers:
        if any(name in reached for name in layer.inputs):
            reached.update(layer.outputs)
            node = weight_node(layer)
            if node is not None and isinstance(node.operator, core.Convolution):
                found.append(layer)
    return found


MAX_DEPTHS, MAX_DRAWN, MAX_CURVE_WORK = 8, 16, 20_000_000
"""What `colour_by_depth` looks at: so many convolutions from the image on, filters of each, for so many multiplications in all.

That is about 0.01 s of a processor, and as deep as the fourth convolution of VGG-16.
"""


def colour_by_depth(graph: Graph, weights: WeightReader) -> tuple[Depth, ...]:
    """For the first convolutions on a colour image, the share of their filters' energy in pixels that lies off the grey axis.

    "First edges, then colour" as a curve: `colour_share` of the whole layer, over the `filters` of the largest norm. Empty where the image
    has no three channels or weights cannot be read.
    """
    if not any(_coloured(graph, index, spatial) for index, spatial in spatial_axes(graph).items()):
        return ()
    projector = Projector(graph, weights, strongest=8, most_work=MAX_CURVE_WORK)
    rows: list[Depth] = []
    for depth, layer in enumerate(convolutions(graph)[:MAX_DEPTHS], start=1):
        try:
            projection = projector.project(layer, projector.strongest(layer, MAX_DRAWN))
        except TooLarge:
            break
        if projection is None or projection.pixels.shape[1] != 3:
            break
        share = _colour_share(projection.pixels)
        rows.append(Depth(depth, layer.name, len(projection.filters), share))
    return tuple(rows)


def _colour_share(pixels: Pixels) -> float | None:
    """The share of the energy off the grey axis; None where there is none, or products of large weights left the range of numbers."""
    largest = np.abs(pixels).max()
    if not 0 < largest < math.inf:
        return None
    # Squares of large or tiny values would leave the range of numbers.
    scaled = pixels / largest
    return float(1 - (scaled.mean(axis=1) ** 2).sum() * 3 / (scaled**2).sum())


def _coloured(graph: Graph, index: int, spatial: Sequence[int]) -> bool:
    """Whether an input is an image of three channels."""
    shape = graph.inputs[index].shape or ()
    return len(spatial) == 2 and math.prod(n for axis, n in enumerate(shape) if axis not in (0, *spatial)) == 3


def _finite(values: NDArray[np.generic]) -> Pixels:
    """Values of a kernel, of which those that are not finite count for nothing."""
    return np.nan_to_num(np.asarray(values, dtype=np.float32), posinf=0.0, neginf=0.0)


class Projector:
    """Projects filters of one graph into pixels; kernels are read once and kept."""

    def __init__(self, graph: Graph, weights: WeightReader, strongest: int = 16, most_work: int = MOST_WORK) -> None:
        self._graph, self._weights, self._strongest, self._work = graph, weights, strongest, most_work
        self._arrays: dict[tuple[str, Shape], Pixels] = {}
        self._axes = spatial_axes(graph)

    def strongest(self, layer: Layer, most: int) -> list[int]:
        """The filters of a convolution, or, if it has more than `most`, those of the largest norm, by their index. Empty if unreadable."""
        kernel = self._array(layer.kernel[0]) if layer.kernel else None
        if kernel is None:
            return []
        if len(kernel) <= most:
            return list(range(len(kernel)))
        norms = np.linalg.norm(kernel.reshape(len(kernel), -1).astype(np.float64), axis=1)  # squares would leave the range
        return sorted(int(i) for i in np.argsort(-norms, kind="stable")[:most])

    def project(self, layer: Layer, filters: Sequence[int]) -> Projection | None:
        """The filters of a convolution in pixels of the first image that they read; None where a kernel on the way cannot be read.

        TooLarge where the receptive field is too large for the bounds on memory and work.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # products of large weights
            parts = [self._together(layer, filters[start : start + TOGETHER]) for start in range(0, len(filters), TOGETHER)]
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        return Projection(layer.name, tuple(filters), np.concatenate(known))

    def _together(self, layer: Layer, filters: Sequence[int]) -> Pixels | None:
        """A few filters in pixels, (filters, channels, *receptive field)."""
        position = next(i for i, other in enumerate(self._graph.layers) if other is layer)
        node = weight_node(layer)
        if node is None or not isinstance(node.operator, core.Convolution):
            return None
        shape = self._graph.tensors[node.outputs[0]].shape or ()
        middle = [length // 2 for length in shape[2:]]
        start = np.zeros((len(filters), shape[1], *(1 for _ in middle)), np.float32)
        start[np.arange(len(filters)), list(filters)] = 1.0
        reached = {node.outputs[0]: Reached(start, (0, 0, *middle))}
        for earlier in reversed(self._graph.layers[: position + 1]):
            for step in reversed(earlier.nodes):
                targets = [(index, reached.pop(name)) for index, name in enumerate(step.outputs) if name in reached]
                for index, target in targets:
                    for name, part in self._through(earlier, step, index, target):
                        known = self._graph.tensors[name].shape or ()
                        reached[name] = reached[name].plus(part, known) if name in reached else part
        return self._picture(reached)

    def _picture(self, reached: dict[str, Reached]) -> Pixels | None:
        """The coefficients at the first image that is reached, channels before its spatial axes."""
        for index, spatial in self._axes.items():
            part = reached.get(self._graph.inputs[index].name)
            if part is not None:
                channels = [axis for axis in range(1, part.counts.ndim) if axis not in spatial]
                ordered = part.counts.transpose(0, *channels, *spatial)
                if max(ordered.shape[1 + len(channels) :]) > MOST_SIDE:
                    raise TooLarge(f"a receptive field of {ordered.shape[1 + len(channels) :]}")
                return ordered.reshape(len(ordered), -1, *ordered.shape[1 + len(channels) :])
        return None

    def _through(self, layer: Layer, node: Node, output: int, target: Reached) -> list[tuple[str, Reached]]:
        """The inputs of a node with the coefficients that lead to what is reached of one of its outputs."""
        shapes = [self._graph.tensors[name].shape for name in node.inputs]
        result = self._graph.tensors[node.outputs[0]].shape
        if result is None or any(shape is None for shape in shapes):
            return []
        known = [shape for shape in shapes if shape is not None]
        if isinstance(node.operator, core.Convolution):
            part = self._convolution(layer, node.operator, target, known[0])
            return [] if part is None else [(node.inputs[0], part)]
        scaled = self._scaled(layer, node, target)
        routes = paths(node, known, [self._graph.tensors[name].shape or () for name in node.outputs])
        parts = []
        for name, shape, path in zip(node.inputs, known, routes[output], strict=True):
            read = math.prod(step.taps.offsets.shape[1] for step in path if isinstance(step, Slide))
            part = back_along(Reached(scaled.counts / max(read, 1), scaled.origin), path, shape)
            # A path that ends without the axis of the drawn filters (a scale worked out from the whole map) leads to no picture.
            if part is not None and part.counts.shape[:1] == target.counts.shape[:1]:
                parts.append((name, part))
        return parts

    def _scaled(self, layer: Layer, node: Node, target: Reached) -> Reached:
        """What is reached of a scale per channel, times that scale."""
        scale: Pixels | None = None
        if isinstance(node.operator, core.BatchNormalization) and layer.other and layer.statistics:
            gain, variance = self._array(layer.other[0]), self._array(layer.statistics[1])
            if gain is not None and variance is not None:
                scale = gain / np.sqrt(np.maximum(variance, 0.0) + node.operator.epsilon)
        elif isinstance(node.operator, core.Elementwise) and node.operator.function == "mul" and len(layer.other) == 1:
            factor = self._array(layer.other[0])
            scale = None if factor is None or factor.size != max(factor.shape, default=1) else factor.reshape(-1)
        if scale is None or target.counts.ndim < 2:
            return target
        start = target.origin[1] or 0
        if scale.size > 1:
            scale = scale[start : start + target.counts.shape[1]]
        if scale.size not in (1, target.counts.shape[1]):
            return target
        return Reached(target.counts * scale.reshape(1, -1, *(1 for _ in target.counts.shape[2:])), target.origin)

    def _array(self, weight: Weight) -> Pixels | None:
        key = (weight.stored, weight.shape)
        if key not in self._arrays:
            if not self._weights.readable(weight):
                return None
            self._arrays[key] = _finite(self._weights.array(weight))
        return self._arrays[key]

    def _convolution(self, layer: Layer, operator: core.Convolution, target: Reached, shape: Shape) -> Reached | None:
        """The coefficients of what a convolution reads: the transposed kernel, tap by tap."""
        kernel = self._array(layer.kernel[0]) if layer.kernel else None
        if kernel is None or kernel.shape[2:] != operator.kernel or any(o is None for o in target.origin[2:]):
            return None
        chosen, coefficients = _active(whole(target, 1, operator.filters).counts)
        spans, starts = [], []
        for axis, (k, s, d, (before, _)) in enumerate(_geometry(operator), start=2):
            spans.append(transposed_length(target.counts.shape[axis], k, s, d, (0, 0)))
            starts.append((target.origin[axis] or 0) * s - before)
        sizes = (len(chosen), shape[1], *spans)
        self._work -= coefficients.size * shape[1] * math.prod(operator.kernel)
        if math.prod(sizes) > MOST_COEFFICIENTS or self._work < 0:
            raise TooLarge(f"{math.prod(sizes)} coefficients")
        result, rows = np.zeros(sizes, np.float32), _rows(kernel, operator.groups, shape[1])
        for number, tap in enumerate(np.ndindex(*operator.kernel)):
            places = tuple(
                slice(d * t, d * t + (n - 1) * s + 1, s)
                for t, n, (_, s, d, _) in zip(tap, target.counts.shape[2:], _geometry(operator), strict=True)
            )
            spread = np.matmul(rows(chosen, number).transpose(0, 2, 1), coefficients.reshape(*chosen.shape, -1))
            result[(slice(None), slice(None), *places)] += spread.reshape(*spread.shape[:2], *coefficients.shape[2:])
        return self._kept(Reached(result, (0, 0, *starts)), layer)

    def _kept(self, part: Reached, layer: Layer) -> Reached:
        """Only the strongest channels of each filter, by the energy of their coefficients; the image keeps all of its."""
        channels = part.counts.shape[1]
        if layer.inputs[0] in {tensor.name for tensor in self._graph.inputs} or channels <= self._strongest:
            return part
        energy = (part.counts**2).sum(axis=tuple(range(2, part.counts.ndim)))
        weakest = np.argsort(-energy, axis=1, kind="stable")[:, self._strongest :]
        part.counts[np.arange(len(energy))[:, None], weakest] = 0.0
        return part


def _geometry(operator: core.Window) -> list[tuple[int, int, int, tuple[int, int]]]:
    return list(zip(operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True))


def _active(counts: Pixels) -> tuple[NDArray[np.int64], Pixels]:
    """The channels of each drawn filter that have any coefficient, (drawn, channels), and their coefficients; filled up with others."""
    alive = (counts != 0).any(axis=tuple(range(2, counts.ndim)))
    most = max(int(alive.sum(axis=1).max()), 1)
    chosen = np.argsort(~alive, axis=1, kind="stable")[:, :most]
    return chosen, counts[np.arange(len(counts))[:, None], chosen]


def _rows(kernel: Pixels, groups: int, channels: int) -> Callable[[NDArray[np.int64], int], Pixels]:
    """A function that gives, for filters (drawn, chosen) and the number of a tap, their weights (drawn, chosen, channels)."""
    per_group, filters = channels // groups, kernel.shape[0]
    flat = kernel.reshape(filters, per_group, -1)

    def rows(chosen: NDArray[np.int64], tap: int) -> Pixels:
        """The weights at one tap, zero on the channels that a filter's group does not read."""
        weights = flat[:, :, tap][chosen]
        if groups == 1:
            return np.asarray(weights)
        full = np.zeros((*chosen.shape, channels), np.float32)
        first = chosen // (filters // groups) * per_group
        np.put_along_axis(full, first[..., None] + np.arange(per_group), weights, axis=-1)
        return full

    return rows
