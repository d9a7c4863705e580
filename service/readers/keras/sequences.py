"""Keras layers over time: recurrence, one direction or both, and what acts on each step alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from service.readers.keras.conversion import Call, Conversion, Unsupported, Value, inside
from service.readers.keras.units import Converter
from service.readers.keras.windows import geometry

RECURRENT = {"SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru", **{f"ConvLSTM{n}D": "conv_lstm" for n in (1, 2, 3)}}
CELLS = {"SimpleRNNCell": "SimpleRNN", "LSTMCell": "LSTM", "GRUCell": "GRU"}
_JOINS = {"sum": "add", "mul": "multiply", "ave": "average"}


@dataclass(frozen=True, slots=True)
class Passed:
    """What one pass over a sequence gives: the states of all steps or the last one, and, where asked for, its state (and cell)."""

    result: Value
    states: tuple[Value, ...]


def _fields(call: Call, kind: str) -> dict[str, object]:
    """What a spec layer of this kind takes from Keras's configuration."""
    if kind == "conv_lstm":
        if call.config.get("data_format") == "channels_first":
            raise Unsupported("config/data_format", "convolutional recurrence is supported with channels last")
        return {**geometry(call), "filters": call.config.get("filters"), "bias": call.flag("use_bias", True)}
    # Keras stores one set of biases; a GRU with reset_after (the default since 2.0) stores two, as ONNX does.
    twice = kind == "gru" and call.flag("reset_after", False)
    return {"units": call.config.get("units"), "bias": call.flag("use_bias", True) and (twice or "single")}


def _pass(c: Conversion, call: Call, states: tuple[Value, ...], part: str = "", **fields: object) -> Passed:
    """One recurrent layer, from the initial states that it is given."""
    kind = RECURRENT[call.kind]
    value, sequences, returned = (
        c.turned(call, call.inputs[0], True),
        call.flag("return_sequences", False),
        call.flag("return_state", False),
    )
    maps = kind == "conv_lstm"
    initial = tuple(c.turned(call, state, True) for state in states)
    more = {**_fields(call, kind), **fields, "sequences": sequences, "states": returned or None}
    name = c.emit(call, kind, value, *initial, part=part, **more)
    last = Value("", value.rank - 1 if maps else 1, maps)
    names = [f"{name}/state", *([f"{name}/cell"] if kind in ("lstm", "conv_lstm") else [])] if returned else []
    result = Value(name, value.rank if sequences else last.rank, maps or sequences)
    return Passed(result, tuple(replace(last, name=each) for each in names))


def recurrent_layer(c: Conversion, call: Call) -> tuple[Value, ...]:
    """SimpleRNN, LSTM, GRU, ConvLSTM in their own direction. Keras gives the sequence in the order in which the steps were taken."""
    reverse = call.flag("go_backwards", False)
    passed = _pass(c, call, call.inputs[1:], reverse=reverse or None)
    result = passed.result
    if reverse and call.flag("return_sequences", False):
        result = replace(result, name=c.emit(call, "flip", result, part="order", axis=result.axis(1)))
    return result, *passed.states


def recurrent_cell(c: Conversion, call: Call) -> tuple[Value, ...]:
    """RNN around a cell, which is the layer of the cell's kind, or around a stack of them, one after the other."""
    outer = call.wrapped("cell")
    if outer.kind != "StackedRNNCells":
        return recurrent_layer(c, _layer_of(outer, call, call.config, call.pointer))
    cells = outer.config.get("cells")
    if not isinstance(cells, list) or not cells:
        raise Unsupported("config/cell/config/cells", "must be a list of cells", "not-a-list")
    states = call.inputs[1:]
    values: tuple[Value, ...] = call.inputs[:1]
    returned: list[Value] = []
    for index, cell in enumerate(cells):
        inner = outer.inner(f"config/cells/{index}", cell)
        config = {**call.config, **({} if index == len(cells) - 1 else {"return_sequences": True})}
        size = 2 if inner.kind == "LSTMCell" else 1
        own, states = states[:size], states[size:]
        layer = _layer_of(replace(inner, inputs=(values[0], *own)), call, config, inner.pointer)
        values = _cell_pass(c, layer, str(index) if index < len(cells) - 1 else "")
        returned += values[1:]
    return values[0], *returned


def _layer_of(cell: Call, around: Call, config: Any, pointer: str) -> Call:
    """The layer whose steps a cell takes, with what the layer around it says about the sequence."""
    if cell.kind not in CELLS:
        raise Unsupported("config/cell", f"a cell of the class {cell.kind[:100]!r} is not supported", "unsupported-layer")
    own = {key: value for key, value in config.items() if key not in ("cell", "units", "use_bias", "reset_after")}
    return replace(cell, kind=CELLS[cell.kind], config={**cell.config, **own}, pointer=pointer, labels=("",) * len(cell.inputs))


def _cell_pass(c: Conversion, call: Call, part: str) -> tuple[Value, ...]:
    passed = _pass(c, call, call.inputs[1:], part=part, reverse=call.flag("go_backwards", False) or None)
    return passed.result, *passed.states


def bidirectional(c: Conversion, call: Call) -> tuple[Value, ...]:
    """Bidirectional: both directions, side by side or joined unit by unit."""
    inner, mode = _direction(call, "layer"), call.config.get("merge_mode", "concat")
    if mode is not None and not (isinstance(mode, str) and (mode == "concat" or mode in _JOINS)):
        raise Unsupported("config/merge_mode", "must be concat, sum, mul, ave or null", "wrong-merge-mode")
    with inside("config/layer"):
        other = _backward(call, inner)
        plain = mode == "concat" and len(call.inputs) == 1 and other is inner and not inner.flag("return_state", False)
        if plain and RECURRENT[inner.kind] != "conv_lstm":
            return (_both(c, inner),)
        half = (len(inner.inputs) + 1) // 2
        forward = _pass(c, inner, inner.inputs[1:half], part="forward")
        backward = _pass(c, other, other.inputs[half:], part="backward", reverse=True)
    states = (*forward.states, *backward.states)
    if mode is None:
        return forward.result, backward.result, *states
    how = {"axis": forward.result.axis(-1)} if mode == "concat" else {}
    name = c.emit(call, _JOINS.get(mode, "concat"), forward.result, backward.result, **how)
    return replace(forward.result, name=name), *states


def _direction(call: Call, key: str) -> Call:
    """The recurrent layer of one direction; one around a cell is the layer of that cell's kind."""
    with inside(f"config/{key}"):
        layer = call.wrapped(key)
        if layer.kind == "RNN":
            layer = _layer_of(layer.wrapped("cell"), layer, layer.config, layer.pointer)
        if layer.kind not in RECURRENT:
            raise Unsupported("class_name", f"Bidirectional of {layer.kind[:100]!r} is not supported")
    return layer


def _backward(call: Call, forward: Call) -> Call:
    """The layer of the other direction: the same again, unless it is stated and another one."""
    if call.config.get("backward_layer") is None:
        return forward
    other = _direction(call, "backward_layer")
    telling = ("units", "filters", "kernel_size", "use_bias", "reset_after")
    same = other.kind == forward.kind and all(other.config.get(key) == forward.config.get(key) for key in telling)
    return forward if same else other


def _both(c: Conversion, call: Call) -> Value:
    """Both directions as one layer."""
    return _pass(c, call, (), bidirectional=True).result


def time_distributed(c: Conversion, call: Call) -> tuple[Value, ...]:
    """TimeDistributed: the layer on each step alone. One that acts on the last axis or on each unit anyway needs nothing around it."""
    inner = call.wrapped()
    with inside("config/layer"):
        if inner.kind in POSITIONWISE:
            return c.layer(inner)
        source = call.input
        axis = source.axis(1)
        steps = Value(c.emit(call, "to_batch", source, part="steps", axis=axis), source.rank - 1, source.rotated, source.guessed)
        results = c.layer(replace(inner, inputs=(steps,), labels=("",)))
    return tuple(_gathered(c, call, result, source, place) for place, result in enumerate(results))


def _gathered(c: Conversion, call: Call, result: Value, source: Value, place: int) -> Value:
    """The steps as an axis again: the first one of Keras."""
    rotated = result.rotated or result.rank == 1
    name = c.emit(call, "from_batch", result, source, part=f"time{place or ''}", axis=1 if rotated else 0)
    return replace(result, name=name, rank=result.rank + 1, rotated=rotated)


POSITIONWISE = {"Dense", "Activation", "Dropout", "ReLU", "LeakyReLU", "ELU", "LayerNormalization"}

CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(RECURRENT, recurrent_layer),
    "RNN": recurrent_cell,
    "Bidirectional": bidirectional,
    "TimeDistributed": time_distributed,
}
