"""A client's connection, as the threads of a worker see it: a socket that never holds a thread for long.

1. Reading waits for the client, but not for ever: `settimeout` bounds a pause, and MIN_RATE the whole.
2. Writing does not wait. What the client does not take at once is kept, and the worker's poller sends it when the thread is gone.
3. Memory for that is bounded over all connections (Room): where it is used up, a thread waits for its own client, and not for ever.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from collections import deque

MIN_RATE = 1024
"""Bytes a second that a client must send or take on average, after its first pause."""

STALL_SECONDS = 30.0
"""How long a client may take nothing of its answer."""

CROWDED_SECONDS = 1.0
"""The same where the memory for answers is used up and others wait for it."""

MAX_BACKLOG_BYTES = 1024 * 1024
"""How much of an answer that is made piece by piece is kept for a client before the next piece is made."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Memory for answers that wait for their clients, over all connections of a process."""

LOOK_SECONDS = 0.25
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Room:
    """Memory for what waits to be sent, shared by all connections."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Takes so many bytes, if they are free."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give(self, size: int) -> None:
        """Gives them back."""
        with self._lock:
            self._free += size


class Client:
    """What gunicorn takes for the socket of a connection. Its thread and the poller have it in turn, never together.

    `whole` says whether all of the request under way has arrived, so that reading it does not wait.
    """

    def __init__(self, sock: socket.socket, room: Room) -> None:
        sock.setblocking(False)
        self._socket, self._room = sock, room
        self._backlog: deque[memoryview] = deque()
        self.backlog_bytes = 0
        self.closed = self.whole = False
        self._kept_bytes = 0
        self._continue = self._gone = False
        self._pause = STALL_SECONDS
        self._begun = self._moved = time.monotonic()
        self._read_bytes = 0

    def fileno(self) -> int:
        """The number of the descriptor, -1 when it is closed."""
        return self._socket.fileno()

    def setblocking(self, _: bool) -> None:
        """Nothing: whether to wait is decided here."""

    def settimeout(self, seconds: float | None) -> None:
        """Bounds a pause in what is read."""
        self._pause = STALL_SECONDS if seconds is None else seconds

    def gettimeout(self) -> float:
        """The bound of a pause."""
        return self._pause

    def shutdown(self, how: int) -> None:
        """Ends one direction."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """Closes the connection and forgets what was not sent."""
        if not self.closed:
            self.closed = True
            self._forget()
            self._socket.close()

    def reset(self) -> None:
        """Closes the connection at once, with what the kernel still holds for it."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()

    def begin(self) -> None:
        """A thread takes the connection for a request: the client's time begins."""
        self._begun = self._moved = time.monotonic()
        self._read_bytes = 0

    def expect(self) -> None:
        """The client waits for 100 Continue, which it is sent when somebody wants the body."""
        self._continue = True

    @property
    def paused_seconds(self) -> float:
        """How long nothing has come or gone."""
        return time.monotonic() - self._moved

    def abandon(self) -> None:
        """Gives the client up: whoever reads from it is told that it stalled. Any thread may ask for it."""
        self._gone = True

    def receive(self, size: int) -> bytes:
        """What has arrived; none at the end. BlockingIOError where nothing has."""
        data = self._socket.recv(size)
        self._moved = time.monotonic()
        return data

    def drop(self, scrap: bytearray) -> int:
        """Overwrites `scrap` with what has arrived; how much that was, 0 at the end. BlockingIOError where nothing has."""
        return self._socket.recv_into(scrap)

    def recv(self, size: int) -> bytes:
        """The next bytes, none at the end; TimeoutError where the client pauses for too long or is too slow."""
        if self._continue:
            self._continue = False
            self.sendall(CONTINUE)
        while True:
            if self._gone:
                raise TimeoutError("the client stalled")
            with contextlib.suppress(BlockingIOError):
                data = self.receive(size)
                self._read_bytes += len(data)
                return data
            left = min(self._moved, self._begun + self._read_bytes / MIN_RATE) + self._pause - time.monotonic()
            if left <= 0:
                raise TimeoutError("the client stalled")
            self._wait(select.POLLIN, left)

    def send(self, data: bytes) -> int:
        """Sends all of it, now or later."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Sends as much as the client takes and keeps the rest. Waits only where much is kept already."""
        while self.backlog_bytes > MAX_BACKLOG_BYTES:
            self._push(STALL_SECONDS)
        if data:
            self._backlog.append(memoryview(data))
            self.backlog_bytes += len(data)
            self.flush()

    def flush(self) -> bool:
        """Sends what is kept, as far as the client takes it; whether nothing is left."""
        while self._backlog:
            try:
                sent = self._socket.send(self._backlog[0])
            except BlockingIOError:
                return False
            self._moved = time.monotonic()
            self.backlog_bytes -= sent
            self._backlog[0] = self._backlog[0][sent:]
            if not self._backlog[0]:
                self._backlog.popleft()
            self._give_back()
        return True

    def settle(self) -> None:
        """Makes sure that what is kept has room, so that the thread can go; ConnectionResetError where the client takes too long."""
        while self.backlog_bytes and not self._kept_bytes:
            # The room counts what is kept now; what is sent of it later is given back.
            if self._room.take(self.backlog_bytes):
                self._kept_bytes = self.backlog_bytes
            else:
                self._push(CROWDED_SECONDS)

    def _push(self, stall_seconds: float) -> None:
        """Waits a moment for the client to take something."""
        if self._gone or self.paused_seconds > stall_seconds:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self._wait(select.POLLOUT, LOOK_SECONDS)
        self.flush()

    def _wait(self, event: int, seconds: float) -> None:
        waiter = select.poll()
        waiter.register(self._socket, event)
        waiter.poll(min(seconds, LOOK_SECONDS) * 1000)

    def _give_back(self) -> None:
        """Gives back the room of what was sent."""
        if self._kept_bytes > self.backlog_bytes:
            self._room.give(self._kept_bytes - self.backlog_bytes)
            self._kept_bytes = self.backlog_bytes

    def _forget(self) -> None:
        self._backlog.clear()
        self.backlog_bytes = 0
        self._give_back()
