"""Layers that cannot be read: Lambdas, classes of one's own, and uses of a layer that a spec cannot say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.readers.keras.conversion import Call, Conversion, Value


def unknown_layer(c: Conversion, call: Call, reason: str) -> tuple[Value, ...]:
    """A layer that nothing is known of. Its result is as its first input, unless the configuration states a shape (as Lambda may)."""
    shape = _stated(call.config.get("output_shape")) if call.kind == "Lambda" else None
    name = c.emit(call, "unknown", *dict.fromkeys(call.inputs), reason=f"{call.kind[:100]}: {reason[:500]}", shape=shape)
    if shape is not None:
        return (Value(name, len(shape), guessed=True),)
    return (replace(call.inputs[0], name=name, guessed=True),)


def _stated(shape: Any) -> list[int] | None:
    """A shape without the batch, if it is one."""
    if isinstance(shape, int):
        shape = [shape]
    if isinstance(shape, list) and 0 < len(shape) <= 8 and all(type(n) is int and n > 0 for n in shape):
        return shape
    return None
