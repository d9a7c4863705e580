"""The table of layer types. Adding one is an entry here, a small function (its rule) and a test."""

from __future__ import annotations

from collections.abc import Mapping

from service.edits import PADDINGS
from service.limits import MAX_LAYERS
from service.readers.spec import attention, recurrence, shapes, units, windows
from service.readers.spec.fields import (
    MAX_RANK,
    Amounts,
    Choice,
    Flag,
    FlagOr,
    ListOf,
    Numbers,
    PerAxis,
    Positive,
    Strict,
    Text,
    Ties,
    Whole,
)
from service.readers.spec.record import JOINS, LayerType

_AXIS = Whole(-MAX_RANK, MAX_RANK)
_KERNEL: Mapping[str, Strict] = {"kernel": PerAxis(Whole(), required=True)}
_WINDOW: Mapping[str, Strict] = {
    **_KERNEL,
    "stride": PerAxis(Whole(), load_default=1),
    "padding": Amounts(PADDINGS, load_default=0),
    "dilation": PerAxis(Whole(), load_default=1),
}
_TRAINABLE: Mapping[str, Strict] = {"trainable": Flag(load_default=True)}
_WEIGHTS: Mapping[str, Strict] = {**_TRAINABLE, "bias": Flag(load_default=True)}
_CONVOLUTION: Mapping[str, Strict] = {**_WINDOW, **_TRAINABLE, "bias": FlagOr("untied", load_default=True), "weights": Numbers()}
_FILTERS: Mapping[str, Strict] = {"filters": Whole(required=True), "groups": Whole(load_default=1)}
_MODE = Choice(("max", "avg", "lp"), load_default="max")
_AFFINE: Mapping[str, Strict] = {"affine": FlagOr("scale", "shift", load_default=True)}
_ALONG: Mapping[str, Strict] = {"axis": Whole(-MAX_RANK, MAX_RANK, required=True)}
_BLOCK: Mapping[str, Strict] = {"block": Whole(2, required=True)}
_RECURRENCE: Mapping[str, Strict] = {
    **_TRAINABLE,
    "units": Whole(required=True),
    "bidirectional": Flag(load_default=False),
    "reverse": Flag(load_default=False),
    "sequences": Flag(load_default=True),
    "states": Flag(load_default=False),
    "bias": FlagOr("single", load_default=True),
}
_WITH_STATES = (1, 3)
"""The inputs of a recurrent layer: the sequence, the initial state, the initial cell."""

TYPES: Mapping[str, LayerType] = {
    "conv": LayerType(
        "A convolution. `weights` are (filters, maps of a group, *kernel); `bias` is one for each map, or, untied, for each unit.",
        "convolution",
        windows.conv,
        {**_CONVOLUTION, **_FILTERS, "connection_table": ListOf(ListOf(Whole(0)))},
    ),
    "depthwise_conv": LayerType(
        "A convolution with `multiplier` filters for each map. `weights` are (maps · multiplier, 1, *kernel).",
        "convolution",
        windows.depthwise_conv,
        {**_CONVOLUTION, "multiplier": Whole(load_default=1)},
    ),
    "conv_transpose": LayerType(
        "A transposed convolution. `weights` are (maps, filters of a group, *kernel).",
        "transposed-convolution",
        windows.conv_transpose,
        {
            **_CONVOLUTION,
            **_FILTERS,
            "padding": Amounts(("valid", "same", "same_lower"), load_default=0),
            "output_padding": PerAxis(Whole(0), load_default=0),
        },
    ),
    "local": LayerType("A kernel of its own at every place.", "locally-connected", windows.local, {**_WINDOW, **_WEIGHTS, **_FILTERS}),
    "subsample": LayerType(
        "LeNet's pooling: the sum of a window times one coefficient per map, plus one bias per map.",
        "pooling",
        windows.subsample,
        {**_WEIGHTS, **_KERNEL, "stride": PerAxis(Whole())},
    ),
    "pool": LayerType(
        "Pooling over windows; they do not overlap unless `stride` says so.",
        "pooling",
        windows.pool,
        {**_WINDOW, "mode": _MODE, "stride": PerAxis(Whole()), "ceil_mode": Flag(load_default=False)},
    ),
    "adaptive_pool": LayerType(
        "Pooling over windows to `size` places along each spatial axis.",
        "pooling",
        windows.adaptive_pool,
        {"mode": Choice(("max", "avg"), load_default="avg"), "size": PerAxis(Whole(), required=True)},
    ),
    "global_pool": LayerType(
        "Pooling over all spatial axes, which stay with length 1 unless `keepdims` is false.",
        "global",
        windows.global_pool,
        {"mode": Choice(_MODE.choices, load_default="avg"), "keepdims": Flag(load_default=True)},
    ),
    "dense": LayerType(
        "A matrix along `axis` (default: the last). `weights` are (inputs, units), or (groups, units) with `tie`.",
        "dense",
        units.dense,
        {**_WEIGHTS, "units": Whole(required=True), "axis": _AXIS, "tie": Ties(), "weights": Numbers()},
    ),
    "flatten": LayerType("All units on one axis.", "reshape", shapes.flatten),
    "reshape": LayerType(
        "Another shape without the batch; one length may be -1, which takes what is left.",
        "reshape",
        shapes.reshape,
        {"shape": ListOf(Whole(-1), minimum=0, maximum=MAX_RANK, required=True)},
    ),
    "permute": LayerType(
        "The axes without the batch, from 0, in a new order.",
        "reshape",
        shapes.permute,
        {"order": ListOf(Whole(0, MAX_RANK), maximum=MAX_RANK, required=True)},
    ),
    "dropout": LayerType("The identity at inference.", "other", units.dropout),
    "activation": LayerType(
        "A function of each unit. `axis` is where a softmax acts (default: the channels); with `untied` a prelu has a slope for each unit.",
        "activation",
        units.activation,
        {"function": Choice(units.FUNCTIONS, required=True), "untied": Flag(load_default=False), "axis": _AXIS},
    ),
    "scale": LayerType("A trained factor for each channel (LayerScale).", "other", units.scale),
    "batch_norm": LayerType(
        "Normalisation of the channels. `affine` stores a scale and a shift, or just the one that is named.",
        "normalization",
        units.batch_norm,
        _AFFINE,
    ),
    "layer_norm": LayerType(
        "Normalisation over `axes` (default: the channels).",
        "normalization",
        units.layer_norm,
        {**_AFFINE, "axes": ListOf(_AXIS, maximum=MAX_RANK)},
    ),
    "group_norm": LayerType(
        "Normalisation over all places and the channels of a group.",
        "normalization",
        units.group_norm,
        {**_AFFINE, "groups": Whole(required=True)},
    ),
    "local_response_norm": LayerType(
        "Each unit is divided by its `size` neighbours across the maps (AlexNet 2012).",
        "normalization",
        units.local_response_norm,
        {"size": Whole(load_default=5)},
    ),
    "add": LayerType("The sum of the inputs.", "other", units.join("add"), inputs=JOINS),
    "subtract": LayerType("The first input without the others.", "other", units.join("sub"), inputs=JOINS),
    "multiply": LayerType("The product of the inputs.", "other", units.join("mul"), inputs=JOINS),
    "average": LayerType("The mean of the inputs.", "other", units.join("mean"), inputs=JOINS),
    "maximum": LayerType("The largest of the inputs.", "other", units.join("max"), inputs=JOINS),
    "minimum": LayerType("The smallest of the inputs.", "other", units.join("min"), inputs=JOINS),
    "concat": LayerType(
        "The inputs one after the other along an axis without the batch.",
        "reshape",
        units.concat,
        {"axis": Whole(-MAX_RANK, MAX_RANK, load_default=0)},
        inputs=JOINS,
    ),
    "pad": LayerType(
        "More units around the spatial axes.",
        "reshape",
        shapes.pad,
        {"padding": Amounts(required=True), "mode": Choice(("constant", "reflect", "edge", "wrap"), load_default="constant")},
    ),
    "crop": LayerType("Fewer units around the spatial axes.", "reshape", shapes.crop, {"padding": Amounts(required=True)}),
    "upsample": LayerType(
        "Interpolation by a `factor` or to a `size`.",
        "resampling",
        shapes.upsample,
        {
            "factor": PerAxis(Positive()),
            "size": PerAxis(Whole()),
            "mode": Choice(("nearest", "linear", "cubic"), load_default="nearest"),
            "align_corners": Flag(load_default=False),
        },
        one_of=("factor", "size"),
    ),
    "space_to_depth": LayerType("Blocks of space become channels.", "reshape", shapes.space_to_depth, _BLOCK),
    "depth_to_space": LayerType("Channels become blocks of space.", "reshape", shapes.depth_to_space, _BLOCK),
    "embedding": LayerType(
        "Indices to vectors, (*places) to (units, *places).",
        "embedding",
        units.embedding,
        {**_TRAINABLE, "vocabulary": Whole(required=True), "units": Whole(required=True)},
    ),
    "rnn": LayerType("A plain recurrent layer over (features, time).", "recurrent", recurrence.rnn, _RECURRENCE, inputs=_WITH_STATES),
    "lstm": LayerType("Long short-term memory over (features, time).", "recurrent", recurrence.lstm, _RECURRENCE, inputs=_WITH_STATES),
    "gru": LayerType("Gated recurrent units over (features, time).", "recurrent", recurrence.gru, _RECURRENCE, inputs=_WITH_STATES),
    "conv_lstm": LayerType(
        "Long short-term memory of maps over (channels, time, *space): its gates are convolutions.",
        "recurrent",
        recurrence.conv_lstm,
        {
            **_WINDOW,
            **_WEIGHTS,
            "filters": Whole(required=True),
            "padding": Amounts(PADDINGS, load_default="same"),
            "reverse": Flag(load_default=False),
            "sequences": Flag(load_default=True),
            "states": Flag(load_default=False),
        },
        inputs=_WITH_STATES,
    ),
    "attention": LayerType(
        "Attention of all places, or those in a `window` around, to `units` (default: the input's channels). Queries, keys and values are "
        "`width` long, all heads together (default: `units`). Further inputs are what is attended to: keys, and values where they differ.",
        "attention",
        attention.attention,
        {
            **_WEIGHTS,
            "heads": Whole(load_default=1),
            "key_value_heads": Whole(),
            "units": Whole(),
            "width": Whole(),
            "value_width": Whole(),
            "window": PerAxis(Whole()),
            "axes": ListOf(_AXIS, maximum=MAX_RANK),
        },
        inputs=(1, 3),
    ),
    "attend": LayerType(
        "Values (the third input, else the second) weighted by the scores of queries (the first) with keys (the second), unprojected.",
        "attention",
        attention.attend,
        {**_TRAINABLE, "score": Choice(("dot", "concat", "additive"), load_default="dot"), "scale": Flag(load_default=False)},
        inputs=(1, 3),
    ),
    "dot": LayerType(
        "The sums of products of two inputs along one axis of each, without the batch.",
        "other",
        units.dot,
        {"axes": ListOf(_AXIS, minimum=2, maximum=2, required=True)},
        inputs=(2, 2),
    ),
    "flip": LayerType("The units of an axis in the opposite order.", "reshape", shapes.flip, _ALONG),
    "to_batch": LayerType("The units of an axis become samples, each read alone by what follows.", "reshape", shapes.to_batch, _ALONG),
    "from_batch": LayerType(
        "The samples become an axis again. The second input is what `to_batch` read.", "reshape", shapes.from_batch, _ALONG, inputs=(2, 2)
    ),
    "unknown": LayerType(
        "A layer that nothing is known of, but perhaps the `shape` of its result; `reason` says why.",
        "other",
        units.unknown,
        {"shape": ListOf(Whole(), maximum=MAX_RANK), "reason": Text()},
        inputs=(1, MAX_LAYERS),
    ),
}
