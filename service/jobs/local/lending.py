"""Files that the server reads for a job's process, which has no network and sees none of the server's files: ranges, one at a time.

1. The process asks for a range of a file that was lent to it; the server answers with those bytes, or with why they cannot be had.
2. The server believes no number before it was checked: a range lies inside the file and is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from service.faults import Refused
from service.sources.local import Source
from service.sources.places import bytes_fetched

MAX_PIECE_BYTES = 4 << 20
"""What one answer may hold; a longer range is asked for in pieces."""


class LentFile:
    """In a job's process: a file that is read by asking the server."""

    def __init__(self, line: Connection, name: str, size: int) -> None:
        self._line, self._name, self._size, self._fetched = line, name, size, 0

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self._size

    @property
    def bytes_fetched(self) -> int:
        """The bytes that the server fetched for this file so far."""
        return self._fetched

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on; Refused `truncated-model` where the file ends before, or as the server says."""
        if offset + length > self._size:
            missing = offset + length - self._size
            raise Refused("malformed", "truncated-model", f"The file ends {missing} bytes before the end of a value at offset {offset}.")
        stops = [*range(offset + MAX_PIECE_BYTES, offset + length, MAX_PIECE_BYTES), offset + length] if length else []
        pieces, start = [], offset
        for stop in stops:
            pieces.append(self._piece(start, stop - start))
            start = stop
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, offset: int, length: int) -> bytes:
        self._line.send_bytes(json.dumps({"read": [self._name, offset, length]}).encode())
        head = json.loads(self._line.recv_bytes())
        if "refused" in head:
            raise Refused.from_record(head["refused"])
        self._fetched = head["fetched"]
        return self._line.recv_bytes()


def answer_read(line: Connection, files: Mapping[str, Source], asked: Any) -> None:
    """On the server: send the range that a process asks for. ValueError where it asks for what it was not lent."""
    name, offset, length = asked
    source = files.get(name) if isinstance(name, str) else None
    numbers = type(offset) is int and type(length) is int
    if source is None or not numbers or not (offset >= 0 < length <= MAX_PIECE_BYTES and offset + length <= source.size):
        raise ValueError("the range is none of a file that was lent")
    try:
        data = source.read(offset, length)
    except Refused as error:
        line.send_bytes(json.dumps({"refused": error.record()}).encode())
        return
    line.send_bytes(json.dumps({"fetched": bytes_fetched([source]) or 0}).encode())
    line.send_bytes(data)
