"""Which stored tensor a computed constant goes back to.

An operator that only moves, retypes or scales the scalars of one operand keeps that operand's origin, so that two layers that read one
stored tensor by way of such operators are known to share it. Any other operator makes scalars of its own.
"""

from __future__ import annotations

import math

from service.graph import Shape
from service.readers.onnx.call import Call
from service.readers.onnx.values import Origin, Value

_MOVING = frozenset(
    {
        "Identity",
        "Cast",
        "CastLike",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "DequantizeLinear",
        "QuantizeLinear",
        "Quant",
    }
    | {"Expand", "Tile", "Dropout", "Neg", "Flat"}
)
_MAKING = frozenset({"ConstantOfShape", "Range", "EyeLike", "Shape", "Size", "NonZero"})
_SCALING = frozenset({"Mul", "Div", "Add", "Sub", "Clip", "Abs", "Sqrt", "Tanh", "Sigmoid", "Relu", "Sign", "Round"})


def origin_of(call: Call, name: str, shape: Shape | None, dtype: str) -> Origin:
    """The origin of a result `name` of an operator over constants."""
    count = 0 if shape is None else math.prod(shape)
    operands = [value for value in call.inputs if value is not None and value.constant is not None]
    if operands and call.op in _MOVING:
        return _kept(operands[0])
    if call.op in _SCALING:
        full = [value for value in operands if _stored(value) and value.shape == shape]
        others = [value for value in operands if value not in full]
        if len(full) == 1 and all(value.shape is not None and math.prod(value.shape) < max(count, 2) for value in others):
            return _kept(full[0])
    return Origin(name, count, dtype, call.op not in _MAKING and any(_stored(value) for value in operands))


def _stored(value: Value) -> bool:
    return value.constant is not None and value.constant.origin.kept


def _kept(value: Value) -> Origin:
    assert value.constant is not None
    return value.constant.origin
