"""Quantisation: real numbers as integers with a scale and a zero point, on weights and between layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from service.graph import operators as core
from service.readers.onnx.attributes import Attributes
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.constants import folding
from service.readers.onnx.values import Constant, Operation, Origin, Value, dtype_name


def dequantised(weight: Value, scale: Value | None, zero_point: Value | None, axis: int = 0, block: int = 0) -> Value:
    """A quantised constant as the real numbers that it stands for, under the same origin; without a scale that is 1.

    The value itself where it, its scale or its zero point is no constant.
    """
    if any(v is not None and v.constant is None for v in (weight, scale, zero_point)):
        return weight
    one = Constant(Origin("", 1, "float32"), array=np.ones((), dtype=np.float32))
    operands = (weight.constant, one if scale is None else scale.constant, None if zero_point is None else zero_point.constant)
    stated = [helper.make_attribute("axis", axis), helper.make_attribute("block_size", block)]
    assert weight.constant is not None
    operation = Operation(folding.dequantize, "scalars", 21, Attributes(stated, weight.name), operands)
    return Value(weight.name, weight.shape, weight.dtype, Constant(weight.constant.origin, operation=operation))


def quantize(call: Call) -> Sequence[Value]:
    """QuantizeLinear: unit by unit."""
    zero_point, stated = call.optional(2), call.attributes.integer("output_dtype")
    dtype = zero_point.dtype if zero_point is not None else dtype_name(stated) if stated else "uint8"
    return [_by_unit(call, dtype)]


def dequantize(call: Call) -> Sequence[Value]:
    """DequantizeLinear: unit by unit."""
    scale = call.optional(1)
    return [_by_unit(call, scale.dtype if scale is not None else "float32")]


def _by_unit(call: Call, dtype: str) -> Value:
    """Every unit by itself, with the scale and the zero point of its tensor, channel or block where these are data."""
    data = call.input(0)
    operands = [data]
    for value in (call.optional(1), call.optional(2)):
        if value is None or value.constant is not None:
            continue
        if value.rank == 1 and data.rank and value.dims[0] == data.dims[call.axis(data.rank, 1)]:
            axis = call.axis(data.rank, 1)
            operands.append(call.reshape(value, tuple(value.dims[0] if a == axis else 1 for a in range(data.rank))))
        else:
            operands.append(call.emit(core.Reduction(tuple(range(value.rank)), keepdims=False), value) if value.rank else value)
    return call.elementwise(call.op.lower(), *operands, dtype=dtype)


def dynamic_quantize(call: Call) -> Sequence[Value]:
    """DynamicQuantizeLinear: scale and zero point depend on the smallest and largest of all units."""
    data = call.input(0)
    scale = call.emit(core.Reduction(tuple(range(data.rank)), keepdims=False), data)
    zero_point = call.emit(core.Elementwise("zero-point"), scale, dtype="uint8")
    return [call.elementwise("quantize", data, scale, dtype="uint8"), scale, zero_point]


def requantize(call: Call) -> Sequence[Value]:
    """An operator that computes on the first input and takes scales beside it: unit by unit."""
    return [call.emit(core.Elementwise(call.op.lower()), call.input(0))]


def thresholds(call: Call) -> Sequence[Value]:
    """MultiThreshold of FINN: how many of its channel's thresholds a unit reaches. The thresholds are what was trained."""
    call.add_other(call.input(1))
    return [call.influenced(call.emit(core.Elementwise("multithreshold"), call.input(0)), call.input(1))]


def quantised_pool(call: Call) -> Sequence[Value]:
    """QuantAvgPool2d: the mean of windows of `kernel`, and a truncation; channels last where `data_layout` says so."""
    kernel, stride = call.attributes.integer("kernel", 1), call.attributes.integer("stride", 1)
    if kernel < 1 or stride < 1:
        call.refuse("kernel-shape-range", f"kernel is {kernel} and stride {stride}; expected positive numbers")
    data, last = call.input(0), call.attributes.text("data_layout", "NCHW") == "NHWC"
    if data.rank != 4:
        call.refuse("rank-mismatch", f"its input has the shape {data.dims}; expected four axes")
    window = core.Pooling((kernel, kernel), (stride, stride), (1, 1), ((0, 0), (0, 0)), mode="average")
    pooled = call.emit(window, call.transpose(data, (0, 3, 1, 2)) if last else data)
    return [call.transpose(pooled, (0, 2, 3, 1)) if last else pooled]


FAKE = {
    "Quant": Rule(requantize, fold=folding.fake_quantize, keeps="scalars"),
    "IntQuant": Rule(requantize, fold=folding.fake_quantize, keeps="scalars"),
    "BipolarQuant": Rule(requantize, fold=folding.bipolar, keeps="scalars"),
    "FloatQuant": Rule(requantize, keeps="scalars"),
    "Trunc": Rule(requantize, keeps="scalars"),
    "MultiThreshold": Rule(thresholds, "activation"),
    "QuantAvgPool2d": Rule(quantised_pool, "pooling"),
}
"""Quantised and back at once: onnx.brevitas, QONNX, FINN (https://github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops)."""

RULES = {
    "QuantizeLinear": Rule(quantize, fold=folding.quantize, keeps="scalars"),
    "DequantizeLinear": Rule(dequantize, fold=folding.dequantize, keeps="scalars"),
    "DynamicQuantizeLinear": Rule(dynamic_quantize),
}
