"""Protobuf bytes by hand, and a source of bytes that is no file."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import Message

from service.limits import Limits
from service.readers.wire.scan import Scanned, scan


class Bytes:
    """A source in memory that remembers which of its bytes were read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.reads = data, list[tuple[int, int]]()

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(self.data), "a read outside the source"
        self.reads.append((offset, length))
        return self.data[offset : offset + length]


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def graph_model(graph: bytes) -> bytes:
    """A model of IR version 8 with this graph."""
    return b"\x08\x08" + field(7, graph)


def scan_bytes(data: bytes, limits: Limits | None = None) -> Scanned:
    return scan(Bytes(data), limits)


def tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """All tensors inside a message, in the order of its fields."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for child in value if descriptor.is_repeated else [value]:
            if isinstance(child, onnx.TensorProto):
                yield child
            else:
                yield from tensors(child)


def without_payloads(model: onnx.ModelProto, inline_bytes: int = 1024) -> onnx.ModelProto:
    """The model without what a scan may leave out: values, references to them, long texts, unknown fields."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.DiscardUnknownFields()
    for tensor in tensors(result):
        for name in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"):
            tensor.ClearField(name)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    _clear_long_texts(result, inline_bytes)
    return result


def _clear_long_texts(message: Message, inline_bytes: int) -> None:
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else [value]:
                _clear_long_texts(child, inline_bytes)
        elif descriptor.name in ("doc_string", "s") and not 0 < len(value if isinstance(value, bytes) else value.encode()) <= inline_bytes:
            message.ClearField(descriptor.name)
        elif descriptor.name == "value" and descriptor.type == descriptor.TYPE_STRING:
            text = value.encode()
            message.value = text[:64].decode(errors="ignore") if len(text) > inline_bytes else value  # type: ignore[attr-defined]
        elif descriptor.name == "strings":
            message.strings[:] = [b"" if len(text) > inline_bytes else text for text in value]
