"""Pooling over windows and over all spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.graph import ShapeError
from service.graph import operators as core
from service.graph.geometry import transposed_length
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.windows import geometry, stated_kernel
from service.readers.onnx.values import Value


def window_pool(mode: str) -> Callable[[Call], Sequence[Value]]:
    """MaxPool, AveragePool, LpPool. The indices of MaxPool depend on the same units as the maxima."""

    def lower(call: Call) -> Sequence[Value]:
        """The pooling of the window that the node states."""
        data = call.input(0)
        rank = data.rank - 2
        if rank < 1:
            call.refuse("rank-mismatch", f"its input of shape {data.dims} has no spatial axes")
        kernel = stated_kernel(call, rank)
        if kernel is None:
            call.refuse("kernel-shape-missing", "it has no kernel_shape")
        window = geometry(call, kernel, data.dims[2:])
        fields = (window.kernel, window.strides, window.dilations, window.pads)
        operator = core.Pooling(*fields, mode=mode, ceil=bool(call.attributes.integer("ceil_mode")))
        result = call.emit(operator, data)
        return [result] if len(call.outputs) < 2 else [result, call.emit(operator, data, dtype="int64")]

    return lower


def global_pool(call: Call) -> Sequence[Value]:
    """GlobalAveragePool, GlobalMaxPool, GlobalLpPool."""
    data = call.input(0)
    if data.rank < 2:
        raise ShapeError(f"{data.dims} has no spatial axes")
    return [call.emit(core.Reduction(tuple(range(2, data.rank))), data)]


def max_unpool(call: Call) -> Sequence[Value]:
    """MaxUnpool: a unit goes where its index says; the shape is stated or undoes the pooling."""
    data, stated = call.input(0), call.known_integers(2)
    rank = data.rank - 2
    kernel = stated_kernel(call, rank) or (1,) * rank
    window = geometry(call, kernel, data.dims[2:])
    steps = zip(data.dims[2:], window.kernel, window.strides, window.pads, strict=True)
    spatial = tuple(transposed_length(n, k, s, 1, p) for n, k, s, p in steps)
    if call.optional(2) is not None and stated is None:
        raise ShapeError("the shape of the result depends on the data")
    shape = stated if stated is not None else (*data.dims[:2], *spatial)
    return call.data_dependent([shape], "a unit goes where its index says", call.input(0), call.input(1))


def roi_pool(call: Call) -> Sequence[Value]:
    """MaxRoiPool and RoiAlign: one patch of `pooled` size for each region of interest."""
    data, regions = call.input(0), call.input(1)
    pooled = call.attributes.integers("pooled_shape")
    size = pooled or (call.attributes.integer("output_height", 1), call.attributes.integer("output_width", 1))
    shape = (regions.dims[0], data.dims[1], *size)
    return call.data_dependent([shape], "which units are pooled depends on the regions", *[v for v in call.inputs if v is not None])


_REGIONS = "which units are pooled depends on the regions"

RULES = {
    "MaxPool": Rule(window_pool("max"), "pooling"),
    "AveragePool": Rule(window_pool("average"), "pooling"),
    "LpPool": Rule(window_pool("lp"), "pooling"),
    "GlobalAveragePool": Rule(global_pool, "global"),
    "GlobalMaxPool": Rule(global_pool, "global"),
    "GlobalLpPool": Rule(global_pool, "global"),
    "MaxUnpool": Rule(max_unpool, "pooling", bound="a unit goes where its index says"),
    "MaxRoiPool": Rule(roi_pool, "pooling", bound=_REGIONS),
    "RoiAlign": Rule(roi_pool, "pooling", bound=_REGIONS),
}
