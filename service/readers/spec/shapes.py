"""Layers that move units about: flatten, reshape, permute, pad, crop, upsample, blocks of space and depth."""

from __future__ import annotations

import math

from service.graph.network import Tensor
from service.graph.operators import Padding, Resampling, Reshaping, Slicing, Transposing
from service.readers.spec.draft import Draft, Refusal, check_size, shape_of
from service.readers.spec.fields import LARGEST
from service.readers.spec.units import tensor_axis
from service.readers.spec.windows import amounts, per_axis, spatial


def flatten(draft: Draft) -> Tensor:
    """All units on one axis."""
    return draft.apply(Reshaping((draft.shape[0], math.prod(draft.shape[1:]))), draft.input)


def reshape(draft: Draft) -> Tensor:
    """The units under another shape, in which one length may be -1."""
    shape, units = list(draft.fields["shape"]), math.prod(draft.shape[1:])
    if shape.count(-1) > 1 or 0 in shape:
        raise Refusal("shape", "out-of-range", "lengths are 1 or more, and one of them may be -1")
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        if units % known:
            raise Refusal("shape", "not-divisible", f"{known} does not divide the {units} units of {draft.shape[1:]}")
        shape[shape.index(-1)] = units // known
    if math.prod(shape) != units:
        raise Refusal("shape", "shape-mismatch", f"{tuple(shape)} has {math.prod(shape)} units, {draft.shape[1:]} has {units}")
    return draft.apply(Reshaping((draft.shape[0], *shape)), draft.input)


def permute(draft: Draft) -> Tensor:
    """The axes in another order."""
    order = draft.fields["order"]
    if sorted(order) != list(range(len(draft.shape) - 1)):
        raise Refusal("order", "wrong-order", f"must name each of the axes 0 to {len(draft.shape) - 2} once")
    return draft.apply(Transposing((0, *(axis + 1 for axis in order))), draft.input)


def flip(draft: Draft) -> Tensor:
    """The units of an axis in the opposite order."""
    axis = tensor_axis(draft, "axis", draft.fields["axis"])
    return draft.apply(Slicing(axis, draft.shape[axis] - 1, -1, draft.shape[axis]), draft.input)


def to_batch(draft: Draft) -> Tensor:
    """The units of an axis become samples: what follows acts on each of them alone, with the same weights."""
    axis, shape = tensor_axis(draft, "axis", draft.fields["axis"]), draft.shape
    rest = tuple(other for other in range(1, len(shape)) if other != axis)
    moved = draft.apply(Transposing((0, axis, *rest)), draft.input)
    return draft.apply(Reshaping((shape[0] * shape[axis], *(shape[other] for other in rest))), moved)


def from_batch(draft: Draft) -> Tensor:
    """The way back: the samples become an axis again. The second input is what `to_batch` read, which tells how many there were."""
    shape, batch = draft.shape, shape_of(draft.inputs[1])[0]
    axis = draft.fields["axis"] + (len(shape) + 1 if draft.fields["axis"] < 0 else 1)
    if not 1 <= axis <= len(shape):
        raise Refusal("axis", "out-of-range", f"the result has axes 0 to {len(shape) - 1}, not {draft.fields['axis']}")
    if shape[0] % batch:
        raise Refusal("inputs/1", "shape-mismatch", f"{shape[0]} samples do not come from {batch}")
    split = draft.apply(Reshaping((batch, shape[0] // batch, *shape[1:])), draft.input)
    order = [0, *range(2, len(shape) + 1)]
    order.insert(axis, 1)
    return draft.apply(Transposing(tuple(order)), split)


def pad(draft: Draft) -> Tensor:
    """More units around the spatial axes."""
    axes, mode = spatial(draft), draft.fields["mode"]
    pads = amounts(draft, len(axes))
    most = {"reflect": -1, "wrap": 0}.get(mode)
    if most is not None and any(max(p) > n + most for n, p in zip(axes, pads, strict=True)):
        raise Refusal("padding", "does-not-fit", f"{mode} repeats units of the input once, and {axes} has not so many")
    return draft.apply(Padding(((0, 0), (0, 0), *pads), mode, zeros=mode == "constant"), draft.input)


def crop(draft: Draft) -> Tensor:
    """Fewer units around the spatial axes."""
    axes, result = spatial(draft), draft.input
    for axis, (n, (before, after)) in enumerate(zip(axes, amounts(draft, len(axes)), strict=True)):
        if before + after >= n:
            raise Refusal("padding", "does-not-fit", f"it removes all {n} units of spatial axis {axis}")
        if before or after:
            result = draft.apply(Slicing(axis + 2, before, 1, n - before - after), result)
    return result


def upsample(draft: Draft) -> Tensor:
    """Interpolation of the spatial axes, with the conventions of PyTorch: nearest repeats units, linear and cubic align half pixels."""
    axes, mode = spatial(draft), draft.fields["mode"]
    name = "size" if "size" in draft.fields else "factor"
    if mode == "nearest" and draft.fields["align_corners"]:
        raise Refusal("align_corners", "conflict", "nearest has no corners to align")
    transform = "align_corners" if draft.fields["align_corners"] else "asymmetric" if mode == "nearest" else "half_pixel"
    result = draft.input
    for axis, (n, wanted) in enumerate(zip(axes, per_axis(draft, name, len(axes)), strict=True)):
        length = wanted if name == "size" else math.floor(n * wanted)
        if not 1 <= length <= LARGEST:
            raise Refusal(name, "out-of-range", f"spatial axis {axis} would have {length} units")
        check_size((*(result.shape or ())[: axis + 2], length, *axes[axis + 1 :]))
        scale = length / n if name == "size" else float(wanted)
        result = draft.apply(Resampling(axis + 2, length, scale, mode, transform, "floor"), result)
    return result


def space_to_depth(draft: Draft) -> Tensor:
    """Blocks of space become channels, the place in the block first: (c, n·b) to (b·c, n) as ONNX SpaceToDepth."""
    axes, block, channels = spatial(draft), draft.fields["block"], draft.shape[1]
    if any(n % block for n in axes):
        raise Refusal("block", "not-divisible", f"{block} does not divide the spatial axes {axes}")
    rank = len(axes)
    split = tuple(length for n in axes for length in (n // block, block))
    value = draft.apply(Reshaping((draft.shape[0], channels, *split)), draft.input)
    order = (0, *range(3, 3 + 2 * rank, 2), 1, *range(2, 2 + 2 * rank, 2))
    value = draft.apply(Transposing(order), value)
    return draft.apply(Reshaping((draft.shape[0], channels * block**rank, *(n // block for n in axes))), value)


def depth_to_space(draft: Draft) -> Tensor:
    """Channels become blocks of space, the place in the block first: (b·c, n) to (c, n·b) as ONNX DepthToSpace in its mode DCR."""
    axes, block = spatial(draft), draft.fields["block"]
    rank = len(axes)
    if draft.shape[1] % block**rank:
        raise Refusal("block", "not-divisible", f"{block}**{rank} does not divide {draft.shape[1]} channels")
    channels = draft.shape[1] // block**rank
    value = draft.apply(Reshaping((draft.shape[0], *(block,) * rank, channels, *axes)), draft.input)
    pairs = (axis for i in range(rank) for axis in (2 + rank + i, 1 + i))
    value = draft.apply(Transposing((0, 1 + rank, *pairs)), value)
    return draft.apply(Reshaping((draft.shape[0], channels, *(n * block for n in axes))), value)
