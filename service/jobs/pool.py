"""The pool: runs each job in a process of its own, so that a model can kill its own job and nothing else.

1. A job's process is forked from a fork server that has NumPy, ONNX and the analysis loaded already (about 40 ms).
2. It shares no pipe and no lock with another job. (A pool of long-lived workers shares one channel; a worker killed while it holds the
   channel's lock takes the others with it.)
3. It is held to limits of memory, processor time and wall time, and may write no file.
4. However it ends, the pool answers: with the result, with ReadError (a limit, a dead process), or with Cancelled.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import queue
import signal
import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as ExpiredError
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pebble import ProcessExpired, concurrent

from service.jobs.limits import Limits, run_limited
from service.readers.errors import ReadError

PRELOAD = ["service.jobs.fork_server"]

CLOSE_SECONDS = 5.0

Status = Literal["queued", "running", "done", "failed", "cancelled"]


class CancelledJobError(RuntimeError):
    """The job was cancelled before it had a result."""


class PoolClosedError(RuntimeError):
    """The server is stopping; the job did not run to its end and may be run again elsewhere."""


class PoolFullError(RuntimeError):
    """Too many jobs are waiting."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A job that was handed to a pool; callbacks on `future` run in the pool's thread, before it takes the next job."""

    task: str
    arguments: tuple[Any, ...]
    future: Future[Any] = field(default_factory=Future)
    process: Future[Any] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Pool(Protocol):
    """Runs functions on untrusted input, somewhere else. They go by name (package.module:function): the server never imports them."""

    def submit(self, task: str, *arguments: Any) -> Ticket:
        """Queues a call of the function that `task` names. Raises PoolFullError, PoolClosedError."""

    def wait(self, ticket: Ticket, seconds: float | None = None) -> Any:
        """The job's result; TimeoutError after `seconds`. Raises ReadError, BrokenAnalysisError, CancelledJobError and PoolClosedError."""

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
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._waiting: queue.Queue[Ticket] = queue.Queue(queue_size)
        self._running: set[Ticket] = set()
        self._closed = threading.Event()
        # Daemon threads: a server that stops does not wait for its jobs.
        self._threads = [threading.Thread(target=self._serve, name=f"pool-{number}", daemon=True) for number in range(size)]
        for thread in self._threads:
            thread.start()
        # Runs before multiprocessing ends its children (last in, first out), so that their deaths are known to be our doing.
        atexit.register(self.close)

    def submit(self, task: str, *arguments: Any) -> Ticket:
        """Queues a call of the function that `task` names. Raises PoolFullError where too many wait, PoolClosedError after `close`."""
        if self._closed.is_set():
            raise PoolClosedError
        ticket = Ticket(task, arguments)
        try:
            self._waiting.put_nowait(ticket)
        except queue.Full:
            raise PoolFullError from None
        return ticket

    def wait(self, ticket: Ticket, seconds: float | None = None) -> Any:
        """The job's result, or what it raised; TimeoutError after `seconds`."""
        return ticket.future.result(seconds)

    def cancel(self, ticket: Ticket) -> None:
        """Stops the job, whether it waits or runs."""
        ticket.cancelled.set()
        if ticket.process is not None:
            ticket.process.cancel()

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
                ticket.process.cancel()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait().future.set_exception(PoolClosedError())

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                ticket = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
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
        """Runs one job in a new process and waits for it."""
        if ticket.cancelled.is_set():
            raise CancelledJobError
        # Pebble's annotations call the argument mp_context; what it reads is `context`.
        isolated: Any = concurrent.process
        launch = isolated(context=self._context, daemon=True, timeout=self.limits.wall_seconds)(run_limited)
        process: Future[Any] = launch(ticket.task, ticket.arguments, self.limits)
        ticket.process = process
        if ticket.cancelled.is_set() or self._closed.is_set():
            process.cancel()
        try:
            return process.result()
        except CancelledError:
            raise (PoolClosedError if self._closed.is_set() else CancelledJobError) from None
        except ExpiredError:
            raise ReadError("limit", "limit-time", f"The analysis took more than {self.limits.wall_seconds:g} seconds.") from None
        except ProcessExpired as error:
            if self._closed.is_set():
                raise PoolClosedError from None
            raise _death(error.exitcode, self.limits) from None


def _death(exitcode: int | None, limits: Limits) -> ReadError:
    """Why a process that ended with `exitcode` (minus the signal's number) gave no result."""
    if exitcode == -signal.SIGXCPU:
        return ReadError("limit", "limit-time", f"The analysis took more than {limits.cpu_seconds} seconds of processor time.")
    if exitcode is not None and exitcode < 0:
        return ReadError("limit", "worker-died", f"The process that analysed the model was ended by {signal.Signals(-exitcode).name}.")
    return ReadError("limit", "worker-died", "The process that analysed the model ended without an answer.")
