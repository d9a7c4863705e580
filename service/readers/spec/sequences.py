"""Layers over sequences: embedding, recurrence, attention. Features are the first axis here too: (features, time)."""

from __future__ import annotations

import math
from typing import Literal

from service.graph.network import Tensor
from service.graph.operators import Contraction, Dense, Elementwise, Embedding, Mixing, Neighbourhood, Recurrent, Reshaping, Transposing
from service.readers.spec.draft import Draft, Refusal, shape_of
from service.readers.spec.windows import per_axis


def embedding(draft: Draft) -> Tensor:
    """A table looked up by index: (*places) to (units, *places)."""
    vocabulary, units, rank = draft.fields["vocabulary"], draft.fields["units"], len(draft.shape)
    rows = draft.apply(Embedding(vocabulary, (units,)), draft.input)
    draft.kernel((vocabulary, units))
    return draft.apply(Transposing((0, rank, *range(1, rank))), rows)


def rnn(draft: Draft) -> Tensor:
    """A plain recurrent layer (Elman)."""
    return _recurrent(draft, "RNN")


def lstm(draft: Draft) -> Tensor:
    """Long short-term memory."""
    return _recurrent(draft, "LSTM")


def gru(draft: Draft) -> Tensor:
    """Gated recurrent units."""
    return _recurrent(draft, "GRU")


def _recurrent(draft: Draft, cell: Literal["RNN", "LSTM", "GRU"]) -> Tensor:
    """(features, time) to (directions · units, time), or (directions · units) without `sequences`. Weights have ONNX's shapes."""
    if len(draft.shape) != 3:
        raise Refusal("", "wrong-rank", f"the input must be (features, time), it is {draft.shape[1:]}")
    fields, (_, features, time) = draft.fields, draft.shape
    if fields["bidirectional"] and fields["reverse"]:
        raise Refusal("reverse", "conflict", "a bidirectional layer has both directions")
    direction: Literal["forward", "reverse", "bidirectional"] = "reverse" if fields["reverse"] else "forward"
    operator = Recurrent(cell, fields["units"], "bidirectional" if fields["bidirectional"] else direction)
    width = operator.gates * operator.hidden
    steps = draft.apply(Transposing((2, 0, 1)), draft.input)
    draft.kernel((operator.directions, width, features))
    draft.kernel((operator.directions, width, operator.hidden), role="recurrence")
    if fields["bias"]:
        draft.bias((operator.directions, width if fields["bias"] == "single" else 2 * width))
    if not fields["sequences"]:
        last = draft.apply(operator, steps, take=1)
        return draft.apply(Reshaping((1, operator.directions * operator.hidden)), draft.apply(Transposing((1, 0, 2)), last))
    states = draft.apply(operator, steps)
    ordered = draft.apply(Transposing((2, 1, 3, 0)), states)
    return draft.apply(Reshaping((1, operator.directions * operator.hidden, time)), ordered)


def attention(draft: Draft) -> Tensor:
    """Multi-head self-attention over (channels, *places), to (units, *places).

    The graph knows it as five layers, so that each has one matrix of weights: `name/query`, `name/key`, `name/value`, the attention `name`
    itself, which has none, and `name/output`. With a `window` a place attends to so many places around it along each spatial axis.
    """
    if len(draft.shape) < 3:
        raise Refusal("", "wrong-rank", f"the input must be (channels, *places), it is {draft.shape[1:]}")
    units, heads = draft.fields.get("units", draft.shape[1]), draft.fields["heads"]
    width = draft.fields.get("width", units)
    if width % heads:
        raise Refusal("heads", "not-divisible", f"{heads} heads do not divide {width} units")
    query, key, value = (_projected(draft, role, width) for role in ("query", "key", "value"))
    draft.begin("", "attention")
    attend = _attend_near if "window" in draft.fields else _attend_all
    mixed = attend(draft, query, key, value, heads)
    draft.begin("output", "dense")
    output = _matrix(draft, "output", mixed, units)
    rank = len(shape_of(output))
    return draft.apply(Transposing((0, rank - 1, *range(1, rank - 1))), output)


def _projected(draft: Draft, role: str, units: int) -> Tensor:
    draft.begin(role, "dense")
    rank = len(draft.shape)
    return _matrix(draft, role, draft.apply(Transposing((0, *range(2, rank), 1)), draft.input), units)


def _matrix(draft: Draft, role: str, value: Tensor, units: int) -> Tensor:
    draft.kernel((shape_of(value)[-1], units), role=f"{role}.kernel")
    if draft.fields["bias"]:
        draft.bias((units,), role=f"{role}.bias")
    return draft.apply(Dense(units), value)


def _attend_all(draft: Draft, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(q·k)·v over all places (Vaswani et al. 2017)."""
    shape = shape_of(query)
    split = Reshaping((1, math.prod(shape[1:-1]), heads, shape[-1] // heads))
    q, k, v = (draft.apply(split, tensor) for tensor in (query, key, value))
    scores = draft.apply(Contraction((("b", "q", "h", "d"), ("b", "k", "h", "d")), ("b", "h", "q", "k")), q, k)
    shares = draft.apply(Mixing((3,), "softmax"), scores)
    mixed = draft.apply(Contraction((("b", "h", "q", "k"), ("b", "k", "h", "d")), ("b", "q", "h", "d")), shares, v)
    return draft.apply(Reshaping(shape), mixed)


def _attend_near(draft: Draft, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """The same within a window: a unit depends on its query, and on the keys of its head and its own value at the places around."""
    shape = shape_of(query)
    split = Reshaping((*shape[:-1], heads, shape[-1] // heads))
    q, k, v = (draft.apply(split, tensor) for tensor in (query, key, value))
    for axis, width in enumerate(per_axis(draft, "window", len(shape) - 2), start=1):
        near = Neighbourhood(axis, (width - 1) // 2, width // 2)
        k, v = draft.apply(near, k), draft.apply(near, v)
    head = Mixing((len(shape),), "matmul")
    mixed = draft.apply(Elementwise("attention"), draft.apply(head, q), draft.apply(head, k), v)
    return draft.apply(Reshaping(shape), mixed)
