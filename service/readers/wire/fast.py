"""Walks over protobuf bytes that lie in memory: a whole small message, or a long list of numbers."""

from __future__ import annotations

import numpy as np

from service.readers.wire.schema import VALUE, Message


def plain(data: bytes, position: int, end: int, message: Message, depth: int) -> list[int] | None:
    """What the message between `position` and `end` consists of (indices to count), or None if it may not be copied as it is.

    Plain is a message with known fields only, names in UTF-8, no single message twice, and at most `depth` messages inside one another.
    """
    found: list[int] = []
    stack: list[tuple[dict[int, tuple[int, Message | None, int, int | None]], int, int]] = []
    fields, seen = message.plain, 0
    try:
        while True:
            while position >= end:
                if position > end:
                    return None
                if not stack:
                    return found
                fields, end, seen = stack.pop()
            tag = data[position]
            position += 1
            if tag > 127:
                tag += (data[position] - 1) << 7
                position += 1
            kind, child, once, counted = fields[tag]
            if counted is not None:
                found.append(counted)
            if kind == 0:
                start = position
                while data[position] > 127:
                    position += 1
                position += 1
                if position - start > 9 and (position - start > 10 or data[position - 1] > 1):  # more than 64 bits
                    return None
                continue
            if kind < 3:
                position += 4 * kind
                continue
            length = data[position]
            position += 1
            if length > 127:
                length += (data[position] - 1) << 7
                if data[position] > 127:
                    return None
                position += 1
            stop = position + length
            if child is not None:
                if stop > end or seen & once or len(stack) >= depth:
                    return None
                stack.append((fields, end, seen | once))
                fields, end, seen = child.plain, stop, 0
                continue
            if kind == 3 and not data[position:stop].isascii():
                data[position:stop].decode()
            elif kind == 5:
                found += [VALUE] * length
            position = stop
    except (IndexError, KeyError, UnicodeDecodeError):
        return None


def tagged_fixed(data: np.ndarray, tag: int, width: int) -> tuple[int, int]:
    """Bytes and number of the values of fixed `width` (tag included) at the beginning of `data` that have this tag."""
    rows = len(data) // width
    other = np.flatnonzero(data[: rows * width : width] != tag)
    values = int(other[0]) if len(other) else rows
    return values * width, values


def tagged_varints(data: np.ndarray, tag: int) -> tuple[int, int]:
    """Bytes and number of the varints at the beginning of `data` that have this one-byte tag before them."""
    ends = np.flatnonzero(data < 128)  # of a tag, a value, a tag, a value …
    ends = ends[: len(ends) // 2 * 2]
    starts = np.concatenate(([0], ends[1::2] + 1))[: len(ends) // 2]
    wrong = np.flatnonzero((ends[::2] != starts) | (data[ends[::2]] != tag) | (ends[1::2] - starts > 10))
    values = int(wrong[0]) if len(wrong) else len(starts)
    return (int(ends[2 * values - 1]) + 1 if values else 0), values
