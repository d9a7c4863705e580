"""The values of stored tensors, read by offset when a question needs them, in blocks of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from service.faults import Refused
from service.graph.stored_values import Values
from service.readers.tensors.element_types import Buffer, ElementType
from service.readers.tensors.stored import InFile, Inline, Sparse, StoredTensor, Unreadable
from service.readers.wire.scan import Run
from service.sources.local import CHUNK_BYTES, LocalFile, Source, views

BLOCK_BYTES = CHUNK_BYTES
_VARINT_BYTES = 1 << 18  # decoding takes some sixty times as much memory for a moment


def read(stored: StoredTensor) -> Values:
    """All values, in the shape `stored.dims` and the tensor's own element type (integers below 8 bits as int8 and uint8).

    Refused: `tensor-unreadable`, `tensor-size`, `sparse-indices`, `external-checksum`.
    """
    values = np.empty(stored.count, _element(stored).dtype)
    position = 0
    for block in read_blocks(stored):
        values[position : position + len(block)] = block
        position += len(block)
    return values.reshape(stored.dims)


def read_blocks(stored: StoredTensor, block_bytes: int = BLOCK_BYTES, multiple: int = 1) -> Iterator[Values]:
    """The values in storage order (C order) as consecutive one-dimensional arrays of about `block_bytes` bytes.

    Every block but the last is as long as a multiple of `multiple` elements, such as a row of a matrix. Errors as for `read`.
    """
    element = _element(stored)
    multiple = max(1, multiple)
    length = max(1, block_bytes // (element.dtype.itemsize * multiple)) * multiple
    pieces = _pieces(stored, element, length)
    carry: list[Values] = []
    carried = total = 0
    for piece in pieces:
        if total + len(piece) > stored.count:
            piece = _without_padding(piece, stored, element, stored.count - total)
        total += len(piece)
        if not carried and len(piece) == length:
            yield piece
            continue
        carry.append(piece)
        carried += len(piece)
        while carried >= length:
            joined = carry[0] if len(carry) == 1 else np.concatenate(carry)
            yield joined[:length]
            carry, carried = [joined[length:]], carried - length
    if total != stored.count:
        raise Refused("invalid", "tensor-size", f"Tensor {stored.name!r} has {stored.count} elements by its dims, but {total} values.")
    if carried:
        yield carry[0] if len(carry) == 1 else np.concatenate(carry)


def dequantize(values: Values, scale: Values, zero_point: Values | None = None, axis: int = 1, block_size: int = 0) -> Values:
    """(values - zero_point) · scale in float32 (float64 where the scale is), ONNX's DequantizeLinear.

    `scale` is one number, one per place along `axis`, or one per block of `block_size` places along it (then of the values' rank;
    a block size of 0 is derived from the shapes). Refused `quantization-shape` where they do not fit.
    """
    scale = np.asarray(scale)
    scale = _fitted(scale, values.shape, axis, block_size).astype(np.float64 if scale.dtype == np.float64 else np.float32)
    result = values.astype(scale.dtype)
    if zero_point is not None:
        # In float64, the difference of two 32-bit integers is exact.
        points = _fitted(np.asarray(zero_point), values.shape, axis, block_size)
        exact = values.dtype.kind in "iu" and values.dtype.itemsize > 2
        result = (values.astype(np.float64) - points).astype(scale.dtype) if exact else result - points.astype(scale.dtype)
    return result * scale


def _fitted(parameter: Values, shape: tuple[int, ...], axis: int, block_size: int) -> Values:
    """A scale or zero point in a form that broadcasts against values of this shape."""
    if parameter.size == 1 and parameter.ndim <= 1:
        return parameter.reshape(())
    if -len(shape) <= axis < len(shape):
        axis %= len(shape)
        length = shape[axis]
        if parameter.shape == (length,):
            return parameter.reshape([length if i == axis else 1 for i in range(len(shape))])
        if parameter.ndim == len(shape) and parameter.size:
            block = max(1, min(block_size or -(-length // parameter.shape[axis]), length))
            if parameter.shape == tuple(-(-n // block) if i == axis else n for i, n in enumerate(shape)):
                return np.repeat(parameter, block, axis)[(slice(None),) * axis + (slice(length),)]
    raise Refused(
        "invalid", "quantization-shape", f"A scale or zero point of shape {parameter.shape} does not fit {shape} along axis {axis}."
    )


def _element(stored: StoredTensor) -> ElementType:
    """How the values are encoded; Refused `tensor-unreadable` where there are none."""
    if stored.element is None or isinstance(stored.where, Unreadable):
        reason = stored.where.reason if isinstance(stored.where, Unreadable) else "Its values are no numbers."
        raise Refused("invalid", "tensor-unreadable", f"The values of tensor {stored.name!r} cannot be read. {reason}")
    return stored.element


def _without_padding(piece: Values, stored: StoredTensor, element: ElementType, left: int) -> Values:
    """The first `left` values, if what is left over is only what fills the last byte."""
    if len(piece) - left >= element.group:
        raise Refused("invalid", "tensor-size", f"Tensor {stored.name!r} has more values than the {stored.count} of its dims.")
    return piece[:left]


def _pieces(stored: StoredTensor, element: ElementType, length: int) -> Iterator[Values]:
    """The values in pieces as they come: mostly `length` long, but never much longer."""
    where = stored.where
    if isinstance(where, Inline):
        yield where.values
    elif isinstance(where, Sparse):
        yield from _dense(stored, where, element, length)
    elif isinstance(where, InFile):
        if where.checksum is not None and isinstance(where.source, LocalFile) and where.source.sha1() != where.checksum:
            raise Refused("invalid", "external-checksum", f"The file of tensor {stored.name!r} is not the one with SHA-1 {where.checksum}.")
        for run in where.runs:
            yield from _run_values(where.source, run, element, length)


def _run_values(source: Source, run: Run, element: ElementType, length: int) -> Iterator[Values]:
    """The values of one run, in pieces of `length`."""
    if run.field in ("raw_data", "float_data", "double_data"):
        width = {"float_data": 4, "double_data": 8}.get(run.field, 0)
        whole = -(-length // element.group) * element.group
        step = element.raw_bytes(whole) if run.packed else max(1, element.raw_bytes(whole) // width) * (width + 1)
        for piece in views(source, run.offset, run.length, step):
            data: Buffer = piece
            if not run.packed:
                data = np.frombuffer(data, np.uint8).reshape(-1, width + 1)[:, 1:].tobytes()
            yield element.from_raw(data)
        return
    rest = b""
    step = min(max(64, length), _VARINT_BYTES)
    for offset in range(0, run.length, step):
        data = rest + source.read(run.offset + offset, min(step, run.length - offset))
        numbers, used = _varints(data, run.packed)
        rest = data[used:]
        yield element.from_numbers(numbers)
    if rest:
        raise Refused("malformed", "not-protobuf", f"The last number of the list at byte {run.offset} is not complete.")


def _varints(data: bytes, packed: bool) -> tuple[np.ndarray[Any, np.dtype[np.uint64]], int]:
    """The whole varints in `data` modulo 2^64, each after a one-byte tag unless packed, and how many bytes they take."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 128)
    if not packed:
        ends = ends[: len(ends) // 2 * 2]
    if not len(ends):
        return np.zeros(0, np.uint64), 0
    used = int(ends[-1]) + 1
    starts = np.concatenate(([0], ends[:-1] + 1))
    if not packed:
        ends, starts = ends[1::2], starts[1::2]
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise Refused("malformed", "not-protobuf", "A number in a tensor's values is longer than 64 bits.")
    numbers = np.zeros(len(starts), np.uint64)
    for place in range(int(lengths.max())):
        longer = lengths > place
        part = (octets[np.where(longer, starts + place, 0)] & 127).astype(np.uint64) << np.uint64(7 * place)
        numbers |= np.where(longer, part, np.uint64(0))
    return numbers, used


def _dense(stored: StoredTensor, where: Sparse, element: ElementType, length: int) -> Iterator[Values]:
    """A sparse tensor's values with the zeros between them."""
    values, places = read(where.values), _places(stored, where)
    for start in range(0, stored.count, length):
        block = np.zeros(min(length, stored.count - start), element.dtype)
        first, last = np.searchsorted(places, (start, start + len(block)))
        block[places[first:last] - start] = values[first:last]
        yield block


def _places(stored: StoredTensor, where: Sparse) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The linear indices of a sparse tensor's values; Refused `sparse-indices` unless they ascend and lie inside."""
    indices = read(where.indices)
    dims = np.array(stored.dims, np.int64)
    if indices.ndim == 2:
        if (indices < 0).any() or (indices >= dims).any():
            raise Refused("invalid", "sparse-indices", f"An index of the sparse tensor {stored.name!r} lies outside its shape.")
        steps = np.array([math.prod(stored.dims[axis + 1 :]) for axis in range(len(stored.dims))], np.int64)
        indices = indices @ steps
    if len(indices) and (indices[0] < 0 or indices[-1] >= stored.count or (np.diff(indices) <= 0).any()):
        raise Refused("invalid", "sparse-indices", f"The indices of the sparse tensor {stored.name!r} do not ascend inside its shape.")
    return indices
