"""Layers that cannot be read: Lambdas, classes of one's own, and uses of a layer that a spec cannot say."""

from __future__ import annotations

from dataclasses import replace

from service.readers.keras.conversion import Call, Conversion, Value
from service.readers.spec.fields import LARGEST, MAX_RANK


def unknown_layer(c: Conversion, call: Call, reason: str) -> tuple[Value, ...]:
    """A layer that nothing is known of. Its result has the shape that the document states (Keras 3 does where it is read, Lambda may), or
    else that of its first input.
    """
    shape = _lengths(call.result[1:] if isinstance(call.result, list) else None)
    if shape is None and call.kind == "Lambda":
        shape = _lengths(call.config.get("output_shape"))
    reason = f"{call.kind[:100]}: {reason[:500]}"
    inputs = dict.fromkeys(call.inputs)
    if shape is None:
        return (replace(call.inputs[0], name=c.emit(call, "unknown", *inputs, reason=reason), guessed=True),)
    turned = [shape[-1], *shape[:-1]]
    return (Value(c.emit(call, "unknown", *inputs, reason=reason, shape=turned), len(shape), len(shape) > 1, guessed=True),)


def _lengths(shape: object) -> list[int] | None:
    """A shape without the batch, if it is one and no length of it is open."""
    if isinstance(shape, int):
        shape = [shape]
    if isinstance(shape, list) and 0 < len(shape) <= MAX_RANK and all(type(n) is int and 0 < n <= LARGEST for n in shape):
        return shape
    return None
