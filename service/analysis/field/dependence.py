"""Dependence: which input units the units of an output depend on, one rule per core operator.

A rule maps the shapes of a node to one path for each (output, input): a sequence of steps. The steps are data, so that every question is a
small interpreter over the same rules: the intervals of the receptive field (forwards), the exact set of pixels that one unit
reads and how often (backwards), the spread of the effective field.

Adding an operator is one entry in `RULES`, one small function, one test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.taps import NOTHING, Taps, listed, resampled, shifted, sliding, tiled, transposed
from service.graph import Node, Operator, Shape
from service.graph import operators as core


@dataclass(frozen=True, slots=True)
class Slide:
    """Along `axis`, `length` output units read the input by `taps`. `kernel` numbers the kernel axis that weighs them."""

    axis: int
    taps: Taps
    length: int
    kernel: int | None = None

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return replaced(shape, self.axis, self.length)


@dataclass(frozen=True, slots=True)
class Mix:
    """Along `axis`, each of `length` output units reads all input units of its group."""

    axis: int
    length: int
    groups: int = 1

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return replaced(shape, self.axis, self.length)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Every unit reads itself and beside itself statistics of all units along `axes`: a normalisation, a softmax."""

    axes: tuple[int, ...]

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return shape

    def mixtures(self, shape: Shape) -> tuple[Mix, ...]:
        """The same as mixtures, one axis after the other."""
        return tuple(Mix(axis, shape[axis]) for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Accumulate:
    """Along `axis`, an output unit reads every input unit before it, or after it, and itself unless `exclusive`."""

    axis: int
    reverse: bool
    exclusive: bool = False

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return shape


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Units that read nothing: those where `blocked`, which broadcasts to the tensor, is set."""

    blocked: NDArray[np.bool_]

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return shape


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same units under another shape."""

    shape: Shape

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return self.shape


@dataclass(frozen=True, slots=True)
class Transpose:
    """The axes in another order."""

    order: tuple[int, ...]

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return tuple(shape[axis] for axis in self.order)


@dataclass(frozen=True, slots=True)
class Expand:
    """Broadcast to a shape."""

    shape: Shape

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return self.shape


@dataclass(frozen=True, slots=True)
class Place:
    """The input becomes the output units from `start` on along `axis`: one part of a concatenation. Always the last step."""

    axis: int
    start: int

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the part: that of the whole result is known only where all parts meet."""
        return shape


@dataclass(frozen=True, slots=True)
class Widen:
    """What is read cannot be followed: at least one place of the input (`bound`), or nothing is known (`unknown`)."""

    shape: Shape
    known: bool

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the result."""
        return self.shape


def replaced(shape: Shape, axis: int, length: int) -> Shape:
    """The shape with another length along one axis."""
    return (*shape[:axis], length, *shape[axis + 1 :])


Step = Slide | Mix | Statistics | Accumulate | Block | Reshape | Transpose | Expand | Place | Widen
Path = tuple[Step, ...]
Rule = Callable[..., list[list[Path]]]


def paths(node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """For every output and every data input of a node, the steps that lead from the units of the input to those of the output."""
    operator = node.operator
    return RULES[type(operator)](operator, inputs, outputs)


def _single(steps: list[Step]) -> list[list[Path]]:
    return [[tuple(steps)]]


def _windows(operator: core.Window, outputs: Sequence[Shape]) -> list[Step]:
    """A window of the kernel along every spatial axis where it does anything."""
    geometry = zip(operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True)
    steps: list[Step] = []
    for axis, (kernel, stride, dilation, (before, _)) in enumerate(geometry, start=2):
        if kernel > 1 or stride != 1 or before:
            steps.append(Slide(axis, sliding(kernel, stride, dilation, before), outputs[0][axis], axis - 2))
    return steps


def convolution(operator: core.Convolution, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """A window along every spatial axis, and all channels of the group (or of the row of the connection table)."""
    if operator.table is None:
        return _single([*_windows(operator, outputs), Mix(1, operator.filters, operator.groups)])
    width = max(len(row) for row in operator.table)
    rows = [[*row, *[NOTHING] * (width - len(row))] for row in operator.table]
    return _single([*_windows(operator, outputs), Slide(1, Taps(np.array(rows, dtype=np.int64), None), operator.filters)])


def locally_connected(operator: core.LocallyConnected, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """As a convolution: what is shared does not matter for what is seen."""
    return _single([*_windows(operator, outputs), Mix(1, operator.filters, operator.groups)])


def window(operator: core.Pooling | core.Subsampling, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """A window along every spatial axis, channel by channel; a mean over exactly the whole map is the reduction that it equals."""
    whole = operator.kernel == inputs[0][2:] and set(operator.dilations) == {1} and not any(map(any, operator.pads))
    if whole and max(operator.kernel) > 1 and isinstance(operator, core.Pooling) and operator.mode == "average":
        return _single([Mix(axis, 1) for axis in range(2, len(inputs[0]))])
    return _single(_windows(operator, outputs))


def transposed_convolution(operator: core.TransposedConvolution, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """A transposed window along every spatial axis, and all channels of the group."""
    geometry = zip(operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True)
    steps: list[Step] = [
        Slide(axis, transposed(kernel, stride, dilation, before), outputs[0][axis], axis - 2)
        for axis, (kernel, stride, dilation, (before, _)) in enumerate(geometry, start=2)
    ]
    return _single([*steps, Mix(1, operator.filters, operator.groups)])


def dense(operator: core.Dense, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """All units of the last axis."""
    return _single([Mix(len(inputs[0]) - 1, operator.units)])


def experts(operator: core.Experts, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """All units of the last axis, whichever experts are chosen."""
    return _single([Mix(len(inputs[0]) - 1, outputs[0][-1])])


def recurrent(operator: core.Recurrent, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """All features of the step and of all steps before it, from the end in the reverse direction; the last state: of all steps."""
    time, batch, _ = inputs[0]
    features = Mix(2, operator.hidden)
    both = operator.direction == "bidirectional"
    running: Step = Mix(0, time) if both else Accumulate(0, operator.direction == "reverse")
    states: Path = (features, running, Reshape((time, 1, batch, operator.hidden)), Expand(outputs[0]))
    last: Path = (features, Mix(0, 1), Expand(outputs[1]))
    return [[path, *(_initial(operator, output) for _ in inputs[1:])] for path, output in zip((states, last, last), outputs, strict=False)]


def _initial(operator: core.Recurrent, output: Shape) -> Path:
    """The initial state (directions, batch, hidden) is read by every step."""
    return (Mix(2, operator.hidden), Expand(output))


def embedding(operator: core.Embedding, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """Every unit of a row depends on the one index it was looked up by."""
    return _single([Reshape((*inputs[0], *(1 for _ in operator.units))), Expand(outputs[0])])


def elementwise(
    operator: core.Elementwise | core.BatchNormalization, inputs: Sequence[Shape], outputs: Sequence[Shape]
) -> list[list[Path]]:
    """The unit at the same place of every input."""
    return [[() if shape == outputs[0] else (Expand(outputs[0]),) for shape in inputs]]


def mixing(operator: core.Mixing, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit itself and all units along the axes; only these, where the result keeps no unit at its place."""
    if operator.keeps_places:
        return _single([Statistics(operator.axes)])
    return _single([Mix(axis, inputs[0][axis]) for axis in operator.axes])


def masking(operator: core.Masking, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit itself, unless it is blocked."""
    return _single([Block(np.frombuffer(operator.blocked, dtype=np.bool_).reshape(operator.pattern))])


def neighbourhood(operator: core.Neighbourhood, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """A window of stride one."""
    taps = sliding(operator.before + operator.after + 1, 1, 1, operator.before)
    return _single([Slide(operator.axis, taps, inputs[0][operator.axis])])


def cumulation(operator: core.Cumulation, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """All units up to this one."""
    return _single([Accumulate(operator.axis, operator.reverse, operator.exclusive)])


def reduction(operator: core.Reduction, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """All units along the axes, which then have length one or are gone."""
    steps: list[Step] = [Mix(axis, 1) for axis in operator.axes]
    return _single(steps if operator.keepdims else [*steps, Reshape(outputs[0])])


def contraction(operator: core.Contraction, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """Of every operand, all units along the labels that are summed over, at the place that the other labels name."""
    result: list[Path] = []
    for labels, shape in zip(operator.operands, inputs, strict=True):
        summed = [axis for axis, label in enumerate(labels) if label not in operator.output]
        kept = [label for label in labels if label in operator.output]
        wanted = [label for label in operator.output if label in kept]
        lengths = dict(zip(labels, shape, strict=True))
        steps: list[Step] = [Mix(axis, 1) for axis in summed]
        steps.append(Reshape(tuple(lengths[label] for label in kept)))
        steps.append(Transpose(tuple(kept.index(label) for label in wanted)))
        steps.append(Reshape(tuple(lengths.get(label, 1) if label in kept else 1 for label in operator.output)))
        steps.append(Expand(outputs[0]))
        result.append(tuple(steps))
    return [result]


def reshaping(operator: core.Reshaping, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit of the same rank in row-major order."""
    return _single([Reshape(outputs[0])])


def transposing(operator: core.Transposing, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit with the same coordinates in another order."""
    return _single([Transpose(operator.order)])


def expanding(operator: core.Expanding, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit that was repeated."""
    return _single([Expand(outputs[0])])


def tiling(operator: core.Tiling, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit at the same place of the tile."""
    return _single([Slide(axis, tiled(n), n * r) for axis, (n, r) in enumerate(zip(inputs[0], operator.repeats, strict=True)) if r != 1])


def concatenation(operator: core.Concatenation, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit of the one input that lies there."""
    result: list[Path] = []
    start = 0
    for shape in inputs:
        result.append((Place(operator.axis, start),))
        start += shape[operator.axis]
    return [result]


def slicing(operator: core.Slicing, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit that was kept."""
    return _single([Slide(operator.axis, shifted(operator.start, operator.step), operator.length)])


def taking(operator: core.Taking, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit at the listed index."""
    return _single([Slide(operator.axis, listed(operator.indices), len(operator.indices))])


def padding(operator: core.Padding, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The unit moved by the padding before it; what lies in the padding continues the input, whatever the mode."""
    axes = enumerate(zip(operator.pads, outputs[0], strict=True))
    return _single([Slide(axis, shifted(-before), n) for axis, ((before, after), n) in axes if before or after])


def resampling(operator: core.Resampling, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """The units whose interpolation weight is not zero."""
    return _single([Slide(operator.axis, resampled(operator, inputs[0][operator.axis]), operator.length)])


def data_dependent(operator: core.DataDependent, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """Some unit, but which one depends on the data."""
    return [[(Widen(output, known=True),) for _ in inputs] for output in outputs]


def unknown(operator: core.Unknown, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[list[Path]]:
    """Nothing is known."""
    return [[(Widen(output, known=False),) for _ in inputs] for output in outputs]


RULES: dict[type[Operator], Rule] = {
    core.Convolution: convolution,
    core.TransposedConvolution: transposed_convolution,
    core.LocallyConnected: locally_connected,
    core.Pooling: window,
    core.Subsampling: window,
    core.Dense: dense,
    core.Experts: experts,
    core.Recurrent: recurrent,
    core.Embedding: embedding,
    core.Elementwise: elementwise,
    core.BatchNormalization: elementwise,
    core.Mixing: mixing,
    core.Masking: masking,
    core.Neighbourhood: neighbourhood,
    core.Cumulation: cumulation,
    core.Reduction: reduction,
    core.Contraction: contraction,
    core.Reshaping: reshaping,
    core.Transposing: transposing,
    core.Expanding: expanding,
    core.Tiling: tiling,
    core.Concatenation: concatenation,
    core.Slicing: slicing,
    core.Taking: taking,
    core.Padding: padding,
    core.Resampling: resampling,
    core.DataDependent: data_dependent,
    core.Unknown: unknown,
}
