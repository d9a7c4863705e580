"""ONNX's messages as the wire format sees them: for every tag, what follows it. Made from the descriptors of the installed onnx."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from onnx import ModelProto


class Kind(IntEnum):
    """What follows a tag: a number of one of three sizes, text, bytes, a packed list of numbers, or a message."""

    VARINT = 0
    FIXED32 = 1
    FIXED64 = 2
    TEXT = 3
    BYTES = 4
    PACKED = 5
    MESSAGE = 6


# Not messages, but counted like them.
STRING, VALUE = 0, 1

VARINT_WIRE, FIXED64_WIRE, LENGTH_WIRE, FIXED32_WIRE = 0, 1, 2, 5
_TYPES = {
    FieldDescriptor.TYPE_INT32: (VARINT_WIRE, Kind.VARINT),
    FieldDescriptor.TYPE_INT64: (VARINT_WIRE, Kind.VARINT),
    FieldDescriptor.TYPE_UINT32: (VARINT_WIRE, Kind.VARINT),
    FieldDescriptor.TYPE_UINT64: (VARINT_WIRE, Kind.VARINT),
    FieldDescriptor.TYPE_BOOL: (VARINT_WIRE, Kind.VARINT),
    FieldDescriptor.TYPE_ENUM: (VARINT_WIRE, Kind.VARINT),
    FieldDescriptor.TYPE_FLOAT: (FIXED32_WIRE, Kind.FIXED32),
    FieldDescriptor.TYPE_DOUBLE: (FIXED64_WIRE, Kind.FIXED64),
    FieldDescriptor.TYPE_STRING: (LENGTH_WIRE, Kind.TEXT),
    FieldDescriptor.TYPE_BYTES: (LENGTH_WIRE, Kind.BYTES),
    FieldDescriptor.TYPE_MESSAGE: (LENGTH_WIRE, Kind.MESSAGE),
}
# Fields of a TensorProto that hold its values.
PAYLOADS = frozenset({"raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"})

_OPAQUE = frozenset({("StringStringEntryProto", "value"), ("AttributeProto", "s"), ("AttributeProto", "strings")})


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field under one of its tags. `once` has a bit of its own where the field is a single message, else it is 0.

    `counted` is what one occurrence adds to (a message's own index, STRING, VALUE or nothing); `opaque` content says nothing about the
    network's structure.
    """

    name: str
    tag: int
    kind: Kind
    child: Message | None
    once: int
    counted: int | None
    payload: bool
    opaque: bool


@dataclass(slots=True, eq=False)
class Message:
    """One message type: its fields by tag and, for the fast walk, the same as plain tuples (kind, child, once, counted)."""

    name: str
    index: int
    fields: dict[int, Field] = field(default_factory=dict)
    plain: dict[int, tuple[int, Message | None, int, int | None]] = field(default_factory=dict)
    numbers: frozenset[int] = frozenset()


def _opaque(owner: str, name: str) -> bool:
    """Whether the field's content says nothing about the structure, so that it may be left out where it is long."""
    return name == "doc_string" or (owner, name) in _OPAQUE


def _add(message: Message, descriptor: FieldDescriptor, bit: int, known: dict[str, Message]) -> None:
    """Put the field under its tag and, if it is a list of numbers, under that of its packed form as well."""
    wire, kind = _TYPES[descriptor.type]
    child = _message(descriptor.message_type, known) if descriptor.message_type is not None else None
    payload = message.name == "TensorProto" and descriptor.name in PAYLOADS
    forms = [(wire, kind)]
    if descriptor.is_repeated and wire != LENGTH_WIRE:
        forms.append((LENGTH_WIRE, Kind.PACKED))
    for form_wire, form in forms:
        counted = child.index if child else STRING if form in (Kind.TEXT, Kind.BYTES) else VALUE if descriptor.is_repeated else None
        once = 1 << bit if child and not descriptor.is_repeated else 0
        tag = descriptor.number << 3 | form_wire
        opaque = _opaque(message.name, descriptor.name)
        message.fields[tag] = Field(descriptor.name, tag, form, child, once, counted, payload, opaque)
        # A tensor's own reference to a file is looked at, never waved through.
        if (message.name, descriptor.name) != ("TensorProto", "external_data"):
            message.plain[tag] = (int(form), child, once, counted)


def _message(descriptor: Descriptor, known: dict[str, Message]) -> Message:
    """The message type and, through its fields, all that it can contain."""
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    message = known[descriptor.full_name] = Message(descriptor.name, len(known) + 2)
    for bit, entry in enumerate(descriptor.fields):
        _add(message, entry, bit, known)
    message.numbers = frozenset(entry.number for entry in descriptor.fields)
    return message


_KNOWN: dict[str, Message] = {}
_message(cast(Descriptor, ModelProto.DESCRIPTOR), _KNOWN)
MODEL, NODE, TENSOR, ATTRIBUTE, GRAPH, FUNCTION = (
    _KNOWN[f"onnx.{name}"] for name in ("ModelProto", "NodeProto", "TensorProto", "AttributeProto", "GraphProto", "FunctionProto")
)
COUNTERS = 2 + len(_KNOWN)
