"""com.microsoft: the fused and quantised operators that ONNX Runtime's optimiser and quantiser write into files.

Source: ContribOperators.md of https://github.com/microsoft/onnxruntime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from onnx import helper

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.attributes import Attributes
from service.readers.onnx.call import Call, Rule, transposed_weight
from service.readers.onnx.constants import folding
from service.readers.onnx.operators import elementwise, indexing, movement, normalization, pooling, quantisation, reductions, signal
from service.readers.onnx.operators.convolution import convolve
from service.readers.onnx.operators.dense import add_bias, apply_matrix, gemm, matmul, swapped
from service.readers.onnx.operators.quantisation import dequantised
from service.readers.onnx.values import Constant, ModelWeight, Operation, Value

Lower = Callable[[Call], Sequence[Value]]


def channels_last(call: Call, data: Value) -> Value:
    """(batch, *spatial, channel) → (batch, channel, *spatial)."""
    return call.transpose(data, (0, data.rank - 1, *range(1, data.rank - 1)))


def channels_back(call: Call, data: Value) -> Value:
    """(batch, channel, *spatial) → (batch, *spatial, channel)."""
    return call.transpose(data, (0, *range(2, data.rank), 1))


def in_layout(call: Call, last: bool, compute: Callable[[Value], Value]) -> Value:
    """A computation on channels first, whatever the layout of the first input."""
    data = call.input(0)
    return channels_back(call, compute(channels_last(call, data))) if last else compute(data)


def fused_conv(call: Call) -> Sequence[Value]:
    """FusedConv, NhwcFusedConv, NhwcConv: a convolution, an optional sum, an optional activation."""
    last = call.op.startswith("Nhwc")
    result = in_layout(call, last, lambda data: convolve(call, data, call.input(1), call.optional(2)))
    added = call.optional(3)
    return [result if added is None else call.elementwise("add", result, added)]


def qlinear_conv(call: Call) -> Sequence[Value]:
    """QLinearConv with a choice of layout."""
    kernel = dequantised(call.input(3), call.optional(4), call.optional(5))
    last = bool(call.attributes.integer("channels_last"))
    return [in_layout(call, last, lambda data: convolve(call, data, kernel, call.optional(8)))]


def pool(lower: Lower) -> Lower:
    """A pooling with a choice of layout."""

    def chosen(call: Call) -> Sequence[Value]:
        """The pooling on channels first, turned back where the node has them last."""
        last = bool(call.attributes.integer("channels_last")) or call.op.startswith("Nhwc")

        def compute(data: Value) -> Value:
            inner = Call(call.host, call.op, call.version, call.attributes, (data,), call.outputs[:1], call.name, call.scope)
            inner.nodes, inner.values, inner.constants = call.nodes, call.values, call.constants
            return lower(inner)[0]

        return [in_layout(call, last, compute)]

    return chosen


def pick(*positions: int) -> Lower:
    """Unit by unit on the inputs at these positions; the others are scales and zero points."""

    def lower(call: Call) -> Sequence[Value]:
        """One core node over the chosen inputs; stored constants among them are parameters."""
        operands = [call.input(position) for position in positions]
        for value in operands:
            if value.constant is not None and value.constant.origin.count > 1:
                call.add_other(value)
        return [call.elementwise(call.op.lower(), *operands)]

    return lower


def with_bias(call: Call) -> Sequence[Value]:
    """An activation of the sum of its inputs, of which the constant ones are biases (as a rule of the layer before)."""
    operands = [v for v in call.inputs if v is not None]
    for value in operands:
        if value.constant is not None and call.added is None:
            call.add(value)
        else:
            call.add_other(value)
    return [call.elementwise(call.op.lower(), *operands)]


def split_gelu(call: Call) -> Sequence[Value]:
    """BiasSplitGelu: one half of the last axis gates the other."""
    data = call.elementwise("add", call.input(0), call.input(1))
    call.add_other(call.optional(1))
    half = data.dims[-1] // 2
    parts = [call.emit(core.Slicing(data.rank - 1, start, 1, half), data) for start in (0, half)]
    return [call.elementwise("gelu", *parts)]


def softmax(call: Call) -> Sequence[Value]:
    """QLinearSoftmax, BiasSoftmax."""
    data = call.input(0) if call.op != "BiasSoftmax" else call.elementwise("add", call.input(0), call.input(1))
    return [call.emit(core.Mixing((call.axis(data.rank, -1),), "softmax"), data)]


def concatenate(call: Call) -> Sequence[Value]:
    """QLinearConcat: after the result's scale and zero point, value, scale and zero point of each part."""
    parts = [v for v in call.inputs[2::3] if v is not None]
    return [call.emit(core.Concatenation(call.axis(parts[0].rank)), *parts)]


def reduce_mean(call: Call) -> Sequence[Value]:
    """QLinearReduceMean."""
    data = call.input(0)
    axes = tuple(call.normal_axis(a, data.rank) for a in call.attributes.integers("axes") or range(data.rank))
    return [call.emit(core.Reduction(axes, bool(call.attributes.integer("keepdims", 1))), data)]


def quantised_gemm(call: Call) -> Sequence[Value]:
    """QGemm: a, scale, zero point, b, scale, zero point, bias."""
    left, right = call.input(0), call.input(3)
    turn_left, turn_right = call.attributes.integer("transA"), call.attributes.integer("transB")
    data = call.transpose(left, (1, 0)) if turn_left else left
    if right.constant is None:
        return [add_bias(call, matmul(call, data, call.transpose(right, (1, 0)) if turn_right else right), call.optional(6))]
    weight = call.weight(dequantised(right, call.optional(4), call.optional(5), axis=0 if turn_right else -1))
    result = apply_matrix(call, data, transposed_weight(weight, (1, 0)) if turn_right else weight)
    return [add_bias(call, result, call.optional(6))]


def matmul_with(scale: int, zero_point: int, bias: int) -> Lower:
    """A product with a quantised matrix, whose scale, zero point and bias are at these positions."""

    def lower(call: Call) -> Sequence[Value]:
        """The product with the matrix in real numbers, and the bias."""
        right = call.input(1)
        if right.constant is not None:
            right = dequantised(right, call.optional(scale), call.optional(zero_point), axis=-1)
        result = matmul(call, call.input(0), right)
        result.dtype = "float32"
        return [add_bias(call, result, call.optional(bias))]

    return lower


def fused_matmul(call: Call) -> Sequence[Value]:
    """FusedMatMul, TransposeMatMul: each side may be transposed."""
    left, right = call.input(0), call.input(1)
    if call.attributes.integer("transBatchA") or call.attributes.integer("transBatchB"):
        raise ShapeError("products over a transposed batch are not followed")
    left = _turned(call, left) if call.attributes.integer("transA") else left
    right = _turned(call, right) if call.attributes.integer("transB") else right
    return [matmul(call, left, right)]


def _turned(call: Call, value: Value) -> Value:
    if value.rank < 2:
        return value
    if value.constant is None:
        return call.transpose(value, swapped(value.rank))
    weight = transposed_weight(call.weight(value), swapped(value.rank))
    return Value(value.name, weight.shape, value.dtype, weight.constant)


def packed_matmul(call: Call) -> Sequence[Value]:
    """MatMulNBits, MatMulBnb4: a matrix (K, N) packed into blocks of few-bit numbers."""
    inputs, units = call.attributes.integer("K"), call.attributes.integer("N")
    packed = call.input(1)
    if packed.constant is None or inputs < 1 or units < 1:
        raise ShapeError("the matrix is no constant")
    bits = call.attributes.integer("bits", 4)
    weight = ModelWeight(packed.constant.origin.name, (inputs, units), inputs * units, f"int{bits}", None, _unpacked(call, inputs, units))
    return [add_bias(call, apply_matrix(call, call.input(0), weight), call.optional(5) if call.op == "MatMulNBits" else None)]


def _unpacked(call: Call, inputs: int, units: int) -> Constant | None:
    """The numbers that a packed matrix of MatMulNBits stands for."""
    operands = [call.optional(index) for index in (1, 2, 3)]
    if call.op != "MatMulNBits" or any(v is not None and v.constant is None for v in operands) or operands[0] is None:
        return None
    stated = {"K": inputs, "N": units, "bits": call.attributes.integer("bits", 4), "block_size": call.attributes.integer("block_size", 32)}
    attributes = Attributes([helper.make_attribute(name, value) for name, value in stated.items()], call.name)
    operation = Operation(folding.unpack_blocks, "scalars", 1, attributes, tuple(None if v is None else v.constant for v in operands))
    assert operands[0].constant is not None
    return Constant(operands[0].constant.origin, operation=operation)


def distances(call: Call) -> Sequence[Value]:
    """CDist: rows of the first against rows of the second."""
    return [call.emit(core.Contraction((("m", "k"), ("n", "k")), ("m", "n")), call.input(0), call.input(1))]


def expand_dims(call: Call) -> Sequence[Value]:
    """ExpandDims: a new axis."""
    data = call.input(0)
    axis = call.normal_axis(call.required_integers(1, "the axis")[0], data.rank + 1)
    return [call.reshape(data, (*data.dims[:axis], 1, *data.dims[axis:]))]


def inverse(call: Call) -> Sequence[Value]:
    """Inverse of the matrices in the last two axes."""
    data = call.input(0)
    return [call.emit(core.Mixing((data.rank - 2, data.rank - 1), "inverse"), data)]


def crop_and_resize(call: Call) -> Sequence[Value]:
    """CropAndResize: one patch for each region."""
    data, regions = call.input(0), call.input(1)
    size = call.required_integers(3, "the size of a patch")
    shape = (regions.dims[0], data.dims[1], *size)
    return call.data_dependent([shape], "which units are read depends on the regions", *[v for v in call.inputs if v is not None])


def real_fourier(call: Call) -> Sequence[Value]:
    """Rfft and Irfft over the last `signal_ndim` axes."""
    data, count = call.input(0), call.attributes.integer("signal_ndim", 1)
    one_sided = bool(call.attributes.integer("onesided", 1))
    if not 1 <= count < data.rank + (call.op == "Rfft"):
        raise ShapeError(f"{data.dims} has no {count} axes to transform")
    if call.op == "Rfft":
        axes = tuple(range(data.rank - count, data.rank))
        shape = (*data.dims[:-1], data.dims[-1] // 2 + 1 if one_sided else data.dims[-1])
        mixed = signal.mixed_to(call, data, axes, shape)
        return [call.emit(core.Expanding((*shape, 2)), call.reshape(mixed, (*shape, 1)))]
    axes = tuple(range(data.rank - 1 - count, data.rank))
    last = 2 * (data.dims[-2] - 1) if one_sided else data.dims[-2]
    mixed = signal.mixed_to(call, data, axes, (*data.dims[:-2], last, 1))
    return [call.reshape(mixed, mixed.dims[:-1])]


def packed_rows(call: Call) -> Sequence[Value]:
    """GatherBlockQuantized: rows of a quantised table."""
    table, indices = call.input(0), call.input(1)
    if table.constant is None or table.rank != 2 or call.attributes.integer("gather_axis"):
        raise ShapeError("only rows of a constant table are followed")
    per_byte = 8 // call.attributes.integer("bits", 4) if table.dtype == "uint8" else 1
    units = table.dims[1] * per_byte
    call.kind = "embedding"
    origin = table.constant.origin
    call.kernel.append(ModelWeight(origin.name, (table.dims[0], units), math.prod((table.dims[0], units)), origin.dtype))
    return [call.emit(core.Embedding(table.dims[0], (units,)), indices, dtype="float32")]


RULES = {
    "FusedConv": Rule(fused_conv, "convolution"),
    "NhwcFusedConv": Rule(fused_conv, "convolution"),
    "NhwcConv": Rule(fused_conv, "convolution"),
    "QLinearConv": Rule(qlinear_conv, "convolution"),
    "QLinearAveragePool": Rule(pool(pooling.window_pool("average")), "pooling"),
    "NhwcMaxPool": Rule(pool(pooling.window_pool("max")), "pooling"),
    "QLinearGlobalAveragePool": Rule(pool(pooling.global_pool), "global"),
    "QLinearReduceMean": Rule(reduce_mean),
    "QLinearAdd": Rule(pick(0, 3)),
    "QLinearMul": Rule(pick(0, 3)),
    "QLinearWhere": Rule(pick(0, 1, 4)),
    "QLinearLeakyRelu": Rule(pick(0), "activation"),
    "QLinearSigmoid": Rule(pick(0), "activation"),
    "QLinearSoftmax": Rule(softmax, "activation"),
    "BiasSoftmax": Rule(softmax, "activation"),
    "QLinearConcat": Rule(concatenate, "reshape"),
    "QGemm": Rule(quantised_gemm, "dense"),
    "FusedGemm": Rule(gemm, "dense"),
    "GemmFastGelu": Rule(matmul_with(9, 9, 2), "dense"),
    "MatMulIntegerToFloat": Rule(matmul_with(3, 5, 6), "dense"),
    "DynamicQuantizeMatMul": Rule(matmul_with(2, 3, 4), "dense"),
    "FusedMatMul": Rule(fused_matmul, "dense"),
    "TransposeMatMul": Rule(fused_matmul, "dense"),
    "MatMulNBits": Rule(packed_matmul, "dense"),
    "MatMulBnb4": Rule(packed_matmul, "dense"),
    "GatherBlockQuantized": Rule(packed_rows, "reshape"),
    **{name: Rule(with_bias, "activation") for name in ("BiasGelu", "FastGelu", "Gelu", "QuickGelu")},
    "BiasAdd": Rule(with_bias),
    "BiasSplitGelu": Rule(split_gelu, "activation"),
    "CDist": Rule(distances),
    "ExpandDims": Rule(expand_dims, "reshape"),
    "Inverse": Rule(inverse),
    "CropAndResize": Rule(crop_and_resize, "resampling", bound="which units are read depends on the regions"),
    "Rfft": Rule(real_fourier, "global"),
    "Irfft": Rule(real_fourier, "global"),
    "ComplexMul": Rule(elementwise.joint()),
    "ComplexMulConj": Rule(elementwise.joint()),
    "MurmurHash3": Rule(elementwise.unary),
    "GridSample": signal.RULES["GridSample"],
    "GatherND": indexing.RULES["GatherND"],
    "Unique": indexing.RULES["Unique"],
    "Pad": movement.RULES["Pad"],
    "Trilu": movement.RULES["Trilu"],
    "QuantizeLinear": quantisation.RULES["QuantizeLinear"],
    "DequantizeLinear": quantisation.RULES["DequantizeLinear"],
    "SimplifiedLayerNormalization": normalization.RULES["RMSNormalization"],
    "LayerNormalization": normalization.RULES["LayerNormalization"],
    "ReduceSumInteger": Rule(reductions.reduce_over(99)),
}
