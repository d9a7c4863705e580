"""Keras layers over sequences: embedding and recurrence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.readers.keras.conversion import Call, Conversion, Unsupported, Value, inside


def embedding(c: Conversion, call: Call) -> Value:
    """Embedding: indices (…) to vectors (…, units)."""
    value, config = c.turned(call, call.input, False), call.config
    name = c.emit(call, "embedding", value, vocabulary=config.get("input_dim"), units=config.get("output_dim"))
    return Value(name, value.rank + 1, True)


def _recurrent(c: Conversion, call: Call, kind: str, part: str = "", **fields: Any) -> Value:
    if call.flag("return_state", False):
        raise Unsupported("config/return_state", "a recurrent layer that returns its state is not supported")
    value, config, sequences = c.turned(call, call.input, True), call.config, call.flag("return_sequences", False)
    # Keras stores one set of biases; a GRU with reset_after (the default since 2.0) stores two, as ONNX does.
    twice = kind == "gru" and call.flag("reset_after", False)
    bias: bool | str = call.flag("use_bias", True) and (twice or "single")
    name = c.emit(call, kind, value, part=part, units=config.get("units"), sequences=sequences, bias=bias, **fields)
    return Value(name, 2, True) if sequences else Value(name, 1)


def recurrent_layer(c: Conversion, call: Call) -> Value:
    """SimpleRNN, LSTM or GRU in its own direction."""
    reverse = call.flag("go_backwards", False)
    if reverse and call.flag("return_sequences", False):
        raise Unsupported("config/go_backwards", "sequences that come out backwards are not supported")
    return _recurrent(c, call, RECURRENT[call.kind], reverse=reverse)


RECURRENT = {"SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru"}


def recurrent_cell(c: Conversion, call: Call) -> Value:
    """RNN around one cell, which is the layer of the cell's kind."""
    cell = call.config.get("cell")
    kind = cell.get("class_name") if isinstance(cell, dict) else None
    config = cell.get("config") if isinstance(cell, dict) else None
    if not isinstance(kind, str) or kind.removesuffix("Cell") not in RECURRENT or not isinstance(config, dict):
        raise Unsupported("config/cell", "one cell of the kinds SimpleRNNCell, LSTMCell and GRUCell is supported")
    return recurrent_layer(c, replace(call, kind=kind.removesuffix("Cell"), config={**config, **call.config}))


def attention(c: Conversion, call: Call) -> Value:
    """MultiHeadAttention of a sequence to itself."""
    config, heads = call.config, call.integer("num_heads")
    if len({value.name for value in call.inputs}) != 1:
        raise Unsupported("inbound_nodes", "attention is supported where query, key and value are the same tensor")
    if config.get("value_dim") not in (None, config.get("key_dim")) or config.get("attention_axes") is not None:
        raise Unsupported("config", "attention is supported over all places, with values as long as the keys")
    value = c.turned(call, call.inputs[0], True)
    units = call.integers("output_shape")[-1] if config.get("output_shape") is not None else None
    fields = {"heads": heads, "width": heads * call.integer("key_dim"), "units": units, "bias": call.flag("use_bias", True)}
    return replace(value, name=c.emit(call, "attention", value, **fields))


def bidirectional(c: Conversion, call: Call) -> Value:
    """Bidirectional: both directions, side by side or joined unit by unit."""
    inner, mode = call.wrapped(), call.config.get("merge_mode", "concat")
    if inner.kind not in RECURRENT:
        raise Unsupported("config/layer/class_name", f"Bidirectional of {inner.kind[:100]!r} is not supported")
    kind, joins = RECURRENT[inner.kind], {"sum": "add", "mul": "multiply", "ave": "average"}
    if mode != "concat" and not (isinstance(mode, str) and mode in joins):
        raise Unsupported("config/merge_mode", "must be concat, sum, mul or ave", "unsupported-merge-mode")
    with inside("config/layer"):
        if mode == "concat":
            return _recurrent(c, inner, kind, bidirectional=True)
        forward, backward = (_recurrent(c, inner, kind, part, reverse=part == "backward") for part in ("forward", "backward"))
    return replace(forward, name=c.emit(call, joins[mode], forward, backward))
