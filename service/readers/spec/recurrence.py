"""Layers over time: recurrence of features, (features, time), and of maps, (channels, time, *space)."""

from __future__ import annotations

from typing import Literal

from service.graph.geometry import same_padding
from service.graph.network import Tensor
from service.graph.operators import (
    Concatenation,
    Convolution,
    Cumulation,
    Elementwise,
    Expanding,
    Neighbourhood,
    Operator,
    Recurrent,
    Reduction,
    Reshaping,
    Shape,
    Slicing,
    Transposing,
)
from service.readers.spec.draft import Draft, Refusal, shape_of
from service.readers.spec.windows import check_fit, window

Cell = Literal["RNN", "LSTM", "GRU"]


def rnn(draft: Draft) -> Tensor:
    """A plain recurrent layer (Elman)."""
    return _recurrent(draft, "RNN")


def lstm(draft: Draft) -> Tensor:
    """Long short-term memory."""
    return _recurrent(draft, "LSTM")


def gru(draft: Draft) -> Tensor:
    """Gated recurrent units."""
    return _recurrent(draft, "GRU")


def _recurrent(draft: Draft, cell: Cell) -> Tensor:
    """(features, time) to (directions · units, time), or (directions · units) without `sequences`. Weights have ONNX's shapes.

    Further inputs are the initial state and, for an LSTM, the initial cell. With `states` the last ones are `name/state` and `name/cell`.
    """
    if len(draft.shape) != 3:
        raise Refusal("", "wrong-rank", f"the input must be (features, time), it is {draft.shape[1:]}")
    fields, (batch, features, time) = draft.fields, draft.shape
    if fields["bidirectional"] and fields["reverse"]:
        raise Refusal("reverse", "conflict", "a bidirectional layer has both directions")
    direction: Literal["forward", "reverse", "bidirectional"] = "reverse" if fields["reverse"] else "forward"
    operator = Recurrent(cell, fields["units"], "bidirectional" if fields["bidirectional"] else direction)
    width = operator.gates * operator.hidden
    steps = draft.apply(Transposing((2, 0, 1)), draft.input)
    states = [_initial(draft, operator, place) for place in range(1, len(draft.inputs))]
    draft.kernel((operator.directions, width, features))
    draft.kernel((operator.directions, width, operator.hidden), role="recurrence")
    if fields["bias"]:
        draft.bias((operator.directions, width if fields["bias"] == "single" else 2 * width))
    every, last, memory = draft.apply_all(operator, steps, *states)
    if fields["states"]:
        draft.result("state", _last(draft, operator, last))
        if cell == "LSTM":
            draft.result("cell", _last(draft, operator, memory))
    if not fields["sequences"]:
        return _last(draft, operator, last)
    ordered = draft.apply(Transposing((2, 1, 3, 0)), every)
    return draft.apply(Reshaping((batch, operator.directions * operator.hidden, time)), ordered)


def _initial(draft: Draft, operator: Recurrent, place: int) -> Tensor:
    """An input (directions · units) as a state (directions, batch, units)."""
    if place > (2 if operator.cell == "LSTM" else 1):
        raise Refusal(f"inputs/{place}", "wrong-length", f"{draft.fields['type']} has no state for this input")
    tensor, batch = draft.inputs[place], draft.shape[0]
    wanted = (batch, operator.directions * operator.hidden)
    if shape_of(tensor) != wanted:
        raise Refusal(f"inputs/{place}", "shape-mismatch", f"the initial state must be {wanted[1:]}, it is {shape_of(tensor)[1:]}")
    split = draft.apply(Reshaping((batch, operator.directions, operator.hidden)), tensor)
    return draft.apply(Transposing((1, 0, 2)), split)


def _last(draft: Draft, operator: Recurrent, state: Tensor) -> Tensor:
    """A state (directions, batch, units) as (directions · units)."""
    turned = draft.apply(Transposing((1, 0, 2)), state)
    return draft.apply(Reshaping((draft.shape[0], operator.directions * operator.hidden)), turned)


def conv_lstm(draft: Draft) -> Tensor:
    """A recurrence whose gates are convolutions of maps (Shi et al. 2015): (channels, time, *space) to (filters, time, *space).

    The state is read through a window of the same kernel that keeps its size. Where the input is read through the same window, both are
    one convolution; else the input has a layer of its own, `name/input`.
    """
    shape, fields = draft.shape, draft.fields
    if not 4 <= len(shape) <= 6:
        raise Refusal("", "wrong-rank", f"the input must be (channels, time, *space) with 1 to 3 spatial axes, it is {shape[1:]}")
    kernel, strides, dilations, pads = window(draft, shape[3:])
    filters = fields["filters"]
    over_space = Convolution((1, *kernel), (1, *strides), (1, *dilations), ((0, 0), *pads), 4 * filters)
    check_fit(over_space, shape[2:])
    ones = (1,) * len(kernel)
    kept = tuple(same_padding(n, k, 1, 1) for n, k in zip(shape[3:], kernel, strict=True))
    roles = {"kernel": (4 * filters, shape[1], 1, *kernel), "recurrence": (4 * filters, filters, 1, *kernel)}
    if (strides, dilations, pads) == (ones, ones, kept):
        draft.kernel(roles["kernel"])
        draft.kernel(roles["recurrence"], role="recurrence")
        gates = draft.apply(over_space, draft.apply(Concatenation(1), draft.input, _before(draft, draft.input, kernel, filters)))
        _gate_biases(draft)
    else:
        draft.begin("input", "recurrent")
        draft.kernel(roles["kernel"])
        own = draft.apply(over_space, draft.input)
        _gate_biases(draft)
        draft.begin("", "recurrent")
        draft.kernel(roles["recurrence"], role="recurrence")
        places = tuple(same_padding(n, k, 1, 1) for n, k in zip(shape_of(own)[3:], kernel, strict=True))
        again = Convolution((1, *kernel), (1, *ones), (1, *ones), ((0, 0), *places), 4 * filters)
        gates = draft.apply(Elementwise("add"), own, draft.apply(again, _before(draft, own, kernel, filters)))
    return _cell_results(draft, gates)


def _gate_biases(draft: Draft) -> None:
    if draft.fields["bias"]:
        draft.bias((4 * draft.fields["filters"],))


def _before(draft: Draft, tensor: Tensor, kernel: Shape, filters: int) -> Tensor:
    """The state that a step reads: of all steps before, each seen through one more window than the next."""
    shape = shape_of(tensor)
    state = draft.apply(Reduction((1,)), tensor)
    for axis, width in enumerate(kernel, start=3):
        reach = [(shape[2] - 1) * side for side in same_padding(shape[axis], width, 1, 1)]
        if any(reach):
            state = draft.apply(Neighbourhood(axis, *(min(side, shape[axis]) for side in reach)), state)
    state = draft.apply(Cumulation(2, draft.fields["reverse"], exclusive=True), state)
    return draft.apply(Expanding((shape[0], filters, *shape[2:])), state)


def _cell_results(draft: Draft, gates: Tensor) -> Tensor:
    """The gates (4 · filters, time, *space) joined to the states of all steps, or of the last one."""
    (batch, _, time, *space), filters = shape_of(gates), draft.fields["filters"]
    split = draft.apply(Reshaping((batch, 4, filters, time, *space)), gates)
    states = draft.apply(Reduction((1,), keepdims=False), split)
    for place in range(1, len(draft.inputs)):
        states = draft.apply(Elementwise("add"), states, _initial_maps(draft, place, (batch, filters, *space)))
    last = Slicing(2, 0 if draft.fields["reverse"] else time - 1, 1, 1)
    if draft.fields["states"]:
        for name in ("state", "cell"):
            draft.result(name, _step(draft, last, states))
    return states if draft.fields["sequences"] else _step(draft, last, states)


def _initial_maps(draft: Draft, place: int, wanted: Shape) -> Tensor:
    """An initial state or cell (filters, *space), which every step depends on."""
    shape = shape_of(draft.inputs[place])
    if shape != wanted:
        raise Refusal(f"inputs/{place}", "shape-mismatch", f"the initial state must be {wanted[1:]}, it is {shape[1:]}")
    return draft.apply(Reshaping((*shape[:2], 1, *shape[2:])), draft.inputs[place])


def _step(draft: Draft, last: Operator, states: Tensor) -> Tensor:
    """The maps of one step."""
    shape = shape_of(states)
    return draft.apply(Reshaping((*shape[:2], *shape[3:])), draft.apply(last, states))
