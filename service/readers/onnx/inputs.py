"""The shapes of a model's inputs: what the file fixes, what the client fixes, and stand-in lengths for the axes that stay symbolic.

1. A symbolic leading axis is a batch: its stand-in is 1, and so is that of every axis that carries the same name. A single input of one
   axis has no batch.
2. Every other symbolic axis has the stand-in length of this reading.
3. A dim of -1 is how some exporters write a symbolic axis. An input without a shape has none here either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnx import ValueInfoProto

from service.faults import Detail, Refused
from service.graph import Shape
from service.limits import MAX_AXIS, MAX_RANK, MAX_UNITS
from service.readers.onnx.values import Value, dtype_name

Dims = tuple[int | str, ...]
"""Declared lengths; a symbolic axis has its name, "" where it has none."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a ValueInfoProto says of a value: `dims` is None where it states no shape."""

    dims: Dims | None
    dtype: str


@dataclass(slots=True)
class Inputs:
    """The inputs of one reading: their values, the axes that have stand-ins, and the length of every named axis."""

    values: list[Value] = field(default_factory=list)
    symbolic: set[tuple[str, int]] = field(default_factory=set)
    lengths: dict[str, int] = field(default_factory=dict)

    def concrete(self, dims: Dims | None) -> Shape | None:
        """A declared shape in this reading; None where an axis has no known length."""
        if dims is None:
            return None
        lengths = [self.lengths.get(d, -1) if isinstance(d, str) else d for d in dims]
        return None if any(n < 0 for n in lengths) else tuple(lengths)


def declared(info: ValueInfoProto) -> Declared:
    """The dims and the type of a declared value. Refused `negative-dimension` or `shape-limit` for dims that no tensor has."""
    kind = info.type.WhichOneof("value")
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return Declared(None, kind.removesuffix("_type") if kind else "undefined")
    described = info.type.tensor_type if kind == "tensor_type" else info.type.sparse_tensor_type
    dtype = dtype_name(described.elem_type)
    if not described.HasField("shape"):
        return Declared(None, dtype)
    dims: list[int | str] = []
    for dim in described.shape.dim:
        if dim.WhichOneof("value") == "dim_value" and dim.dim_value != -1:
            if dim.dim_value < 0:
                raise _invalid("negative-dimension", f"{info.name!r} has an axis of length {dim.dim_value}", info.name)
            dims.append(dim.dim_value)
        else:
            dims.append(dim.dim_param)
    return Declared(tuple(dims), dtype)


def read_inputs(infos: Sequence[ValueInfoProto], fixed: Mapping[str, Shape], stand_in: int, batch: int = 1) -> Inputs:
    """The inputs with concrete shapes. `fixed` are the shapes that the client gives (-1 leaves an axis as the file has it).

    Refused `unknown-input`, `input-shape-rank` or `input-shape-conflict` where those do not fit the model.
    """
    fixed = _named(infos, fixed)
    declarations = {info.name: declared(info) for info in infos}
    shapes = {name: _fixed(name, d.dims, fixed.get(name)) for name, d in declarations.items()}
    result = Inputs()
    for name, known in fixed.items():
        for dim, length in zip(declarations[name].dims or (), known, strict=False):
            if isinstance(dim, str) and dim and length >= 0:
                result.lengths.setdefault(dim, length)
    only = sum(1 for dims in shapes.values() if dims is not None) == 1
    for dims in shapes.values():
        if dims and (len(dims) > 1 or not only) and isinstance(dims[0], str) and dims[0]:
            result.lengths.setdefault(dims[0], batch)
    for name, dims in shapes.items():
        value = Value(name, None, declarations[name].dtype)
        if dims is not None:
            value.shape = _lengths(name, dims, result, (batch, stand_in), only)
        result.values.append(value)
    return result


def _lengths(name: str, dims: Dims, inputs: Inputs, lengths: tuple[int, int], only: bool) -> Shape:
    shape = []
    for axis, dim in enumerate(dims):
        if isinstance(dim, str):
            inputs.symbolic.add((name, axis))
            length = lengths[0] if axis == 0 and (len(dims) > 1 or not only) else lengths[1]
            shape.append(inputs.lengths.setdefault(dim, length) if dim else length)
        else:
            shape.append(dim)
    units = 1
    for length in shape:
        units *= max(length, 1)
    if len(shape) > MAX_RANK or units > MAX_UNITS or any(n >= MAX_AXIS for n in shape):
        raise Refused("limit", "input-too-large", f"the input {name!r} is too large", [Detail(name, "too large", "input-too-large")])
    return tuple(shape)


def _named(infos: Sequence[ValueInfoProto], fixed: Mapping[str, Shape]) -> Mapping[str, Shape]:
    """The client's shapes by the names of inputs; "" is the only one."""
    names = [info.name for info in infos]
    if "" in fixed and "" not in names:
        if len(names) != 1:
            raise _invalid(
                "unknown-input", f"The model has {len(names)} inputs, so input_shapes must name them: {', '.join(names[:20])}.", ""
            )
        fixed = {**{k: v for k, v in fixed.items() if k}, names[0]: fixed[""]}
    for name in fixed:
        if name not in names:
            raise _invalid("unknown-input", f"The model has no input {name!r}. Its inputs are {', '.join(names[:20])}.", name)
    return fixed


def _fixed(name: str, dims: Dims | None, shape: Shape | None) -> Dims | None:
    if shape is None:
        return dims
    if dims is None:
        return tuple("" if n < 0 else n for n in shape)
    if len(dims) != len(shape):
        raise _invalid("input-shape-rank", f"The input {name!r} has {len(dims)} axes, input_shapes gives {len(shape)}.", name)
    for axis, (dim, length) in enumerate(zip(dims, shape, strict=True)):
        if isinstance(dim, int) and length >= 0 and dim != length:
            raise _invalid("input-shape-conflict", f"Axis {axis} of the input {name!r} is {dim} long, not {length}.", name)
    return tuple(dim if length < 0 else length for dim, length in zip(dims, shape, strict=True))


def _invalid(code: str, detail: str, pointer: str) -> Refused:
    return Refused("invalid", code, detail, [Detail(pointer, detail, code)])
