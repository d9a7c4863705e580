"""Normalisations, softmax and their kin."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.masking import soften
from service.readers.onnx.values import Value


def batch_normalization(call: Call) -> Sequence[Value]:
    """BatchNormalization at inference. In training mode the statistics are those of the batch."""
    data, scale, bias, mean, variance = (call.input(i) for i in range(5))
    call.statistics.extend(call.weight(v) for v in (mean, variance) if v.constant is not None)
    if call.version >= 14 and call.attributes.integer("training_mode") and len(call.outputs) > 1:
        axes = tuple(axis for axis in range(data.rank) if axis != 1)
        summary = call.emit(core.Reduction(axes, keepdims=False), data)
        mixed = call.emit(core.Mixing(axes, "batchnormalization"), data)
        result = _scaled(call, mixed, _per_channel(call, scale, data), _per_channel(call, bias, data))
        return [result, call.elementwise("mean", summary, mean), call.elementwise("variance", summary, variance)]
    call.other.extend(call.weight(v) for v in (scale, bias) if v.constant is not None)
    if data.rank < 2:
        return [call.emit(core.Elementwise("batchnormalization"), data), *_statistics(call, data.dims[:1])]
    shape = (1, data.dims[1], *[1] * (data.rank - 2))
    dynamic = [call.reshape(v, shape) for v in (scale, bias, mean, variance) if v.constant is None and math.prod(v.dims) == data.dims[1]]
    result = call.emit(core.BatchNormalization(call.attributes.real("epsilon", 1e-5)), data)
    result = call.elementwise("scale", result, *dynamic) if dynamic else result
    return [result, *_statistics(call, data.dims[1:2])]


def _statistics(call: Call, shape: tuple[int, ...]) -> list[Value]:
    """The further outputs at inference: statistics that depend on no input."""
    return [call.opaque(shape, "float32") for _ in range(4)]


def _scaled(call: Call, data: Value, *parameters: Value | None) -> Value:
    """Scales and biases that are constant are parameters; those that are data take part unit by unit."""
    for value in parameters:
        if value is not None and value.constant is not None and value.constant.origin.count > 0:
            call.add_other(value)
    dynamic = [v for v in parameters if v is not None and v.constant is None]
    return call.elementwise("scale", data, *dynamic) if dynamic else data


def layer_normalization(call: Call) -> Sequence[Value]:
    """LayerNormalization and RMSNormalization over all axes from `axis` on; mean and deviation of the further outputs likewise."""
    data = call.input(0)
    axes = tuple(range(call.axis(data.rank, -1), data.rank))
    result = _scaled(call, call.emit(core.Mixing(axes, call.op.lower()), data), call.optional(1), call.optional(2))
    if len(call.outputs) < 2:
        return [result]
    summary = call.emit(core.Reduction(axes), data)
    return [result, summary, summary]


def _per_channel(call: Call, value: Value | None, data: Value) -> Value | None:
    """A parameter of one entry per channel, placed along the channels; a constant needs no place."""
    if value is None or value.constant is not None:
        return value
    return call.reshape(value, (1, data.dims[1], *[1] * (data.rank - 2)))


def instance_normalization(call: Call) -> Sequence[Value]:
    """InstanceNormalization: over the spatial axes, a scale and a bias per channel."""
    data = call.input(0)
    if data.rank < 3:
        raise ShapeError(f"{data.dims} has no spatial axes")
    mixed = call.emit(core.Mixing(tuple(range(2, data.rank)), "instancenormalization"), data)
    return [_scaled(call, mixed, _per_channel(call, call.optional(1), data), _per_channel(call, call.optional(2), data))]


def group_normalization(call: Call) -> Sequence[Value]:
    """GroupNormalization: over the channels of a group and the spatial axes; scale and bias per group (opset 18) or channel (21)."""
    data, groups = call.input(0), call.attributes.integer("num_groups")
    if groups < 1 or data.rank < 2 or data.dims[1] % groups:
        call.misfit("group-mismatch", f"{groups} groups do not divide the channels of {data.dims}")
    split = call.reshape(data, (data.dims[0], groups, data.dims[1] // groups, *data.dims[2:]))
    mixed = call.reshape(call.emit(core.Mixing(tuple(range(2, split.rank)), "groupnormalization"), split), data.dims)
    if any(v is not None and v.constant is None and v.dims != data.dims[1:2] for v in call.inputs[1:]):
        raise ShapeError("scales per group that depend on the data are not followed")
    return [_scaled(call, mixed, _per_channel(call, call.optional(1), data), _per_channel(call, call.optional(2), data))]


def over_axis(default: int, legacy_default: int | None = None) -> Callable[[Call], Sequence[Value]]:
    """An operator that mixes all units along `axis`; before opset 13 softmax mixed all axes from `axis` on."""

    def lower(call: Call) -> Sequence[Value]:
        """One mixture of the axes that this opset means; of a scalar, a function of it alone."""
        data = call.input(0)
        if data.rank == 0:
            return [call.emit(core.Elementwise(call.op.lower()), data)]
        if legacy_default is not None and call.version < 13:
            axes = tuple(range(call.axis(data.rank, legacy_default), data.rank))
        else:
            axes = (call.axis(data.rank, default),)
        return [soften(call, data, axes, call.op.lower())]

    return lower


def local_response(call: Call) -> Sequence[Value]:
    """LRN: `size` neighbouring channels, floor((size - 1)/2) before and ceil((size - 1)/2) after."""
    size = call.attributes.integer("size", 1)
    if size < 1:
        call.refuse("size-range", f"size is {size}")
    reach = min(size, 1 << 20) - 1
    return [call.emit(core.Neighbourhood(1, reach // 2, reach - reach // 2), call.input(0))]


def mean_variance(call: Call) -> Sequence[Value]:
    """MeanVarianceNormalization over stated axes, by default all but the channels."""
    data = call.input(0)
    stated = call.attributes.integers("axes") or (0, 2, 3)
    return [call.emit(core.Mixing(tuple(call.normal_axis(a, data.rank) for a in stated), "meanvariancenormalization"), data)]


RULES = {
    "BatchNormalization": Rule(batch_normalization, "normalization"),
    "LayerNormalization": Rule(layer_normalization, "normalization"),
    "SimplifiedLayerNormalization": Rule(layer_normalization, "normalization"),
    "RMSNormalization": Rule(layer_normalization, "normalization"),
    "InstanceNormalization": Rule(instance_normalization, "normalization"),
    "GroupNormalization": Rule(group_normalization, "normalization"),
    "LRN": Rule(local_response, "normalization"),
    "MeanVarianceNormalization": Rule(mean_variance, "normalization"),
    "LpNormalization": Rule(over_axis(-1), "normalization"),
    "Softmax": Rule(over_axis(-1, legacy_default=1), "activation"),
    "LogSoftmax": Rule(over_axis(-1, legacy_default=1), "activation"),
    "Hardmax": Rule(over_axis(-1, legacy_default=1), "activation"),
}
