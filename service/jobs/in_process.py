"""The queue of this process: its pool works on the jobs, and its keeper keeps what comes of them."""

from __future__ import annotations

import time
from concurrent.futures import Future

from service import metrics
from service.faults import Refused
from service.jobs.keeper import Keeper
from service.jobs.local.pool import ProcessPool, Ticket
from service.jobs.message import BrokenAnalysisError, Call, Outcome, Stopped
from service.jobs.queue import Status
from service.store.interfaces import GoneError, Job, StoreError
from service.work.made import Made


class InProcessQueue:
    """Jobs for a pool on this machine. Where they wait is written in the store as well, so that a restart goes on."""

    def __init__(self, pool: ProcessPool, keeper: Keeper) -> None:
        self._pool, self._keeper = pool, keeper
        self._tickets: dict[str, Ticket] = {}

    @property
    def full(self) -> bool:
        """Whether one more job would be refused."""
        return self._pool.full

    def submit(self, job: Job) -> None:
        """Take a job. Refused `too-busy` where too many wait or the pool is closed."""
        ticket = self._tickets[job.id] = Ticket(lambda: self._prepared(job), f"{job.project} {job.client}")
        ticket.future.add_done_callback(lambda future: self._end(job, ticket))
        metrics.JOBS.labels("local").set(len(self._tickets))
        try:
            self._pool.take(ticket)
        except Refused:
            del self._tickets[job.id]
            raise

    def cancel(self, job_id: str) -> None:
        """Stop a job, whether it waits or runs; do nothing to one that is not here."""
        ticket = self._tickets.get(job_id)
        if ticket is not None:
            self._pool.cancel(ticket)

    def status(self, job_id: str) -> Status | None:
        """What becomes of a job now; None where it is not here, or has ended."""
        ticket = self._tickets.get(job_id)
        if ticket is None:
            return None
        return "queued" if self._pool.status(ticket) == "queued" else "running"

    def progress(self, job_id: str) -> int | None:
        """How many jobs are before a job: 0 where it runs or is next; None where it is not here, or has ended."""
        waiting = 0
        for each, ticket in tuple(self._tickets.items()):
            if each == job_id:
                return waiting
            waiting += self._pool.status(ticket) == "queued"
        return None

    def revive(self) -> None:
        """See to it that the fork server lives."""
        self._pool.revive()

    def close(self) -> None:
        """Give every job back to the store, for another process, and take no more."""
        self._pool.close()

    def _prepared(self, job: Job) -> Call:
        """What is called for a job. Files that are away make it wait; a file that is gone is nothing that it can wait for."""
        try:
            return self._keeper.call(job)
        except GoneError as error:
            raise BrokenAnalysisError(f"a file of the model is gone: {error}") from error
        except StoreError as error:
            raise Refused("unavailable", "storage-unavailable", f"The files of the model cannot be read now: {error}.") from error

    def _end(self, job: Job, ticket: Ticket) -> None:
        """Runs in the pool's thread, which takes the next job when the keeper is done: so the store sets the pace."""
        try:
            self._keeper.keep(job, _outcome(ticket.future))
        finally:
            self._tickets.pop(job.id, None)
            metrics.JOBS.labels("local").set(len(self._tickets))
            if ticket.begun_at is not None:
                metrics.PHASES.labels("waiting").observe(ticket.begun_at - ticket.asked_at)
                metrics.PHASES.labels("working").observe(time.monotonic() - ticket.begun_at)


def _outcome(future: Future[Made]) -> Outcome | Stopped:
    if future.cancelled():
        return Stopped("cancelled")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Refused | BrokenAnalysisError | Stopped):
        return error
    return BrokenAnalysisError(f"{type(error).__name__}: {error}")
