"""A variant of an ONNX model: edits are put into nodes, and weights follow, before a node is lowered.

1. An edit changes the attributes of a convolution, a transposed convolution or a pooling; `padding` takes the place of pads, auto_pad and
   output_shape. A layer that is removed gives what it reads.
2. A weight whose shape no longer fits what its layer reads, or its kernel, becomes one of the shape that does. It has no values.
3. A Reshape that writes out the number of units of a map flattens the map that there now is.
4. Shapes that the file declares between inputs and outputs no longer hold, and are not read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, ValueInfoProto, helper

from service.edits import Edit, Editing, Setting
from service.faults import Refused
from service.graph import Shape
from service.graph.geometry import causal_padding
from service.readers.onnx.attributes import Attributes
from service.readers.onnx.call import Call
from service.readers.onnx.values import Constant, ModelWeight, Value

KERNELS: Mapping[str, int] = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3, "FusedConv": 1, "NhwcConv": 1}
"""The operators with a window of weights, and which input holds them: (filters, channels of a group, *window)."""
POOLINGS = ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool")
_NAMES = {"kernel": "kernel_shape", "stride": "strides", "dilation": "dilations"}
_AUTOMATIC = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}


class Variant:
    """What one reading of a model changes. `weights` are those that were given another shape, by the name of the stored tensor; `left` are
    the stored tensors of layers that were removed.

    Weights follow what they are applied to only where no spatial axis of an input is open: nothing is made to fit a stand-in.
    """

    def __init__(self, edits: Sequence[Edit], model: ModelProto, lengths_are_known: bool) -> None:
        self.editing, self._fits = Editing(edits), lengths_are_known
        self.weights: dict[str, ModelWeight] = {}
        self.left: set[str] = set()
        self._uses = Counter(name for node in model.graph.node for name in node.input)

    def apply(self, call: Call) -> Value | None:
        """Change a node that is about to be lowered, or give the value that takes the place of what it gives. Refused `invalid-edit`."""
        edit = self.editing.of(call.name)
        if edit is not None and edit.remove:
            return self._taken(call)
        if edit is not None:
            self._set(call, edit)
        if self._fits and call.op in _FITS:
            self._fit(call, _FITS[call.op](call))
        if self._fits and call.op == "Reshape":
            _flatten(call)
        return None

    def _taken(self, call: Call) -> Value:
        """What a layer reads, where it is to be removed."""
        data, outputs = call.data(), [name for name in call.outputs if name]
        if len(data) != 1 or len(outputs) != 1 or data[0].items is not None:
            reason = f"{call.op} joins {len(data)} tensors and gives {len(outputs)}; only one can take the place of one"
            raise self.editing.refused(call.name, "remove", "not-removable", reason)
        self.left.update(each.name for value in call.inputs if value and value.constant for each in value.constant.origin.sources)
        return data[0]

    def _set(self, call: Call, edit: Edit) -> None:
        first = next(iter(edit.settings))
        place = KERNELS.get(call.op)
        if place is None and call.op not in POOLINGS:
            raise self.editing.refused(call.name, first, "no-geometry", f"{call.op} has no window to change")
        shaped = call.input(place or 0)
        if shaped.shape is None or shaped.rank < 3:
            raise self.editing.refused(call.name, first, "no-geometry", f"the number of spatial axes of this {call.op} is not known")
        window = _Window(call, self.editing, shaped.rank - 2)
        if place is not None and "kernel" in edit.settings:
            kernel = window.each("kernel", edit.settings["kernel"])
            if shaped.constant is None:
                raise self.editing.refused(call.name, "kernel", "no-geometry", "its kernel is computed from data")
            self._fit(call, {place: (*shaped.dims[:2], *kernel)})
        call.attributes = window.attributes(edit.settings, pooling=place is None)

    def _fit(self, call: Call, shapes: Mapping[int, Shape]) -> None:
        """Give constant inputs of a call these shapes, where they have others."""
        inputs = list(call.inputs)
        for place, shape in shapes.items():
            value = inputs[place] if place < len(inputs) else None
            if value is not None and value.constant is not None and value.shape is not None and value.shape != shape:
                inputs[place] = self._resized(call, value, value.constant, shape)
        call.inputs = inputs

    def _resized(self, call: Call, value: Value, constant: Constant, shape: Shape) -> Value:
        """A weight of another shape and without values. One that other nodes read too is from now on two."""
        origin, count = constant.origin, math.prod(shape)
        name = origin.name if self._uses[origin.name] < 2 else f"{origin.name} ({call.name})"
        sources = tuple(replace(each, name=name, count=count, region=None) for each in origin.sources[:1])
        fresh = Constant(replace(origin, name=name, count=count, sources=sources))
        self.weights[name] = ModelWeight(name, shape, count, origin.dtype, None, fresh)
        return Value(name, shape, value.dtype, fresh)


class _Window:
    """The settings of one edit, as the attributes of a node with so many spatial axes."""

    def __init__(self, call: Call, editing: Editing, rank: int) -> None:
        self._call, self._editing, self._rank = call, editing, rank

    def each(self, name: str, value: Setting) -> tuple[Any, ...]:
        """A setting with one entry for each spatial axis."""
        if not isinstance(value, tuple):
            return (value,) * self._rank
        if len(value) != self._rank:
            reason = f"{name} has {len(value)} entries for {self._rank} spatial axes"
            raise self._editing.refused(self._call.name, name, "wrong-length", reason)
        return value

    def attributes(self, settings: Mapping[str, Setting], pooling: bool) -> Attributes:
        """The attributes of the node with the settings in them."""
        found: dict[str, AttributeProto] = dict(self._call.attributes.by_name)
        for name, value in settings.items():
            if name != "padding":
                self._put(found, _NAMES[name], self.each(name, value))
        if "kernel" in settings and not pooling:
            found.pop("kernel_shape")  # the shape of the weights says it
        if "padding" in settings:
            for name in ("pads", "auto_pad", "output_shape"):
                found.pop(name, None)
            self._pad(found, settings)
        return Attributes(found.values(), self._call.name)

    def _pad(self, found: dict[str, AttributeProto], settings: Mapping[str, Setting]) -> None:
        padding = settings["padding"]
        if padding == "causal":
            if self._call.op == "ConvTranspose":
                raise self._editing.refused(self._call.name, "padding", "wrong-value", "a transposed convolution has no causal padding")
            pads = tuple(causal_padding(k, d) for k, d in zip(self._kernel(found), self._dilations(found), strict=True))
        elif isinstance(padding, str):
            self._put(found, "auto_pad", _AUTOMATIC[padding])
            return
        else:
            pads = tuple(entry if isinstance(entry, tuple) else (entry, entry) for entry in self.each("padding", padding))
        self._put(found, "pads", (*(before for before, _ in pads), *(after for _, after in pads)))

    def _kernel(self, found: Mapping[str, AttributeProto]) -> Sequence[int]:
        place = KERNELS.get(self._call.op)
        return tuple(found["kernel_shape"].ints) if place is None else self._call.input(place).dims[2:]

    def _dilations(self, found: Mapping[str, AttributeProto]) -> Sequence[int]:
        return tuple(found["dilations"].ints) if "dilations" in found else (1,) * self._rank

    def _put(self, found: dict[str, AttributeProto], name: str, value: str | tuple[int, ...]) -> None:
        found[name] = helper.make_attribute(name, value if isinstance(value, str) else list(value))


# -- weights that follow what their layer reads --------------------------------------------------------------------

Fit = Callable[[Call], Mapping[int, Shape]]


def _matrix(call: Call) -> Mapping[int, Shape]:
    """Gemm: one side of the matrix is as long as the rows that it is applied to."""
    data, matrix = call.input(0), call.input(1)
    if data.shape is None or matrix.shape is None or data.rank != 2 or matrix.rank != 2 or call.attributes.integer("transA"):
        return {}
    inputs, turned = data.dims[1], bool(call.attributes.integer("transB"))
    return {1: (matrix.dims[0], inputs) if turned else (inputs, matrix.dims[1])}


def _product(call: Call) -> Mapping[int, Shape]:
    """MatMul with a constant matrix on its right."""
    data, matrix = call.input(0), call.input(1)
    known = data.shape is not None and matrix.shape is not None and data.rank > 1 and matrix.rank == 2
    return {1: (data.dims[-1], matrix.dims[1])} if known else {}


def _channels(place: int, axis: int) -> Fit:
    """A convolution in one group: its kernel has the channels of what it reads along an axis."""

    def fit(call: Call) -> Mapping[int, Shape]:
        data, kernel = call.input(0), call.input(place)
        known = data.shape is not None and kernel.shape is not None and data.rank > 2 and kernel.rank == data.rank
        if not known or call.attributes.integer("group", 1) != 1:
            return {}
        return {place: tuple(data.dims[1] if i == axis else n for i, n in enumerate(kernel.dims))}

    return fit


def _normalization(call: Call) -> Mapping[int, Shape]:
    """BatchNormalization: four numbers for each channel."""
    data = call.input(0)
    return {} if data.shape is None or data.rank < 2 else dict.fromkeys(range(1, 5), (data.dims[1],))


_FITS: Mapping[str, Fit] = {
    "Gemm": _matrix,
    "MatMul": _product,
    "Conv": _channels(1, axis=1),
    "ConvTranspose": _channels(1, axis=0),
    "BatchNormalization": _normalization,
}


def _flatten(call: Call) -> None:
    """Have a Reshape whose target is that of a flattened map flatten the map that it reads."""
    data, target = call.input(0), call.known_integers(1)
    if data.shape is None or not target or len(target) > data.rank:
        return
    kept = len(target) - 1
    same = all(n in (length, 0) or (n == -1 and axis == 0) for axis, (n, length) in enumerate(zip(target[:kept], data.dims, strict=False)))
    if same and target[-1] > 0:
        flat = (*data.dims[:kept], math.prod(data.dims[kept:]))
        call.inputs = (data, call.constant(np.asarray(flat, dtype=np.int64)))


# -- the file ------------------------------------------------------------------------------------------------------


def resize_inputs(model: ModelProto, resized: Mapping[str, Shape]) -> None:
    """Write the lengths that a variant has into the declared inputs; an axis of the same symbol becomes as long everywhere.

    Refused `unknown-input` or `input-shape-rank` where the model has no such input or axes.
    """
    infos = {info.name: info for info in model.graph.input}
    symbols: dict[str, int] = {}
    for name, shape in resized.items():
        if name not in infos:
            _unfit("unknown-input", f"The model has no input {name!r}. Its inputs are {', '.join(list(infos)[:20])}.")
        dims = infos[name].type.tensor_type.shape.dim
        if len(dims) != len(shape):
            _unfit("input-shape-rank", f"The input {name!r} has {len(dims)} axes, input_shapes gives {len(shape)}.")
        for dim, length in zip(dims, shape, strict=True):
            if length >= 0:
                symbols.update({dim.dim_param: length} if dim.dim_param else {})
                dim.dim_value = length
    for info in model.graph.input:
        _fix(info, symbols)


def _fix(info: ValueInfoProto, symbols: Mapping[str, int]) -> None:
    for dim in info.type.tensor_type.shape.dim:
        if dim.dim_param in symbols:
            dim.dim_value = symbols[dim.dim_param]


def forget_shapes(graph: GraphProto) -> None:
    """Take away the lengths that a file declares of what its nodes give; of its outputs the number of axes and the symbols stay."""
    del graph.value_info[:]
    for info in graph.output:
        for dim in info.type.tensor_type.shape.dim:
            dim.ClearField("dim_value")


def _unfit(code: str, detail: str) -> NoReturn:
    raise Refused("invalid", code, detail)
