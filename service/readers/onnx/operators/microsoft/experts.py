"""com.microsoft MoE and QMoE: every token goes through some of several small networks of two layers.

Source: ContribOperators.md of https://github.com/microsoft/onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.values import ModelWeight, Value


def experts(call: Call) -> Sequence[Value]:
    """MoE, QMoE: weights of all experts; a token reads all of itself, whichever it goes through."""
    data, router = call.input(0), call.input(1)
    places = (2, 5, 8) if call.op == "QMoE" else (2, 4, 6)
    matrices = [value for value in map(call.optional, places) if value is not None]
    if any(value.constant is None or value.rank != 3 for value in matrices) or len(matrices) < 2:
        raise ShapeError("experts whose matrices depend on the data are not followed")
    shapes = [_shape(call, value) for value in matrices]
    width = data.dims[-1]
    call.kernel.extend(_kernel(call, value, shape) for value, shape in zip(matrices, shapes, strict=True))
    behind = 2 if call.op == "QMoE" else 1
    for place in places:
        bias = call.optional(place + behind)
        if bias is not None and bias.constant is not None:
            call.bias.append(call.weight(bias))
    inner = sum(_other(call, shape, width) for shape in (shapes[0], *shapes[2:]))
    operator = core.Experts(shapes[0][0], _chosen(call, shapes[0][0]), inner, _other(call, shapes[1], width))
    result = call.emit(operator, data)  # before what the router says, so that the layer's first input is the token
    chosen = call.reshape(router, (*data.dims[:-1], router.dims[-1]))
    return [call.elementwise("experts", result, call.emit(core.Reduction((chosen.rank - 1,)), chosen))]


def _chosen(call: Call, count: int) -> int:
    """How many experts a token goes through."""
    return min(max(call.attributes.integer("k", 1), 1), count)


def _shape(call: Call, value: Value) -> Shape:
    """The shape of the matrices that a tensor stands for: few-bit numbers are packed along its last axis."""
    bits = call.attributes.integer("expert_weight_bits", 4)
    packed = 8 // bits if call.op == "QMoE" and value.dtype == "uint8" and bits in (1, 2, 4, 8) else 1
    return (*value.dims[:-1], value.dims[-1] * packed)


def _kernel(call: Call, value: Value, shape: Shape) -> ModelWeight:
    if shape == value.dims and call.op == "MoE":
        return call.weight(value)
    assert value.constant is not None
    count = shape[0] * shape[1] * shape[2]
    return ModelWeight(value.constant.origin.name, shape, count, f"int{call.attributes.integer('expert_weight_bits', 4)}")


def _other(call: Call, shape: Shape, width: int) -> int:
    """The length of the side of an expert's matrix that is not the token's; which one that is changed between versions."""
    if width not in shape[1:]:
        call.misfit("matrix-mismatch", f"experts of shape {shape} do not fit tokens of {width} units")
    return shape[1] if shape[2] == width else shape[2]


RULES = {"MoE": Rule(experts, "dense"), "QMoE": Rule(experts, "dense")}
