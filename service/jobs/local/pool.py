"""The pool: runs each job in a process of its own, so that a model can kill its own job and nothing else.

1. A job's process is forked from a fork server that has loaded the readers and the analysis already (about 20 ms).
2. It shares no pipe and no lock with another job. (The workers of a long-lived pool share a channel; one that is killed while it holds the
   channel's lock takes the others with it.)
3. It is held to limits of memory, processor time and wall time, and to the sandbox: it can read its input and nothing else.
4. However it ends, the pool answers: with the result, with Refused (a limit, a dead process), or with CancelledJobError.
"""

from __future__ import annotations

import atexit
import queue
import signal
import threading
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from service.faults import Refused
from service.jobs.local.limits import Limits, Room, run_limited
from service.jobs.local.process import CONTEXT, PoolClosedError, Result, death, end, load_fork_server, outcome_of, start

CLOSE_SECONDS = 5.0

Status = Literal["queued", "running", "done", "failed", "cancelled"]


class CancelledJobError(RuntimeError):
    """The job was cancelled before it had a result."""


class PoolFullError(RuntimeError):
    """Too many jobs are waiting."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A job that was handed to a pool; callbacks on `future` run in the pool's thread, before it takes the next job."""

    task: str
    arguments: tuple[Any, ...]
    reads: Collection[str] = ()
    loads: Collection[str] = ()
    future: Future[Any] = field(default_factory=Future)
    process: BaseProcess | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Pool(Protocol):
    """Runs functions on untrusted input, somewhere else. They go by name (package.module:function): the server never imports them."""

    def submit(self, task: str, *arguments: Any, reads: Collection[str] = (), loads: Collection[str] = ()) -> Ticket:
        """Queues a call of the function that `task` names, which can read the files `reads` alone, and call what `loads` names besides what
        the fork server has loaded. Raises PoolFullError, PoolClosedError."""

    def wait(self, ticket: Ticket, seconds: float | None = None) -> Any:
        """The job's result; TimeoutError after `seconds`. Raises Refused, BrokenAnalysisError, CancelledJobError and PoolClosedError."""

    def cancel(self, ticket: Ticket) -> None:
        """Stops the job, whether it waits or runs; does nothing to a finished one."""

    def status(self, ticket: Ticket) -> Status:
        """What has become of the job."""

    def close(self) -> None:
        """Ends every job with PoolClosedError and takes no more; returns when all are told."""


class ProcessPool:
    """A pool on this machine: `size` jobs at a time, `queue_size` waiting, each in a process held to `limits`."""

    def __init__(self, size: int, queue_size: int, limits: Limits) -> None:
        self.limits = limits
        load_fork_server()
        self._queue_size = queue_size
        self._waiting: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._running: set[Ticket] = set()
        self._closed = threading.Event()
        # Daemon threads: a server that stops does not wait for its jobs.
        self._threads = [threading.Thread(target=self._serve, name=f"pool-{number}", daemon=True) for number in range(size)]
        for thread in self._threads:
            thread.start()
        # Runs before multiprocessing ends its children (last in, first out), so that their deaths are known to be our doing.
        atexit.register(self.close)

    def submit(self, task: str, *arguments: Any, reads: Collection[str] = (), loads: Collection[str] = ()) -> Ticket:
        """Queues a call of the function that `task` names. Raises PoolFullError where too many wait, PoolClosedError after `close`."""
        if self._closed.is_set():
            raise PoolClosedError
        if self._waiting.qsize() >= self._queue_size:
            raise PoolFullError
        ticket = Ticket(task, arguments, reads, loads)
        self._waiting.put(ticket)
        return ticket

    def wait(self, ticket: Ticket, seconds: float | None = None) -> Any:
        """The job's result, or what it raised; TimeoutError after `seconds`."""
        return ticket.future.result(seconds)

    def cancel(self, ticket: Ticket) -> None:
        """Stops the job, whether it waits or runs."""
        ticket.cancelled.set()
        if ticket.process is not None:
            ticket.process.kill()

    def status(self, ticket: Ticket) -> Status:
        """What has become of the job."""
        if not ticket.future.done():
            return "running" if ticket in self._running else "queued"
        error = ticket.future.exception()
        return "done" if error is None else "cancelled" if isinstance(error, CancelledJobError) else "failed"

    def close(self) -> None:
        """Ends every job with PoolClosedError and takes no more; returns when all are told."""
        self._closed.set()
        atexit.unregister(self.close)
        for ticket in tuple(self._running):
            if ticket.process is not None:
                ticket.process.kill()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _serve(self) -> None:
        """What a thread of the pool does: one job after the other, until the end of the queue."""
        while (ticket := self._waiting.get()) is not None:
            self._running.add(ticket)
            try:
                result = self._run(ticket)
            except Exception as error:  # noqa: BLE001 the worker boundary: who asked is told
                self._running.discard(ticket)
                ticket.future.set_exception(error)
            else:
                self._running.discard(ticket)
                ticket.future.set_result(result)

    def _run(self, ticket: Ticket) -> Any:
        """The result of one job, which runs in a new process, or what it raised there."""
        if ticket.cancelled.is_set():
            raise CancelledJobError
        if self._closed.is_set():
            raise PoolClosedError
        answer, their_end = CONTEXT.Pipe(duplex=False)
        with answer:
            with their_end:
                process = ticket.process = start(_answer, their_end, ticket.task, ticket.arguments, self.limits, ticket.reads, ticket.loads)
            if ticket.cancelled.is_set() or self._closed.is_set():
                process.kill()
            try:
                outcome = answer.recv() if answer.poll(self.limits.wall_seconds) else None
            except (EOFError, OSError):  # the process is dead, or died while it wrote
                outcome = self._death(process)
            finally:
                end(process)
        return self._settle(ticket, outcome)

    def _settle(self, ticket: Ticket, outcome: Any) -> Any:
        """The result in an outcome; raises the exception in it, unless its cause is ours."""
        if isinstance(outcome, Result):
            return outcome.value
        if ticket.cancelled.is_set():
            raise CancelledJobError
        if self._closed.is_set():
            raise PoolClosedError
        if outcome is None:
            raise Refused("limit", "limit-time", f"The analysis took more than {self.limits.wall_seconds:g} seconds.")
        raise outcome

    def _death(self, process: BaseProcess) -> Refused:
        """Why a process gave no answer, by its exit code: minus the number of the signal that ended it."""
        code = end(process)
        if code == -signal.SIGXCPU:
            return Refused("limit", "limit-time", f"The analysis took more than {self.limits.cpu_seconds} seconds of processor time.")
        return death(code, "analysed the model")


def _answer(
    answer: Connection, task: str, arguments: tuple[Any, ...], limits: Limits, reads: Collection[str], loads: Collection[str]
) -> None:
    """What a job's process does: sends the result, or the exception that there is none."""
    answer.send(outcome_of(partial(run_limited, task, arguments, limits, Room(reads, loads, answer.fileno()))))
