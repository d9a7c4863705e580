"""Stored tensors: what a model keeps, how large it is and where its values are. No value is read here but those of small constants."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from service.faults import Refused
from service.graph.stored_values import Values
from service.options import ExternalMissing
from service.readers.tensors.element_types import ELEMENT_TYPES, ElementType
from service.readers.wire.scan import Run, Scanned
from service.readers.wire.schema import PAYLOADS
from service.sources.local import Source
from service.sources.places import Place, opened

# NumPy's own bound on the rank of an array.
_MAX_RANK = 64
_MAX_COUNT = (1 << 63) - 1
# A sparse tensor may stand for far more values than are stored; beyond so many bytes nobody wants it dense.
_MAX_DENSE_BYTES = 4 << 30
_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})


@dataclass(frozen=True, slots=True)
class Inline:
    """The values stand in the structure itself."""

    values: Values


@dataclass(frozen=True, slots=True)
class InFile:
    """The values lie in runs of a file; `checksum` is the SHA-1 that the model states for the whole of that file."""

    source: Source
    runs: tuple[Run, ...]
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Sparse:
    """Only the values that are not zero are stored, and the indices of their places."""

    values: StoredTensor
    indices: StoredTensor


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There are no values to read, for this `reason` (a sentence)."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that the model stores: `count` elements of type `dtype` in the shape `dims`.

    `element` is the type's encoding, None for strings. `stored_count` is the number of scalars that are really stored, which differs
    from `count` where the tensor is sparse.
    """

    name: str
    dims: tuple[int, ...]
    dtype: str
    count: int
    where: Inline | InFile | Sparse | Unreadable
    element: ElementType | None = None

    @property
    def readable(self) -> bool:
        """Whether the values are there and are numbers."""
        if isinstance(self.where, Sparse):
            return self.where.values.readable and self.where.indices.readable
        return self.element is not None and not isinstance(self.where, Unreadable)

    @property
    def stored_count(self) -> int:
        """The number of scalars stored."""
        return self.where.values.count if isinstance(self.where, Sparse) else self.count


class Storage:
    """Everything that a model stores, in its own file and in the external files that came with it.

    `externals` maps bare file names to the files; nothing else on this machine is ever opened. With `external_missing` "ignore", tensors
    in files that did not come are merely unreadable.
    """

    def __init__(
        self,
        scanned: Scanned,
        externals: Mapping[str, Place] | None = None,
        external_missing: ExternalMissing = "error",
    ) -> None:
        self._source, self._payloads = scanned.source, scanned.payloads
        self._paths, self._missing = dict(externals or {}), external_missing
        self._files: dict[str, Source] = {}

    def tensor(self, proto: onnx.TensorProto, name: str | None = None) -> StoredTensor:
        """The stored tensor that a TensorProto of the scanned model describes; `name` where it is known under another.

        Refused: `tensor-type`, `tensor-size` where the values are not as many as the dims say, `external-…` where it refers to a file
        it may not refer to.
        """
        name = proto.name if name is None else name
        dims = _checked_dims(tuple(proto.dims), name)
        count, element = math.prod(dims), ELEMENT_TYPES.get(proto.data_type)
        if proto.data_type == onnx.TensorProto.STRING:
            return StoredTensor(name, dims, "string", count, Unreadable("Its values are strings."))
        if element is None:
            raise Refused("invalid", "tensor-type", f"Tensor {name!r} has the unknown element type {proto.data_type}.")
        if proto.HasField("segment"):
            return StoredTensor(name, dims, element.name, count, Unreadable("It is one segment of a larger tensor."), element)
        where: Inline | InFile | Unreadable
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            where = self._external(proto, name, element, count)
        else:
            where = _inline(proto, name, element, count)
        return StoredTensor(name, dims, element.name, count, where, element)

    def sparse(self, proto: onnx.SparseTensorProto, name: str | None = None) -> StoredTensor:
        """The stored tensor that a SparseTensorProto describes; it has the name of its values. Refused as for `tensor`."""
        name = proto.values.name if name is None else name
        values, indices = self.tensor(proto.values, name), self.tensor(proto.indices, name)
        dims = _checked_dims(tuple(proto.dims), name)
        count = math.prod(dims)
        flat, coordinates = (values.count,), (values.count, len(dims))
        if len(values.dims) != 1 or indices.dims not in (flat, coordinates) or indices.dtype != "int64" or values.count > count:
            shapes = f"{values.count} values of shape {values.dims}, {indices.dtype} indices of shape {indices.dims}"
            raise Refused("invalid", "sparse-indices", f"The sparse tensor {name!r} of shape {dims} cannot have {shapes}.")
        if values.element is not None and count * values.element.dtype.itemsize > _MAX_DENSE_BYTES:
            raise Refused("limit", "limit-tensor", f"The sparse tensor {name!r} stands for {count} values.")
        return StoredTensor(name, dims, values.dtype, count, Sparse(values, indices), values.element)

    def _external(self, proto: onnx.TensorProto, name: str, element: ElementType, count: int) -> InFile | Unreadable:
        """Where the values of a tensor with external_data are: in the model's own file, or in one that came with it."""
        entries = _entries(proto, name)
        location = entries["location"]
        if location in self._payloads:
            return InFile(self._source, _own_runs(self._payloads[location], name, element, count))
        if location in ("", ".", "..") or any(character in location for character in "/\\\0"):
            raise Refused("invalid", "external-path", f"Tensor {name!r} is in {location!r}; only a bare file name is allowed there.")
        offset, length = _number(entries, "offset", name), _number(entries, "length", name)
        needed = element.raw_bytes(count)
        if length is not None and length != needed:
            raise _wrong_size(name, element, count, f"{length} bytes of {location!r}")
        if location not in self._paths:
            if self._missing == "ignore":
                return Unreadable(f"The external file {location!r} did not come with the model.")
            raise Refused("invalid", "external-missing", f"Tensor {name!r} is in the file {location!r}, which did not come with the model.")
        if location not in self._files:
            self._files[location] = opened(self._paths[location])
        file, offset = self._files[location], offset or 0
        if offset + needed > file.size:
            raise Refused(
                "invalid", "external-range", f"Tensor {name!r} needs {needed} bytes at {offset} of {location!r}, which has {file.size}."
            )
        return InFile(file, (Run(offset, needed, "raw_data", True),), _checksum(entries, name))


def _checked_dims(dims: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The dims, if an array can have them."""
    if len(dims) > _MAX_RANK or any(n < 0 for n in dims) or math.prod(dims) > _MAX_COUNT:
        shown = ", ".join(map(str, dims[:8])) + (", …" if len(dims) > 8 else "")
        raise Refused("invalid", "tensor-size", f"Tensor {name!r} has the impossible shape ({shown}) of rank {len(dims)}.")
    return dims


def _wrong_size(name: str, element: ElementType, count: int, stored: str) -> Refused:
    return Refused("invalid", "tensor-size", f"Tensor {name!r} has {count} elements of type {element.name} by its dims, but {stored}.")


def _inline(proto: onnx.TensorProto, name: str, element: ElementType, count: int) -> Inline | Unreadable:
    """The values of a tensor that stand in its TensorProto."""
    if count and not any(len(getattr(proto, field)) for field in PAYLOADS):
        return Unreadable("The model was stored without its values.")  # TensorRT calls such a model weightless
    if proto.HasField("raw_data"):
        if len(proto.raw_data) != element.raw_bytes(count):
            raise _wrong_size(name, element, count, f"{len(proto.raw_data)} bytes")
        return Inline(element.from_raw(proto.raw_data)[:count])
    numbers = getattr(proto, element.field)
    if element.field in ("float_data", "double_data"):
        values = np.array(numbers, "<f4" if element.field == "float_data" else "<f8").view(element.dtype)
    else:
        unsigned = np.array(numbers, np.uint64 if element.field == "uint64_data" else np.int64).astype(np.uint64)
        values = element.from_numbers(unsigned)
    if not count <= len(values) < count + element.group:
        raise _wrong_size(name, element, count, f"{len(values)} in {element.field}")
    return Inline(values[:count])


def _own_runs(runs: tuple[Run, ...], name: str, element: ElementType, count: int) -> tuple[Run, ...]:
    """Those of a tensor's runs that count: raw_data before the field of its type. Sizes that need no reading are checked."""
    raw = [run for run in runs if run.field == "raw_data"]
    chosen = tuple(raw[-1:]) or tuple(run for run in runs if run.field == element.field)
    if raw:
        fits = raw[-1].length == element.raw_bytes(count)
    else:
        # A number takes 4 or 8 bytes, or 1 to 10 as a varint, and its tag one more.
        least, most = {"float_data": (4, 4), "double_data": (8, 8)}.get(element.field, (1, 10))
        shortest = sum(-(-run.length // (most + (not run.packed))) for run in chosen)
        longest = sum(run.length // (least + (not run.packed)) for run in chosen)
        fits = shortest <= element.entries(count) <= longest
    if not fits:
        raise _wrong_size(name, element, count, f"{sum(run.length for run in chosen)} bytes in {'raw_data' if raw else element.field}")
    return chosen


def _entries(proto: onnx.TensorProto, name: str) -> dict[str, str]:
    """external_data as a mapping; Refused `external-key` where a key is unknown, doubled or missing."""
    entries: dict[str, str] = {}
    for entry in proto.external_data:
        if entry.key in entries or not (entry.key in _KEYS or re.fullmatch(r"prepacked_\d+", entry.key)):
            raise Refused("invalid", "external-key", f"Tensor {name!r} has the external_data key {entry.key[:80]!r}, unknown or doubled.")
        entries[entry.key] = entry.value
    if "location" not in entries:
        raise Refused("invalid", "external-key", f"Tensor {name!r} is external, but external_data has no location.")
    return entries


def _number(entries: Mapping[str, str], key: str, name: str) -> int | None:
    """A count of bytes in external_data; Refused `external-range` where it is none below 2^63."""
    text = entries.get(key)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _MAX_COUNT:
        raise Refused("invalid", "external-range", f"Tensor {name!r} has the {key} {text[:40]!r} in external_data.")
    return int(text)


def _checksum(entries: Mapping[str, str], name: str) -> str | None:
    """The SHA-1 in external_data; Refused `external-checksum` where it is none."""
    checksum = entries.get("checksum")
    if checksum is not None and not re.fullmatch(r"[0-9a-fA-F]{40}", checksum):
        raise Refused("invalid", "external-checksum", f"Tensor {name!r} has a checksum that is no SHA-1.")
    return checksum.lower() if checksum else None
