"""Random small networks. A recipe is a list of steps that can be built on an input of any size, so that a network can be enlarged.

A step is a name and parameters; `BUILD` turns it into one or more core operators behind a tensor. Drawing a step that does not fit the
tensor at hand leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from service.graph import Graph, Shape, ShapeError
from service.graph import operators as core
from tests.analysis.networks import Builder

MOST_UNITS = 320
"""Units of a tensor at the most, so that matrices stay small."""


class NotFitting(ValueError):
    """The step cannot follow the tensor at hand."""


@dataclass(frozen=True)
class Move:
    """One step of a recipe."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """On one line, in a counter-example."""
        printer.text(f"Move({self.name!r}, {self.parameters!r})")


@dataclass(frozen=True)
class Recipe:
    """A network: the shape of its input (batch, channels, *spatial), how many inputs of that shape, and the steps from the first on."""

    shape: Shape
    moves: tuple[Move, ...]
    inputs: int = 1

    def graph(self, shape: Shape | None = None) -> Graph:
        """The network on an input of another shape, or its own."""
        builder = Builder()
        for _ in range(self.inputs):
            builder.input(*(shape or self.shape))
        build(builder, "input0", self.moves)
        return builder.graph()

    def enlarged(self, axis: int, more: int) -> Graph:
        """The network on an input that is longer along one axis."""
        return self.graph(tuple(n + more * (a == axis) for a, n in enumerate(self.shape)))


def build(builder: Builder, tensor: str, moves: Sequence[Move]) -> str:
    """Appends the steps behind a tensor; the name of the last one."""
    for move in moves:
        tensor = BUILD[move.name](builder, tensor, **move.parameters)
    return tensor


# -- how steps become operators ----------------------------------------------------------------------------------------


def _add(builder: Builder, operator: core.Operator, *inputs: str) -> str:
    if any(0 in shape for shape in operator.shapes(*(builder.shape(name) for name in inputs))):
        raise NotFitting(f"nothing is left after {operator}")
    return builder.add(operator, *inputs)


def _window(builder: Builder, tensor: str, kind: str, **parameters: Any) -> str:
    return _add(builder, getattr(core, kind)(**parameters), tensor)


def _axis(builder: Builder, tensor: str, axis: int) -> int:
    """One of the spatial axes of a tensor, by any number."""
    return 2 + axis % (len(builder.shape(tensor)) - 2)


def _resample(builder: Builder, tensor: str, axis: int, up: int, down: int, **parameters: Any) -> str:
    axis = _axis(builder, tensor, axis)
    length = builder.shape(tensor)[axis] * up // down
    return _add(builder, core.Resampling(axis, length, up / down, **parameters), tensor)


def _slice(builder: Builder, tensor: str, axis: int, start: int, end: int, step: int) -> str:
    """From `start` to `end` units before the end, `step` apart; backwards where negative."""
    axis = _axis(builder, tensor, axis)
    first, last = start, builder.shape(tensor)[axis] - 1 - end
    if last < first:
        raise NotFitting
    length = (last - first) // abs(step) + 1
    return _add(builder, core.Slicing(axis, first if step > 0 else last, step, length), tensor)


def _pad(builder: Builder, tensor: str, axis: int, before: int, after: int, mode: str) -> str:
    shape = builder.shape(tensor)
    axis = _axis(builder, tensor, axis)
    return _add(builder, core.Padding(tuple((before, after) if a == axis else (0, 0) for a in range(len(shape))), mode), tensor)


def _take(builder: Builder, tensor: str, axis: int, indices: tuple[int, ...]) -> str:
    axis = _axis(builder, tensor, axis)
    n = builder.shape(tensor)[axis]
    return _add(builder, core.Taking(axis, tuple(i % n for i in indices)), tensor)


def _shuffle(builder: Builder, tensor: str, groups: int) -> str:
    """ShuffleNet's channel shuffle."""
    n, c, *space = builder.shape(tensor)
    if c % groups:
        raise NotFitting
    split = _add(builder, core.Reshaping((n, groups, c // groups, *space)), tensor)
    turned = _add(builder, core.Transposing((0, 2, 1, *range(3, len(space) + 3))), split)
    return _add(builder, core.Reshaping((n, c, *space)), turned)


def _cropped(builder: Builder, tensor: str, axis: int, multiple: int) -> str:
    """Cut at the end so that the axis has a multiple of so many units."""
    n = builder.shape(tensor)[axis]
    if n < multiple:
        raise NotFitting
    return tensor if n % multiple == 0 else _add(builder, core.Slicing(axis, 0, 1, n - n % multiple), tensor)


def _space_to_depth(builder: Builder, tensor: str, axis: int, block: int) -> str:
    axis = _axis(builder, tensor, axis)
    tensor = _cropped(builder, tensor, axis, block)
    shape = builder.shape(tensor)
    split = _add(builder, core.Reshaping((*shape[:axis], shape[axis] // block, block, *shape[axis + 1 :])), tensor)
    rest = [a for a in range(2, len(shape) + 1) if a != axis + 1]
    turned = _add(builder, core.Transposing((0, axis + 1, 1, *rest)), split)
    result = (shape[0], shape[1] * block, *shape[2:axis], shape[axis] // block, *shape[axis + 1 :])
    return _add(builder, core.Reshaping(result), turned)


def _depth_to_space(builder: Builder, tensor: str, axis: int, block: int) -> str:
    """The sub-pixel convolution of Shi et al. 2016, along one axis."""
    axis = _axis(builder, tensor, axis)
    n, c, *space = builder.shape(tensor)
    if c % block:
        raise NotFitting
    split = _add(builder, core.Reshaping((n, block, c // block, *space)), tensor)
    order = [a for a in range(len(space) + 3) if a != 1]
    turned = _add(builder, core.Transposing(tuple([*order[:axis], 1, *order[axis:]])), split)
    return _add(builder, core.Reshaping((n, c // block, *(s * (block if a == axis else 1) for a, s in enumerate(space, start=2)))), turned)


def _windowed(builder: Builder, tensor: str, axis: int, size: int, attention: bool) -> str:
    """Mixing inside windows of one axis (Swin): softmax over the window, or query times key times value."""
    axis = _axis(builder, tensor, axis)
    tensor = _cropped(builder, tensor, axis, size)
    shape = builder.shape(tensor)
    split = _add(builder, core.Reshaping((*shape[:axis], shape[axis] // size, size, *shape[axis + 1 :])), tensor)
    if attention:
        names = [f"a{a}" for a in range(len(shape) + 1)]
        keys = [*names[: axis + 1], "key", *names[axis + 2 :]]
        scores = [*names[: axis + 2], "key", *names[axis + 2 :]]
        scored = _add(builder, core.Contraction((tuple(names), tuple(keys)), tuple(scores)), split, split)
        mixed = _add(builder, core.Contraction((tuple(scores), tuple(keys)), tuple(names)), scored, split)
    else:
        mixed = _add(builder, core.Mixing((axis + 1,), "Softmax"), split)
    return _add(builder, core.Reshaping(shape), mixed)


def _shifted_windows(builder: Builder, tensor: str, axis: int, size: int, roll: int) -> str:
    """Swin's cyclic shift: the axis is cut at `roll` and its parts exchanged before windows are mixed."""
    axis = _axis(builder, tensor, axis)
    n = builder.shape(tensor)[axis]
    if not 0 < roll < n:
        raise NotFitting
    tail = _add(builder, core.Slicing(axis, roll, 1, n - roll), tensor)
    head = _add(builder, core.Slicing(axis, 0, 1, roll), tensor)
    rolled = _add(builder, core.Concatenation(axis), tail, head)
    return _windowed(builder, rolled, axis - 2, size, attention=False)


def _attend(builder: Builder, tensor: str, axis: int) -> str:
    """Attention of every place along an axis to all of them, written out."""
    axis = _axis(builder, tensor, axis)
    names = [f"a{a}" for a in range(len(builder.shape(tensor)))]
    keys, pairs = [*names[:axis], "key", *names[axis + 1 :]], [*names[: axis + 1], "key", *names[axis + 1 :]]
    scores = _add(builder, core.Contraction((tuple(names), tuple(keys)), tuple(pairs)), tensor, tensor)
    shares = _add(builder, core.Mixing((axis + 1,), "softmax"), scores)
    return _add(builder, core.Contraction((tuple(pairs), tuple(keys)), tuple(names)), shares, tensor)


def _normalise(builder: Builder, tensor: str, over: str, written_out: bool) -> str:
    """A normalisation over space, over groups of channels and space, or over all of a sample; as one operator or written out."""
    shape = builder.shape(tensor)
    if over == "group" and shape[1] % 2:
        raise NotFitting
    grouped = _add(builder, core.Reshaping((shape[0], 2, shape[1] // 2, *shape[2:])), tensor) if over == "group" else tensor
    rank = len(builder.shape(grouped))
    axes = tuple(range(1 if over == "all" else 2, rank))
    if written_out:
        centred = _add(builder, core.Elementwise("Sub"), grouped, _add(builder, core.Reduction(axes), grouped))
        deviation = _add(builder, core.Reduction(axes), _add(builder, core.Elementwise("Mul"), centred, centred))
        result = _add(builder, core.Elementwise("Div"), centred, deviation)
    else:
        result = _add(builder, core.Mixing(axes, f"{over}normalization"), grouped)
    return _add(builder, core.Reshaping(shape), result) if over == "group" else result


def _block_mean(builder: Builder, tensor: str, axis: int, size: int, pooled: bool) -> str:
    """The mean of blocks of one axis, as a pooling or as a reshape and a reduction."""
    axis = _axis(builder, tensor, axis)
    tensor = _cropped(builder, tensor, axis, size)
    shape = builder.shape(tensor)
    if shape[axis] == size:
        raise NotFitting("a single block is the whole axis")
    if pooled:
        kernel = tuple(size if a == axis else 1 for a in range(2, len(shape)))
        return _add(builder, core.Pooling(kernel, kernel, (1,) * len(kernel), ((0, 0),) * len(kernel), "average"), tensor)
    split = _add(builder, core.Reshaping((*shape[:axis], shape[axis] // size, size, *shape[axis + 1 :])), tensor)
    return _add(builder, core.Reduction((axis + 1,), keepdims=False), split)


def _gate(builder: Builder, tensor: str) -> str:
    """Squeeze and excitation: the mean over all positions multiplies every unit."""
    rank = len(builder.shape(tensor))
    mean = _add(builder, core.Reduction(tuple(range(2, rank))), tensor)
    return _add(builder, core.Elementwise("Mul"), tensor, mean)


def _reduce(builder: Builder, tensor: str, axis: int) -> str:
    return _add(builder, core.Reduction((_axis(builder, tensor, axis),)), tensor)


def _mix(builder: Builder, tensor: str, axis: int) -> str:
    return _add(builder, core.Mixing((axis % len(builder.shape(tensor)) or 1,), "Softmax"), tensor)


def _neighbours(builder: Builder, tensor: str, axis: int, before: int, after: int) -> str:
    return _add(builder, core.Neighbourhood(1 + axis % (len(builder.shape(tensor)) - 1), before, after), tensor)


def _cumulate(builder: Builder, tensor: str, axis: int, reverse: bool) -> str:
    return _add(builder, core.Cumulation(_axis(builder, tensor, axis), reverse), tensor)


def _tile(builder: Builder, tensor: str, axis: int, repeats: int) -> str:
    axis = 1 + axis % (len(builder.shape(tensor)) - 1)
    return _add(builder, core.Tiling(tuple(repeats if a == axis else 1 for a in range(len(builder.shape(tensor))))), tensor)


def _swap(builder: Builder, tensor: str) -> str:
    """The last spatial axis before the others."""
    rank = len(builder.shape(tensor))
    return _add(builder, core.Transposing((0, 1, rank - 1, *range(2, rank - 1))), tensor)


def _dense(builder: Builder, tensor: str, units: int) -> str:
    return _add(builder, core.Dense(units), tensor)


def _channels_dense(builder: Builder, tensor: str, units: int) -> str:
    """A dense layer over channels that stand last: a convolution of one pixel in another layout."""
    rank = len(builder.shape(tensor))
    last = _add(builder, core.Transposing((0, *range(2, rank), 1)), tensor)
    return _add(builder, core.Transposing((0, rank - 1, *range(1, rank - 1))), _add(builder, core.Dense(units), last))


def _branches(builder: Builder, tensor: str, branches: Sequence[Sequence[Move]], join: str, axis: int = 0) -> str:
    """Two or more ways from one tensor, cut to a common size and joined."""
    return _joined(builder, [build(builder, tensor, branch) for branch in branches], join, axis)


def _second_input(builder: Builder, tensor: str, branch: Sequence[Move], join: str) -> str:
    return _joined(builder, [tensor, build(builder, "input1", branch)], join, 0)


def _joined(builder: Builder, ends: list[str], join: str, axis: int) -> str:
    shapes = [builder.shape(end) for end in ends]
    if len({len(shape) for shape in shapes}) > 1:
        raise NotFitting
    place = 1 if join == "concat" else _axis(builder, ends[0], axis)
    common = [min(lengths) for lengths in zip(*shapes, strict=True)]
    cut = []
    for end in ends:
        for a, length in enumerate(common):
            if builder.shape(end)[a] != length and (join == "add" or a != place):
                end = _add(builder, core.Slicing(a, 0, 1, length), end)
        cut.append(end)
    operator = core.Elementwise("Add") if join == "add" else core.Concatenation(place)
    return _add(builder, operator, *cut)


BUILD: dict[str, Callable[..., str]] = {
    "window": _window,
    "resample": _resample,
    "slice": _slice,
    "pad": _pad,
    "take": _take,
    "shuffle": _shuffle,
    "space_to_depth": _space_to_depth,
    "depth_to_space": _depth_to_space,
    "windowed": _windowed,
    "shifted_windows": _shifted_windows,
    "attend": _attend,
    "normalise": _normalise,
    "block_mean": _block_mean,
    "gate": _gate,
    "reduce": _reduce,
    "mix": _mix,
    "neighbours": _neighbours,
    "cumulate": _cumulate,
    "tile": _tile,
    "swap": _swap,
    "dense": _dense,
    "channels_dense": _channels_dense,
    "branches": _branches,
    "second_input": _second_input,
}


# -- strategies --------------------------------------------------------------------------------------------------------


def _each(draw: st.DrawFn, rank: int, values: st.SearchStrategy[Any]) -> tuple[Any, ...]:
    return tuple(draw(values) for _ in range(rank))


def _geometry(draw: st.DrawFn, rank: int, least_pad: int = -1) -> dict[str, Any]:
    one = st.integers(1, 3)
    return {
        "kernel": _each(draw, rank, one),
        "strides": _each(draw, rank, st.sampled_from((1, 1, 2, 3))),
        "dilations": _each(draw, rank, st.sampled_from((1, 1, 2, 3))),
        "pads": _each(draw, rank, st.tuples(st.integers(least_pad, 2), st.integers(least_pad, 2))),
    }


@st.composite
def convolutions(draw: st.DrawFn, shape: Shape, tables: bool = True) -> Move:
    """A convolution behind a tensor of this shape: groups, dilation, strides, uneven and negative padding, connection tables."""
    channels = shape[1]
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    filters = groups * draw(st.integers(1, 2))
    table = None
    if tables and groups == 1 and draw(st.booleans()):
        rows = st.lists(st.integers(0, channels - 1), min_size=1, max_size=channels, unique=True).map(lambda row: tuple(sorted(row)))
        table = tuple(draw(rows) for _ in range(filters))
    geometry = _geometry(draw, len(shape) - 2)
    return Move("window", {"kind": "Convolution", "filters": filters, "groups": groups, "table": table, **geometry})


@st.composite
def transposed_convolutions(draw: st.DrawFn, shape: Shape) -> Move:
    """A transposed convolution: phases that see nothing, dilation, cropping, output padding."""
    rank, channels = len(shape) - 2, shape[1]
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    geometry = _geometry(draw, rank)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(geometry["strides"], geometry["dilations"], strict=True))
    return Move(
        "window",
        {"kind": "TransposedConvolution", "filters": groups, "groups": groups, "output_padding": extra, **geometry},
    )


@st.composite
def locally_connected(draw: st.DrawFn, shape: Shape) -> Move:
    """A convolution whose places share nothing."""
    parameters = draw(convolutions(shape, tables=False)).parameters
    return Move("window", {**{name: value for name, value in parameters.items() if name != "table"}, "kind": "LocallyConnected"})


@st.composite
def poolings(draw: st.DrawFn, shape: Shape) -> Move:
    """A pooling, with places rounded up or down; or LeNet's subsampling."""
    geometry = _geometry(draw, len(shape) - 2, 0)
    if draw(st.booleans()):
        return Move("window", {"kind": "Subsampling", **geometry})
    return Move("window", {"kind": "Pooling", "ceil": draw(st.booleans()), **geometry})


@st.composite
def resamplings(draw: st.DrawFn, anchored: bool = False) -> Move:
    """An interpolation in any mode; `anchored`: in one whose taps do not depend on the length of the axis."""
    modes = ["half_pixel", "asymmetric", "pytorch_half_pixel", "tf_half_pixel_for_nn"]
    if not anchored:
        modes += ["half_pixel_symmetric", "align_corners", "tf_crop_and_resize"]
    mode = draw(st.sampled_from(("nearest", "nearest", "linear", "cubic")))
    up, down = draw(st.sampled_from(((2, 1), (3, 1), (3, 2), (1, 2), (1, 3), (2, 3), (4, 3), (1, 1))))
    parameters = {
        "axis": draw(st.integers(0, 2)),
        "up": up,
        "down": down,
        "mode": mode,
        "transform": draw(st.sampled_from(modes)),
        "rounding": draw(st.sampled_from(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))),
        "antialias": mode != "nearest" and draw(st.booleans()),
    }
    if parameters["transform"] == "tf_crop_and_resize":
        parameters["region"] = draw(st.sampled_from(((0.0, 1.0), (0.25, 0.75), (0.5, 1.0))))
    return Move("resample", parameters)


AXES = st.integers(0, 2)
PADS = st.builds(
    lambda axis, before, after, mode: Move("pad", {"axis": axis, "before": before, "after": after, "mode": mode}),
    AXES,
    st.integers(-1, 2),
    st.integers(-1, 2),
    st.sampled_from(("constant", "reflect", "edge", "wrap")),
)
CUTS = st.builds(
    lambda axis, start, end, step: Move("slice", {"axis": axis, "start": start, "end": end, "step": step}),
    AXES,
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from((1, 2, 3)),
)
FLIPS = st.builds(
    lambda axis, start, end, step: Move("slice", {"axis": axis, "start": start, "end": end, "step": step}),
    AXES,
    st.integers(0, 1),
    st.integers(0, 1),
    st.sampled_from((-1, -1, -2)),
)


def _moves(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Move]:
    return st.fixed_dictionaries(parameters).map(lambda drawn: Move(name, drawn))


REARRANGEMENTS = st.one_of(
    _moves("take", axis=AXES, indices=st.lists(st.integers(0, 9), min_size=1, max_size=6).map(tuple)),
    _moves("shuffle", groups=st.sampled_from((2, 3))),
    _moves("space_to_depth", axis=AXES, block=st.sampled_from((2, 3))),
    _moves("depth_to_space", axis=AXES, block=st.sampled_from((2, 3))),
    _moves("tile", axis=AXES, repeats=st.sampled_from((2, 3))),
    _moves("swap"),
)
MIXTURES = st.one_of(
    _moves("block_mean", axis=AXES, size=st.sampled_from((2, 3)), pooled=st.booleans()),
    _moves("windowed", axis=AXES, size=st.sampled_from((2, 3)), attention=st.booleans()),
    _moves("shifted_windows", axis=AXES, size=st.sampled_from((2, 3)), roll=st.integers(1, 2)),
    _moves("mix", axis=st.just(1)),
    _moves("neighbours", axis=AXES, before=st.integers(0, 2), after=st.integers(0, 2)),
    _moves("channels_dense", units=st.integers(1, 3)),
)
ENDINGS = st.one_of(
    _moves("gate"),
    _moves("attend", axis=AXES),
    _moves("normalise", over=st.sampled_from(("space", "group", "all")), written_out=st.booleans()),
    _moves("reduce", axis=AXES),
    _moves("mix", axis=st.integers(2, 4)),
    _moves("cumulate", axis=AXES, reverse=st.booleans()),
    _moves("dense", units=st.integers(1, 3)),
)


@cache
def sliding_moves(shape: Shape) -> st.SearchStrategy[Move]:
    """Steps that slide along axes the same way everywhere, so that inner units obey one law whatever the size of the input."""
    return st.one_of(
        convolutions(shape),
        convolutions(shape),
        locally_connected(shape),
        poolings(shape),
        transposed_convolutions(shape),
        resamplings(anchored=True),
        PADS,
        CUTS,
        _moves("shuffle", groups=st.sampled_from((2, 3))),
        _moves("neighbours", axis=AXES, before=st.integers(0, 2), after=st.integers(0, 2)),
        _moves("channels_dense", units=st.integers(1, 3)),
    )


@cache
def spelled_moves(shape: Shape) -> st.SearchStrategy[Move]:
    """Windows, and steps that can be written in two ways."""
    norms = _moves("normalise", over=st.sampled_from(("space", "group", "all")), written_out=st.booleans())
    blocks = _moves("block_mean", axis=AXES, size=st.sampled_from((2, 3)), pooled=st.booleans())
    return st.one_of(convolutions(shape), poolings(shape), norms, norms, blocks, _moves("gate"))


@cache
def local_moves(shape: Shape) -> st.SearchStrategy[Move]:
    """Every step that keeps paths local."""
    return st.one_of(sliding_moves(shape), sliding_moves(shape), resamplings(), FLIPS, REARRANGEMENTS, MIXTURES)


@cache
def all_moves(shape: Shape) -> st.SearchStrategy[Move]:
    """Every step there is."""
    return st.one_of(local_moves(shape), local_moves(shape), local_moves(shape), ENDINGS)


Source = Callable[[Shape], st.SearchStrategy[Move]]


def _kind(shape: Shape) -> Shape:
    """A shape that stands for all that allow the same steps: the channels and the number of axes matter, the lengths do not."""
    return (1, shape[1], *(1 for _ in shape[2:]))


def _appended(builder: Builder, tensor: str, move: Move) -> str | None:
    """The end of a step behind a tensor; None where it does not fit or makes too many units."""
    before = len(builder.layers)
    try:
        end = build(builder, tensor, [move])
    except (ShapeError, NotFitting):
        return None
    made = (name for layer in builder.layers[before:] for name in layer.outputs)
    return end if all(math.prod(builder.shape(name)) <= MOST_UNITS for name in made) else None


@st.composite
def _drawn(draw: st.DrawFn, builder: Builder, tensor: str, source: Source, most: int) -> tuple[str, tuple[Move, ...]]:
    """Up to `most` steps behind a tensor, those that fit."""
    moves: list[Move] = []
    for _ in range(draw(st.integers(1, most))):
        move = draw(source(_kind(builder.shape(tensor))))
        end = _appended(builder, tensor, move)
        if end is not None:
            tensor = end
            moves.append(move)
    return tensor, tuple(moves)


@st.composite
def branched(draw: st.DrawFn, builder: Builder, tensor: str, source: Source, joins: tuple[str, ...]) -> Move:
    """Two or three ways from one tensor that meet again; the first may be the tensor itself."""
    branches = [draw(_drawn(builder, tensor, source, 2))[1] for _ in range(draw(st.integers(1, 2)))]
    if len(branches) == 1 or draw(st.booleans()):
        branches.append(())
    return Move("branches", {"branches": tuple(branches), "join": draw(st.sampled_from(joins)), "axis": draw(AXES)})


def shapes(least: int = 5, most: int = 9) -> st.SearchStrategy[Shape]:
    """Inputs of one, two and three spatial axes with one to three channels; the more axes, the shorter."""
    return st.integers(1, 3).flatmap(
        lambda rank: st.tuples(
            st.just(1),
            st.integers(1, 3 if rank < 3 else 2),
            *[st.integers(max(least - rank, 3), max(most - 2 * rank, 4)) if rank > 1 else st.integers(least, 2 * most)] * rank,
        )
    )


@st.composite
def recipes(
    draw: st.DrawFn,
    source: Source = all_moves,
    most: int = 3,
    joins: tuple[str, ...] = ("add", "concat", "concat_spatial"),
    two_inputs: bool = False,
) -> Recipe:
    """A network of a few steps, perhaps with branches that meet, perhaps with a second input."""
    builder = Builder()
    recipe = Recipe(draw(shapes()), (), 1 + (two_inputs and draw(st.booleans())))
    for _ in range(recipe.inputs):
        builder.input(*recipe.shape)
    tensor, before = draw(_drawn(builder, "input0", source, most))
    moves = list(before)
    candidates: list[Move] = []
    if joins and draw(st.integers(0, 2)):
        candidates.append(draw(branched(builder, tensor, source, joins)))
    if recipe.inputs == 2:
        _, way = draw(_drawn(builder, "input1", source, 2))
        candidates.append(Move("second_input", {"branch": way, "join": draw(st.sampled_from(("add", "concat")))}))
    for move in candidates:
        end = _appended(builder, tensor, move)
        if end is not None:
            tensor, after = draw(_drawn(builder, end, source, 2))
            moves += [move, *after]
    return replace(recipe, moves=tuple(moves))
