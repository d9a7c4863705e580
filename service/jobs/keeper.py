"""The keeper: on the side of whoever works, says what a job needs and keeps what comes of it.

Every job ends in `keep`, whatever happened to it. Nothing that it needs is given up before its outcome is in the store: where the store is
locked, full or away, the keeper waits and tries again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import structlog

from service import metrics
from service.faults import Refused
from service.jobs.message import Call, Outcome, Stopped
from service.jobs.stored import beside_of, stored_report
from service.report.cut import MAX_REPORT_BYTES
from service.report.identity import Question, read_question
from service.store import Store
from service.store.interfaces import Job, StoreError
from service.work.made import Made
from service.work.tasks import Task

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5
POLL_SECONDS = 0.1

FAILED = Refused("invalid", "analysis-failed", "The service could not analyse this model.")


class Keeper:
    """Keeps the outcomes of jobs in a store; `task` makes a report, of so many bytes at the most."""

    def __init__(self, store: Store, task: Task, max_report_bytes: int = MAX_REPORT_BYTES) -> None:
        self._store, self.task, self._max_bytes = store, task, max_report_bytes
        self._ended: dict[str, threading.Event] = {}
        self._held: set[str] = set()
        self._closed = threading.Event()

    @contextlib.contextmanager
    def hold(self, job_id: str) -> Iterator[None]:
        """Until the block ends, the job is on its way into the queue, or withdrawn because the queue is full: it is not lost."""
        self._held.add(job_id)
        try:
            yield
        finally:
            self._held.discard(job_id)

    def holds(self, job_id: str) -> bool:
        """Whether the job is on its way into the queue or withdrawn."""
        return job_id in self._held

    def expect(self, job: Job, owner: str) -> Job:
        """Write down a new job, or return the one that is already working on the same report."""
        self._ended[job.id] = threading.Event()
        try:
            added = self._store.jobs.add(job, owner)
        except StoreError:
            del self._ended[job.id]
            raise
        if added.id != job.id:
            del self._ended[job.id]
        return added

    def follow(self, job_id: str) -> threading.Event:
        """What is set when this keeper has kept the outcome of a job, or closes."""
        return self._ended.setdefault(job_id, threading.Event())

    def let_go(self, job_id: str) -> None:
        """Another process keeps the outcome of a job: whoever waits for it looks into the store."""
        self._tell(job_id)

    def call(self, job: Job) -> Call:
        """What is to be done for a job, on this machine. StoreError where its files cannot be had."""
        question = read_question(job.request)
        files = {name: str(self._store.blobs.local(digest)) for name, digest in question.blobs.items()}
        lent = {name: self._store.sources.later(identity) for name, identity in question.elsewhere.items()}
        asked = {"question": job.request, "created_at": job.created_at, "max_bytes": self._max_bytes}
        return Call(self.task, asked, files=files, lent=lent)

    def keep(self, job: Job, outcome: Outcome | Stopped) -> None:
        """Write down how a job ended, and give up what it needed. Returns when that is in the store, or when the keeper closes: then the
        job is still active there, and is done again by another process."""
        while True:
            try:
                self._settle(job, outcome)
                _count(outcome)
                break
            except StoreError as error:
                log.error("storage-unavailable", job=job.id, error=str(error))
                if self._closed.wait(RETRY_SECONDS):
                    break
        self._tell(job.id)

    def wait(self, asked: Job, seconds: float) -> Job | None:
        """A job as it is when it has ended, or after so many seconds; None where it is not known."""
        deadline = time.monotonic() + seconds
        ended = self._ended.get(asked.id)
        if ended is not None:
            ended.wait(seconds)
        # A job of another process is watched through the store.
        while (job := self._seen(asked)) is not None and not job.finished and time.monotonic() < deadline:
            if self._closed.wait(POLL_SECONDS):
                break
        return job

    def pause(self, seconds: float) -> bool:
        """Wait for so long, or until the keeper closes; say whether it did."""
        return self._closed.wait(seconds)

    def close(self) -> None:
        """Wait for the store no longer; whoever waits for a job is told that it is not finished."""
        self._closed.set()
        for job_id in tuple(self._ended):
            self._tell(job_id)

    def _seen(self, asked: Job) -> Job | None:
        """The job as the store has it, or as it was where the store is away: nobody's wait ends for that."""
        try:
            return self._store.jobs.get(asked.project, asked.id)
        except StoreError as error:
            log.error("storage-unavailable", job=asked.id, error=str(error))
            return asked

    def _settle(self, job: Job, outcome: Outcome | Stopped) -> None:
        """One attempt at writing it down, in steps that may be done again."""
        try:
            question = read_question(job.request)
            self._write(job, question, outcome)
        except StoreError:
            raise
        except Exception as error:
            log.error("analysis-failed", job=job.id, exc_info=error)
            self._store.jobs.finish(job.id, "failed", FAILED.record())
        if outcome_is_final(outcome):
            self._store.release(job.id)

    def _write(self, job: Job, question: Question, outcome: Outcome | Stopped) -> None:
        if isinstance(outcome, Made):
            self._store.reports.add(stored_report(outcome, job, question), outcome.content, beside_of(outcome))
            self._store.jobs.finish(job.id, "done")
        elif not outcome_is_final(outcome):
            self._store.jobs.release(job.id)
        elif isinstance(outcome, Stopped):
            self._store.jobs.finish(job.id, "cancelled")
        elif isinstance(outcome, Refused):
            self._store.jobs.finish(job.id, "failed", outcome.record())
        else:
            log.error("analysis-failed", job=job.id, model=str(question.model), error=str(outcome))
            self._store.jobs.finish(job.id, "failed", FAILED.record())

    def _tell(self, job_id: str) -> None:
        ended = self._ended.pop(job_id, None)
        if ended is not None:
            ended.set()


def _count(outcome: Outcome | Stopped) -> None:
    """Counts a job that ended, by what it ended with."""
    if isinstance(outcome, Made):
        metrics.ANALYSES.labels("done", "").inc()
    elif isinstance(outcome, Stopped):
        metrics.ANALYSES.labels("cancelled" if outcome_is_final(outcome) else "released", "").inc()
    else:
        metrics.ANALYSES.labels("failed", outcome.code if isinstance(outcome, Refused) else FAILED.code).inc()


def outcome_is_final(outcome: Outcome | Stopped) -> bool:
    """Whether a job ends with this. It does not where the process that worked on it closes, or could not work: then it is done again."""
    if isinstance(outcome, Stopped):
        return outcome.reason == "cancelled"
    return not (isinstance(outcome, Refused) and outcome.fault == "unavailable")
