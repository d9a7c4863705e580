"""The structure of an ONNX file without its weights: a walk over the protobuf wire format that never reads a large payload.

Protobuf's encoding: https://protobuf.dev/programming-guides/encoding/. Two walks share one schema. The slow one goes through messages of
any size, cuts payloads out, drops unknown fields and explains what is wrong. The fast one goes through a small message as it lies in
memory and only answers whether it may be copied as it is; whatever it does not like it leaves to the slow one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from service.faults import Refused
from service.limits import Limits
from service.readers.formats import SNIFF_BYTES, refuse_other_formats
from service.readers.wire.fast import plain, tagged_fixed, tagged_varints
from service.readers.wire.schema import (
    ATTRIBUTE,
    COUNTERS,
    FIXED32_WIRE,
    FIXED64_WIRE,
    FUNCTION,
    GRAPH,
    LENGTH_WIRE,
    MODEL,
    NODE,
    STRING,
    TENSOR,
    VALUE,
    VARINT_WIRE,
    Field,
    Kind,
    Message,
)
from service.sources.local import Source

# No model can say this itself: scan refuses one that does. No operating system opens a path with a NUL.
MARKER = "\0stored/"

# What is read at a time: little after a jump over a payload, and more and more where the structure goes on.
_MIN_WINDOW_BYTES, _MAX_WINDOW_BYTES = 1 << 10, 1 << 18
_LOOK_AHEAD = 32  # more than a tag and a length
_WIDTHS = {FIXED32_WIRE: 4, FIXED64_WIRE: 8}
_WIRES = (VARINT_WIRE, FIXED64_WIRE, LENGTH_WIRE, FIXED32_WIRE)
_EXTERNAL = onnx.TensorProto.EXTERNAL


_BEGINNING = 64
"""Bytes that are kept of a text that is left out."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive bytes of the file that hold values of one tensor.

    `field` is the TensorProto field they belong to. Packed bytes are the bare values, one after the other; otherwise every value is
    preceded by the field's one-byte tag, and a string by its length as well.
    """

    offset: int
    length: int
    field: str
    packed: bool


@dataclass(frozen=True, slots=True)
class Scanned:
    """A model's structure, and where in its file the payloads are.

    In `model`, a tensor whose payload was cut out has data_location EXTERNAL and a location that begins with MARKER and is a key of
    `payloads`, whose runs are in the order of the values. `left_out` counts the bytes of documentation, metadata and string attributes
    that were too long to be of interest.
    """

    model: onnx.ModelProto
    payloads: Mapping[str, tuple[Run, ...]]
    source: Source
    left_out: int


def scan(source: Source, limits: Limits | None = None) -> Scanned:
    """Read the structure of an ONNX file; memory and time depend on the structure, not on the size of the weights.

    Refused: `malformed` where the bytes are no model, `unsupported` where they are another format, `limit` where the structure
    exceeds `limits`.
    """
    refuse_other_formats(source.read(0, min(SNIFF_BYTES, source.size)), source.size)
    scanner = _Scanner(source, limits or Limits())
    structure = scanner.run()
    try:
        model = onnx.ModelProto.FromString(structure)
    except DecodeError as error:
        raise Refused("malformed", "not-protobuf", f"The bytes are not an ONNX model: {error}") from error
    if not model.HasField("graph"):
        raise Refused("malformed", "no-graph", "The model has no graph.")
    if not model.graph.ListFields():
        raise Refused("malformed", "empty-graph", "The model's graph has nothing in it.")
    return Scanned(model, scanner.payloads, source, scanner.left_out)


def _varint(value: int) -> bytes:
    """The wire format of a whole number below 2^64."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _entry(key: str, value: str) -> bytes:
    """One external_data entry of a TensorProto, with its tag."""
    body = onnx.StringStringEntryProto(key=key, value=value).SerializeToString()
    return _varint(onnx.TensorProto.EXTERNAL_DATA_FIELD_NUMBER << 3 | LENGTH_WIRE) + _varint(len(body)) + body


_EXTERNAL_FLAG = _varint(onnx.TensorProto.DATA_LOCATION_FIELD_NUMBER << 3 | VARINT_WIRE) + _varint(_EXTERNAL)


class _Piece(NamedTuple):
    """One field as it lies in the file: its tag begins at `head`, its content at `body`; several `values` of a list may be one piece."""

    field: Field
    head: int
    body: int
    stop: int
    values: int = 1


class _Scanner:
    """The state of one walk: a window on the source, what has been copied, and what has been counted."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source, self.limits = source, limits
        self.payloads: dict[str, tuple[Run, ...]] = {}
        self.left_out = 0
        self._window, self._base, self._wanted = b"", 0, _MIN_WINDOW_BYTES
        self._pieces: list[bytes] = []
        self._size = 0
        self._from = self._to = 0  # bytes of the window that are to be copied and not yet are
        self._counts = [0] * COUNTERS
        self._found: list[int] = []
        self._runs = self._walked = 0
        self._bounds = {
            NODE.index: ("nodes", limits.nodes),
            TENSOR.index: ("tensors", limits.tensors),
            GRAPH.index: ("graphs", limits.graphs),
        }
        self._bounds |= {ATTRIBUTE.index: ("attributes", limits.attributes), FUNCTION.index: ("functions", limits.functions)}
        self._bounds |= {STRING: ("strings", limits.strings), VALUE: ("values", limits.values)}

    def run(self) -> bytes:
        """Walk the whole model; its structure, serialised."""
        self._message(MODEL, 0, self.source.size, 0)
        self._flush()
        self._fold()
        if not self._size and not self.left_out:
            raise Refused("malformed", "not-protobuf", "None of the fields in these bytes belongs to an ONNX model.")
        return b"".join(self._pieces)

    # Reading.

    def _fill(self, position: int, length: int) -> int:
        """Make the window cover `length` bytes from `position` on (less where the source ends); the place of `position` in it."""
        place = position - self._base
        if place < 0 or place + length > len(self._window):
            self._flush()
            goes_on = self._base <= position <= self._base + len(self._window)
            self._wanted = min(2 * self._wanted, _MAX_WINDOW_BYTES) if goes_on else _MIN_WINDOW_BYTES
            wanted = min(max(length, self._wanted), self.source.size - position)
            self._window, self._base, place = self.source.read(position, wanted), position, 0
        return place

    def _number(self, position: int, end: int) -> tuple[int, int]:
        """The varint at `position`, and where it ends."""
        place = position - self._base
        if 0 <= place < len(self._window) and position < end and self._window[place] < 128:
            return self._window[place], position + 1
        place, value = self._fill(position, min(_LOOK_AHEAD, self.source.size - position)), 0
        for index, byte in enumerate(self._window[place : place + min(10, end - position)]):
            value |= (byte & 127) << 7 * index
            if byte < 128:
                if value >= 1 << 64:
                    break
                return value, position + index + 1
        if end - position < 10:
            raise Refused("malformed", "truncated-model", f"A number that begins at byte {position} does not end where its message does.")
        raise Refused("malformed", "not-protobuf", f"The number at byte {position} is longer than 64 bits.")

    def _fields(self, message: Message, start: int, end: int) -> Iterator[_Piece]:
        """The known fields of the message between `start` and `end`; unknown ones are passed over."""
        position = start
        while position < end:
            head = position
            tag, body = self._number(head, end)
            wire, number, field = tag & 7, tag >> 3, message.fields.get(tag)
            if field is None and (wire not in _WIRES or number in message.numbers or not 0 < number < 1 << 29):
                raise Refused("malformed", "not-protobuf", f"No {message.name} has a field like the one at byte {head}.")
            if wire == LENGTH_WIRE:
                length, body = self._number(body, end)
                stop = body + length
            elif wire == VARINT_WIRE:
                stop = self._number(body, end)[1]
            else:
                stop = body + _WIDTHS[wire]
            if stop > end:
                raise Refused("malformed", "truncated-model", f"The field at byte {head} ends {stop - end} bytes behind {message.name}.")
            self._walked += 1
            if self._walked > self.limits.fields:
                raise _exceeded("fields", self.limits.fields)
            if field is not None:
                length, values = 0, 0
                if field.counted == VALUE and wire != LENGTH_WIRE and stop < end and tag < 128:
                    length, values = self._like(tag, wire, stop, end)
                stop += length
                yield _Piece(field, head, body, stop, 1 + values)
            position = stop

    def _like(self, tag: int, wire: int, position: int, end: int) -> tuple[int, int]:
        """How many bytes and values there are, from `position` on, of a list whose every value has this tag."""
        start, count = position, 0
        while position < end:
            place = self._fill(position, min(_LOOK_AHEAD, end - position))
            if self._window[place] != tag:
                break
            data = np.frombuffer(self._window, np.uint8, min(end - self._base, len(self._window)) - place, place)
            width = _WIDTHS.get(wire, 0)
            size, values = tagged_fixed(data, tag, 1 + width) if width else tagged_varints(data, tag)
            if not values:  # the window ends inside the next value, or it is wrong: one by one
                size, values = 1 + width if width else self._number(position + 1, end)[1] - position, 1
                if position + size > end:
                    raise Refused("malformed", "truncated-model", f"The value at byte {position} ends behind its message.")
            position, count = position + size, count + values
        return position - start, count

    # Copying.

    def _keep(self, start: int, stop: int) -> None:
        """Copy the bytes between `start` and `stop` of the source."""
        while start < stop:
            part = min(stop, start + _MAX_WINDOW_BYTES)
            self._fill(start, part - start)
            if self._to != start or self._from == self._to:
                self._flush()
                self._from = start
            self._to = start = part

    def _flush(self) -> None:
        """Carry out the copying that `_keep` put off."""
        if self._to > self._from:
            self._write(self._window[self._from - self._base : self._to - self._base])
        self._from = self._to = 0

    def _write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self.limits.structure_bytes:
            raise _exceeded("structure-bytes", self.limits.structure_bytes)

    def _insert(self, data: bytes) -> None:
        """Add bytes that are not in the source."""
        self._flush()
        self._write(data)

    # Counting.

    def _count(self, index: int, number: int = 1) -> None:
        self._counts[index] += number
        if index in self._bounds and self._counts[index] > self._bounds[index][1]:
            raise _exceeded(*self._bounds[index])

    def _fold(self) -> None:
        """Add what the fast walk found to the counts and check all of them."""
        for index, number in Counter(self._found).items():
            self._count(index, number)
        self._found.clear()
        if sum(self._counts[2:]) > self.limits.messages:
            raise _exceeded("messages", self.limits.messages)

    # The slow walk.

    def _message(self, message: Message, start: int, end: int, depth: int) -> None:
        """Copy a message field by field."""
        seen = 0
        for piece in self._fields(message, start, end):
            field = piece.field
            if seen & field.once:
                raise Refused("malformed", "repeated-field", f"{message.name} has a second {field.name} at byte {piece.head}.")
            seen |= field.once
            self._copy(piece, depth)

    def _copy(self, piece: _Piece, depth: int) -> None:
        """Copy one field."""
        field, length = piece.field, piece.stop - piece.body
        if field.child is not None:
            self._child(piece, field.child, depth + 1)
            return
        if field.counted is not None:
            self._count(field.counted, length if field.kind == Kind.PACKED else piece.values)
        if field.opaque and length > self.limits.inline_bytes:
            kept = self._beginning(piece) if field.name == "value" else b""
            self.left_out += length - len(kept)
            self._insert(_varint(field.tag) + _varint(len(kept)) + kept)
            return
        if field.kind == Kind.TEXT:
            if length > self.limits.name_bytes:
                raise _exceeded("name-bytes", self.limits.name_bytes, f"The {field.name} at byte {piece.head} is {length} bytes long.")
            place = self._fill(piece.head, piece.stop - piece.head)
            text = self._window[place + piece.body - piece.head : place + piece.stop - piece.head]
            try:
                text.decode()
            except UnicodeDecodeError:
                text = text.decode(errors="backslashreplace").encode()
                self._insert(_varint(field.tag) + _varint(len(text)) + text)
                return
        self._keep(piece.head, piece.stop)

    def _beginning(self, piece: _Piece) -> bytes:
        """The first bytes of a value that is left out, by which a message can name it."""
        size = min(_BEGINNING, piece.stop - piece.body)
        place = self._fill(piece.body, size)
        return self._window[place : place + size].decode(errors="ignore").encode()

    def _child(self, piece: _Piece, message: Message, depth: int) -> None:
        """Copy a message inside a message: as it is where it is small and plain, else with a new length before it."""
        if depth > self.limits.depth:
            raise _exceeded("depth", self.limits.depth, f"The {message.name} at byte {piece.head} lies deeper.")
        length = piece.stop - piece.body
        if length <= self.limits.inline_bytes:
            place = self._fill(piece.head, piece.stop - piece.head)
            body = place + piece.body - piece.head
            found = plain(self._window, body, body + length, message, self.limits.depth - depth)
            if found is not None:
                found.append(message.index)
                self._found += found
                if len(self._found) > 10_000:
                    self._fold()
                self._keep(piece.head, piece.stop)
                return
        self._found.append(message.index)
        self._flush()
        slot, before = len(self._pieces), self._size
        self._pieces.append(b"")
        (self._tensor if message is TENSOR else self._message)(message, piece.body, piece.stop, depth)
        self._flush()
        self._pieces[slot] = _varint(piece.field.tag) + _varint(self._size - before)
        self._size += len(self._pieces[slot])

    def _tensor(self, message: Message, start: int, end: int, depth: int) -> None:
        """Copy a tensor without its values where they are many; note where these are."""
        values: list[_Piece] = []
        references, external = [], False
        for piece in self._fields(message, start, end):
            if piece.field.payload:
                self._add_values(values, piece)
            elif piece.field.name == "external_data":
                references.append(piece)
            elif piece.field.name == "data_location":
                external = self._number(piece.body, piece.stop)[0] == _EXTERNAL
            else:
                self._copy(piece, depth)
        for piece in references:
            place = self._fill(piece.body, piece.stop - piece.body) if piece.stop - piece.body <= self.limits.inline_bytes else 0
            if MARKER.encode() in self._window[place : place + piece.stop - piece.body]:
                raise Refused("invalid", "external-path", f"The external_data at byte {piece.head} names no file.")
        if external or not values or sum(piece.stop - piece.body for piece in values) <= self.limits.inline_bytes:
            for piece in references if external else [*references, *values]:
                self._copy(piece, depth)
            if external:
                self._insert(_EXTERNAL_FLAG)
            return
        self._cut(values)

    def _add_values(self, values: list[_Piece], piece: _Piece) -> None:
        """Note one more piece of a tensor's values. Strings, which nobody reads, are one piece where they lie side by side."""
        if values and piece.field.name == "string_data" and values[-1].field is piece.field and values[-1].stop == piece.head:
            values[-1] = values[-1]._replace(stop=piece.stop, values=values[-1].values + 1)
            return
        values.append(piece)
        self._runs += 1
        if self._runs > self.limits.runs:
            raise _exceeded("runs", self.limits.runs)

    def _cut(self, values: list[_Piece]) -> None:
        """Write the reference that takes the place of a tensor's values."""
        packed = [piece.field.kind in (Kind.BYTES, Kind.PACKED) and piece.field.name != "string_data" for piece in values]
        runs = tuple(
            Run(begin, piece.stop - begin, piece.field.name, bare)
            for piece, bare in zip(values, packed, strict=True)
            for begin in [piece.body if bare else piece.head]
        )
        location = f"{MARKER}{len(self.payloads)}"
        self.payloads[location] = runs
        length = sum(run.length for run in runs)
        self._insert(_entry("location", location) + _entry("offset", str(runs[0].offset)) + _entry("length", str(length)) + _EXTERNAL_FLAG)


def _exceeded(what: str, bound: int, detail: str = "") -> Refused:
    return Refused("limit", f"limit-{what}", f"The model has more than the allowed {bound} {what.replace('-', ' ')}. {detail}".rstrip())
