"""Ranges of bytes that are fetched from somewhere else, kept in blocks, with read-ahead where they follow one another."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from service.faults import Refused

BLOCK_BYTES = 4 << 10
"""What is fetched at least: the header of the next tensor is often all that is wanted between two large ones."""

MAX_AHEAD_BYTES = 1 << 20
MAX_KEPT_BYTES = 16 << 20
"""Blocks of one file that are kept."""

MAX_FETCH_BYTES = 4 << 20
"""One request for a range."""

MAX_TIMES = 8
"""How many times its own size may be fetched of a file for one question, beside MAX_KEPT_BYTES."""


class Ranges(Protocol):
    """An object whose ranges can be fetched, as it was when it was opened."""

    @property
    def size(self) -> int:
        """The number of bytes there are."""

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, and not one more or less. Refused `source-changed` where the object is another by now, and
        `source-failed` where it cannot be had."""


class RangedSource:
    """A source whose bytes are fetched when they are asked for. One thread at a time reads it."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges, self._size = ranges, ranges.size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next = self._last = 0
        self._fetched = 0

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self._size

    @property
    def bytes_fetched(self) -> int:
        """The bytes that were fetched so far."""
        return self._fetched

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on; Refused `truncated-model` where the source ends before."""
        stop = offset + length
        if stop > self._size:
            missing = stop - self._size
            raise Refused("malformed", "truncated-model", f"The file ends {missing} bytes before the end of a value at offset {offset}.")
        if not length:
            return b""
        if length > MAX_AHEAD_BYTES:  # values, which are read once
            return b"".join(self._fetch(at, min(at + MAX_FETCH_BYTES, stop)) for at in range(offset, stop, MAX_FETCH_BYTES))
        first, last = offset // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        held = self._held(first, last)
        data = b"".join(held)
        return data[offset - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def _held(self, first: int, last: int) -> list[bytes]:
        """The blocks from `first` to `last`, of which those that are not kept are fetched."""
        missing = [number for number in range(first, last + 1) if number not in self._blocks]
        if missing:
            self._load(missing[0], missing[-1] + 1)
        held = [self._blocks[number] for number in range(first, last + 1)]
        for number in range(first, last + 1):
            self._blocks.move_to_end(number)
        while len(self._blocks) * BLOCK_BYTES > MAX_KEPT_BYTES:
            self._blocks.popitem(last=False)
        return held

    def _load(self, first: int, beyond: int) -> None:
        """Fetches blocks; the more, the longer they have followed one another."""
        if first == self._next and self._last:
            beyond = max(beyond, first + min(2 * self._last, MAX_AHEAD_BYTES // BLOCK_BYTES))
        start, stop = first * BLOCK_BYTES, min(beyond * BLOCK_BYTES, self._size)
        data = self._fetch(start, stop)
        for at in range(0, len(data), BLOCK_BYTES):
            self._blocks[first + at // BLOCK_BYTES] = data[at : at + BLOCK_BYTES]
        self._next, self._last = beyond, beyond - first

    def _fetch(self, start: int, stop: int) -> bytes:
        if self._fetched + stop - start > MAX_TIMES * self._size + MAX_KEPT_BYTES:
            raise Refused("limit", "limit-fetched", f"More than {MAX_TIMES} times the size of the file would be fetched.")
        data = self._ranges.fetch(start, stop)
        if len(data) != stop - start:
            detail = f"got {len(data)} bytes of the range from {start} to {stop}; expected {stop - start}."
            raise Refused("source", "source-failed", detail)
        self._fetched += len(data)
        return data
