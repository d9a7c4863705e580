"""Resize and Upsample in every opset: interpolation axis by axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from service.graph import Shape
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule, Undecided
from service.readers.onnx.operators.geometry import normal_axes
from service.readers.onnx.values import Value

Mode = Literal["nearest", "linear", "cubic"]
_MODES: dict[str, Mode] = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "cubic": "cubic"}


def _mode(call: Call) -> Mode:
    stated = call.attributes.text("mode", "nearest").lower()
    if stated not in _MODES:
        call.refuse("unknown-resize-mode", f"mode is {stated!r}")
    return _MODES[stated]


def _known_reals(call: Call, index: int) -> tuple[float, ...] | None:
    array = call.known(index)
    return None if array is None else tuple(float(x) for x in array.ravel())


def _resample(call: Call, data: Value, lengths: Shape, scales: Sequence[float], **how: object) -> Value:
    """One core node for every axis that changes. `how` are further fields of Resampling."""
    region = how.pop("region", None)
    for axis, (length, scale) in enumerate(zip(lengths, scales, strict=True)):
        window = (region[axis], region[axis + len(lengths)]) if isinstance(region, tuple) else (0.0, 1.0)
        if length == data.dims[axis] and scale == 1.0 and window == (0.0, 1.0):
            continue
        data = call.emit(core.Resampling(axis, length, scale, region=window, **how), data)  # type: ignore[arg-type]
    return data


def _scaled(call: Call, shape: Shape, scales: Sequence[float]) -> Shape:
    if len(scales) != len(shape):
        call.misfit("scales-rank", f"{len(scales)} scales do not fit an input of shape {shape}")
    if any(not 0 < scale < 1 << 31 for scale in scales):
        call.refuse("scales-range", f"the scales are {tuple(scales)}")
    return tuple(math.floor(n * scale) for n, scale in zip(shape, scales, strict=True))


def upsample(call: Call) -> Sequence[Value]:
    """Upsample of opsets 1 (two scales), 7 (attribute) and 9 (input), and Resize of opset 10: asymmetric, nearest by truncation."""
    data = call.input(0)
    if call.op == "Upsample" and call.version < 7:
        scales: Sequence[float] | None = (1.0, 1.0, call.attributes.real("height_scale", 1.0), call.attributes.real("width_scale", 1.0))
        if "scales" in call.attributes:
            scales = call.attributes.reals("scales")
    elif call.op == "Upsample" and call.version < 9:
        scales = call.attributes.reals("scales")
    else:
        scales = _known_reals(call, 1)
    if scales is None:
        raise Undecided("the scales depend on the data")
    if len(scales) == data.rank - 2:
        scales = (1.0, 1.0, *scales)  # some old converters state the spatial axes only
    lengths = _scaled(call, data.dims, scales)
    return [_resample(call, data, lengths, scales, mode=_mode(call), transform="asymmetric", rounding="floor")]


def resize(call: Call) -> Sequence[Value]:
    """Resize from opset 11 on: by scales or by sizes, from 18 on for some axes, with antialiasing and kept aspect ratios."""
    if call.version < 11:
        return upsample(call)
    data = call.input(0)
    transform = call.attributes.text("coordinate_transformation_mode", "half_pixel")
    axes = normal_axes(call.attributes.integers("axes") or range(data.rank), data.rank)
    lengths, scales = _target(call, data, axes)
    how: dict[str, object] = {
        "mode": _mode(call),
        "transform": transform,
        "rounding": call.attributes.text("nearest_mode", "round_prefer_floor"),
        "antialias": bool(call.attributes.integer("antialias")),
    }
    if transform == "tf_crop_and_resize":
        region = _region(call, data.rank, axes)
        if region is None:
            return call.data_dependent([lengths], "which region is resized depends on the data", data, *[v for v in call.inputs[1:2] if v])
        how["region"] = region
    return [_resample(call, data, lengths, scales, **how)]


def _region(call: Call, rank: int, axes: Sequence[int]) -> tuple[float, ...] | None:
    """Starts and ends of the region of interest for every axis, from 0 to 1."""
    stated = _known_reals(call, 1)
    if stated is None or len(stated) != 2 * len(axes):
        return None
    region = [0.0] * rank + [1.0] * rank
    for position, axis in enumerate(axes):
        region[axis], region[rank + axis] = stated[position], stated[len(axes) + position]
    return tuple(region)


def _target(call: Call, data: Value, axes: Sequence[int]) -> tuple[Shape, list[float]]:
    """The lengths and the scales of all axes."""
    scales = [1.0] * data.rank
    lengths = list(data.dims)
    sizes = call.optional(3)
    declared = call.host.declared(call, 0)
    if declared is not None and len(declared) == data.rank and call.known(3 if sizes is not None and sizes.shape != (0,) else 2) is None:
        return declared, [n / own if own else 1.0 for n, own in zip(declared, data.dims, strict=True)]
    if sizes is not None and sizes.shape != (0,):
        wanted = call.required_integers(3, "the size")
        if len(wanted) != len(axes):
            call.misfit("sizes-rank", f"{len(wanted)} sizes do not fit {len(axes)} axes")
        _fit(call, data, axes, wanted, lengths, scales)
        return tuple(lengths), scales
    stated = _known_reals(call, 2)
    if stated is None:
        raise Undecided("the scales depend on the data")
    if len(stated) != len(axes):
        call.misfit("scales-rank", f"{len(stated)} scales do not fit {len(axes)} axes")
    for axis, scale in zip(axes, stated, strict=True):
        scales[axis] = scale
    return _scaled(call, data.dims, scales), scales


def _fit(call: Call, data: Value, axes: Sequence[int], wanted: Shape, lengths: list[int], scales: list[float]) -> None:
    """Sizes as stated, or so that the aspect ratio is kept and the result is not larger or not smaller than stated."""
    policy = call.attributes.text("keep_aspect_ratio_policy", "stretch")
    ratios = [length / data.dims[axis] if data.dims[axis] else 1.0 for axis, length in zip(axes, wanted, strict=True)]
    if policy != "stretch":
        common = min(ratios) if policy == "not_larger" else max(ratios)
        for axis in axes:
            lengths[axis], scales[axis] = math.floor(common * data.dims[axis] + 0.5), common
        return
    for axis, length, ratio in zip(axes, wanted, ratios, strict=True):
        lengths[axis], scales[axis] = length, ratio


RULES = {
    "Resize": Rule(resize, "resampling"),
    "Upsample": Rule(upsample, "resampling"),
}
