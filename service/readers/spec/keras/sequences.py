"""Keras layers over sequences: embedding and recurrence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.readers.spec.keras.conversion import Call, Conversion, Unsupported, Value, inside


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
