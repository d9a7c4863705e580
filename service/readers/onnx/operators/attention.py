"""Attention: which positions of keys and values a query reads, and what of the heads.

1. Every query is compared with all keys of its head, and the values are summed by their shares: as if it were written out.
2. A causal query reads the keys up to its own position, a local one those in a window around it: the other pairs are blocked.
3. A mask that is data takes part with the pairs that it belongs to; pairs that a constant mask blocks join nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.indexing import MOST_INDICES, take
from service.readers.onnx.operators.masking import BLOCKED, MAX_FOLLOWED, Flags, masking, weigh
from service.readers.onnx.values import Value

MAX_PAIRS = 1 << 18
"""Pairs of a query and a key that are told apart one by one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which keys query number i reads: those from i + offset - left to i + offset + right, without a bound on a side that is None."""

    left: int | None = None
    right: int | None = None
    offset: int = 0

    def blocked(self, queries: int, keys: int) -> Flags | None:
        """Whether query i does not read key j, for each pair of them; None where every query reads all, or where they are too many."""
        if (self.left is None and self.right is None) or queries * keys > MAX_PAIRS:
            return None
        distance = np.arange(keys) - np.arange(queries)[:, None] - self.offset
        before = distance < -keys if self.left is None else distance < -self.left
        return np.asarray(before | (distance > queries + keys if self.right is None else distance > self.right))


EVERYTHING = Scope()


def split_heads(call: Call, value: Value, heads: int) -> Value:
    """(batch, length, heads·size) → (batch, heads, length, size); what already has four axes stays."""
    if value.rank == 4:
        return value
    if value.rank != 3 or heads < 1 or value.dims[2] % heads:
        raise ShapeError(f"{value.dims} has no {heads} heads")
    batch, length, width = value.dims
    return call.transpose(call.reshape(value, (batch, length, heads, width // heads)), (0, 2, 1, 3))


def join_heads(call: Call, value: Value) -> Value:
    """(batch, heads, length, size) → (batch, length, heads·size)."""
    batch, heads, length, size = value.dims
    return call.reshape(call.transpose(value, (0, 2, 1, 3)), (batch, length, heads * size))


def attend(call: Call, query: Value, key: Value, value: Value, scope: Scope, *masks: Value | None) -> Value:
    """Attention of queries (batch, heads, length, size) over keys and values of as many heads, or of a divisor of them."""
    if query.rank != 4 or key.rank != 4 or value.rank != 4 or key.dims[2] != value.dims[2]:
        raise ShapeError(f"queries {query.dims}, keys {key.dims} and values {value.dims} do not fit")
    heads, queries, keys = query.dims[1], query.dims[2], key.dims[2]
    key, value = _repeated(call, key, heads), _repeated(call, value, heads)
    data = [mask for mask in masks if mask is not None and mask.constant is None and mask.rank <= 4]
    if scope.left is not None and queries * keys > MAX_PAIRS:
        return _attend_near(call, query, key, value, scope, data)
    asked = call.emit(core.Reduction((3,)), query)
    offered = call.transpose(call.emit(core.Reduction((3,)), key), (0, 1, 3, 2))
    pairs = (*query.dims[:3], keys)
    scores = call.elementwise("scores", asked, offered, *(mask for mask in data if core.broadcast(mask.dims, pairs) == pairs))
    blocked = _blocked(call, scope, pairs, [mask for mask in masks if mask is not None and mask.constant is not None])
    if blocked is not None:
        scores = call.emit(masking(blocked), scores)
    shares = call.emit(core.Mixing((3,), "softmax"), scores)
    if blocked is not None:
        return weigh(call, shares, value, blocked)
    return call.emit(core.Contraction((tuple("bhqk"), tuple("bhkd")), tuple("bhqd")), shares, value)


def _blocked(call: Call, scope: Scope, pairs: Shape, masks: Sequence[Value]) -> Flags | None:
    """The pairs that the scope or a constant mask blocks; None where there are none."""
    own = scope.blocked(pairs[2], pairs[3])
    found = [] if own is None else [own.reshape(1, 1, *own.shape)]
    for mask in masks:
        known = call.host.known(mask) if mask.shape is not None and math.prod(mask.shape) <= MAX_FOLLOWED else None
        if known is None or known.ndim > 4 or core.broadcast(known.shape, pairs) != pairs:
            continue
        flags = np.logical_not(known) if known.dtype.kind == "b" else np.asarray(known.astype(np.float32) <= BLOCKED)
        found.append(flags.reshape((1,) * (4 - known.ndim) + known.shape))
    blocked = np.logical_or.reduce(np.broadcast_arrays(*found)) if found else np.zeros(1, dtype=bool)
    return blocked if blocked.any() else None


def _attend_near(call: Call, query: Value, key: Value, value: Value, scope: Scope, masks: Sequence[Value]) -> Value:
    """Attention in windows of very long sequences, whose pairs are too many to be listed."""
    parts = [call.emit(core.Reduction((3,)), query)]
    parts.append(_read(call, call.emit(core.Reduction((3,)), key), query.dims[2], scope))
    parts += [call.emit(core.Reduction((mask.rank - 1,)), mask) if mask.rank else mask for mask in masks]
    return call.elementwise("attention", _read(call, value, query.dims[2], scope), *parts)


def _repeated(call: Call, value: Value, heads: int) -> Value:
    """Keys or values of fewer heads than the queries: each serves several of these."""
    batch, own, length, size = value.dims
    if own == heads:
        return value
    if not own or heads % own:
        raise ShapeError(f"{own} heads cannot serve {heads}")
    single = call.reshape(value, (batch, own, 1, length, size))
    return call.reshape(call.emit(core.Expanding((batch, own, heads // own, length, size)), single), (batch, heads, length, size))


def _read(call: Call, value: Value, queries: int, scope: Scope) -> Value:
    """What each query reads of keys or values in a window along their length."""
    length, left = value.dims[2], scope.left or 0
    if queries > MOST_INDICES:
        raise ShapeError(f"the windows of {queries} queries are too many to be listed")
    right = length - 1 if scope.right is None else scope.right
    seen = call.emit(core.Neighbourhood(2, min(left, length - 1), min(right, length - 1)), value)
    places = np.clip(np.arange(queries) + scope.offset, 0, length - 1)
    return seen if np.array_equal(places, np.arange(length)) else take(call, seen, 2, places)


def _cached(call: Call, past: Value | None, new: Value) -> Value:
    """Keys or values with those of earlier calls before them."""
    if past is None or past.shape == () or past.dims[2] == 0:
        return new
    return call.emit(core.Concatenation(2), past, new)


def _scores(call: Call, query: Value, key: Value, mask: Value | None) -> Value:
    """Query times key for every pair of positions, from mode 2 on with the mask, in mode 3 after the softmax."""
    mode = call.attributes.integer("qk_matmul_output_mode")
    repeated = _repeated(call, key, query.dims[1])
    operands = (("b", "h", "q", "d"), ("b", "h", "k", "d"))
    scores = call.emit(core.Contraction(operands, ("b", "h", "q", "k")), query, repeated)
    if mode and mask is not None and mask.constant is None and core.broadcast(mask.dims, scores.dims) == scores.dims:
        scores = call.elementwise("mask", scores, mask)
    return call.emit(core.Mixing((3,), "softmax"), scores) if mode == 3 or (call.version < 24 and mode == 2) else scores


def _scope(call: Call, queries: int, past: int) -> Scope:
    """The positions that a query reads by is_causal and by the windows of opset 25, after `past` keys from earlier calls."""
    windows = [call.attributes.integer(f"{side}_window_size", -1) for side in ("left", "right")]
    left, right = (None if n < 0 else n for n in windows)
    right = 0 if call.attributes.integer("is_causal") else right
    offset = past
    if call.optional(6) is not None:
        valid = call.known_integers(6)
        if valid is None or len(set(valid)) != 1:
            return EVERYTHING
        offset = valid[0] - queries
    return Scope(left, right, offset)


def attention(call: Call) -> Sequence[Value]:
    """Attention of opsets 23 to 25, and FlexAttention: queries, keys, values, mask, earlier keys and values."""
    query, key, value = call.input(0), call.input(1), call.input(2)
    packed = query.rank == 3
    heads, own = call.attributes.integer("q_num_heads"), call.attributes.integer("kv_num_heads")
    mask, past_key, past_value = (call.optional(i) for i in (3, 4, 5)) if call.op == "Attention" else (None, None, None)
    query, key, value = split_heads(call, query, heads), split_heads(call, key, own), split_heads(call, value, own)
    new = key.dims[2]
    key, value = _cached(call, past_key, key), _cached(call, past_value, value)
    scope = _scope(call, query.dims[2], key.dims[2] - new)
    result = attend(call, query, key, value, scope, mask)
    result = join_heads(call, result) if packed else result
    if len(call.outputs) < 2:
        return [result]
    return [result, key, value, _scores(call, query, key, mask)] if len(call.outputs) > 3 else [result, key, value]


def linear_attention(call: Call) -> Sequence[Value]:
    """LinearAttention (opset 27): a state that gathers keys and values step by step, read by the query of each step."""
    heads, own = call.attributes.integer("q_num_heads"), call.attributes.integer("kv_num_heads")
    query, key, value = (split_heads(call, call.input(i), heads if i == 0 else own) for i in range(3))
    past = call.optional(3)
    gates = [v for v in (call.optional(4), call.optional(5)) if v is not None and v.constant is None]
    keys = call.emit(core.Reduction((3,)), key)
    state = call.elementwise("update", value, keys, *(_gate(call, gate, own) for gate in gates))
    gathered = call.emit(core.Cumulation(2), state)
    if past is not None and past.constant is None:
        gathered = call.elementwise("update", gathered, call.emit(core.Reduction((2,)), past))
    result = call.elementwise("attention", _repeated(call, gathered, heads), call.emit(core.Reduction((3,)), query))
    if len(call.outputs) < 2:
        return [join_heads(call, result)]
    last = call.emit(core.Slicing(2, gathered.dims[2] - 1, 1, 1), gathered)
    batch, _, _, width = last.dims
    return [join_heads(call, result), call.emit(core.Expanding((batch, own, key.dims[3], width)), last)]


def _gate(call: Call, gate: Value, heads: int) -> Value:
    """A decay or an update rate (batch, length, heads[·size]) as one number per head and position."""
    if gate.dims[2] == 1:
        return call.reshape(gate, (gate.dims[0], 1, gate.dims[1], 1))
    return call.emit(core.Reduction((3,)), split_heads(call, gate, heads))


def rotary(call: Call) -> Sequence[Value]:
    """RotaryEmbedding: within each head, pairs of units are turned by an angle that depends on the position."""
    return [rotate(call, call.input(0), call.attributes.integer("num_heads"), call.optional(3), call.optional(1), call.optional(2))]


def _angles(call: Call, value: Value, data: Value, half: int) -> Value:
    """Positions or angles that are data, placed beside the pairs that they turn; a table of angles by position belongs to all of them."""
    batch, length = data.dims[0], data.dims[2]
    if value.dims in ((batch, length), (batch, length, half)):
        return call.reshape(value, (batch, 1, length, half if value.rank == 3 else 1))
    return call.emit(core.Reduction(tuple(range(value.rank)), keepdims=False), value)


def rotate(call: Call, data: Value, heads: int, positions: Value | None, *caches: Value | None) -> Value:
    """Pairs of units of each head turned. `data` is (batch, heads, length, size) or (batch, length, heads·size)."""
    split_up = split_heads(call, data, heads or 1)
    size = split_up.dims[3]
    turned = call.attributes.integer("rotary_embedding_dim") or size
    if turned % 2 or turned > size:
        raise ShapeError(f"{turned} of {size} units are no pairs")
    half = turned // 2
    step, second = (2, 1) if call.attributes.integer("interleaved") else (1, half)
    pair = [call.emit(core.Slicing(3, start, step, half), split_up) for start in (0, second)]
    for angles in (positions, *caches):
        if angles is not None and angles.constant is None and angles.rank >= 2:
            pair.append(_angles(call, angles, split_up, half))
    joined = call.elementwise("rotate", *pair, dtype=data.dtype)
    if step == 2:
        single = call.reshape(joined, (*joined.dims, 1))
        result = call.reshape(call.emit(core.Concatenation(4), single, single), (*joined.dims[:3], turned))
    else:
        result = call.emit(core.Concatenation(3), joined, joined)
    if turned < size:
        rest = call.emit(core.Slicing(3, turned, 1, size - turned), split_up)
        result = call.emit(core.Concatenation(3), result, rest)
    return result if data.rank == 4 else join_heads(call, result)


RULES = {
    "Attention": Rule(attention, "attention"),
    "LinearAttention": Rule(linear_attention, "attention"),
    "RotaryEmbedding": Rule(rotary),
}
