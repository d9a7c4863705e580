"""Keras layers over the spatial axes: convolutions, pooling, padding, cropping, upsampling."""

from __future__ import annotations

from dataclasses import replace

from service.graph.geometry import transposed_padding
from service.readers.keras.conversion import Call, Conversion, Unsupported, Value
from service.readers.keras.units import Converter, own_activation


def placed(c: Conversion, call: Call) -> Value:
    """The input with its channels where the layer wants them."""
    return c.turned(call, call.input, call.text("data_format", "channels_last") != "channels_first")


def geometry(call: Call) -> dict[str, object]:
    """The window that a layer of any kind states."""
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
    return own_activation(c, call, replace(value, name=c.emit(call, "conv", value, **geometry(call), **more)))


def depthwise_conv(c: Conversion, call: Call) -> Value:
    """DepthwiseConv1D, DepthwiseConv2D."""
    value, config = placed(c, call), call.config
    more = {"multiplier": config.get("depth_multiplier"), "bias": config.get("use_bias")}
    return own_activation(c, call, replace(value, name=c.emit(call, "depthwise_conv", value, **geometry(call), **more)))


def separable_conv(c: Conversion, call: Call) -> Value:
    """SeparableConv1D, SeparableConv2D: a depthwise convolution without biases, then 1×1."""
    value, config = placed(c, call), call.config
    multiplier = config.get("depth_multiplier")
    name = c.emit(call, "depthwise_conv", value, part="depthwise", bias=False, multiplier=multiplier, **geometry(call))
    inner = replace(value, name=name)
    name = c.emit(call, "conv", inner, kernel=1, filters=config.get("filters"), bias=config.get("use_bias"))
    return own_activation(c, call, replace(value, name=name))


def conv_transpose(c: Conversion, call: Call) -> Value:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose (keras.src.ops.operation_utils: compute_conv_transpose_output_shape).

    With d the reach of the kernel, `same` without output padding gives n·s places, with it (n - 1)·s + d - 2·floor(d/2) + output padding,
    where TensorFlow, as the gradient of a SAME convolution, cuts an odd unit at the end; `valid` gives n·s where the kernel is shorter.
    """
    value, config, fields = placed(c, call), call.config, geometry(call)
    rank = value.rank - 1
    kernel, strides, dilations = (_each(call, key, rank, 1) for key in ("kernel_size", "strides", "dilation_rate"))
    reaches = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if config.get("output_padding") is None:
        if fields["padding"] == "valid":
            fields["output_padding"] = [max(s - reach, 0) for s, reach in zip(strides, reaches, strict=True)]
    elif fields["padding"] == "same":
        extra = _each(call, "output_padding", rank)
        crops = [transposed_padding(2 * (reach // 2) - e) for reach, e in zip(reaches, extra, strict=True)]
        fields |= {"padding": [list(crop) for crop, _ in crops], "output_padding": [more for _, more in crops]}
    else:
        fields["output_padding"] = config["output_padding"]
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
    return own_activation(c, call, replace(value, name=c.emit(call, "local", value, **geometry(call), **more)))


def pool(mode: str) -> Converter:
    """MaxPooling and AveragePooling."""

    def converter(c: Conversion, call: Call) -> Value:
        value = placed(c, call)
        padding = call.text("padding", "valid").lower()
        fields = {"kernel": call.config.get("pool_size"), "stride": call.config.get("strides"), "padding": padding}
        return replace(value, name=c.emit(call, "pool", value, mode=mode, **fields))

    return converter


def adaptive_pool(mode: str) -> Converter:
    """AdaptiveMaxPooling and AdaptiveAveragePooling: to so many places."""

    def converter(c: Conversion, call: Call) -> Value:
        value = placed(c, call)
        return replace(value, name=c.emit(call, "adaptive_pool", value, mode=mode, size=call.config.get("output_size")))

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
