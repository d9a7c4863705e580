"""The marshmallow schemas of the types of layer.

What a field means to the network is the business of `service.readers.spec.rules`; here it is only known by its JSON type and bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, validates_schema

from service.readers.spec.fields import (
    MAX_RANK,
    Amounts,
    Choice,
    Flag,
    FlagOr,
    ListOf,
    Name,
    Numbers,
    PerAxis,
    Positive,
    Strict,
    Text,
    Ties,
    Whole,
)

MAX_LAYERS = 10_000
PADDINGS = ("valid", "same", "same_lower", "causal")
ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "exponential"),
    *("sigmoid", "hard_sigmoid", "hard_swish", "tanh", "hard_tanh", "softplus", "softsign", "linear", "softmax", "log_softmax"),
)


_MESSAGES = {"unknown": "unknown-field: there is no such field here", "type": "not-an-object: must be an object"}


class SpecSchema(Schema):
    """A JSON object without unknown fields."""

    error_messages = _MESSAGES


class LayerSchema(SpecSchema):
    """What every layer may carry."""

    type = Text(required=True)
    name = Name()
    description = Text()
    inputs = ListOf(Name(), maximum=MAX_LAYERS)
    repeat = Whole(load_default=1)
    share_with = Name()


class WeightSchema(LayerSchema):
    """A layer with weights. With `trainable` false they are fixed: they join units, but are no parameters."""

    trainable = Flag(load_default=True)
    bias: Strict = Flag(load_default=True)


class ConvolutionBase(WeightSchema):
    """The geometry that every convolution has. `bias` is one for each map, or "untied": one for each unit, as in LeNet 1989."""

    kernel = PerAxis(Whole(), required=True)
    stride = PerAxis(Whole(), load_default=1)
    padding = Amounts(PADDINGS, load_default=0)
    dilation = PerAxis(Whole(), load_default=1)
    bias = FlagOr("untied", load_default=True)
    weights = Numbers()


class Conv(ConvolutionBase):
    """`conv`. `weights` are (filters, maps of a group, *kernel)."""

    filters = Whole(required=True)
    groups = Whole(load_default=1)
    connection_table = ListOf(ListOf(Whole(0)))


class DepthwiseConv(ConvolutionBase):
    """`depthwise_conv`: `multiplier` filters for each map. `weights` are (maps · multiplier, 1, *kernel)."""

    multiplier = Whole(load_default=1)


class ConvTranspose(ConvolutionBase):
    """`conv_transpose`. `weights` are (maps, filters of a group, *kernel)."""

    padding = Amounts(("valid", "same", "same_lower"), load_default=0)
    filters = Whole(required=True)
    groups = Whole(load_default=1)
    output_padding = PerAxis(Whole(0), load_default=0)


class Local(WeightSchema):
    """`local`: a kernel of its own at every place."""

    kernel = PerAxis(Whole(), required=True)
    stride = PerAxis(Whole(), load_default=1)
    padding = Amounts(PADDINGS, load_default=0)
    dilation = PerAxis(Whole(), load_default=1)
    filters = Whole(required=True)
    groups = Whole(load_default=1)


class Subsample(WeightSchema):
    """`subsample` (LeNet): the sum of a window times one coefficient per map, plus one bias per map."""

    kernel = PerAxis(Whole(), required=True)
    stride = PerAxis(Whole())


class Pool(LayerSchema):
    """`pool`."""

    mode = Choice(("max", "avg", "lp"), load_default="max")
    kernel = PerAxis(Whole(), required=True)
    stride = PerAxis(Whole())
    padding = Amounts(PADDINGS, load_default=0)
    dilation = PerAxis(Whole(), load_default=1)
    ceil_mode = Flag(load_default=False)


class GlobalPool(LayerSchema):
    """`global_pool`: over all spatial axes, which stay with length 1 unless `keepdims` is false."""

    mode = Choice(("max", "avg", "lp"), load_default="avg")
    keepdims = Flag(load_default=True)


class Dense(WeightSchema):
    """`dense`, along `axis` (default: the last). `weights` are (inputs, units), or (groups, units) with `tie`."""

    units = Whole(required=True)
    axis = Whole(-MAX_RANK, MAX_RANK)
    tie = Ties()
    weights = Numbers()


class Reshape(LayerSchema):
    """`reshape` to a shape without the batch; one length may be -1, which takes what is left."""

    shape = ListOf(Whole(-1), minimum=0, maximum=MAX_RANK, required=True)


class Permute(LayerSchema):
    """`permute`: the axes without the batch, from 0, in a new order."""

    order = ListOf(Whole(0, MAX_RANK), maximum=MAX_RANK, required=True)


class Activation(LayerSchema):
    """`activation`. `axis` is where a softmax acts (default: the channels); `untied` gives each unit of a prelu its own slope."""

    function = Choice(ACTIVATIONS, required=True)
    untied = Flag(load_default=False)
    axis = Whole(-MAX_RANK, MAX_RANK)


class BatchNorm(LayerSchema):
    """`batch_norm`, over the channels. `affine` stores a scale and a shift, or just the one that is named."""

    affine = FlagOr("scale", "shift", load_default=True)


class LayerNorm(LayerSchema):
    """`layer_norm`, over `axes` (default: the channels)."""

    affine = FlagOr("scale", "shift", load_default=True)
    axes = ListOf(Whole(-MAX_RANK, MAX_RANK), maximum=MAX_RANK)


class GroupNorm(LayerSchema):
    """`group_norm`: over all places and the channels of a group."""

    affine = FlagOr("scale", "shift", load_default=True)
    groups = Whole(required=True)


class LocalResponseNorm(LayerSchema):
    """`local_response_norm` (AlexNet 2012): each unit is divided by its `size` neighbours across the maps."""

    size = Whole(load_default=5)


class Concat(LayerSchema):
    """`concat` along an axis without the batch."""

    axis = Whole(-MAX_RANK, MAX_RANK, load_default=0)


class Pad(LayerSchema):
    """`pad` along the spatial axes."""

    padding = Amounts(required=True)
    mode = Choice(("constant", "reflect", "edge", "wrap"), load_default="constant")


class Crop(LayerSchema):
    """`crop`: take `padding` away from the spatial axes again."""

    padding = Amounts(required=True)


class Upsample(LayerSchema):
    """`upsample` by a `factor` or to a `size`."""

    factor = PerAxis(Positive())
    size = PerAxis(Whole())
    mode = Choice(("nearest", "linear", "cubic"), load_default="nearest")
    align_corners = Flag(load_default=False)

    @validates_schema
    def _one_of(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("factor" in data) == ("size" in data):
            raise ValidationError({"factor": ["required: exactly one of factor and size is required"]})


class Block(LayerSchema):
    """`space_to_depth` and `depth_to_space`."""

    block = Whole(2, required=True)


class Embedding(LayerSchema):
    """`embedding`: indices to vectors, (*places) to (units, *places)."""

    trainable = Flag(load_default=True)
    vocabulary = Whole(required=True)
    units = Whole(required=True)


class Recurrence(WeightSchema):
    """`rnn`, `lstm`, `gru` over (features, time); `sequences` false gives the last state alone.

    `bias`: at the input and at the recurrent weights, as in ONNX and PyTorch, or "single": one for both, as in Keras.
    """

    units = Whole(required=True)
    bidirectional = Flag(load_default=False)
    reverse = Flag(load_default=False)
    sequences = Flag(load_default=True)
    bias = FlagOr("single", load_default=True)


class Attention(WeightSchema):
    """`attention` of all places, or those in a `window` around, to `units` (default: the input's channels).

    Queries, keys and values are `width` long, all heads together (default: `units`).
    """

    heads = Whole(load_default=1)
    units = Whole()
    width = Whole()
    window = PerAxis(Whole())


SCHEMAS: Mapping[str, LayerSchema] = {
    "conv": Conv(),
    "depthwise_conv": DepthwiseConv(),
    "conv_transpose": ConvTranspose(),
    "local": Local(),
    "subsample": Subsample(),
    "pool": Pool(),
    "global_pool": GlobalPool(),
    "dense": Dense(),
    "flatten": LayerSchema(),
    "reshape": Reshape(),
    "permute": Permute(),
    "dropout": LayerSchema(),
    "activation": Activation(),
    "scale": LayerSchema(),
    "batch_norm": BatchNorm(),
    "layer_norm": LayerNorm(),
    "group_norm": GroupNorm(),
    "local_response_norm": LocalResponseNorm(),
    "add": LayerSchema(),
    "subtract": LayerSchema(),
    "multiply": LayerSchema(),
    "average": LayerSchema(),
    "maximum": LayerSchema(),
    "minimum": LayerSchema(),
    "concat": Concat(),
    "pad": Pad(),
    "crop": Crop(),
    "upsample": Upsample(),
    "space_to_depth": Block(),
    "depth_to_space": Block(),
    "embedding": Embedding(),
    "rnn": Recurrence(),
    "lstm": Recurrence(),
    "gru": Recurrence(),
    "attention": Attention(),
}
