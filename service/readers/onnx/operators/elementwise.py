"""Operators that compute unit by unit: activations, arithmetic, comparisons, casts, random changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from service.graph import operators as core
from service.graph.network import Kind
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.constants import folding
from service.readers.onnx.constants.folding import Array
from service.readers.onnx.operators.geometry import legacy_shape
from service.readers.onnx.values import Fold, Keeps, Value, dtype_name

Lower = Callable[[Call], Sequence[Value]]


def unary(call: Call) -> Sequence[Value]:
    """A function of each unit of the first input; further inputs (bounds, ratios) are scalars or constants."""
    others = [v for v in call.inputs[1:] if v is not None and v.constant is None]
    return [call.elementwise(call.op.lower(), call.input(0), *others)]


def predicate(call: Call) -> Sequence[Value]:
    """A yes or no for each unit."""
    return [call.emit(core.Elementwise(call.op.lower()), call.input(0), dtype="bool")]


def joint(dtype: str | None = None, constants: Callable[[Call, Sequence[Value]], None] | None = None) -> Lower:
    """A function of the units at the same place of all inputs. Stored constants are parameters, as `constants` (or `keep`) counts them."""
    count = constants or keep

    def lower(call: Call) -> Sequence[Value]:
        """One core node over all inputs, the second placed as its opset says."""
        operands = [v for v in call.inputs if v is not None]
        if not operands:
            call.refuse("missing-input", "it has no inputs")
        if call.attributes.integer("broadcast") and len(operands) == 2:
            operands[1] = _legacy(call, operands[0], operands[1])
        elif len(operands) == 2:
            operands[1] = _per_channel(call, operands[0], operands[1])
        count(call, operands)
        return [call.elementwise(call.op.lower(), *operands, dtype=dtype)]

    return lower


def keep(call: Call, operands: Sequence[Value]) -> None:
    """Stored constants of more than one entry are parameters."""
    for value in operands:
        if value.constant is not None and value.constant.origin.count > 1:
            call.add_other(value)


def add(call: Call, operands: Sequence[Value]) -> None:
    """A constant that is added to data, or subtracted from it, may be the bias of the layer before."""
    constants = [value for value in operands if value.constant is not None]
    if len(operands) == 2 and len(constants) == 1 and (call.op == "Add" or operands[1] is constants[0]):
        call.add(constants[0])
    else:
        keep(call, operands)


def _per_channel(call: Call, left: Value, right: Value) -> Value:
    """A constant vector beside a feature map whose channels alone it fits: old converters left out that it belongs to them."""
    if right.constant is None or right.shape is None or left.shape is None or len(right.shape) != 1 or len(left.shape) < 3:
        return right
    length = right.shape[0]
    if length == left.shape[-1] or 1 in (length, left.shape[-1]) or length != left.shape[1]:
        return right
    call.host.note("legacy-broadcast", call, "its vector fits no broadcasting of this opset and is taken to have one entry per channel")
    return Value(right.name, (length, *[1] * (len(left.shape) - 2)), right.dtype, right.constant)


def _legacy(call: Call, left: Value, right: Value) -> Value:
    """The second operand of an opset before 7 (some exporters kept that form longer), its axes placed as the attribute `axis` says."""
    axis = call.attributes.integer("axis") if "axis" in call.attributes else None
    shape = legacy_shape(right.dims, axis, left.rank)
    if right.constant is None:
        return call.reshape(right, shape)
    return Value(right.name, shape, right.dtype, right.constant) if shape != right.dims else right


def where(call: Call) -> Sequence[Value]:
    """Where: condition, then, else."""
    operands = [call.input(0), call.input(1), call.input(2)]
    for value in operands[1:]:
        if value.constant is not None and value.constant.origin.count > 1:
            call.add_other(value)
    return [call.elementwise("where", *operands, dtype=operands[1].dtype)]


def prelu(call: Call) -> Sequence[Value]:
    """PRelu: the slopes broadcast to the input; before opset 7 there is one per channel."""
    data, slope = call.input(0), call.input(1)
    call.add_other(slope)
    if call.version < 7 and slope.rank == 1 and data.rank > 2:
        shape = (slope.dims[0], *[1] * (data.rank - 2))
        slope = Value(slope.name, shape, slope.dtype, slope.constant) if slope.constant is not None else call.reshape(slope, shape)
    return [call.elementwise("prelu", data, slope)]


def cast(call: Call) -> Sequence[Value]:
    """Cast and its kin."""
    like = call.optional(1)
    if call.op == "CastLike" and like is not None:
        dtype = like.dtype
    elif call.version < 6 and call.op == "Cast":
        dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(call.attributes.text("to").upper(), call.attributes.text("to").lower())
    else:
        dtype = dtype_name(call.attributes.integer("to"))
    return [call.emit(core.Elementwise("cast"), call.input(0), dtype=dtype)]


def identity(call: Call) -> Sequence[Value]:
    """Identity: of a constant, the constant itself; of a sequence, the sequence."""
    value = call.input(0)
    if value.constant is not None or value.items is not None:
        return [value]
    return [call.emit(core.Elementwise("identity"), value)]


def dropout(call: Call) -> Sequence[Value]:
    """Dropout: at inference the input itself, and a mask that depends on nothing."""
    data = call.input(0)
    if data.constant is not None:
        return [data, call.opaque(data.dims, "bool")]
    return [call.emit(core.Elementwise("dropout"), data), call.opaque(data.dims, "bool")]


def scaled(call: Call) -> Sequence[Value]:
    """Affine and ImageScaler, removed from the standard with opset 9: one scale for all units, at most one bias per channel."""
    return [call.emit(core.Elementwise(call.op.lower()), call.input(0))]


def _table(lower: Lower, kind: Kind, names: str) -> dict[str, Rule]:
    """Operators that are not computed where their inputs are constants."""
    return {name: Rule(lower, kind) for name in names.split()}


def _unit(function: Callable[[Array], Array], kind: Kind = "other", keeps: Keeps = "scaled") -> Rule:
    """A function of each unit, and how NumPy computes it."""
    return Rule(unary, kind, fold=folding.unary(function), keeps=keeps)


def _sum(fold: Fold) -> Rule:
    """A sum or a difference, and how it is computed."""
    return Rule(joint(constants=add), fold=fold, keeps="scaled")


def _pair(fold: Fold, dtype: str | None = None) -> Rule:
    """A function of the units at the same place, and how it is computed."""
    return Rule(joint(dtype), fold=fold, keeps="scaled")


RULES = {
    **_table(
        unary,
        "activation",
        "LeakyRelu Elu Selu Celu Gelu Mish Swish HardSigmoid HardSwish Softplus Softsign ThresholdedRelu Shrink ScaledTanh "
        "ParametricSoftplus",
    ),
    **_table(unary, "other", "Acos Acosh Asin Asinh Atan Atanh Cosh Erf Sinh Tan Bernoulli"),
    **_table(joint(), "other", "Mean"),
    **_table(scaled, "other", "Affine ImageScaler"),
    "Relu": _unit(lambda x: np.maximum(x, 0), "activation"),
    "Sigmoid": _unit(lambda x: 1 / (1 + np.exp(-x)), "activation"),
    "Tanh": _unit(np.tanh, "activation"),
    "Clip": Rule(unary, "activation", fold=folding.clip, keeps="scaled"),
    "Abs": _unit(np.abs),
    "Ceil": _unit(np.ceil),
    "Cos": _unit(np.cos),
    "Exp": _unit(np.exp),
    "Floor": _unit(np.floor),
    "Log": _unit(np.log),
    "Neg": _unit(np.negative, keeps="scalars"),
    "Reciprocal": _unit(lambda x: 1 / x),
    "Round": _unit(np.rint),
    "Sign": _unit(np.sign),
    "Sin": _unit(np.sin),
    "Sqrt": _unit(np.sqrt),
    "BitwiseNot": _unit(np.bitwise_not),
    "Not": Rule(predicate, fold=folding.unary(np.logical_not)),
    "IsInf": Rule(predicate, fold=lambda operation, x: np.isinf(x)),
    "IsNaN": Rule(predicate, fold=lambda operation, x: np.isnan(x)),
    "Add": _sum(folding.binary(np.add)),
    "Sub": _sum(folding.binary(np.subtract)),
    "Mul": _pair(folding.binary(np.multiply)),
    "Div": _pair(folding.binary(folding.divide)),
    "Pow": _pair(folding.binary(folding.power)),
    "Mod": _pair(folding.modulo),
    "Max": _pair(folding.variadic(np.maximum)),
    "Min": _pair(folding.variadic(np.minimum)),
    "Sum": _pair(folding.variadic(np.add)),
    "BitShift": _pair(folding.shift),
    "BitwiseAnd": _pair(folding.binary(np.bitwise_and)),
    "BitwiseOr": _pair(folding.binary(np.bitwise_or)),
    "BitwiseXor": _pair(folding.binary(np.bitwise_xor)),
    "And": _pair(folding.binary(np.logical_and), "bool"),
    "Or": _pair(folding.binary(np.logical_or), "bool"),
    "Xor": _pair(folding.binary(np.logical_xor), "bool"),
    "Equal": _pair(folding.binary(np.equal), "bool"),
    "Greater": _pair(folding.binary(np.greater), "bool"),
    "GreaterOrEqual": _pair(folding.binary(np.greater_equal), "bool"),
    "Less": _pair(folding.binary(np.less), "bool"),
    "LessOrEqual": _pair(folding.binary(np.less_equal), "bool"),
    "Cast": Rule(cast, fold=folding.cast, keeps="scalars"),
    "CastLike": Rule(cast, fold=lambda operation, x, like: x.astype(like.dtype), keeps="scalars"),
    "BitCast": Rule(cast),
    "Where": Rule(where, fold=folding.where),
    "PRelu": Rule(prelu, "activation"),
    "Identity": Rule(identity, fold=folding.unary(lambda x: x), keeps="order"),
    "Dropout": Rule(dropout, fold=folding.unary(lambda x: x), keeps="order"),
    "SwiGLU": Rule(joint(), "activation"),
}
