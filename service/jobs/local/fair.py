"""A queue in which clients take turns: whoever has forty things waiting does not make the others wait for all of them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First in, first out for each client, and one after the other among clients. Any thread may put and get."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, client: str, entry: T) -> None:
        """Add an entry at the end of a client's line."""
        with self._changed:
            self._lines.setdefault(client, deque()).append(entry)
            self._changed.notify()

    def get(self) -> T | None:
        """Take the next entry of the client whose turn it is, waiting for one; None where the queue is closed and empty."""
        with self._changed:
            while not self._lines:
                if self._closed:
                    return None
                self._changed.wait()
            client, line = self._lines.popitem(last=False)
            entry = line.popleft()
            if line:
                self._lines[client] = line  # at the end: the others are next
            return entry

    def size(self) -> int:
        """How many entries wait."""
        with self._changed:
            return sum(map(len, self._lines.values()))

    def size_of(self, client: str) -> int:
        """How many entries of a client wait."""
        with self._changed:
            return len(self._lines.get(client, ()))

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
