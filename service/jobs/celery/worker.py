"""A worker: takes jobs out of the queue between machines, and works on each in a process of its own, as a server without a broker does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from celery import Task as CeleryTask
from celery import signals

from service.faults import Refused
from service.jobs.celery.broker import NAME, Broker
from service.jobs.celery.queue import CeleryQueue
from service.jobs.in_process import InProcessQueue
from service.jobs.keeper import RETRY_SECONDS, Keeper
from service.jobs.message import Stopped
from service.jobs.queue import Status
from service.store import Store
from service.store.interfaces import Job, StoreError

log = structlog.get_logger(__name__)

GRACE_SECONDS = 25.0
"""How long jobs may go on when the worker is told to stop; then they go back to the queue. Less than a container is given (40 s)."""


class WorkerQueue:
    """What a worker's watch sees: the jobs that run here, and the queue between machines for those that it takes over from dead workers."""

    def __init__(self, here: InProcessQueue, between: CeleryQueue) -> None:
        self._here, self._between = here, between

    @property
    def full(self) -> bool:
        """Whether one more job would be refused."""
        return self._between.full

    def submit(self, job: Job) -> None:
        """Give a job to whichever worker is free."""
        self._between.submit(job)

    def cancel(self, job_id: str) -> None:
        """Stop a job that runs here."""
        self._here.cancel(job_id)

    def status(self, job_id: str) -> Status | None:
        """What becomes of a job that runs here; None where it does not."""
        return self._here.status(job_id)

    def progress(self, job_id: str) -> int | None:
        """How many jobs are before a job."""
        return self._between.progress(job_id)

    def revive(self) -> None:
        """See to it that the fork server lives, and that every job that waits has a message."""
        self._here.revive()
        self._between.revive()

    def close(self) -> None:
        """Give every job back to the store, and take no more."""
        self._here.close()
        self._between.close()


class Worker:
    """Works on the jobs whose messages come from a broker; `owner` is this process in the store."""

    def __init__(self, store: Store, keeper: Keeper, queue: InProcessQueue, owner: str) -> None:
        self._store, self._keeper, self._queue, self._owner = store, keeper, queue, owner
        self._closed = threading.Event()

    def perform(self, job_id: str, task: str, question: Mapping[str, Any]) -> None:
        """Work on the job of a message, and return when it has ended. Does nothing where the job is not in the queue any more."""
        job = self._taken(job_id)
        if job is None:
            log.info("job-not-waiting", job=job_id)
        elif task != self._keeper.task.name or question != job.request:
            log.error("message-unexpected", job=job_id, task=task)
            self._keeper.keep(job, Stopped("closed"))
        else:
            self._work(job)

    def close(self) -> None:
        """Take no more jobs."""
        self._closed.set()

    def _taken(self, job_id: str) -> Job | None:
        """The job, which is this worker's from now on. A store that is away is waited for, with the message in hand."""
        while not self._closed.is_set():
            try:
                return self._store.jobs.take(job_id, self._owner)
            except StoreError as error:
                log.error("storage-unavailable", job=job_id, error=str(error))
                self._closed.wait(RETRY_SECONDS)
        return None

    def _work(self, job: Job) -> None:
        ended = self._keeper.follow(job.id)
        try:
            self._queue.submit(job)
        except Refused:
            self._keeper.keep(job, Stopped("closed"))
        ended.wait()


Perform = Callable[[str, str, Mapping[str, Any]], None]
"""What is done with a message: the id of its job, the name of a task, a question."""


def serve(broker: Broker, perform: Perform) -> None:
    """Have the messages of a broker brought to `perform`, by this process's workers."""

    @broker.app.task(name=NAME, bind=True, shared=False)
    def received(message: CeleryTask, task: str, question: Mapping[str, Any]) -> None:
        perform(message.request.id, task, question)


def consume(broker: Broker, threads: int, level: str, give_up: Callable[[], None]) -> int:
    """Bring messages to this process until it is told to stop; a while after that, `give_up` ends the jobs that still run."""

    def begin_to_stop(**_: object) -> None:
        timer = threading.Timer(GRACE_SECONDS, give_up)
        timer.daemon = True
        timer.start()

    signals.worker_shutting_down.connect(begin_to_stop, weak=False)
    worker = broker.app.Worker(
        pool="threads", concurrency=threads, loglevel=level, quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True
    )
    worker.start()
    return int(worker.exitcode or 0)
