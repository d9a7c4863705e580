"""Layers that slide a window: convolutions, pooling, subsampling."""

from __future__ import annotations

import math
from typing import Any

from service.graph.geometry import (
    causal_padding,
    same_padding,
    transposed_length,
    transposed_padding,
    window_length,
    window_taps,
)
from service.graph.network import Tensor
from service.graph.operators import (
    Convolution,
    LocallyConnected,
    Pads,
    Pooling,
    Reduction,
    Shape,
    Subsampling,
    TransposedConvolution,
    Unknown,
    Window,
)
from service.readers.spec.draft import Draft, Refusal

_MAX_LOCAL_KERNEL = 2**16


def spatial(draft: Draft) -> Shape:
    """The spatial axes of the input (channels, *spatial): one, two or three of them."""
    axes = draft.shape[2:]
    if not 1 <= len(axes) <= 3:
        raise Refusal("", "wrong-rank", f"the input must be (channels, *spatial) with 1 to 3 spatial axes, it is {draft.shape[1:]}")
    return axes


def per_axis(draft: Draft, name: str, rank: int) -> tuple[Any, ...]:
    """A geometry field with one entry for each spatial axis."""
    value = draft.fields[name]
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise Refusal(name, "wrong-rank", f"must be one number or {rank} of them, one for each spatial axis")
    return value


def amounts(draft: Draft, rank: int, name: str = "padding") -> Pads:
    """Numeric padding as (before, after) for each spatial axis."""
    return tuple(entry if isinstance(entry, tuple) else (entry, entry) for entry in per_axis(draft, name, rank))


def _padding(draft: Draft, axes: Shape, kernel: Shape, strides: Shape, dilations: Shape) -> Pads:
    """The padding of a window. "same" keeps ceil(n/s) places with the odd unit at the end (TensorFlow, ONNX SAME_UPPER)."""
    word = draft.fields["padding"]
    if not isinstance(word, str):
        return amounts(draft, len(axes))
    if word == "valid":
        return ((0, 0),) * len(axes)
    if word == "causal":
        return tuple(causal_padding(k, d) for k, d in zip(kernel, dilations, strict=True))
    return tuple(same_padding(n, k, s, d, word == "same") for n, k, s, d in zip(axes, kernel, strides, dilations, strict=True))


def window(draft: Draft, axes: Shape) -> tuple[Shape, Shape, Shape, Pads]:
    """Kernel, strides, dilations and padding of a window over these axes."""
    kernel = per_axis(draft, "kernel", len(axes))
    strides = per_axis(draft, "stride", len(axes)) if "stride" in draft.fields else kernel
    dilations = per_axis(draft, "dilation", len(axes))
    return kernel, strides, dilations, _padding(draft, axes, kernel, strides, dilations)


def check_fit(operator: Window, axes: Shape, ceil: bool = False) -> None:
    """Refusal `does-not-fit` where the window is longer than an axis with its padding."""
    geometry = zip(axes, operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True)
    for axis, (n, k, s, d, p) in enumerate(geometry):
        if window_length(n, k, s, d, p, ceil) < 1:
            reach = d * (k - 1) + 1
            raise Refusal("kernel", "does-not-fit", f"it spans {reach} units, spatial axis {axis} has {n + sum(p)} with its padding")


def _check_groups(draft: Draft, groups: int, filters: int) -> None:
    channels = draft.shape[1]
    if channels % groups or filters % groups:
        raise Refusal("groups", "not-divisible", f"{groups} groups do not divide {channels} channels into {filters} filters")


def _bias(draft: Draft, filters: int, output: Tensor) -> None:
    if draft.fields["bias"] == "untied":
        draft.bias((filters, *(output.shape or ())[2:]))
    elif draft.fields["bias"]:
        draft.bias((filters,))


def _table(draft: Draft, filters: int) -> tuple[tuple[int, ...], ...] | None:
    table: tuple[tuple[int, ...], ...] | None = draft.fields.get("connection_table")
    if table is None:
        return None
    channels = draft.shape[1]
    if draft.fields["groups"] != 1:
        raise Refusal("connection_table", "conflict", "a connection table and groups exclude each other")
    if len(table) != filters:
        raise Refusal("connection_table", "wrong-length", f"must have {filters} rows, one for each filter, not {len(table)}")
    for row, maps in enumerate(table):
        if max(maps) >= channels:
            raise Refusal(f"connection_table/{row}", "out-of-range", f"the input has maps 0 to {channels - 1}, not {max(maps)}")
        if len(set(maps)) < len(maps):
            raise Refusal(f"connection_table/{row}", "duplicate", "a map stands twice in the row")
    return table


def conv(draft: Draft) -> Tensor:
    """Cross-correlation of (channels, *spatial)."""
    filters, groups = draft.fields["filters"], draft.fields["groups"]
    return _convolution(draft, filters, groups, _table(draft, filters))


def depthwise_conv(draft: Draft) -> Tensor:
    """A convolution with as many groups as channels."""
    spatial(draft)
    channels = draft.shape[1]
    return _convolution(draft, channels * draft.fields["multiplier"], channels, None)


def _convolution(draft: Draft, filters: int, groups: int, table: tuple[tuple[int, ...], ...] | None) -> Tensor:
    kernel, strides, dilations, pads = window(draft, spatial(draft))
    _check_groups(draft, groups, filters)
    operator = Convolution(kernel, strides, dilations, pads, filters, groups, table)
    check_fit(operator, draft.shape[2:])
    output = draft.apply(operator, draft.input)
    shape = (filters, draft.shape[1] // groups, *kernel)
    draft.kernel(shape, sum(map(len, table)) * math.prod(kernel) if table else None)
    draft.values(shape, table)
    _bias(draft, filters, output)
    return output


def conv_transpose(draft: Draft) -> Tensor:
    """The transpose of a strided convolution; "same" gives n·stride places, "valid" all of them."""
    axes = spatial(draft)
    filters, groups, rank = draft.fields["filters"], draft.fields["groups"], len(axes)
    kernel, strides, dilations = (per_axis(draft, name, rank) for name in ("kernel", "stride", "dilation"))
    extra = per_axis(draft, "output_padding", rank)
    _check_groups(draft, groups, filters)
    word = draft.fields["padding"]
    if isinstance(word, str) and word != "valid":
        totals = (d * (k - 1) + 1 + e - s for k, s, d, e in zip(kernel, strides, dilations, extra, strict=True))
        crops = [transposed_padding(total, word == "same") for total in totals]
        pads, extra = tuple(crop for crop, _ in crops), tuple(e + more for e, (_, more) in zip(extra, crops, strict=True))
    else:
        pads = ((0, 0),) * rank if word == "valid" else amounts(draft, rank)
    operator = TransposedConvolution(kernel, strides, dilations, pads, filters, groups, extra)
    for n, k, s, d, p, e in zip(axes, kernel, strides, dilations, pads, extra, strict=True):
        if transposed_length(n, k, s, d, p, e) < 1:
            raise Refusal("padding", "does-not-fit", "it removes the whole result")
    output = draft.apply(operator, draft.input)
    shape = (draft.shape[1], filters // groups, *kernel)
    draft.kernel(shape)
    draft.values(shape)
    _bias(draft, filters, output)
    return output


def local(draft: Draft) -> Tensor:
    """A convolution without sharing: one weight for each connection, one bias for each unit."""
    kernel, strides, dilations, pads = window(draft, spatial(draft))
    filters, groups = draft.fields["filters"], draft.fields["groups"]
    if max(kernel) > _MAX_LOCAL_KERNEL:
        raise Refusal("kernel", "too-large", f"a locally connected layer may have kernels up to {_MAX_LOCAL_KERNEL:,}")
    _check_groups(draft, groups, filters)
    operator = LocallyConnected(kernel, strides, dilations, pads, filters, groups)
    check_fit(operator, draft.shape[2:])
    output = draft.apply(operator, draft.input)
    places = operator.places(draft.shape[2:])
    geometry = zip(draft.shape[2:], places, kernel, strides, dilations, pads, strict=True)
    taps = math.prod(window_taps(n, o, k, s, d, before).real for n, o, k, s, d, (before, _) in geometry)
    draft.kernel((*places, filters, draft.shape[1] // groups, *kernel), taps * filters * (draft.shape[1] // groups))
    if draft.fields["bias"]:
        draft.bias((filters, *places))
    return output


def subsample(draft: Draft) -> Tensor:
    """LeNet's pooling: windows that do not overlap, one coefficient and one bias per map."""
    axes = spatial(draft)
    kernel = per_axis(draft, "kernel", len(axes))
    strides = per_axis(draft, "stride", len(axes)) if "stride" in draft.fields else kernel
    operator = Subsampling(kernel, strides, (1,) * len(axes), ((0, 0),) * len(axes))
    check_fit(operator, axes)
    output = draft.apply(operator, draft.input)
    draft.kernel((draft.shape[1],))
    if draft.fields["bias"]:
        draft.bias((draft.shape[1],))
    return output


def pool(draft: Draft) -> Tensor:
    """The maximum, mean or p-norm of windows."""
    kernel, strides, dilations, pads = window(draft, spatial(draft))
    ceil = draft.fields["ceil_mode"]
    operator = Pooling(kernel, strides, dilations, pads, draft.fields["mode"], ceil)
    check_fit(operator, draft.shape[2:], ceil)
    return draft.apply(operator, draft.input)


def adaptive_pool(draft: Draft) -> Tensor:
    """The maximum or mean of as many windows as `size` says. Where these divide the axes they are windows of one size."""
    axes = spatial(draft)
    size = per_axis(draft, "size", len(axes))
    if any(m > n for n, m in zip(axes, size, strict=True)):
        raise Refusal("size", "does-not-fit", f"{axes} cannot be pooled to {size} places")
    if all(m == 1 for m in size):
        return draft.apply(Reduction(tuple(range(2, 2 + len(axes)))), draft.input)
    if any(n % m for n, m in zip(axes, size, strict=True)):
        reason = f"{axes} are pooled to {size} places by windows of different sizes"
        draft.note("unknown-layer", reason)
        return draft.apply(Unknown(((*draft.shape[:2], *size),), reason), draft.input)
    kernel = tuple(n // m for n, m in zip(axes, size, strict=True))
    ones = (1,) * len(axes)
    return draft.apply(Pooling(kernel, kernel, ones, ((0, 0),) * len(axes), draft.fields["mode"]), draft.input)


def global_pool(draft: Draft) -> Tensor:
    """A summary over all spatial axes."""
    axes = tuple(range(2, 2 + len(spatial(draft))))
    return draft.apply(Reduction(axes, draft.fields["keepdims"]), draft.input)
