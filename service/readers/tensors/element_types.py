"""The element types of ONNX tensors: how many bits each takes, how bits become numbers, and which field holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto

from service.graph.stored_values import Values

Buffer = bytes | memoryview
_Octets = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class ElementType:
    """One TensorProto.DataType.

    `name` is its name in reports; `bits` is what one element takes in raw_data and in external files; `dtype` is what its values are read
    as (integers of fewer than 8 bits as int8 and uint8); `field` is the TensorProto field for values that are not raw. `signed` matters
    for integers of fewer than 8 bits only.
    """

    name: str
    bits: int
    dtype: np.dtype[Any]
    field: str
    signed: bool = False

    def raw_bytes(self, count: int) -> int:
        """The bytes that `count` elements take in raw_data; types of fewer than 8 bits are packed."""
        return -(-count * self.bits // 8)

    def entries(self, count: int) -> int:
        """The numbers that `count` elements take in `field`: two for a complex one, a byte for several small ones."""
        if self.dtype.kind == "c":
            return 2 * count
        return count if self.bits >= 6 else self.raw_bytes(count)

    @property
    def group(self) -> int:
        """The fewest elements that fill whole bytes."""
        return {2: 4, 4: 2, 6: 4}.get(self.bits, 1)

    def from_raw(self, data: Buffer) -> Values:
        """The values in raw_data, ONNX's little-endian encoding; the padding of a last byte gives surplus values."""
        if self.bits < 8:
            return self._from_codes(_unpacked(np.frombuffer(data, np.uint8), self.bits))
        if self.dtype == np.bool_:
            return np.frombuffer(data, np.uint8).astype(np.bool_)
        return np.frombuffer(data, self.dtype)

    def from_numbers(self, numbers: np.ndarray[Any, np.dtype[np.uint64]]) -> Values:
        """The values in int32_data, int64_data or uint64_data, as numbers modulo 2^64: bit patterns of floats, packed small integers."""
        if self.bits < 8:  # as in raw_data, but that 6-bit floats are not packed
            codes: _Octets = numbers.astype(np.uint8)
            return self._from_codes(np.bitwise_and(codes, 63, dtype=np.uint8) if self.bits == 6 else _unpacked(codes, self.bits))
        if self.dtype == np.bool_:
            return numbers.astype(np.uint8).astype(np.bool_)
        bits: Values = numbers.astype(f"<u{self.dtype.itemsize}")
        return bits.view(self.dtype)

    def _from_codes(self, codes: _Octets) -> Values:
        """The values of bit patterns of fewer than 8 bits, one to a byte."""
        if self.signed:
            half = 1 << (self.bits - 1)
            return (codes ^ half).view(np.int8) - np.int8(half)
        return codes.view(self.dtype)


def _unpacked(data: _Octets, bits: int) -> _Octets:
    """The 2-, 4- or 6-bit patterns in `data`, least significant bits first, one to a byte."""
    if bits == 6:
        groups = np.zeros((-(-len(data) // 3), 4), np.uint8)
        padded = np.zeros(len(groups) * 3, np.uint8)
        padded[: len(data)] = data
        first, second, third = padded[::3], padded[1::3], padded[2::3]
        groups[:, 0], groups[:, 1] = first & 63, first >> 6 | (second & 15) << 2
        groups[:, 2], groups[:, 3] = second >> 4 | (third & 3) << 4, third >> 2
        return groups.reshape(-1)[: len(data) * 8 // 6]
    if bits == 4:
        # Both halves of a byte at once: the low one stays, the high one becomes the next byte.
        pairs = data.astype("<u2")
        pairs |= pairs << 4
        pairs &= 0x0F0F
        return pairs.view(np.uint8)
    each = 8 // bits
    codes = np.empty((len(data), each), np.uint8)
    for place in range(each):
        np.bitwise_and(data >> (place * bits), (1 << bits) - 1, out=codes[:, place])
    return codes.reshape(-1)


def _little(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


_TYPES = {
    "FLOAT": ElementType("float32", 32, _little("f4"), "float_data"),
    "DOUBLE": ElementType("float64", 64, _little("f8"), "double_data"),
    "COMPLEX64": ElementType("complex64", 64, _little("c8"), "float_data"),
    "COMPLEX128": ElementType("complex128", 128, _little("c16"), "double_data"),
    "INT64": ElementType("int64", 64, _little("i8"), "int64_data"),
    "UINT64": ElementType("uint64", 64, _little("u8"), "uint64_data"),
    "UINT32": ElementType("uint32", 32, _little("u4"), "uint64_data"),
    "INT32": ElementType("int32", 32, _little("i4"), "int32_data"),
    "INT16": ElementType("int16", 16, _little("i2"), "int32_data"),
    "UINT16": ElementType("uint16", 16, _little("u2"), "int32_data"),
    "INT8": ElementType("int8", 8, np.dtype("i1"), "int32_data"),
    "UINT8": ElementType("uint8", 8, np.dtype("u1"), "int32_data"),
    "BOOL": ElementType("bool", 8, np.dtype("?"), "int32_data"),
    "FLOAT16": ElementType("float16", 16, _little("f2"), "int32_data"),
    "BFLOAT16": ElementType("bfloat16", 16, np.dtype(ml_dtypes.bfloat16), "int32_data"),
    "FLOAT8E4M3FN": ElementType("float8e4m3fn", 8, np.dtype(ml_dtypes.float8_e4m3fn), "int32_data"),
    "FLOAT8E4M3FNUZ": ElementType("float8e4m3fnuz", 8, np.dtype(ml_dtypes.float8_e4m3fnuz), "int32_data"),
    "FLOAT8E5M2": ElementType("float8e5m2", 8, np.dtype(ml_dtypes.float8_e5m2), "int32_data"),
    "FLOAT8E5M2FNUZ": ElementType("float8e5m2fnuz", 8, np.dtype(ml_dtypes.float8_e5m2fnuz), "int32_data"),
    "FLOAT8E8M0": ElementType("float8e8m0", 8, np.dtype(ml_dtypes.float8_e8m0fnu), "int32_data"),
    "FLOAT6E2M3": ElementType("float6e2m3", 6, np.dtype(ml_dtypes.float6_e2m3fn), "int32_data"),
    "FLOAT6E3M2": ElementType("float6e3m2", 6, np.dtype(ml_dtypes.float6_e3m2fn), "int32_data"),
    "FLOAT4E2M1": ElementType("float4e2m1", 4, np.dtype(ml_dtypes.float4_e2m1fn), "int32_data"),
    "INT4": ElementType("int4", 4, np.dtype("i1"), "int32_data", signed=True),
    "UINT4": ElementType("uint4", 4, np.dtype("u1"), "int32_data"),
    "INT2": ElementType("int2", 2, np.dtype("i1"), "int32_data", signed=True),
    "UINT2": ElementType("uint2", 2, np.dtype("u1"), "int32_data"),
}

# By TensorProto.DataType, as far as the installed onnx knows the type. Strings are no numbers and have no entry.
ELEMENT_TYPES: dict[int, ElementType] = {number: _TYPES[name] for name, number in TensorProto.DataType.items() if name in _TYPES}
