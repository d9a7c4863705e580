"""The table of layer types: what each is called in the report, how many inputs it takes, and the rule that lowers it to core operators.

Adding a type is one schema in `service.readers.spec.layers`, one rule, one entry here and one test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.graph.network import Kind
from service.readers.spec import sequences, shapes, units, windows
from service.readers.spec.draft import Rule


@dataclass(frozen=True, slots=True)
class LayerType:
    """One type of layer; `joins` says that it takes two inputs or more, and not one."""

    kind: Kind
    rule: Rule
    joins: bool = False


TYPES: Mapping[str, LayerType] = {
    "conv": LayerType("convolution", windows.conv),
    "depthwise_conv": LayerType("convolution", windows.depthwise_conv),
    "conv_transpose": LayerType("transposed-convolution", windows.conv_transpose),
    "local": LayerType("locally-connected", windows.local),
    "subsample": LayerType("pooling", windows.subsample),
    "pool": LayerType("pooling", windows.pool),
    "global_pool": LayerType("global", windows.global_pool),
    "dense": LayerType("dense", units.dense),
    "flatten": LayerType("reshape", shapes.flatten),
    "reshape": LayerType("reshape", shapes.reshape),
    "permute": LayerType("reshape", shapes.permute),
    "dropout": LayerType("other", units.dropout),
    "activation": LayerType("activation", units.activation),
    "scale": LayerType("other", units.scale),
    "batch_norm": LayerType("normalization", units.batch_norm),
    "layer_norm": LayerType("normalization", units.layer_norm),
    "group_norm": LayerType("normalization", units.group_norm),
    "local_response_norm": LayerType("normalization", units.local_response_norm),
    "add": LayerType("other", units.join("add"), joins=True),
    "subtract": LayerType("other", units.join("sub"), joins=True),
    "multiply": LayerType("other", units.join("mul"), joins=True),
    "average": LayerType("other", units.join("mean"), joins=True),
    "maximum": LayerType("other", units.join("max"), joins=True),
    "minimum": LayerType("other", units.join("min"), joins=True),
    "concat": LayerType("reshape", units.concat, joins=True),
    "pad": LayerType("reshape", shapes.pad),
    "crop": LayerType("reshape", shapes.crop),
    "upsample": LayerType("resampling", shapes.upsample),
    "space_to_depth": LayerType("reshape", shapes.space_to_depth),
    "depth_to_space": LayerType("reshape", shapes.depth_to_space),
    "embedding": LayerType("embedding", sequences.embedding),
    "rnn": LayerType("recurrent", sequences.rnn),
    "lstm": LayerType("recurrent", sequences.lstm),
    "gru": LayerType("recurrent", sequences.gru),
    "attention": LayerType("attention", sequences.attention),
}
