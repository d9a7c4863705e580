"""com.microsoft: the fused operators of transformers.

Source: ContribOperators.md of https://github.com/microsoft/onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.attention import EVERYTHING, Scope, attend, join_heads, rotate, split_heads
from service.readers.onnx.operators.dense import apply_matrix
from service.readers.onnx.operators.indexing import look_up
from service.readers.onnx.operators.microsoft.fused import channels_back, channels_last
from service.readers.onnx.operators.quantisation import dequantised
from service.readers.onnx.values import Value


def _part(call: Call, value: Value, axis: int, start: int, length: int) -> Value:
    return call.emit(core.Slicing(axis, start, 1, length), value)


def _past(call: Call, past: Value | None, new: Value, which: int) -> Value:
    """Keys (0) or values (1) with those of `past` (2, batch, heads, length, size) before them."""
    if past is None or past.rank != 5:
        return new
    old = call.reshape(_part(call, past, 0, which, 1), past.dims[1:])
    return call.emit(core.Concatenation(2), old, new)


def _present(call: Call, key: Value, value: Value) -> list[Value]:
    """Keys and values for the next call, one beside the other."""
    if len(call.outputs) < 2 or key.dims != value.dims:
        return []
    single = [call.reshape(v, (1, *v.dims)) for v in (key, value)]
    return [call.emit(core.Concatenation(0), *single)]


def _causal(query: Value, key: Value, left: int | None = None) -> Scope:
    """Every query reads the keys up to its own position, the last query being at the last key."""
    return Scope(left, 0, max(key.dims[2] - query.dims[2], 0))


def self_attention(call: Call) -> Sequence[Value]:
    """Attention and QAttention: one matrix makes queries, keys and values of the input."""
    quantised = call.op == "QAttention"
    data, matrix, bias = call.input(0), call.input(1), call.optional(2)
    masks = [call.optional(5)] if quantised else [call.optional(3), call.optional(5)]
    past = call.optional(8 if quantised else 4)
    heads = call.attributes.integer("num_heads", 1)
    if matrix.constant is None or matrix.rank != 2:
        raise ShapeError("a matrix that depends on the data is not followed")
    weight = call.weight(dequantised(matrix, call.optional(4), call.optional(7), axis=-1) if quantised else matrix)
    projected = apply_matrix(call, data, weight)
    if bias is not None and bias.constant is not None:
        call.bias.append(call.weight(bias))
    sizes = call.attributes.integers("qkv_hidden_sizes") or (matrix.dims[1] // 3,) * 3
    starts = (0, sizes[0], sizes[0] + sizes[1])
    query, key, value = (split_heads(call, _part(call, projected, 2, s, n), heads) for s, n in zip(starts, sizes, strict=True))
    key, value = _past(call, past, key, 0), _past(call, past, value, 1)
    scope = _causal(query, key) if call.attributes.integer("unidirectional") else EVERYTHING
    result = attend(call, query, key, value, scope, *(m for m in masks if m is not None and m.rank >= 3))
    return [join_heads(call, result), *_present(call, key, value)]


def multi_head(call: Call) -> Sequence[Value]:
    """MultiHeadAttention: queries, keys and values apart, or packed as (batch, length, heads, 3 or 2, size)."""
    heads = call.attributes.integer("num_heads", 1)
    call.add_other(call.optional(3))
    query, key, value = _unpacked(call, call.input(0), call.optional(1), call.optional(2), heads)
    for index, old in enumerate((call.optional(6), call.optional(7))):
        if old is not None and old.constant is None:
            joined = call.emit(core.Concatenation(2), old, (key, value)[index])
            key, value = (joined, value) if index == 0 else (key, joined)
    mask = call.optional(5)
    scope = _causal(query, key) if call.attributes.integer("unidirectional") else EVERYTHING
    result = attend(call, query, key, value, scope, mask)
    return [join_heads(call, result), key, value][: max(len(call.outputs), 1)]


def _unpacked(call: Call, query: Value, key: Value | None, value: Value | None, heads: int) -> tuple[Value, Value, Value]:
    if query.rank == 5:
        return _slots(call, query, 0), _slots(call, query, 1), _slots(call, query, 2)
    if key is None:
        raise ShapeError("its keys are missing")
    if key.rank == 5:
        return split_heads(call, query, heads), _slots(call, key, 0), _slots(call, key, 1)
    if value is None:
        raise ShapeError("its values are missing")
    return split_heads(call, query, heads), split_heads(call, key, heads), split_heads(call, value, heads)


def _slots(call: Call, packed: Value, which: int) -> Value:
    batch, length, heads, _, size = packed.dims
    return call.transpose(call.reshape(_part(call, packed, 3, which, 1), (batch, length, heads, size)), (0, 2, 1, 3))


def grouped(call: Call) -> Sequence[Value]:
    """GroupQueryAttention: causal, several queries to one key, optionally over the last `local_window_size` positions only."""
    heads, own = call.attributes.integer("num_heads", 1), call.attributes.integer("kv_num_heads", 1)
    query, key, value = call.input(0), call.optional(1), call.optional(2)
    if key is None or value is None:
        size = query.dims[2] // (heads + 2 * own)
        starts = ((0, heads * size), (heads * size, own * size), ((heads + own) * size, own * size))
        query, key, value = (_part(call, query, 2, start, length) for start, length in starts)
    query, key, value = split_heads(call, query, heads), split_heads(call, key, own), split_heads(call, value, own)
    if call.attributes.integer("do_rotary"):
        query, key = rotate(call, query, heads, None), rotate(call, key, own, None)
    for index, old in enumerate((call.optional(3), call.optional(4))):
        if old is not None and old.constant is None and old.dims[2]:
            joined = call.emit(core.Concatenation(2), old, (key, value)[index])
            key, value = (joined, value) if index == 0 else (key, joined)
    window = call.attributes.integer("local_window_size", -1)
    scope = _causal(query, key, window - 1 if window > 0 else None)
    return [join_heads(call, attend(call, query, key, value, scope)), key, value][: max(len(call.outputs), 1)]


def rotary(call: Call) -> Sequence[Value]:
    """RotaryEmbedding: the positions are the second input."""
    positions = call.optional(1)
    return [rotate(call, call.input(0), call.attributes.integer("num_heads"), positions if positions and positions.shape != (1,) else None)]


def skip_normalization(call: Call) -> Sequence[Value]:
    """SkipLayerNormalization, SkipSimplifiedLayerNormalization: a sum and its normalisation; the fourth output is the sum."""
    simplified = call.op.startswith("SkipSimplified")
    bias = call.optional(3 if simplified else 4)
    for value in (call.optional(2), call.optional(3), bias if not simplified else None):
        call.add_other(value)
    total = call.elementwise("add", *(v for v in (call.input(0), call.input(1), bias) if v is not None))
    axis = total.rank - 1
    result = call.emit(core.Mixing((axis,), "layernormalization"), total)
    if len(call.outputs) < 2:
        return [result]
    summary = call.emit(core.Reduction((axis,)), total)
    return [result, summary, summary, total]


def embed_normalization(call: Call) -> Sequence[Value]:
    """EmbedLayerNormalization: the sum of a word's, a position's and a segment's row, normalised."""
    words, segments, table = call.input(0), call.optional(1), call.input(2)
    if table.constant is None:
        raise ShapeError("a table that depends on the data is not followed")
    total = look_up(call, table, words)
    for index in (3, 4, 5, 6):
        call.add_other(call.optional(index))
    if segments is not None and segments.constant is None:
        total = call.elementwise("add", total, call.reshape(segments, (*segments.dims, 1)))
    call.kind = "embedding"
    result = call.emit(core.Mixing((total.rank - 1,), "layernormalization"), total)
    mask = call.optional(7)
    if mask is None or mask.constant is not None:
        lengths = call.opaque(words.dims[:1], "int32")
    else:
        lengths = call.emit(core.Reduction((1,), keepdims=False), mask)
    return [result, lengths, total][: max(len(call.outputs), 1)]


def group_norm(call: Call) -> Sequence[Value]:
    """GroupNorm and SkipGroupNorm, channels last unless stated."""
    data, groups = call.input(0), call.attributes.integer("groups", 1)
    last = bool(call.attributes.integer("channels_last", 1))
    for value in call.inputs[1:3]:
        call.add_other(value)
    total = call.elementwise("add", data, *(v for v in call.inputs[3:5] if v is not None)) if call.op == "SkipGroupNorm" else data
    first = channels_last(call, total) if last else total
    if groups < 1 or first.dims[1] % groups:
        raise ShapeError(f"{groups} groups do not divide {first.dims[1]} channels")
    split = call.reshape(first, (first.dims[0], groups, first.dims[1] // groups, *first.dims[2:]))
    mixed = call.reshape(call.emit(core.Mixing(tuple(range(2, split.rank)), "groupnormalization"), split), first.dims)
    return [channels_back(call, mixed) if last else mixed, total][: max(len(call.outputs), 1)]


RULES = {
    "Attention": Rule(self_attention, "attention"),
    "QAttention": Rule(self_attention, "attention"),
    "MultiHeadAttention": Rule(multi_head, "attention"),
    "DecoderMaskedMultiHeadAttention": Rule(multi_head, "attention"),
    "GroupQueryAttention": Rule(grouped, "attention"),
    "RotaryEmbedding": Rule(rotary),
    "SkipLayerNormalization": Rule(skip_normalization, "normalization"),
    "SkipSimplifiedLayerNormalization": Rule(skip_normalization, "normalization"),
    "EmbedLayerNormalization": Rule(embed_normalization, "embedding"),
    "GroupNorm": Rule(group_norm, "normalization"),
    "SkipGroupNorm": Rule(group_norm, "normalization"),
}
