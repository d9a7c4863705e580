"""Keras layers that join every place with every other: attention of all kinds, and Dot."""

from __future__ import annotations

from dataclasses import replace

from service.readers.keras.conversion import Call, Conversion, Unsupported, Value
from service.readers.keras.units import Converter


def _sources(c: Conversion, call: Call) -> tuple[Value, Value, Value]:
    """Query, key and value, with features first; Keras's order is query, value, key, and a key that is not given is the value."""
    query = call.argument("query", 0)
    value = call.argument("value", 1)
    key = call.argument("key", 2)
    if query is None:
        raise Unsupported("inbound_nodes", "attention needs a query", "required")
    value = query if value is None else value
    key = value if key is None else key
    return c.turned(call, query, True), c.turned(call, key, True), c.turned(call, value, True)


def _distinct(query: Value, key: Value, value: Value) -> tuple[Value, ...]:
    """The inputs that a spec needs: a key that is the query and a value that is the key are left out."""
    if value.name != key.name:
        return query, key, value
    return (query,) if key.name == query.name else (query, key)


def multi_head(c: Conversion, call: Call) -> Value:
    """MultiHeadAttention."""
    query, key, value = _sources(c, call)
    heads, width = call.integer("num_heads"), call.integer("key_dim")
    deep = call.integer("value_dim") if call.config.get("value_dim") is not None else width
    units = call.integers("output_shape") if call.config.get("output_shape") is not None else [None]
    if len(units) > 1:
        raise Unsupported("config/output_shape", "attention to one axis of features is supported")
    fields = {"heads": heads, "width": heads * width, "value_width": None if deep == width else heads * deep, "units": units[0]}
    name = c.emit(call, "attention", *_distinct(query, key, value), **fields, axes=_axes(call, query), bias=call.flag("use_bias", True))
    return replace(query, name=name)


def _axes(call: Call, query: Value) -> list[int] | None:
    """The axes of places that attention goes over, as the spec counts them; None for all, which is how Keras writes all after build."""
    if call.config.get("attention_axes") is None:
        return None
    axes = sorted({query.axis(axis, "config/attention_axes") for axis in call.integers("attention_axes")})
    return None if axes == list(range(1, query.rank)) else axes


def grouped_query(c: Conversion, call: Call) -> Value:
    """GroupQueryAttention: several heads share one key and value."""
    query, key, value = _sources(c, call)
    heads, width = call.integer("num_query_heads"), call.integer("head_dim")
    fields = {"heads": heads, "width": heads * width, "key_value_heads": call.integer("num_key_value_heads")}
    return replace(query, name=c.emit(call, "attention", *_distinct(query, key, value), **fields, bias=call.flag("use_bias", True)))


def bare(score: str) -> Converter:
    """Attention and AdditiveAttention, which have no projections."""

    def converter(c: Conversion, call: Call) -> Value:
        query, key, value = _sources(c, call)
        how = "concat" if call.config.get("score_mode") == "concat" else score
        scale = call.flag("use_scale", score == "additive")
        name = c.emit(call, "attend", *_distinct(query, key, value), score=how, scale=scale)
        return replace(query, name=name)

    return converter


def dot(c: Conversion, call: Call) -> Value:
    """Dot: sums of products along one axis of each input, of unit length first if they are to be."""
    if len(call.inputs) != 2:
        raise Unsupported("inbound_nodes", f"Dot has two inputs, not {len(call.inputs)}", "unsupported-inputs")
    values = [c.turned(call, value, False) for value in call.inputs]
    stated = call.integers("axes")
    axes = [value.axis(axis, "config/axes") for value, axis in zip(values, stated * 2 if len(stated) == 1 else stated, strict=True)]
    if call.flag("normalize", False):
        for place, axis in enumerate(axes):
            name = c.emit(call, "layer_norm", values[place], part=f"normalize{place}", axes=[axis], affine=False)
            values[place] = replace(values[place], name=name)
    rank = values[0].rank + values[1].rank - 2
    return Value(c.emit(call, "dot", *values, axes=axes), rank or 1)


CONVERTERS: dict[str, Converter] = {
    "MultiHeadAttention": multi_head,
    "GroupQueryAttention": grouped_query,
    "GroupedQueryAttention": grouped_query,
    "Attention": bare("dot"),
    "AdditiveAttention": bare("additive"),
    "Dot": dot,
}
