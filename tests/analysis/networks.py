"""Small graphs of core operators for the tests of the engine: every operator is one layer of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from service.analysis.field.published import Measure, measured
from service.analysis.field.receptive_field import View, walk
from service.graph import Graph, Layer, Node, Operator, Shape, Tensor, Weight
from service.graph import operators as core
from service.graph.network import Kind

KINDS: dict[type[Operator], Kind] = {
    core.Convolution: "convolution",
    core.TransposedConvolution: "transposed-convolution",
    core.LocallyConnected: "locally-connected",
    core.Dense: "dense",
    core.Recurrent: "recurrent",
    core.Embedding: "embedding",
    core.Pooling: "pooling",
    core.Subsampling: "pooling",
    core.Resampling: "resampling",
    core.Reduction: "global",
    core.Elementwise: "activation",
    core.Reshaping: "reshape",
    core.Transposing: "reshape",
}


class Builder:
    """Collects layers in order. The name of a layer is that of its output; a layer reads the tensor before it unless told otherwise."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.layers: list[Layer] = []
        self.tensors: dict[str, Tensor] = {}
        self.last = ""

    def input(self, *shape: int) -> str:
        """A graph input of this shape, batch included."""
        tensor = Tensor(f"input{len(self.inputs)}", shape)
        self.inputs.append(tensor)
        self.tensors[tensor.name] = tensor
        self.last = tensor.name
        return tensor.name

    def shape(self, name: str = "") -> Shape:
        """The shape of a tensor, of the last one by default."""
        return self.tensors[name or self.last].shape or ()

    def add(self, operator: Operator, *inputs: str, name: str = "", bias: int = 0, weights: Weight | None = None) -> str:
        """A layer of one operator; ShapeError where it does not fit. Returns the name of its first output."""
        sources = inputs or (self.last,)
        shapes = [self.shape(source) for source in sources]
        results = operator.shapes(*shapes)
        name = name or f"{type(operator).__name__.lower()}{len(self.layers)}"
        outputs = (name, *(f"{name}:{index}" for index in range(1, len(results))))
        self.tensors |= {output: Tensor(output, shape) for output, shape in zip(outputs, results, strict=True)}
        kernel = _kernel(operator, shapes[0], results[0], f"{name}.weight") if weights is None else weights
        biases = (Weight(f"{name}.bias", (bias,), bias, "float32"),) if bias else ()
        node = Node(operator, sources, outputs)
        kind = KINDS.get(type(operator), "other")
        self.layers.append(
            Layer(name, type(operator).__name__, kind, sources, outputs, (node,), () if kernel is None else (kernel,), biases)
        )
        self.last = name
        return name

    def graph(self) -> Graph:
        """The network; the last tensor is its output."""
        return Graph("test", tuple(self.inputs), (self.last,), tuple(self.layers), dict(self.tensors))


def _kernel(operator: Operator, shape: Shape, output: Shape, name: str) -> Weight | None:
    """The kernel in the layout of `service.graph.Weight`, counted by its definition."""
    match operator:
        case core.Convolution(table=table, groups=groups, filters=filters) if table is not None:
            return Weight(name, (filters, shape[1], *operator.kernel), sum(map(len, table)) * math.prod(operator.kernel), "float32")
        case core.Convolution(groups=groups, filters=filters):
            return _weight(name, (filters, shape[1] // groups, *operator.kernel))
        case core.TransposedConvolution(groups=groups, filters=filters):
            return _weight(name, (shape[1], filters // groups, *operator.kernel))
        case core.LocallyConnected(groups=groups, filters=filters):
            count = filters * (shape[1] // groups) * _real_taps(operator, shape[2:], output[2:])
            return Weight(name, (count,), count, "float32")
        case core.Subsampling():
            return _weight(name, (shape[1],))
        case core.Dense(units=units, ties=ties):
            return _weight(name, (shape[-1] if ties is None else len(ties), units))
        case core.Recurrent(hidden=hidden):
            return _weight(name, (operator.directions, operator.gates * hidden, shape[2] + hidden))
        case core.Embedding(vocabulary=vocabulary, units=units):
            return _weight(name, (vocabulary, *units))
    return None


def _weight(name: str, shape: Shape) -> Weight:
    return Weight(name, shape, math.prod(shape), "float32")


def _real_taps(operator: core.Window, spatial: Shape, places: Shape) -> int:
    """Taps that fall on a real unit, over all places; padded positions own no weight (design section 2)."""
    geometry = list(zip(spatial, operator.strides, operator.dilations, operator.pads, strict=True))
    return sum(
        all(0 <= p * s - before + t * d < n for p, t, (n, s, d, (before, _)) in zip(place, tap, geometry, strict=True))
        for place in itertools.product(*map(range, places))
        for tap in itertools.product(*map(range, operator.kernel))
    )


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One number for all axes, or one for each."""
    return (value,) * rank if isinstance(value, int) else value


def _pads(pad: int | tuple[int | tuple[int, int], ...], rank: int) -> core.Pads:
    pads = (pad,) * rank if isinstance(pad, int) else pad
    return tuple((p, p) if isinstance(p, int) else p for p in pads)


def conv(
    filters: int,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    pad: int | tuple[int | tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    rank: int = 2,
    table: tuple[tuple[int, ...], ...] | None = None,
) -> core.Convolution:
    """A convolution, two-dimensional unless told otherwise."""
    return core.Convolution(
        per_axis(kernel, rank), per_axis(stride, rank), per_axis(dilation, rank), _pads(pad, rank), filters, groups, table
    )


def pool(
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    pad: int | tuple[int | tuple[int, int], ...] = 0,
    rank: int = 2,
    ceil: bool = False,
) -> core.Pooling:
    """A maximum pooling."""
    return core.Pooling(per_axis(kernel, rank), per_axis(stride, rank), (1,) * rank, _pads(pad, rank), ceil=ceil)


def transposed(
    filters: int,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    pad: int | tuple[int | tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    rank: int = 2,
    extra: int | tuple[int, ...] = 0,
) -> core.TransposedConvolution:
    """A transposed convolution; `extra` is its output padding."""
    return core.TransposedConvolution(
        per_axis(kernel, rank),
        per_axis(stride, rank),
        per_axis(dilation, rank),
        _pads(pad, rank),
        filters,
        groups,
        per_axis(extra, rank),
    )


def same(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one axis: as little as gives ceil(n/s) places, the odd one after."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


ADD = core.Elementwise("Add")


def spatial(graph: Graph) -> dict[int, tuple[int, ...]]:
    """All axes after batch and channel of every input."""
    return {index: tuple(range(2, len(tensor.shape or ()))) for index, tensor in enumerate(graph.inputs)}


def views(graph: Graph, index: int = 0, axes: Mapping[int, tuple[int, ...]] | None = None) -> dict[str, View]:
    """What the output of each layer sees of one input, by layer name."""
    return {seen.layer.name: seen.output[index] for seen in walk(graph, axes or spatial(graph)) if index in seen.output}


def measures(graph: Graph, index: int = 0, axes: Mapping[int, tuple[int, ...]] | None = None) -> dict[str, tuple[Measure, ...]]:
    """The measures of each layer's output on every spatial axis of one input, by layer name."""
    places = (axes or spatial(graph))[index]
    lengths = [(graph.inputs[index].shape or ())[axis] for axis in places]
    return {name: measured(view.fields, view.shape, tuple(lengths)) for name, view in views(graph, index, axes).items()}
