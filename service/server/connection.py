"""One connection of a worker: in which phase it is, and until when it may stay there."""

from __future__ import annotations

import time
from enum import Enum

from gunicorn.workers.gthread import TConn

from service.server.client import Client


class Phase(Enum):
    """Who has a connection, and what for. In BUSY a thread has it, in all others the poller."""

    IDLE = "waits for the first byte of a request"
    HEAD = "waits for the rest of a header"
    BODY = "waits for the rest of a small body"
    BUSY = "is served"
    SENDING = "takes the rest of its answer"
    LEAVING = "is told that the connection ends; what it still sends is dropped"


READING = frozenset({Phase.IDLE, Phase.HEAD, Phase.BODY})


class Connection(TConn):  # type: ignore[misc]
    """A connection as gunicorn keeps it, and its phase."""

    sock: Client

    def __init__(self, configuration: object, client: Client, address: object, server: object) -> None:
        super().__init__(configuration, client, address, server)
        self.phase = Phase.IDLE
        self.since = time.monotonic()
        self.deadline = self.since
        self.arrived = bytearray()
        self.watched = self.stays = False
        self.droppable = 0

    def enter(self, phase: Phase, seconds: float) -> None:
        """Goes over to a phase, for so many seconds at the most."""
        if phase is not self.phase:
            self.since = time.monotonic()
        self.phase, self.deadline = phase, time.monotonic() + seconds
