"""The queue between machines, as the web tier and the workers see it.

The store says which jobs are in the queue; the broker only tells workers of them. So a message that is lost (a Redis that was restarted, a
worker that died with it) is sent again, where the broker has fewer than there are jobs.
"""

from __future__ import annotations

import threading
import time

import structlog

from service import metrics
from service.faults import Refused
from service.jobs.celery.broker import Broker
from service.jobs.keeper import Keeper
from service.jobs.message import Stopped
from service.jobs.queue import Status
from service.store import Store
from service.store.interfaces import Job

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
"""How often the messages are counted."""

AGE_SECONDS = 10.0
"""How old a message is at least before it can be taken for lost: a worker may have it, and not have taken its job yet."""

MAX_SENT_AGAIN = 500
"""Messages that are sent again at a time."""


class CeleryQueue:
    """Jobs for workers on any machine, up to `max_waiting` of them."""

    def __init__(self, store: Store, keeper: Keeper, broker: Broker, owner: str, max_waiting: int) -> None:
        self._store, self._keeper, self._broker, self._owner, self._max_waiting = store, keeper, broker, owner, max_waiting
        self._closed = threading.Event()
        self._looked = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether one more job would be refused."""
        return self._store.jobs.handed_over() >= self._max_waiting

    def submit(self, job: Job) -> None:
        """Take a job, which waits for as long as the broker is away. Refused `too-busy` where too many wait or the queue is closed."""
        if self._closed.is_set():
            raise Refused("unavailable", "too-busy", "The server is stopping.")
        if self.full:
            raise Refused("unavailable", "too-busy", "Too many jobs are waiting.")
        self._store.jobs.hand_over(job.id)
        self._keeper.let_go(job.id)
        self._broker.publish(job, self._keeper.task)

    def cancel(self, job_id: str) -> None:
        """Stop a job that waits; one that runs is stopped by its worker, which hears of it from the store."""
        job = self._store.jobs.take(job_id, self._owner)
        if job is None:
            self._store.jobs.request_cancel(job_id)
        else:
            self._keeper.keep(job, Stopped("cancelled"))

    def status(self, job_id: str) -> Status | None:
        """What becomes of a job now; None where it is not here, or has ended."""
        standing = self._store.jobs.standing(job_id)
        if standing is None:
            return None
        return "running" if standing[0] == "running" else "queued"

    def progress(self, job_id: str) -> int | None:
        """How many jobs are before a job: 0 where it runs or is next; None where it is not here, or has ended."""
        standing = self._store.jobs.standing(job_id)
        return None if standing is None else standing[1]

    def revive(self) -> None:
        """See to it that every job that waits has a message."""
        if not self._closed.is_set() and time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self.send_lost(AGE_SECONDS)

    def send_lost(self, older_than_seconds: float) -> None:
        """Send as many messages again as there are fewer of them than jobs: those that were sent longest ago. Where these were others than
        the lost ones, a worker drops them, and the lost ones are sent when nothing else waits any more."""
        waiting = self._store.jobs.handed_over()
        metrics.JOBS.labels("broker").set(waiting)
        depth = self._broker.depth() if waiting else None
        if depth is None or depth >= waiting:
            return
        for job in self._store.jobs.forgotten(min(waiting - depth, MAX_SENT_AGAIN), older_than_seconds):
            log.warning("message-sent-again", job=job.id)
            if not self._broker.publish(job, self._keeper.task):
                break

    def close(self) -> None:
        """Take no more jobs. Those that wait do so without this process."""
        self._closed.set()
        self._broker.close()
