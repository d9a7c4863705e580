"""The core vocabulary: the few operators that every network is normalised to.

Each operator is a frozen record of its geometry and knows one thing, the shape of its result. What a unit depends on
and how many connections it has are the rules of `service.analysis`, one entry per operator.

1. Tensors are channels first, (batch, channel, *spatial), as in ONNX; a reader that meets another layout emits `Transposing` around.
2. Geometry is per axis, one entry for each spatial axis; pads are (before, after) and already resolved from SAME or VALID.
3. Shapes are concrete. A symbolic axis is given a stand-in length by the reader.
4. An operator names only its data inputs. Constants have become fields of the operator or `Weight`s of the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from service.graph.geometry import transposed_length, window_length

Shape = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


class ShapeError(ValueError):
    """The operator cannot be applied to tensors of these shapes."""


def broadcast(*shapes: Shape) -> Shape:
    """The shape that NumPy's broadcasting rule gives; ShapeError where there is none."""
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for axis in range(-rank, 0):
        lengths = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(lengths) > 1:
            raise ShapeError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
        result.append(lengths.pop() if lengths else 1)
    return tuple(result)


class Operator:
    """What a node computes."""

    __slots__ = ()

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shapes of the outputs; ShapeError where the operator cannot be applied to inputs of these shapes."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Window(Operator):
    """A window that slides over the spatial axes (2, 3, …) of its input: the geometry that windowed operators have in common."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads

    def places(self, spatial: Shape, ceil: bool = False) -> Shape:
        """The number of places along every spatial axis, by `window_length`; ShapeError where the window does not fit."""
        if len(spatial) != len(self.kernel):
            raise ShapeError(f"a kernel of rank {len(self.kernel)} cannot slide over {len(spatial)} spatial axes")
        axes = zip(spatial, self.kernel, self.strides, self.dilations, self.pads, strict=True)
        places = tuple(window_length(n, k, s, d, p, ceil) for n, k, s, d, p in axes)
        if any(n < 1 for n in places) and 0 not in spatial:
            raise ShapeError(f"a kernel of {self.kernel} does not fit into {spatial} with padding {self.pads}")
        return tuple(max(n, 0) for n in places)


def _grouped(shape: Shape, groups: int, filters: int) -> None:
    if len(shape) < 3:
        raise ShapeError(f"expected (batch, channel, spatial…), got {shape}")
    if groups < 1 or shape[1] % groups or filters % groups:
        raise ShapeError(f"{groups} groups do not divide {shape[1]} channels into {filters} filters")


@dataclass(frozen=True, slots=True)
class Convolution(Window):
    """Cross-correlation with one kernel per filter, shared over all places.

    `table` names, for each filter, the input maps it reads (LeNet-5's C3); without it a filter reads all maps of its group.
    """

    filters: int
    groups: int = 1
    table: tuple[tuple[int, ...], ...] | None = None

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        shape = inputs[0]
        _grouped(shape, self.groups, self.filters)
        return ((shape[0], self.filters, *self.places(shape[2:])),)


@dataclass(frozen=True, slots=True)
class LocallyConnected(Window):
    """A convolution without sharing: every place has a kernel of its own."""

    filters: int
    groups: int = 1

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        shape = inputs[0]
        _grouped(shape, self.groups, self.filters)
        return ((shape[0], self.filters, *self.places(shape[2:])),)


@dataclass(frozen=True, slots=True)
class Pooling(Window):
    """A summary (maximum, mean, p-norm) of each window, channel by channel; `ceil` rounds the number of places up."""

    mode: str = "max"
    ceil: bool = False

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        shape = inputs[0]
        return ((*shape[:2], *self.places(shape[2:], self.ceil)),)


@dataclass(frozen=True, slots=True)
class Subsampling(Window):
    """LeNet's pooling: the sum of a window times one trained coefficient per map, plus one bias per map."""

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        shape = inputs[0]
        return ((*shape[:2], *self.places(shape[2:])),)


@dataclass(frozen=True, slots=True)
class TransposedConvolution(Window):
    """The transpose of a strided convolution: input place i feeds the output places i·stride - pad + tap·dilation.

    `pads` crop the full result; `output_padding` lengthens it at the end.
    """

    filters: int
    groups: int = 1
    output_padding: tuple[int, ...] = ()

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Along every spatial axis (n - 1)·stride + dilation·(kernel - 1) + 1 + output padding - pads."""
        shape = inputs[0]
        _grouped(shape, self.groups, self.filters)
        if len(shape) - 2 != len(self.kernel):
            raise ShapeError(f"a kernel of rank {len(self.kernel)} does not fit {shape}")
        extra = self.output_padding or (0,) * len(self.kernel)
        axes = zip(shape[2:], self.kernel, self.strides, self.dilations, self.pads, extra, strict=True)
        spatial = tuple(transposed_length(n, k, s, d, p, e) if n else 0 for n, k, s, d, p, e in axes)
        if any(n < 0 for n in spatial):
            raise ShapeError(f"the padding {self.pads} removes the whole result")
        return ((shape[0], self.filters, *spatial),)


@dataclass(frozen=True, slots=True)
class Dense(Operator):
    """A matrix of weights applied to the last axis at every leading position.

    `ties` groups the inputs that share one weight (the HAR model); a tied group gives one weight per output unit.
    """

    units: int
    ties: tuple[tuple[int, ...], ...] | None = None

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if not inputs[0]:
            raise ShapeError("a dense layer needs at least one axis")
        return ((*inputs[0][:-1], self.units),)


@dataclass(frozen=True, slots=True)
class Experts(Operator):
    """A mixture of experts on the last axis: every leading position goes through `chosen` of `count` networks of two layers.

    The first layer of an expert has `inner` units, those of its gate included; the second reads the `middle` values that the gate leaves.
    """

    count: int
    chosen: int
    inner: int
    middle: int

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if not inputs[0]:
            raise ShapeError("a mixture of experts needs at least one axis")
        return (inputs[0],)


@dataclass(frozen=True, slots=True)
class Recurrent(Operator):
    """An RNN, LSTM or GRU over the time axis of a (time, batch, input) tensor, in ONNX's layout 0.

    Outputs: the states of all steps (time, directions, batch, hidden), the last state (directions, batch, hidden) and,
    for an LSTM, the last cell.
    """

    cell: Literal["RNN", "LSTM", "GRU"]
    hidden: int
    direction: Literal["forward", "reverse", "bidirectional"] = "forward"

    @property
    def directions(self) -> int:
        """Passes over the sequence: one, or two."""
        return 2 if self.direction == "bidirectional" else 1

    @property
    def gates(self) -> int:
        """Affine functions of input and state in one step of the cell."""
        return {"RNN": 1, "LSTM": 4, "GRU": 3}[self.cell]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """All states, the last state and the last cell."""
        if len(inputs[0]) != 3:
            raise ShapeError(f"expected (time, batch, input), got {inputs[0]}")
        time, batch, _ = inputs[0]
        last = (self.directions, batch, self.hidden)
        return ((time, self.directions, batch, self.hidden), last, last)


@dataclass(frozen=True, slots=True)
class Embedding(Operator):
    """A table of `vocabulary` rows looked up by index: a dense layer on one-hot inputs."""

    vocabulary: int
    units: tuple[int, ...]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ((*inputs[0], *self.units),)


@dataclass(frozen=True, slots=True)
class Elementwise(Operator):
    """A function of the units at the same place of all inputs, after NumPy's broadcasting. One input: an activation."""

    function: str

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (broadcast(*inputs),)


@dataclass(frozen=True, slots=True)
class BatchNormalization(Operator):
    """A fixed scale and shift per channel (axis 1): scale·(x - mean)/sqrt(variance + epsilon) + bias (Ioffe and Szegedy 2015, at
    inference).

    The layer's `other` weights are scale and bias, its `statistics` are mean and variance.
    """

    epsilon: float

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (inputs[0],)


_DISPLACING = frozenset({"sort", "inverse", "matmul", "experts"})
"""Functions of a Mixing of which no unit is one of the input's at the same place."""


@dataclass(frozen=True, slots=True)
class Mixing(Operator):
    """Every unit depends on all units along `axes`; the shape stays. Softmax, the normalisations, sorting, a matrix inverse."""

    axes: tuple[int, ...]
    function: str

    @property
    def keeps_places(self) -> bool:
        """Whether each unit of the result is one of the input, changed by statistics of the others: not so after sorting."""
        return self.function not in _DISPLACING

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (inputs[0],)


@dataclass(frozen=True, slots=True)
class Masking(Operator):
    """Some units are zero whatever the input is: shares of attention to whose scores a constant mask adds -infinity.

    `blocked` holds one byte, 0 or 1, for each entry of an array of shape `pattern`, which broadcasts to the input.
    """

    pattern: Shape
    blocked: bytes

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if len(self.pattern) != len(inputs[0]) or broadcast(self.pattern, inputs[0]) != inputs[0]:
            raise ShapeError(f"a mask of shape {self.pattern} does not fit {inputs[0]}")
        return (inputs[0],)


@dataclass(frozen=True, slots=True)
class Neighbourhood(Operator):
    """Every unit depends on the units up to `before` back and `after` on along one axis: local response normalisation."""

    axis: int
    before: int
    after: int

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (inputs[0],)


@dataclass(frozen=True, slots=True)
class Cumulation(Operator):
    """Every unit depends on all units before it along `axis` (after it, if `reverse`), and on itself unless `exclusive`."""

    axis: int
    reverse: bool = False
    exclusive: bool = False

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (inputs[0],)


@dataclass(frozen=True, slots=True)
class Reduction(Operator):
    """A summary over all units along `axes`."""

    axes: tuple[int, ...]
    keepdims: bool = True

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        kept = ((n, axis in self.axes) for axis, n in enumerate(inputs[0]))
        return (tuple(1 if reduced else n for n, reduced in kept if self.keepdims or not reduced),)


@dataclass(frozen=True, slots=True)
class Contraction(Operator):
    """A product of data tensors summed over labels (Einstein notation): `operands` label the axes of each input, `output` those of the
    result.

    A label that is missing in `output` is summed over. An axis of length 1 broadcasts against its label.
    """

    operands: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The length of each label of `output`, which all inputs that have the label agree on."""
        lengths: dict[str, int] = {}
        for labels, shape in zip(self.operands, inputs, strict=True):
            if len(labels) != len(shape):
                raise ShapeError(f"labels {labels} do not fit {shape}")
            for label, n in zip(labels, shape, strict=True):
                known = lengths.get(label, 1)
                if 1 not in (known, n) and known != n:
                    raise ShapeError(f"axis {label} is {known} and {n} long")
                lengths[label] = n if known == 1 else known
        return (tuple(lengths[label] for label in self.output),)


@dataclass(frozen=True, slots=True)
class Reshaping(Operator):
    """The same units in the same order under another shape."""

    shape: Shape

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if math.prod(inputs[0]) != math.prod(self.shape):
            raise ShapeError(f"{inputs[0]} has another number of units than {self.shape}")
        return (self.shape,)


@dataclass(frozen=True, slots=True)
class Transposing(Operator):
    """The axes in another order, as numpy.transpose."""

    order: tuple[int, ...]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if sorted(self.order) != list(range(len(inputs[0]))):
            raise ShapeError(f"{self.order} does not order the axes of {inputs[0]}")
        return (tuple(inputs[0][axis] for axis in self.order),)


@dataclass(frozen=True, slots=True)
class Expanding(Operator):
    """The input repeated along its axes of length 1 until it has the broadcast `shape`."""

    shape: Shape

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (broadcast(inputs[0], self.shape),)


@dataclass(frozen=True, slots=True)
class Tiling(Operator):
    """The whole input repeated `repeats` times along each axis, as numpy.tile."""

    repeats: tuple[int, ...]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if len(self.repeats) != len(inputs[0]):
            raise ShapeError(f"{self.repeats} does not fit {inputs[0]}")
        return (tuple(n * r for n, r in zip(inputs[0], self.repeats, strict=True)),)


@dataclass(frozen=True, slots=True)
class Concatenation(Operator):
    """The inputs one after the other along `axis`."""

    axis: int

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The lengths along `axis` added up; all other axes are equally long in every input."""
        first = inputs[0]
        for shape in inputs:
            if len(shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(shape, first, strict=True)) if i != self.axis):
                raise ShapeError(f"{shape} cannot stand beside {first} along axis {self.axis}")
        return ((*first[: self.axis], sum(s[self.axis] for s in inputs), *first[self.axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class Slicing(Operator):
    """`length` units of one axis from `start`, `step` apart (which may be negative)."""

    axis: int
    start: int
    step: int
    length: int

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        n, last = inputs[0][self.axis], self.start + (self.length - 1) * self.step
        if self.length and not (0 <= self.start < n and 0 <= last < n):
            raise ShapeError(f"units {self.start} to {last} do not lie in axis {self.axis} of {inputs[0]}")
        return ((*inputs[0][: self.axis], self.length, *inputs[0][self.axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class Taking(Operator):
    """The units of one axis at constant `indices`, in their order, as numpy.take with a flat list."""

    axis: int
    indices: tuple[int, ...]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        n = inputs[0][self.axis]
        if any(not 0 <= i < n for i in self.indices):
            raise ShapeError(f"an index lies outside axis {self.axis} of {inputs[0]}")
        return ((*inputs[0][: self.axis], len(self.indices), *inputs[0][self.axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class Padding(Operator):
    """More units before and after every axis (fewer, where negative): constant, or copies (reflect, edge, wrap).

    `zeros`: the constant is known to be zero.
    """

    pads: Pads
    mode: str = "constant"
    zeros: bool = False

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Each axis as long as before and its two pads together."""
        if len(self.pads) != len(inputs[0]):
            raise ShapeError(f"{len(self.pads)} pairs of padding do not fit {inputs[0]}")
        shape = tuple(n + before + after for n, (before, after) in zip(inputs[0], self.pads, strict=True))
        if any(n < 0 for n in shape):
            raise ShapeError(f"padding {self.pads} removes more than {inputs[0]} has")
        return (shape,)


@dataclass(frozen=True, slots=True)
class Resampling(Operator):
    """Interpolation along one axis from `n` to `length` units: ONNX Resize, Upsample and their kin.

    `scale` is length/n, or the factor the model states where rounding makes the two differ. `transform` is ONNX's
    coordinate_transformation_mode, `rounding` its nearest_mode; `antialias` widens the kernel when shrinking;
    `region` is the (start, end) of tf_crop_and_resize.
    """

    axis: int
    length: int
    scale: float
    mode: Literal["nearest", "linear", "cubic"] = "nearest"
    transform: str = "half_pixel"
    rounding: str = "round_prefer_floor"
    antialias: bool = False
    region: tuple[float, float] = (0.0, 1.0)

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ((*inputs[0][: self.axis], self.length, *inputs[0][self.axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class DataDependent(Operator):
    """Which units are read depends on the data (NonMaxSuppression, GridSample): `results` are the output shapes, `reason` says why."""

    results: tuple[Shape, ...]
    reason: str

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return self.results


@dataclass(frozen=True, slots=True)
class Unknown(Operator):
    """An operator without a rule: `results` are its output shapes, None where not even that is known."""

    results: tuple[Shape | None, ...]
    reason: str

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if any(shape is None for shape in self.results):
            raise ShapeError(self.reason)
        return tuple(shape for shape in self.results if shape is not None)
