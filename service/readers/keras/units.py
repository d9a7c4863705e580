"""Keras layers that act unit by unit, along one axis, move units or join: Dense, Activation, the normalisations, Reshape, Add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from service.readers.keras.conversion import Call, Conversion, Unsupported, Value, inside

Converter = Callable[[Conversion, Call], Value | tuple[Value, ...]]

FUNCTIONS = {
    **{name: name for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "sigmoid", "tanh")},
    **{name: name for name in ("hard_sigmoid", "hard_tanh", "softplus", "softsign", "linear", "exponential", "softmax", "log_softmax")},
    **dict.fromkeys(("log_sigmoid", "sparse_plus", "squareplus"), "softplus"),
    **dict.fromkeys(("hard_shrink", "soft_shrink", "tanh_shrink", "threshold"), "linear"),
    "sparse_sigmoid": "hard_sigmoid",
    "sparsemax": "softmax",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
}
"""Keras's activations by name, as the spec calls them."""


def activation(c: Conversion, call: Call, value: Value, name: str, part: str, axis: int = -1) -> Value:
    """An activation by Keras's name; the value itself for `linear` inside another layer."""
    if name not in FUNCTIONS:
        reason = f"the activation {name[:100]!r} is not known"
        return replace(value, name=c.emit(call, "unknown", value, part=part and "activation", reason=reason), guessed=True)
    if name == "linear" and part:
        return value
    along = value.axis(axis) if "softmax" in name else None
    return replace(value, name=c.emit(call, "activation", value, part=part, function=FUNCTIONS[name], axis=along))


def own_activation(c: Conversion, call: Call, value: Value) -> Value:
    """The activation that a weight layer carries in its own configuration."""
    name = activation_name(call.config.get("activation"))
    return activation(c, call, value, name, name)


def activation_name(value: object) -> str:
    """The name of an activation, which may be written as a word or as an object."""
    if value is None:
        return "linear"
    if isinstance(value, Mapping):
        value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
    if not isinstance(value, str):
        raise Unsupported("config/activation", "must name an activation", "not-a-string")
    return value


def dense(c: Conversion, call: Call) -> Value:
    """Dense: along the last axis of Keras, which is the first of a rotated value."""
    value = call.input
    axis = value.axis(-1) if value.rank > 1 else None
    name = c.emit(call, "dense", value, units=call.config.get("units"), bias=call.config.get("use_bias"), axis=axis)
    return own_activation(c, call, replace(value, name=name))


def embedding(c: Conversion, call: Call) -> Value:
    """Embedding: indices (…) to vectors (…, units); ReversibleEmbedding also the way back, by the same table."""
    if call.constants.get("reverse") is True:
        if not call.flag("tie_weights", True):
            raise Unsupported("config/tie_weights", "the way back is supported with the table of the way there")
        value = c.turned(call, call.input, True)
        axis = 0 if value.rank > 1 else None
        return replace(value, name=c.emit(call, "dense", value, units=call.config.get("input_dim"), bias=False, axis=axis))
    value, config = c.turned(call, call.input, False), call.config
    name = c.emit(call, "embedding", value, vocabulary=config.get("input_dim"), units=config.get("output_dim"))
    return Value(name, value.rank + 1, True)


def flatten(c: Conversion, call: Call) -> Value:
    """Flatten: the units of (*places, channels) in this order."""
    value = call.input
    if value.rank > 1 and call.text("data_format", "channels_last") == "channels_first":
        # The channels come last before they are flattened, whatever the layer's data format.
        value = replace(c.turned(call, value, False), rotated=True)
    return Value(c.emit(call, "flatten", c.turned(call, value, False)), 1)


def reshape(c: Conversion, call: Call) -> Value:
    """Reshape."""
    shape = call.integers("target_shape") if "target_shape" in call.config else _without_batch(call, "newshape")
    return Value(c.emit(call, "reshape", c.turned(call, call.input, False), shape=shape), len(shape))


def _without_batch(call: Call, key: str) -> list[int]:
    """A list that begins with the batch, which stays where it is (keras.ops)."""
    first, *rest = call.integers(key)
    if first not in (-1, 0) or not rest:
        raise Unsupported(f"config/{key}", "the batch must stay in front", "unsupported-axes")
    return rest


def transpose(c: Conversion, call: Call) -> Value:
    """keras.ops.transpose, where the batch stays in front."""
    value = c.turned(call, call.input, False)
    return replace(value, name=c.emit(call, "permute", value, order=[axis - 1 for axis in _without_batch(call, "axes")]))


def permute(c: Conversion, call: Call) -> Value:
    """Permute, whose axes count from 1."""
    value = c.turned(call, call.input, False)
    return replace(value, name=c.emit(call, "permute", value, order=[axis - 1 for axis in call.integers("dims")]))


def repeat_vector(c: Conversion, call: Call) -> Value:
    """RepeatVector: (features) to (n, features)."""
    column = Value(c.emit(call, "reshape", call.input, part="column", shape=[-1, 1]), 2, True)
    return replace(column, name=c.emit(call, "upsample", column, factor=call.config.get("n"), mode="nearest"))


def same(kind: str, **fields: object) -> Converter:
    """A layer of one spec type that takes nothing from Keras's configuration."""

    def converter(c: Conversion, call: Call) -> Value:
        return replace(call.input, name=c.emit(call, kind, call.input, **fields))

    return converter


def layer_scale(c: Conversion, call: Call) -> Value:
    """LayerScale (ConvNeXt): a trained factor for each channel."""
    value = c.turned(call, call.input, True)
    return replace(value, name=c.emit(call, "scale", value))


def einsum_dense(c: Conversion, call: Call) -> Value:
    """EinsumDense where it is a dense layer along the last axis ("abc,cd->abd", or with "..." for the positions)."""
    value, (terms, _, output) = call.input, call.text("equation", "").replace(" ", "").partition("->")
    source, _, kernel = terms.partition(",")
    if len(kernel) != 2 or source[-1:] != kernel[0] or output != source[:-1] + kernel[1] or kernel[0] == kernel[1]:
        raise Unsupported("config/equation", "the equation is supported where it is a dense layer along the last axis")
    shape, bias = call.config.get("output_shape"), call.config.get("bias_axes")
    units = shape[-1] if isinstance(shape, list) and shape else shape
    if bias not in (None, kernel[1]):
        raise Unsupported("config/bias_axes", "biases are supported along the last axis", "unsupported-axes")
    axis = value.axis(-1) if value.rank > 1 else None
    name = c.emit(call, "dense", value, units=units, bias=bias is not None, axis=axis)
    return own_activation(c, call, replace(value, name=name))


def activation_layer(c: Conversion, call: Call) -> Value:
    """Activation."""
    return activation(c, call, call.input, activation_name(call.config.get("activation")), "")


def softmax(c: Conversion, call: Call) -> Value:
    """Softmax."""
    return activation(c, call, call.input, "softmax", "", call.integer("axis", -1))


def relu(c: Conversion, call: Call) -> Value:
    """ReLU, with a ceiling or a slope."""
    return activation(c, call, call.input, "relu6" if call.config.get("max_value") == 6 else "relu", "")


def prelu(c: Conversion, call: Call) -> Value:
    """PReLU with one slope for each unit, or for each channel."""
    value = c.turned(call, call.input, True)
    shared = call.integers("shared_axes") if call.config.get("shared_axes") is not None else []
    if shared and sorted(shared) != list(range(1, value.rank)):
        message = "slopes are supported for each unit, or for each channel and shared along all other axes"
        raise Unsupported("config/shared_axes", message, "unsupported-axes")
    return replace(value, name=c.emit(call, "activation", value, function="prelu", untied=None if shared else True))


def _affine(call: Call) -> bool | str:
    scale, shift = call.flag("scale", True), call.flag("center", True)
    return scale if scale == shift else "scale" if scale else "shift"


def batch_norm(c: Conversion, call: Call) -> Value:
    """BatchNormalization over the channels, wherever they are."""
    value, axes = call.input, call.integers("axis") if "axis" in call.config else [-1]
    if len(axes) != 1:
        raise Unsupported("config/axis", "normalisation is supported along one axis", "unsupported-axes")
    value = c.turned(call, value, axes[0] in (-1, value.rank))
    axis = value.axis(axes[0])
    if axis:
        order = [axis, *(other for other in range(value.rank) if other != axis)]
        first = replace(value, name=c.emit(call, "permute", value, part="front", order=order))
        normal = replace(first, name=c.emit(call, "batch_norm", first, affine=_affine(call)))
        back = [order.index(place) for place in range(value.rank)]
        return replace(value, name=c.emit(call, "permute", normal, part="back", order=back))
    return replace(value, name=c.emit(call, "batch_norm", value, affine=_affine(call)))


def layer_norm(c: Conversion, call: Call) -> Value:
    """LayerNormalization."""
    value = call.input
    axes = [value.axis(axis) for axis in (call.integers("axis") if "axis" in call.config else [-1])]
    return replace(value, name=c.emit(call, "layer_norm", value, axes=axes, affine=_affine(call)))


def root_mean_square_norm(c: Conversion, call: Call) -> Value:
    """RMSNormalization: a normalisation with scales alone."""
    value = call.input
    axes = [value.axis(axis) for axis in (call.integers("axis") if "axis" in call.config else [-1])]
    return replace(value, name=c.emit(call, "layer_norm", value, axes=axes, affine="scale"))


def unit_norm(c: Conversion, call: Call) -> Value:
    """UnitNormalization: a normalisation without parameters."""
    value = call.input
    axes = [value.axis(axis) for axis in (call.integers("axis") if "axis" in call.config else [-1])]
    return replace(value, name=c.emit(call, "layer_norm", value, axes=axes, affine=False))


def group_norm(c: Conversion, call: Call) -> Value:
    """GroupNormalization along the last axis."""
    if call.config.get("axis", -1) not in (-1, call.input.rank):
        raise Unsupported("config/axis", "normalisation by groups is supported along the last axis", "unsupported-axes")
    value = c.turned(call, call.input, True)
    return replace(value, name=c.emit(call, "group_norm", value, groups=call.config.get("groups", 32), affine=_affine(call)))


def join(kind: str) -> Converter:
    """Add, Multiply and their kin; an operator with a constant side acts on each unit alone."""

    def converter(c: Conversion, call: Call) -> Value:
        if len(call.inputs) == 1:
            return replace(call.input, name=c.emit(call, "activation", call.input, function="linear"))
        values = _alike(c, call)
        return replace(values[0], name=c.emit(call, kind, *values))

    return converter


def concatenate(c: Conversion, call: Call) -> Value:
    """Concatenate."""
    values = _alike(c, call)
    return replace(values[0], name=c.emit(call, "concat", *values, axis=values[0].axis(call.integer("axis", -1))))


def _alike(c: Conversion, call: Call) -> tuple[Value, ...]:
    if not call.inputs:
        raise Unsupported("inbound_nodes", f"{call.kind} has no inputs", "required")
    rotated = any(value.rotated for value in call.inputs)
    return tuple(c.turned(call, value, rotated) for value in call.inputs)


def wrapper(c: Conversion, call: Call) -> tuple[Value, ...]:
    """SpectralNormalization and Wrapper: the layer inside. What the norm is estimated from is no parameter of the network."""
    with inside("config/layer"):
        return c.layer(call.wrapped())


def pipeline(c: Conversion, call: Call) -> tuple[Value, ...]:
    """Pipeline: its layers one after the other."""
    layers, values = call.config.get("layers"), call.inputs
    if not isinstance(layers, list):
        raise Unsupported("config/layers", "must be a list of layers", "not-a-list")
    for index, layer in enumerate(layers):
        place = f"config/layers/{index}"
        with inside(place):
            inner = call.inner(place, layer)
            values = c.layer(replace(inner, name=f"{call.name}/{index}", inputs=values[:1], labels=("",)))
    return values
