"""Keras layers over the spatial axes: convolutions, pooling, padding, cropping, upsampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.readers.keras.conversion import Call, Conversion, Unsupported, Value
from service.readers.keras.units import Converter, own_activation


def placed(c: Conversion, call: Call) -> Value:
    """The input with its channels where the layer wants them."""
    return c.turned(call, call.input, call.text("data_format", "channels_last") != "channels_first")


def _geometry(call: Call) -> dict[str, Any]:
    config = call.config
    return {
        "kernel": config.get("kernel_size"),
        "stride": config.get("strides"),
        "padding": call.text("padding", "valid").lower(),
        "dilation": config.get("dilation_rate"),
    }


def conv(c: Conversion, call: Call) -> Value:
    """Conv1D, Conv2D, Conv3D."""
    value, config = placed(c, call), call.config
    more = {"filters": config.get("filters"), "groups": config.get("groups"), "bias": config.get("use_bias")}
    return own_activation(c, call, replace(value, name=c.emit(call, "conv", value, **_geometry(call), **more)))


def depthwise_conv(c: Conversion, call: Call) -> Value:
    """DepthwiseConv1D, DepthwiseConv2D."""
    value, config = placed(c, call), call.config
    more = {"multiplier": config.get("depth_multiplier"), "bias": config.get("use_bias")}
    return own_activation(c, call, replace(value, name=c.emit(call, "depthwise_conv", value, **_geometry(call), **more)))


def separable_conv(c: Conversion, call: Call) -> Value:
    """SeparableConv1D, SeparableConv2D: a depthwise convolution without biases, then 1×1."""
    value, config = placed(c, call), call.config
    multiplier = config.get("depth_multiplier")
    name = c.emit(call, "depthwise_conv", value, part="depthwise", bias=False, multiplier=multiplier, **_geometry(call))
    inner = replace(value, name=name)
    name = c.emit(call, "conv", inner, kernel=1, filters=config.get("filters"), bias=config.get("use_bias"))
    return own_activation(c, call, replace(value, name=name))


def conv_transpose(c: Conversion, call: Call) -> Value:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose (keras.src.backend.common: lengths of a transposed convolution)."""
    value, config, fields = placed(c, call), call.config, _geometry(call)
    rank = value.rank - 1
    if config.get("output_padding") is not None:
        fields["output_padding"] = config["output_padding"]
        if fields["padding"] == "same":
            fields["padding"] = [k // 2 for k in _each(call, "kernel_size", rank)]
    elif fields["padding"] == "valid":
        # Keras gives n·s places where the kernel is shorter than the stride.
        sizes = zip(*(_each(call, key, rank, 1) for key in ("kernel_size", "strides", "dilation_rate")), strict=True)
        fields["output_padding"] = [max(s - d * (k - 1) - 1, 0) for k, s, d in sizes]
    more = {"filters": config.get("filters"), "groups": config.get("groups"), "bias": config.get("use_bias")}
    return own_activation(c, call, replace(value, name=c.emit(call, "conv_transpose", value, **fields, **more)))


def _each(call: Call, key: str, rank: int, default: int | None = None) -> list[int]:
    if call.config.get(key) is None and default is not None:
        return [default] * rank
    values = call.integers(key)
    values = values * rank if len(values) == 1 else values
    if len(values) != rank:
        raise Unsupported(f"config/{key}", f"must have {rank} entries", "wrong-length")
    return values


def local(c: Conversion, call: Call) -> Value:
    """LocallyConnected1D, LocallyConnected2D (Keras 2)."""
    value, config = placed(c, call), call.config
    more = {"filters": config.get("filters"), "bias": config.get("use_bias")}
    return own_activation(c, call, replace(value, name=c.emit(call, "local", value, **_geometry(call), **more)))


def pool(mode: str) -> Converter:
    """MaxPooling and AveragePooling."""

    def converter(c: Conversion, call: Call) -> Value:
        value = placed(c, call)
        padding = call.text("padding", "valid").lower()
        fields = {"kernel": call.config.get("pool_size"), "stride": call.config.get("strides"), "padding": padding}
        return replace(value, name=c.emit(call, "pool", value, mode=mode, **fields))

    return converter


def global_pool(mode: str) -> Converter:
    """GlobalMaxPooling and GlobalAveragePooling."""

    def converter(c: Conversion, call: Call) -> Value:
        value, keep = placed(c, call), call.flag("keepdims", False)
        name = c.emit(call, "global_pool", value, mode=mode, keepdims=keep)
        return replace(value, name=name) if keep else Value(name, 1)

    return converter


def border(kind: str, key: str) -> Converter:
    """ZeroPadding and Cropping. In one dimension two numbers are before and after."""

    def converter(c: Conversion, call: Call) -> Value:
        value, amounts = placed(c, call), call.config.get(key, 1)
        if value.rank == 2 and isinstance(amounts, list) and len(amounts) == 2:
            amounts = [amounts]
        return replace(value, name=c.emit(call, kind, value, padding=amounts))

    return converter


INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}


def _interpolation(call: Call, default: str) -> str:
    name = call.text("interpolation", default)
    if name not in INTERPOLATIONS:
        raise Unsupported("config/interpolation", f"the interpolation {name[:100]!r} is not supported", "unsupported-interpolation")
    return INTERPOLATIONS[name]


def upsampling(c: Conversion, call: Call) -> Value:
    """UpSampling1D, UpSampling2D, UpSampling3D."""
    value = placed(c, call)
    return replace(value, name=c.emit(call, "upsample", value, factor=call.config.get("size"), mode=_interpolation(call, "nearest")))


def resizing(c: Conversion, call: Call) -> Value:
    """Resizing to a height and a width."""
    if call.flag("crop_to_aspect_ratio", False) or call.flag("pad_to_aspect_ratio", False):
        raise Unsupported("config", "resizing that keeps the aspect ratio is not supported")
    value = placed(c, call)
    size = [call.config.get("height"), call.config.get("width")]
    return replace(value, name=c.emit(call, "upsample", value, size=size, mode=_interpolation(call, "bilinear")))
