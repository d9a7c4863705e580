"""Convolutions, transposed convolutions and their quantised and deformable kin."""

from __future__ import annotations

from collections.abc import Sequence

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.graph.geometry import transposed_length, transposed_padding
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.quantisation import dequantised
from service.readers.onnx.operators.windows import Geometry, automatic, geometry, positive, stated_kernel, stated_pads
from service.readers.onnx.values import Value


def convolve(call: Call, data: Value, kernel: Value, bias: Value | None) -> Value:
    """A convolution of `data` with a kernel (filters, channels of a group, *window), constant or itself data, and a bias per filter."""
    shape, groups = _kernel_shape(call, kernel), call.attributes.integer("group", 1)
    _check_groups(call, groups, shape[0])
    if kernel.constant is not None:
        call.kernel.append(call.weight(kernel))
    _add_bias(call, bias, shape[0])
    if data.rank != len(shape):
        call.refuse("rank-mismatch", f"a kernel of shape {shape} does not fit an input of shape {data.dims}")
    window = geometry(call, shape[2:], data.dims[2:])
    if data.dims[1] != shape[1] * groups:
        call.misfit("channels-mismatch", f"a kernel of shape {shape} in {groups} groups does not fit an input of shape {data.dims}")
    operator = core.Convolution(*_fields(window), filters=shape[0], groups=groups)
    return _with_data(call, call.emit(operator, data), kernel, bias)


def _fields(window: Geometry) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], core.Pads]:
    return window.kernel, window.strides, window.dilations, window.pads


def _kernel_shape(call: Call, kernel: Value) -> Shape:
    shape = kernel.dims
    if len(shape) < 3:
        call.refuse("kernel-rank", f"its kernel has the shape {shape}, (filters, channels, window…) is due")
    stated = stated_kernel(call, len(shape) - 2)
    if stated is not None and stated != shape[2:]:
        call.refuse("kernel-shape-mismatch", f"kernel_shape is {stated}, the kernel has the shape {shape}")
    if 0 in shape:
        call.refuse("kernel-shape-mismatch", f"its kernel has the shape {shape}")
    return shape


def _check_groups(call: Call, groups: int, channels: int) -> None:
    if groups < 1 or channels % groups:
        call.refuse("group-mismatch", f"{groups} groups do not divide {channels} channels")


def _add_bias(call: Call, bias: Value | None, filters: int) -> None:
    if bias is None or bias.constant is None:
        return
    if bias.shape is not None and bias.shape not in ((filters,), (1,), ()):
        call.misfit("bias-shape", f"a bias of shape {bias.shape} does not fit {filters} filters")
    call.bias.append(call.weight(bias))


def _with_data(call: Call, result: Value, *parameters: Value | None) -> Value:
    """The result also depends on kernels and biases that are themselves data: each filter on the whole of its own part."""
    for parameter in parameters:
        if parameter is None or parameter.constant is not None:
            continue
        filters = result.dims[1]
        per_filter = parameter
        if parameter.rank > 1:
            if parameter.dims[0] != filters:
                per_filter = call.emit(core.Reduction((0,)), per_filter)
            per_filter = call.emit(core.Reduction(tuple(range(1, parameter.rank)), keepdims=False), per_filter)
        per_filter = call.reshape(per_filter, (1, per_filter.dims[0], *[1] * (result.rank - 2)))
        result = call.elementwise("weigh", result, per_filter)
    return result


def conv(call: Call) -> Sequence[Value]:
    """Conv."""
    return [convolve(call, call.input(0), call.input(1), call.optional(2))]


def conv_integer(call: Call) -> Sequence[Value]:
    """ConvInteger: the kernel is 8-bit, its zero point stands beside it."""
    result = convolve(call, call.input(0), dequantised(call.input(1), None, call.optional(3)), None)
    result.dtype = "int32"
    return [result]


def qlinear_conv(call: Call) -> Sequence[Value]:
    """QLinearConv: x, scale, zero point, kernel, scale, zero point, the result's scale and zero point, bias."""
    result = convolve(call, call.input(0), dequantised(call.input(3), call.optional(4), call.optional(5)), call.optional(8))
    return [call.influenced(result, *(call.optional(i) for i in (1, 2, 4, 5, 6, 7)))]


def transposed_window(call: Call, kernel: tuple[int, ...], spatial: Shape) -> tuple[Geometry, tuple[int, ...]]:
    """The crop and the output padding of a ConvTranspose, from pads, auto_pad or output_shape."""
    rank = len(kernel)
    strides, dilations = positive(call, "strides", rank), positive(call, "dilations", rank)
    extra = call.attributes.integers("output_padding") or (0,) * rank
    if len(extra) != rank or any(not 0 <= e < 1 << 31 for e in extra):
        call.refuse("output-padding-range", f"output_padding is {extra}")
    mode, wanted = automatic(call), call.attributes.integers("output_shape")
    if wanted and len(wanted) == rank + 2:
        wanted = wanted[2:]
    if not wanted and mode in ("NOTSET", "VALID"):
        pads = stated_pads(call, rank) if mode == "NOTSET" else ((0, 0),) * rank
        return Geometry(kernel, strides, dilations, pads), extra
    if wanted and (len(wanted) != rank or any(n < 1 for n in wanted)):
        call.refuse("output-shape-range", f"output_shape is {wanted}")
    lengths = wanted or tuple(n * s for n, s in zip(spatial, strides, strict=True))
    crops, ends = [], []
    for n, k, s, d, e, length in zip(spatial, kernel, strides, dilations, extra, lengths, strict=True):
        crop, more = transposed_padding(transposed_length(n, k, s, d, (0, 0), e) - length, mode == "SAME_UPPER")
        crops.append(crop)
        ends.append(e + more)
    return Geometry(kernel, strides, dilations, tuple(crops)), tuple(ends)


def conv_transpose(call: Call) -> Sequence[Value]:
    """ConvTranspose: the kernel is (channels, filters of a group, *window)."""
    data, kernel, bias = call.input(0), call.input(1), call.optional(2)
    shape, groups = _kernel_shape(call, kernel), call.attributes.integer("group", 1)
    _check_groups(call, groups, shape[0])
    filters = shape[1] * groups
    if kernel.constant is not None:
        call.kernel.append(call.weight(kernel))
    _add_bias(call, bias, filters)
    if data.rank != len(shape):
        call.refuse("rank-mismatch", f"a kernel of shape {shape} does not fit an input of shape {data.dims}")
    if data.dims[1] != shape[0]:
        call.misfit("channels-mismatch", f"a kernel of shape {shape} does not fit an input of shape {data.dims}")
    window, extra = transposed_window(call, shape[2:], data.dims[2:])
    operator = core.TransposedConvolution(*_fields(window), filters=filters, groups=groups, output_padding=extra)
    return [_with_data(call, call.emit(operator, data), kernel, bias)]


def deform_conv(call: Call) -> Sequence[Value]:
    """DeformConv: where the taps fall depends on the offsets; shapes and weights are those of a convolution."""
    data, kernel, bias = call.input(0), call.input(1), call.optional(3)
    shape, groups = _kernel_shape(call, kernel), call.attributes.integer("group", 1)
    _check_groups(call, groups, shape[0])
    if kernel.constant is not None:
        call.kernel.append(call.weight(kernel))
    _add_bias(call, bias, shape[0])
    window = geometry(call, shape[2:], data.dims[2:])
    if data.rank != len(shape):
        raise ShapeError(f"a kernel of shape {shape} does not fit an input of shape {data.dims}")
    places = core.Window(*_fields(window)).places(data.dims[2:])
    return call.data_dependent(
        [(data.dims[0], shape[0], *places)],
        "the taps of a deformable convolution fall where the offsets say",
        *[v for v in call.inputs if v is not None],
    )


def causal_conv(call: Call) -> Sequence[Value]:
    """CausalConvWithState (opset 27): a depthwise convolution after the state before; the end of both is the state to come."""
    data, kernel, bias, state = call.input(0), call.input(1), call.optional(2), call.optional(3)
    shape = _kernel_shape(call, kernel)
    if kernel.constant is not None:
        call.kernel.append(call.weight(kernel))
    _add_bias(call, bias, shape[0])
    reach = shape[2] - 1
    whole = call.emit(core.Concatenation(2), state, data) if state is not None else data
    pads = ((0 if state is not None else reach, 0),)
    result = call.emit(core.Convolution(shape[2:], (1,), (1,), pads, filters=shape[0], groups=shape[0]), whole)
    if state is None and len(call.outputs) > 1:
        whole = call.emit(core.Padding(((0, 0), (0, 0), (reach, 0)), zeros=True), data)
    present = call.emit(core.Slicing(2, whole.dims[2] - reach, 1, reach), whole)
    return [_with_data(call, result, kernel, bias), present]


RULES = {
    "Conv": Rule(conv, "convolution"),
    "ConvInteger": Rule(conv_integer, "convolution"),
    "QLinearConv": Rule(qlinear_conv, "convolution"),
    "ConvTranspose": Rule(conv_transpose, "transposed-convolution"),
    "DeformConv": Rule(deform_conv, "convolution", bound="where the taps fall depends on the offsets"),
    "CausalConvWithState": Rule(causal_conv, "convolution"),
}
