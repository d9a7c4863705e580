"""Operators that only move units: other shapes, other orders, parts, joins, padding, repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from service.graph import ShapeError
from service.graph import operators as core
from service.graph.geometry import window_length
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.constants import movement as computed
from service.readers.onnx.operators.geometry import normal_axes, reshaped, slice_range, split_lengths, squeezed, unsqueezed
from service.readers.onnx.operators.windows import Geometry, geometry
from service.readers.onnx.values import Value


def attribute_or_input(call: Call, name: str, index: int, since: int) -> tuple[int, ...] | None:
    """A list of integers that is an attribute before opset `since` and an input from then on; None where it is left out."""
    if call.version < since:
        return call.attributes.integers(name)
    return None if call.optional(index) is None else call.required_integers(index, name)


def declared_target(call: Call, index: int, since: int = 0) -> tuple[int, ...] | None:
    """The shape that the file declares for the result, where the input that should state it depends on the data."""
    return call.host.declared(call, 0) if call.version >= since and call.known(index) is None else None


def reshape(call: Call) -> Sequence[Value]:
    """Reshape."""
    data = call.input(0)
    declared = declared_target(call, 1, since=5)
    if declared is not None:
        return [call.reshape(data, declared)]
    wanted = attribute_or_input(call, "shape", 1, 5)
    if wanted is None:
        call.refuse("shape-missing", "it has no shape")
    return [call.reshape(data, reshaped(data.dims, wanted, bool(call.attributes.integer("allowzero"))))]


def flatten(call: Call) -> Sequence[Value]:
    """Flatten: the axes before `axis` become one, and the others."""
    data, axis = call.input(0), call.attributes.integer("axis", 1)
    if not -data.rank <= axis <= data.rank:
        call.misfit("axis-range", f"axis {axis} is none of a tensor of {data.rank} axes")
    lead = data.dims[:axis] if axis >= 0 else data.dims[: data.rank + axis]
    return [call.reshape(data, (math.prod(lead), math.prod(data.dims[len(lead) :])))]


def squeeze(call: Call) -> Sequence[Value]:
    """Squeeze."""
    data = call.input(0)
    declared = declared_target(call, 1, since=13)
    if declared is not None and call.optional(1) is not None:
        return [call.reshape(data, declared)]
    return [call.reshape(data, squeezed(data.dims, attribute_or_input(call, "axes", 1, 13)))]


def unsqueeze(call: Call) -> Sequence[Value]:
    """Unsqueeze."""
    data = call.input(0)
    declared = declared_target(call, 1, since=13)
    if declared is not None:
        return [call.reshape(data, declared)]
    return [call.reshape(data, unsqueezed(data.dims, attribute_or_input(call, "axes", 1, 13) or ()))]


def transpose(call: Call) -> Sequence[Value]:
    """Transpose; without `perm` the axes are reversed."""
    data = call.input(0)
    return [call.emit(core.Transposing(call.attributes.integers("perm") or tuple(reversed(range(data.rank)))), data)]


def concatenate(call: Call) -> Sequence[Value]:
    """Concat; in opset 1 along axis 1 unless stated."""
    parts = [v for v in call.inputs if v is not None]
    if not parts:
        call.refuse("missing-input", "it has no inputs")
    for value in parts:
        if value.constant is not None and value.constant.origin.count > 1:
            call.add_other(value)
    return [call.emit(core.Concatenation(call.axis(parts[0].rank, 1)), *parts)]


def split(call: Call) -> Sequence[Value]:
    """Split: a slice for every output; the lengths are stated, or equal with a smaller last one."""
    data = call.input(0)
    axis = call.axis(data.rank)
    parts = call.attributes.integer("num_outputs", len(call.outputs)) if call.version >= 18 else len(call.outputs)
    if parts != len(call.outputs):
        call.refuse("output-count", f"num_outputs is {parts}, it has {len(call.outputs)} outputs")
    lengths = split_lengths(data.dims[axis], parts, attribute_or_input(call, "split", 1, 13))
    if len(lengths) < len(call.outputs):
        call.refuse("output-count", f"{len(lengths)} parts are stated, it has {len(call.outputs)} outputs")
    starts = [sum(lengths[:i]) for i in range(len(lengths))] if len(lengths) < 64 else np.cumsum((0, *lengths)).tolist()
    return [call.emit(core.Slicing(axis, start, 1, n), data) for start, n in zip(starts, lengths, strict=False)]


def slices(call: Call) -> Sequence[Value]:
    """Slice: opset 1 by attributes, later by inputs; each axis by itself."""
    data = call.input(0)
    starts, ends = attribute_or_input(call, "starts", 1, 10), attribute_or_input(call, "ends", 2, 10)
    axes, steps = attribute_or_input(call, "axes", 3, 10), attribute_or_input(call, "steps", 4, 10)
    if starts is None or ends is None:
        call.refuse("missing-input", "its starts or ends are missing")
    axes = normal_axes(axes if axes is not None else range(len(starts)), data.rank)
    steps = steps or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        call.misfit("slice-mismatch", f"starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit each other")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step == 0:
            call.refuse("step-zero", "a step is 0")
        data = cut(call, data, axis, start, end, step)
    return [data]


def dynamic_slice(call: Call) -> Sequence[Value]:
    """DynamicSlice, removed from the standard: what Slice became in opset 10."""
    call.version = max(call.version, 10)
    return slices(call)


def cut(call: Call, data: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
    """NumPy's data[start:end:step] along one axis; nothing where all of it is kept."""
    first, count = slice_range(data.dims[axis], start, end, step)
    if (first, count, step) == (0, data.dims[axis], 1):
        return data
    return call.emit(core.Slicing(axis, first, step, count), data)


def pad(call: Call) -> Sequence[Value]:
    """Pad in every opset: attributes before 11, then inputs, from 18 on for some axes only."""
    data = call.input(0)
    stated = (
        call.attributes.integers("paddings" if call.version < 2 else "pads")
        if call.version < 11
        else call.required_integers(1, "the padding")
    )
    axes = call.required_integers(3, "which axes are padded") if call.optional(3) is not None else range(data.rank)
    chosen = normal_axes(axes, data.rank)
    mode = call.attributes.text("mode", "constant") or "constant"
    if stated is None or len(stated) != 2 * len(chosen):
        call.misfit("pads-rank", f"the padding {stated} does not fit {len(chosen)} axes")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        call.refuse("unknown-pad-mode", f"mode is {mode!r}")
    pads = [(0, 0)] * data.rank
    for axis, before, after in zip(chosen, stated[: len(chosen)], stated[len(chosen) :], strict=True):
        pads[axis] = before, after
    if not any(before or after for before, after in pads):
        return [data]
    return [call.emit(core.Padding(tuple(pads), mode, mode == "constant" and _pads_with_zeros(call)), data)]


def _pads_with_zeros(call: Call) -> bool:
    if call.version < 11:
        return call.attributes.real("value", 0.0) == 0
    if call.optional(2) is None:
        return True
    value = call.known(2)
    return value is not None and value.dtype.kind in "biuf" and not value.any()


def expand(call: Call) -> Sequence[Value]:
    """Expand."""
    data = call.input(0)
    shape = declared_target(call, 1) or call.required_integers(1, "the shape")
    return [call.emit(core.Expanding(core.broadcast(data.dims, shape)), data)]


def tile(call: Call) -> Sequence[Value]:
    """Tile; in opset 1 so many tiles along one axis."""
    data = call.input(0)
    repeats = call.required_integers(1, "the number of tiles")
    if call.version < 6:
        along = call.required_integers(2, "the axis")[0]
        repeats = tuple(repeats[0] if axis == along else 1 for axis in range(data.rank))
    if any(n < 0 for n in repeats):
        raise ShapeError(f"{repeats} are no numbers of tiles")
    return [call.emit(core.Tiling(repeats), data)]


def _block(call: Call, data: Value) -> int:
    block = call.attributes.integer("blocksize")
    if block < 1 or block > 1 << 20:
        call.refuse("blocksize-range", f"blocksize is {block}")
    if data.rank != 4:
        call.refuse("rank-mismatch", f"its input has the shape {data.dims}")
    return block


def depth_to_space(call: Call) -> Sequence[Value]:
    """DepthToSpace: blocks of channels become squares (pixel shuffle in mode CRD)."""
    data = call.input(0)
    b = _block(call, data)
    n, c, h, w = data.dims
    if c % (b * b):
        raise ShapeError(f"{c} channels are no blocks of {b}×{b}")
    if call.attributes.text("mode", "DCR") == "CRD":
        split_up = call.transpose(call.reshape(data, (n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3))
    else:
        split_up = call.transpose(call.reshape(data, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    return [call.reshape(split_up, (n, c // (b * b), h * b, w * b))]


def space_to_depth(call: Call) -> Sequence[Value]:
    """SpaceToDepth: squares become blocks of channels."""
    data = call.input(0)
    b = _block(call, data)
    n, c, h, w = data.dims
    if h % b or w % b:
        raise ShapeError(f"{h}×{w} units are no squares of {b}×{b}")
    order = (0, 1, 3, 5, 2, 4) if call.attributes.text("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    squares = call.transpose(call.reshape(data, (n, c, h // b, b, w // b, b)), order)
    return [call.reshape(squares, (n, c * b * b, h // b, w // b))]


def center_crop_pad(call: Call) -> Sequence[Value]:
    """CenterCropPad: each axis is cropped or padded at both ends; of an odd number one more at the end."""
    data = call.input(0)
    axes = normal_axes(call.attributes.integers("axes") or range(data.rank), data.rank)
    declared = declared_target(call, 1)
    wanted = call.required_integers(1, "the shape") if declared is None else tuple(declared[axis] for axis in axes)
    pads = [(0, 0)] * data.rank
    for axis, length in zip(axes, wanted, strict=True):
        missing = length - data.dims[axis]
        before = missing // 2 if missing > 0 else -(-missing // 2)
        pads[axis] = before, missing - before
    return [call.emit(core.Padding(tuple(pads), zeros=True), data)]


def crop(call: Call) -> Sequence[Value]:
    """Crop, removed from the standard with opset 9: `border` is (left, top, right, bottom); `scale` states the height and width instead."""
    data = call.input(0)
    border, scale = call.attributes.integers("border") or (0, 0, 0, 0), call.attributes.integers("scale")
    if data.rank != 4 or len(border) != 4 or (scale and len(scale) != 2):
        call.refuse("border-range", f"border {border} and scale {scale} do not fit an input of shape {data.dims}")
    left, top, right, bottom = border
    height, width = data.dims[2:]
    rows = (top, top + scale[0]) if scale else (top, height - bottom)
    columns = (left, left + scale[1]) if scale else (left, width - right)
    return [cut(call, cut(call, data, 2, *rows), 3, *columns)]


def triangle(call: Call) -> Sequence[Value]:
    """Trilu: the kept units stay where they are."""
    return [call.emit(core.Elementwise("trilu"), call.input(0))]


_MOST_OVERLAPPING = 1 << 8
"""Places of a block, added up over its axes, that are followed one by one."""


def blocks_to_image(call: Call) -> Sequence[Value]:
    """Col2Im: blocks of columns are added where they overlap, along one axis of the image after the other."""
    data = call.input(0)
    image, block = call.required_integers(1, "the image's shape"), call.required_integers(2, "the block's shape")
    channels, rest = divmod(data.dims[1] if data.rank == 3 else 0, max(math.prod(block), 1))
    if rest or len(block) != len(image) or min(block, default=0) < 1:
        raise ShapeError(f"columns of shape {data.dims} are no blocks of {block} of an image of {image}")
    if sum(block) > _MOST_OVERLAPPING:
        return call.data_dependent([(data.dims[0], channels, *image)], "blocks of so many places are followed as a bound only", data)
    window = geometry(call, block, image)
    steps = zip(image, block, window.strides, window.dilations, window.pads, strict=True)
    places = tuple(max(window_length(*step), 0) for step in steps)
    data = call.reshape(data, (data.dims[0], channels, *block, *places))
    for axis in range(len(image)):
        data = _overlapped(call, data, window, axis, image[axis])
    return [data]


def _overlapped(call: Call, data: Value, window: Geometry, axis: int, length: int) -> Value:
    """Of (batch, channel, places of a block …, blocks …) the first places of the block added up to `length` units of the image.

    Along the image, one place of all blocks lies as far apart as the blocks do: the transpose of a window of a single tap.
    """
    batch, channels, places, *others = data.dims
    spatial = data.dims[-len(window.kernel) :]
    inner = others[: len(others) - len(spatial)]
    maps, stride, before = channels * math.prod(inner), window.strides[axis], window.pads[axis][0]
    ones, strides = (1,) * len(spatial), tuple(stride if a == axis else 1 for a in range(len(spatial)))
    parts = []
    for place in range(places):
        part = call.reshape(cut(call, data, 2, place, place + 1), (batch, maps, *spatial))
        first = before - place * window.dilations[axis]
        last = (spatial[axis] - 1) * stride + 1 - first - length
        crops = tuple((first, last) if a == axis else (0, 0) for a in range(len(spatial)))
        parts.append(call.emit(core.TransposedConvolution(ones, strides, ones, crops, filters=maps, groups=maps), part))
    whole = call.emit(core.Elementwise("sum"), *parts)
    return call.reshape(whole, (batch, channels, *inner, *whole.dims[2:]))


def shape_of(call: Call) -> Sequence[Value]:
    """Shape, from opset 15 on of a range of axes."""
    dims = call.input(0).dims
    start, end = call.attributes.integer("start"), call.attributes.integer("end", len(dims))
    return [call.constant(np.array(dims[start:end] if dims else (), dtype=np.int64))]


def size_of(call: Call) -> Sequence[Value]:
    """Size."""
    return [call.constant(np.array(math.prod(call.input(0).dims), dtype=np.int64))]


RULES = {
    "Reshape": Rule(reshape, "reshape", fold=computed.reshape, keeps="order"),
    "Flatten": Rule(flatten, "reshape", fold=computed.flatten, keeps="order"),
    "Squeeze": Rule(squeeze, "reshape", fold=computed.squeeze, keeps="order"),
    "Unsqueeze": Rule(unsqueeze, "reshape", fold=computed.unsqueeze, keeps="order"),
    "Transpose": Rule(transpose, "reshape", fold=computed.transpose, keeps="scalars"),
    "Concat": Rule(concatenate, "reshape", fold=computed.concatenate),
    "Split": Rule(split, "reshape", fold=computed.split, keeps="part"),
    "Slice": Rule(slices, "reshape", fold=computed.slices, keeps="part"),
    "DynamicSlice": Rule(dynamic_slice, "reshape"),
    "Pad": Rule(pad, "reshape", fold=computed.pad, keeps="scalars"),
    "Expand": Rule(expand, "reshape", fold=computed.expand, keeps="scalars"),
    "Tile": Rule(tile, "reshape", fold=computed.tile, keeps="scalars"),
    "DepthToSpace": Rule(depth_to_space, "reshape", keeps="scalars"),
    "SpaceToDepth": Rule(space_to_depth, "reshape", keeps="scalars"),
    "CenterCropPad": Rule(center_crop_pad, "reshape"),
    "Crop": Rule(crop, "reshape"),
    "Trilu": Rule(triangle, fold=computed.triangle, keeps="part"),
    "Col2Im": Rule(blocks_to_image, "reshape"),
    "Shape": Rule(shape_of, keeps="nothing"),
    "Size": Rule(size_of, keeps="nothing"),
}
