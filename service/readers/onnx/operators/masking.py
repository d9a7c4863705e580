"""Masks of attention: pairs of a query and a key that join nothing, because constants add -infinity to their score, or -100 and less.

What constants add to a value is followed from the sum or the choice that adds it, through operators that only move units, to the softmax:
from there on the blocked shares are zero, and values summed by them are not read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.graph import Shape
from service.graph import operators as core
from service.readers.onnx.call import Call
from service.readers.onnx.values import Value

Flags = NDArray[np.bool_]
Sums = NDArray[np.float32]
Entry = TypeVar("Entry", np.float32, np.bool_)

BLOCKED = -100.0
"""A score that constants lower so far has no share after the softmax: shifted windows are cut by this number."""

MAX_FOLLOWED = 1 << 20
"""Entries of a mask that is followed at the most."""

MOVEMENTS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "Identity", "Dropout"}


def follow_masks(call: Call, results: Sequence[Value]) -> None:
    """Note at the result of a call what constants have added to it, and which of its units are zero."""
    data = [value for value in call.inputs if value is not None and value.constant is None]
    if len(data) != 1 or not results or results[0].constant is not None or results[0].shape is None or data[0].shape is None:
        return
    source, result = data[0], results[0]
    if call.op in ("Add", "Where"):
        result.shift = _shifted(call, source, result)
    elif call.op in MOVEMENTS:
        result.shift = _moved(call, source.shift, source, result)
        result.blocked = _moved(call, source.blocked, source, result)


def _shifted(call: Call, source: Value, result: Value) -> Sums | None:
    """What constants add up to after a sum, or after a choice between the data and a constant."""
    if call.op == "Where":
        added = _chosen(call, source)
    else:
        added = _values(call, next((value for value in call.inputs if value is not None and value is not source), None))
    if added is None or result.rank < 2 or added.ndim > result.rank:
        return source.shift if result.shape == source.shape else None
    if not (added <= BLOCKED).any() and source.shift is None:
        return None
    own = np.zeros((1,) * result.rank, dtype=np.float32) if source.shift is None else source.shift
    if math.prod(core.broadcast(own.shape, added.shape)) > MAX_FOLLOWED or source.shape != result.shape:
        return source.shift
    return np.asarray(own + added, dtype=np.float32)


def _values(call: Call, value: Value | None) -> Sums | None:
    """The values of a constant that may be a mask: as many as pairs, so that biases are not read for nothing."""
    if value is None or value.constant is None or value.shape is None or len(value.shape) < 2 or math.prod(value.shape) > MAX_FOLLOWED:
        return None
    known = call.host.known(value)
    return None if known is None or known.dtype.kind not in "iuf" else known.astype(np.float32)


def _chosen(call: Call, source: Value) -> Sums | None:
    """Where a constant condition puts a constant below the bound instead of the data, as something added to these."""
    condition, then, other = call.inputs
    constant = other if then is source else then
    if condition is None or condition is source or constant is None or constant.shape is None or math.prod(constant.shape) != 1:
        return None
    known, value = (call.host.known(each) for each in (condition, constant))
    if known is None or value is None or known.dtype.kind != "b" or known.size > MAX_FOLLOWED:
        return None
    replaced = np.logical_not(known) if then is source else known
    return np.where(replaced, value.astype(np.float32).reshape(()), np.float32(0))


def _moved(call: Call, entries: NDArray[Entry] | None, source: Value, result: Value) -> NDArray[Entry] | None:
    """Entries that broadcast to the source, after its units were moved."""
    if entries is None or (source.shape == result.shape and call.op != "Transpose"):
        return entries
    if call.op == "Transpose":
        order = call.attributes.integers("perm") or tuple(reversed(range(source.rank)))
        return np.transpose(entries, order)
    if math.prod(source.dims) > MAX_FOLLOWED:
        return None
    return np.broadcast_to(entries, source.dims).reshape(result.dims)


def soften(call: Call, scores: Value, axes: tuple[int, ...], function: str) -> Value:
    """A softmax or its kin; shares of scores that a mask blocks are zero, but where a mask blocks all of them."""
    blocked = None if scores.shift is None or function != "softmax" else scores.shift <= BLOCKED
    if blocked is not None:
        blocked = blocked & ~blocked.all(axis=axes, keepdims=True)
    if blocked is None or not blocked.any():
        return call.emit(core.Mixing(axes, function), scores)
    shares = call.emit(core.Mixing(axes, function), call.emit(masking(blocked), scores))
    result = call.emit(masking(blocked), shares)
    result.blocked = blocked
    return result


def masking(blocked: Flags) -> core.Masking:
    """The operator that makes blocked units zero."""
    return core.Masking(blocked.shape, np.ascontiguousarray(blocked).tobytes())


def weigh(call: Call, shares: Value, value: Value, blocked: Flags) -> Value:
    """Values (…, keys, size) summed by their shares (…, queries, keys), of which the blocked ones are zero and join nothing."""
    last = shares.rank - 1
    own = call.emit(core.Reduction((last,)), call.emit(masking(blocked), shares))
    lead: Shape = (1,) * (shares.rank - value.rank) + value.dims[:-2]
    single = call.reshape(value, (*lead, 1, *value.dims[-2:]))
    spread = call.emit(core.Expanding((*core.broadcast(lead, shares.dims[:-2]), shares.dims[-2], *value.dims[-2:])), single)
    read = call.emit(core.Reduction((last,), keepdims=False), call.emit(masking(blocked[..., None]), spread))
    return call.elementwise("attention", own, read)
