"""Attention over (channels, *places): with projections of its own, and the bare weighting of values by scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.graph.network import Tensor
from service.graph.operators import Contraction, Dense, Elementwise, Mixing, Neighbourhood, Reshaping, Shape, Slicing, Transposing
from service.readers.spec.draft import Draft, Refusal, shape_of
from service.readers.spec.units import tensor_axis
from service.readers.spec.windows import per_axis


@dataclass(frozen=True, slots=True)
class Heads:
    """How many heads ask, and how many keys and values they share (equal but for grouped queries)."""

    queries: int
    keys: int


def attention(draft: Draft) -> Tensor:
    """Multi-head attention of the first input to the second (by default itself), to (units, *places).

    The graph knows it as five layers, so that each has one matrix of weights: `name/query`, `name/key`, `name/value`, the attention `name`
    itself, which has none, and `name/output`. With a `window` a place attends to so many places around it along each spatial axis; with
    `axes` to those along these axes.
    """
    query, key, value = _sources(draft)
    fields, units = draft.fields, draft.fields.get("units", draft.shape[1])
    width, heads = fields.get("width", units), _heads(draft, fields.get("width", units))
    deep = fields.get("value_width", width)
    if deep % heads.queries:
        raise Refusal("value_width", "not-divisible", f"{heads.queries} heads do not divide {deep} units")
    q = _projected(draft, "query", query, width)
    k = _projected(draft, "key", key, width // heads.queries * heads.keys)
    v = _projected(draft, "value", value, deep // heads.queries * heads.keys)
    draft.begin("", "attention")
    mixed = _attend_near(draft, q, k, v, heads) if "window" in fields else _attend_along(draft, q, k, v, heads)
    draft.begin("output", "dense")
    return _channels_first(draft, _matrix(draft, "output", mixed, units))


def attend(draft: Draft) -> Tensor:
    """Values (by default the keys) weighted by the scores of queries with keys, without projections.

    Luong et al. 2015 (`dot`), Bahdanau et al. 2015 (`additive`): with `scale` the sums of products have a trained factor, `additive`
    scores one for each channel; `concat` is additive with one factor for all of them.
    """
    query, key, value = _sources(draft)
    score = draft.fields["score"]
    if shape_of(query)[1] != shape_of(key)[1]:
        raise Refusal("inputs/1", "shape-mismatch", f"queries have {shape_of(query)[1]} channels, keys have {shape_of(key)[1]}")
    if draft.fields["scale"]:
        draft.other("scale", (shape_of(query)[1],) if score == "additive" else ())
    if score == "concat":
        draft.other("score", ())
    q, k, v = (_channels_last(draft, tensor) for tensor in (query, key, value))
    return _channels_first(draft, _attend_along(draft, q, k, v, Heads(1, 1)))


def _sources(draft: Draft) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of one to three inputs of the same rank: the query alone attends to itself, values are keys by default."""
    query, *rest = draft.inputs
    key = rest[0] if rest else query
    value = rest[1] if len(rest) > 1 else key
    if len(draft.shape) < 3:
        raise Refusal("", "wrong-rank", f"the input must be (channels, *places), it is {draft.shape[1:]}")
    for place, tensor in enumerate(rest, start=1):
        if len(shape_of(tensor)) != len(draft.shape):
            raise Refusal(f"inputs/{place}", "wrong-rank", f"{shape_of(tensor)[1:]} and {draft.shape[1:]} have different ranks")
    if shape_of(key)[2:] != shape_of(value)[2:]:
        raise Refusal("inputs/2", "shape-mismatch", f"keys are {shape_of(key)[1:]} and values {shape_of(value)[1:]}: their places differ")
    return query, key, value


def _heads(draft: Draft, width: int) -> Heads:
    heads = draft.fields["heads"]
    if width % heads:
        raise Refusal("heads", "not-divisible", f"{heads} heads do not divide {width} units")
    shared = draft.fields.get("key_value_heads", heads)
    if heads % shared:
        raise Refusal("key_value_heads", "not-divisible", f"{shared} keys and values do not divide {heads} heads")
    return Heads(heads, shared)


def _channels_last(draft: Draft, tensor: Tensor) -> Tensor:
    return draft.apply(Transposing((0, *range(2, len(shape_of(tensor))), 1)), tensor)


def _channels_first(draft: Draft, tensor: Tensor) -> Tensor:
    rank = len(shape_of(tensor))
    return draft.apply(Transposing((0, rank - 1, *range(1, rank - 1))), tensor)


def _projected(draft: Draft, role: str, source: Tensor, units: int) -> Tensor:
    draft.begin(role, "dense")
    return _matrix(draft, role, _channels_last(draft, source), units)


def _matrix(draft: Draft, role: str, value: Tensor, units: int) -> Tensor:
    draft.kernel((shape_of(value)[-1], units), role=f"{role}.kernel")
    if draft.fields["bias"]:
        draft.bias((units,), role=f"{role}.bias")
    return draft.apply(Dense(units), value)


def _attend_along(draft: Draft, query: Tensor, key: Tensor, value: Tensor, heads: Heads) -> Tensor:
    """softmax(q·k)·v over all places, or those along `axes` (Vaswani et al. 2017); heads may share keys (Ainslie et al. 2023)."""
    along, shared = _along(draft, len(shape_of(query)) - 1)
    group = heads.queries // heads.keys
    q = _split(draft, query, along, shared, (heads.keys, group))
    k, v = (_split(draft, tensor, along, shared, (heads.keys,)) for tensor in (key, value))
    scores = draft.apply(Contraction((tuple("boqhgd"), tuple("bokhd")), tuple("bohgqk")), q, k)
    shares = draft.apply(Mixing((5,), "softmax"), scores)
    mixed = draft.apply(Contraction((tuple("bohgqk"), tuple("bokhd")), tuple("boqhgd")), shares, v)
    shape = shape_of(query)
    order = (0, *shared, *along)
    flat = draft.apply(Reshaping((*(shape[axis] for axis in order), math.prod(shape_of(mixed)[3:]))), mixed)
    back = (*(order.index(axis) for axis in range(len(order))), len(order))
    return flat if back == tuple(range(len(back))) else draft.apply(Transposing(back), flat)


def _along(draft: Draft, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of (batch, *places, channels) that attention goes over, and those along which each place has its own."""
    places = tuple(range(1, rank))
    named = draft.fields.get("axes")
    if named is None:
        return places, ()
    along = tuple(sorted({tensor_axis(draft, "axes", axis) - 1 for axis in named}))
    if len(along) < len(named) or 0 in along:
        raise Refusal("axes", "out-of-range", "attention goes over axes of places, each of them once")
    return along, tuple(axis for axis in places if axis not in along)


def _split(draft: Draft, tensor: Tensor, along: Shape, shared: Shape, heads: Shape) -> Tensor:
    """(batch, *places, channels) as (batch, places with their own attention, places attended to, *heads, channels of a head)."""
    shape, order = shape_of(tensor), (0, *shared, *along, len(shape_of(tensor)) - 1)
    moved = tensor if order == tuple(range(len(shape))) else draft.apply(Transposing(order), tensor)
    own, attended = (math.prod(shape[axis] for axis in axes) for axes in (shared, along))
    return draft.apply(Reshaping((shape[0], own, attended, *heads, shape[-1] // math.prod(heads))), moved)


def _attend_near(draft: Draft, query: Tensor, key: Tensor, value: Tensor, heads: Heads) -> Tensor:
    """The same within a window: a unit depends on its query, and on the keys of its head and its own value at the places around."""
    if len(draft.inputs) > 1 or heads.keys != heads.queries or "axes" in draft.fields:
        raise Refusal("window", "conflict", "attention within a window is that of one input to itself, over all places and heads")
    shape, result = shape_of(query), shape_of(value)
    q, k, v = (draft.apply(Reshaping((*shape_of(t)[:-1], heads.queries, shape_of(t)[-1] // heads.queries)), t) for t in (query, key, value))
    for axis, width in enumerate(per_axis(draft, "window", len(shape) - 2), start=1):
        near = Neighbourhood(axis, (width - 1) // 2, width // 2)
        k, v = draft.apply(near, k), draft.apply(near, v)
    head = Mixing((len(shape),), "matmul")
    scores = [draft.apply(head, tensor) for tensor in (q, k)]
    if shape != result:
        whole = (*shape[:-1], heads.queries, 1)
        scores = [draft.apply(Reshaping(whole), draft.apply(Slicing(len(shape), 0, 1, 1), tensor)) for tensor in scores]
    return draft.apply(Reshaping(result), draft.apply(Elementwise("attention"), *scores, v))
