"""Summaries over axes, cumulations, losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.constants import folding, movement
from service.readers.onnx.constants.folding import Array
from service.readers.onnx.operators.geometry import normal_axes
from service.readers.onnx.values import Value


def reduce_over(since: int) -> Callable[[Call], Sequence[Value]]:
    """A reduction whose axes are an attribute before opset `since` and an input from then on."""

    def lower(call: Call) -> Sequence[Value]:
        """The reduction of the stated axes; of all of them unless an empty list means none."""
        data = call.input(0)
        if call.version < since or call.optional(1) is None:
            stated = call.attributes.integers("axes")
        else:
            stated = call.required_integers(1, "which axes are reduced")
        if not stated and call.attributes.integer("noop_with_empty_axes"):
            return [call.emit(core.Elementwise(call.op.lower()), data)]
        axes = normal_axes(stated, data.rank) if stated else tuple(range(data.rank))
        if data.rank > 2 and axes == tuple(range(2, data.rank)):
            call.kind = "global"
        return [call.emit(core.Reduction(axes, bool(call.attributes.integer("keepdims", 1))), data)]

    return lower


def arg_extreme(call: Call) -> Sequence[Value]:
    """ArgMax, ArgMin: a summary over one axis."""
    data = call.input(0)
    axes = (call.axis(data.rank),)
    return [call.emit(core.Reduction(axes, bool(call.attributes.integer("keepdims", 1))), data, dtype="int64")]


def cumulate(call: Call) -> Sequence[Value]:
    """CumSum, CumProd: everything before along one axis."""
    data = call.input(0)
    axis = call.normal_axis(call.required_integers(1, "the axis")[0], data.rank)
    reverse, exclusive = bool(call.attributes.integer("reverse")), bool(call.attributes.integer("exclusive"))
    return [call.emit(core.Cumulation(axis, reverse, exclusive), data)]


def top(call: Call) -> Sequence[Value]:
    """TopK: the k largest along an axis, each of which may be any unit of it."""
    data = call.input(0)
    stated = (call.attributes.integer("k"),) if call.version < 10 else call.required_integers(1, "the number of results")
    axis = call.axis(data.rank, -1)
    if not stated or stated[0] > data.dims[axis]:
        raise ShapeError(f"{stated} of {data.dims[axis]} units are wanted")
    sorted_units = call.emit(core.Mixing((axis,), "sort"), data)
    kept = core.Slicing(axis, 0, 1, stated[0])
    return [call.emit(kept, sorted_units), call.emit(kept, sorted_units, dtype="int64")]


def determinant(call: Call) -> Sequence[Value]:
    """Det of the matrices in the last two axes."""
    data = call.input(0)
    return [call.emit(core.Reduction((data.rank - 2, data.rank - 1), keepdims=False), data)]


def loss(call: Call) -> Sequence[Value]:
    """NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss: over the classes, then over everything unless `reduction` is none."""
    scores, labels = call.input(0), call.input(1)
    per_label = call.emit(core.Reduction((1,), keepdims=False), scores)
    result = call.influenced(call.elementwise("loss", per_label, labels, dtype=scores.dtype), call.optional(2))
    if call.attributes.text("reduction", "mean") != "none":
        result = call.emit(core.Reduction(tuple(range(result.rank)), keepdims=False), result)
    if len(call.outputs) < 2:
        return [result]
    return [result, call.emit(core.Mixing((1,), "logsoftmax"), scores)]


def _reduction(function: Callable[..., Array], since: int = 18) -> Rule:
    """A summary over axes, and how NumPy computes it."""
    return Rule(reduce_over(since), fold=folding.reduction(function, since))


RULES = {
    "ReduceSum": _reduction(np.sum, since=13),
    "ReduceMean": _reduction(folding.mean),
    "ReduceMax": _reduction(np.max),
    "ReduceMin": _reduction(np.min),
    "ReduceProd": _reduction(np.prod),
    "ReduceL1": _reduction(lambda x, **how: np.sum(np.abs(x), **how)),
    "ReduceL2": _reduction(lambda x, **how: np.sqrt(np.sum(np.square(x), **how))),
    "ReduceSumSquare": _reduction(lambda x, **how: np.sum(np.square(x), **how)),
    "ReduceLogSum": Rule(reduce_over(18)),
    "ReduceLogSumExp": Rule(reduce_over(18)),
    "ArgMax": Rule(arg_extreme, fold=folding.extreme(np.argmax), keeps="nothing"),
    "ArgMin": Rule(arg_extreme, fold=folding.extreme(np.argmin), keeps="nothing"),
    "CumSum": Rule(cumulate, fold=folding.cumulate),
    "CumProd": Rule(cumulate),
    "TopK": Rule(top, fold=movement.top, keeps="part"),
    "Det": Rule(determinant),
    "NegativeLogLikelihoodLoss": Rule(loss),
    "SoftmaxCrossEntropyLoss": Rule(loss),
}
