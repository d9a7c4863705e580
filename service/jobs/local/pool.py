"""The pool: runs each job in a process of its own, so that a model can kill its own job and nothing else.

1. A job's process is forked from a fork server that has loaded the readers and the analysis already (about 20 ms).
2. It shares no pipe and no lock with another job. (The workers of a long-lived pool share a channel; one that is killed while it holds the
   channel's lock takes the others with it.)
3. It is held to limits of memory, processor time and wall time, and to the sandbox.
4. One that was ended from outside is tried again, a few times; one that ended itself is not.
5. Clients take turns (see fair).
6. However it ends, the pool answers: with what was made, with Refused (a limit, a dead process), or with Stopped.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Literal, Protocol

from service.faults import Refused
from service.jobs.local.fair import FairQueue
from service.jobs.local.limits import Limits
from service.jobs.local.process import load_fork_server
from service.jobs.local.worker import Death, Worker
from service.jobs.message import Call, Outcome, Stopped, result_of
from service.work.made import Made

CLOSE_SECONDS = 5.0

MAX_STARTS = 3
"""Processes that are started for one job where each is ended from outside."""

RESERVED = 4
"""One in so many places of the queue is kept from any one client."""

RESTART_SECONDS = 0.3
"""The pause before another start where one failed: a fork server that was killed is found dead a moment later."""

Status = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(eq=False, slots=True)
class Ticket:
    """A job that was handed to a pool: what it calls is prepared when its turn comes. Callbacks on `future` run in the pool's thread,
    before it takes the next job."""

    prepare: Callable[[], Call]
    client: str = ""
    future: Future[Made] = field(default_factory=Future)
    worker: Worker | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    asked_at: float = field(default_factory=time.monotonic)
    begun_at: float | None = None


class Pool(Protocol):
    """Runs calls of tasks on untrusted input, somewhere else."""

    def submit(self, call: Call, client: str = "") -> Ticket:
        """Queue a call, in the turn of a client. Refused `too-busy` where too many wait or the pool is closed."""

    def wait(self, ticket: Ticket, seconds: float | None = None) -> Made:
        """Return what was made; TimeoutError after `seconds`. Raises Refused, BrokenAnalysisError and Stopped."""

    def cancel(self, ticket: Ticket) -> None:
        """Stop the job, whether it waits or runs; do nothing to a finished one."""

    def status(self, ticket: Ticket) -> Status:
        """Say what has become of the job."""

    def close(self) -> None:
        """End every job with Stopped and take no more; return when all are told."""


class ProcessPool:
    """A pool on this machine: `size` jobs at a time, `queue_size` waiting, each in a process held to `limits`."""

    def __init__(self, size: int, queue_size: int, limits: Limits) -> None:
        self.limits = limits
        load_fork_server()
        self._queue_size = queue_size
        self._waiting: FairQueue[Ticket] = FairQueue()
        self._running: set[Ticket] = set()
        self._closed = threading.Event()
        # Daemon threads: a server that stops does not wait for its jobs.
        self._threads = [threading.Thread(target=self._serve, name=f"pool-{number}", daemon=True) for number in range(size)]
        for thread in self._threads:
            thread.start()
        # Runs before multiprocessing ends its children (last in, first out), so that their deaths are known to be our doing.
        atexit.register(self.close)

    @property
    def full(self) -> bool:
        """Whether one more job would be refused."""
        return self._waiting.size() >= self._queue_size

    def submit(self, call: Call, client: str = "") -> Ticket:
        """Queue a call. Refused `too-busy` where too many wait or the pool is closed."""
        ticket = Ticket(lambda: call, client)
        self.take(ticket)
        return ticket

    def take(self, ticket: Ticket) -> None:
        """Queue a ticket that was made before. Refused as `submit` says."""
        if self._closed.is_set():
            raise Refused("unavailable", "too-busy", "The server is stopping.")
        if self.full:
            raise Refused("unavailable", "too-busy", "Too many jobs are waiting.")
        if self._waiting.size_of(ticket.client) >= self._queue_size - self._queue_size // RESERVED:
            raise Refused("unavailable", "too-busy", "Too many jobs of this client are waiting; the last places are for others.")
        self._waiting.put(ticket.client, ticket)

    def revive(self) -> None:
        """See to it that the fork server lives."""
        if not self._closed.is_set():
            load_fork_server()

    def wait(self, ticket: Ticket, seconds: float | None = None) -> Made:
        """Return what was made, or raise why nothing was; TimeoutError after `seconds`."""
        try:
            return ticket.future.result(seconds)
        except CancelledError:
            raise Stopped("cancelled") from None

    def cancel(self, ticket: Ticket) -> None:
        """Stop the job: one that waits is at its end at once, one that runs when its process is dead."""
        ticket.cancelled.set()
        if ticket.future.cancel():
            return
        if ticket.worker is not None:
            ticket.worker.kill()

    def status(self, ticket: Ticket) -> Status:
        """Say what has become of the job."""
        if not ticket.future.done():
            return "running" if ticket.future.running() else "queued"
        error = Stopped("cancelled") if ticket.future.cancelled() else ticket.future.exception()
        return "done" if error is None else "cancelled" if isinstance(error, Stopped) else "failed"

    def close(self) -> None:
        """End every job with Stopped and take no more; return when all are told."""
        self._closed.set()
        atexit.unregister(self.close)
        for ticket in tuple(self._running):
            if ticket.worker is not None:
                ticket.worker.kill()
        self._waiting.close()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _serve(self) -> None:
        """What a thread of the pool does: one job after the other, until the end of the queue."""
        while (ticket := self._waiting.get()) is not None:
            if not ticket.future.set_running_or_notify_cancel():
                continue
            self._running.add(ticket)
            ticket.begun_at = time.monotonic()
            try:
                made = result_of(self._run(ticket))
            except Exception as error:  # noqa: BLE001 the worker boundary: who asked is told
                self._running.discard(ticket)
                ticket.future.set_exception(error)
            else:
                self._running.discard(ticket)
                ticket.future.set_result(made)

    def _run(self, ticket: Ticket) -> Outcome | Stopped:
        """What came of one job, whose process is started again where it was ended from outside."""
        call, death = ticket.prepare(), Death(None)
        for _ in range(MAX_STARTS):
            if (stopped := self._stopped(ticket)) is not None:
                return stopped
            outcome = self._asked(ticket, call)
            if not isinstance(outcome, Death):
                return outcome
            death = outcome
            if not death.from_outside:
                break
            if death.code is None:
                self._closed.wait(RESTART_SECONDS)
        return self._stopped(ticket) or death.refused(self.limits, "analysed the model")

    def _asked(self, ticket: Ticket, call: Call) -> Outcome | Death:
        """What one process answers."""
        for source in call.lent.values():
            source.size  # noqa: B018 opens it, which may take a while and may be refused, before a process waits for it
        try:
            worker = ticket.worker = Worker(self.limits)
        except (EOFError, OSError):  # the fork server is dead, which the next start mends, or the machine has no more processes
            return Death(None)
        if self._stopped(ticket) is not None:
            worker.kill()
        outcome = worker.ask(call, self.limits.wall_seconds)
        ticket.worker = None
        worker.end()
        return outcome

    def _stopped(self, ticket: Ticket) -> Stopped | None:
        if ticket.cancelled.is_set():
            return Stopped("cancelled")
        return Stopped("closed") if self._closed.is_set() else None
