"""Takes analyses in, has them done by the pool, and keeps what comes out. One runner per server process."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.clock import now
from service.faults import Refused
from service.jobs.local.pool import Pool, Ticket
from service.jobs.message import BrokenAnalysisError, Call, Stopped
from service.jobs.stored import stored_report
from service.report.identity import Digest, Question, options_document, question_document, read_options
from service.store import Store
from service.store.disk.blobs import Part, Upload, sync
from service.store.interfaces import Job, State, StoredReport
from service.work.made import Made
from service.work.tasks import Task

log = structlog.get_logger(__name__)

BEAT_SECONDS = 2.0
SILENT_SECONDS = 20.0
SWEEP_SECONDS = 600.0
UPLOAD_SECONDS = 3600.0
MOST_ATTEMPTS = 3
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an upload: `job` works on it, or is None where the report was known already."""

    report_id: str
    job: Job | None


class Runner:
    """Analyses on a store by a pool; `task` makes a report."""

    def __init__(self, store: Store, pool: Pool, task: Task, keep_seconds: float) -> None:
        self._store, self._pool, self._task, self._keep_seconds = store, pool, task, keep_seconds
        self._owner = uuid.uuid4().hex
        self._tickets: dict[str, Ticket] = {}
        self._finished: dict[str, threading.Event] = {}
        self._noted: set[str] = set()
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="runner", daemon=True)
        self._watcher.start()

    def submit(self, upload: Upload, model: Part, externals: Mapping[str, Part], question: Question) -> Accepted:
        """Takes over an upload and has it analysed, unless that is done or under way already. Refused `too-busy` where too many wait."""
        upload.close()
        if self._store.reports.has(question.id):
            upload.discard()
            return Accepted(question.id, None)
        for part in (model, *externals.values()):
            sync(part.path)
        request = {
            "upload": upload.directory.name,
            "model": {"file": model.path.name, "digest": model.digest},
            "externals": {name: {"file": part.path.name, "digest": part.digest} for name, part in externals.items()},
            "options": options_document(question.options),
        }
        moment = now()
        asked = Job(uuid.uuid4().hex, question.id, "queued", moment, moment, request)
        self._finished[asked.id] = threading.Event()
        job = self._store.jobs.add(asked, self._owner)
        if job.id != asked.id:
            del self._finished[asked.id]
            upload.discard()
            return Accepted(question.id, job)
        try:
            self._launch(job)
        except Refused:
            self._end(job, "cancelled", None)
            raise
        return Accepted(question.id, job)

    def wait(self, job_id: str, seconds: float) -> Job | None:
        """The job as it is when it is finished, or after so many seconds; None where it is not known."""
        deadline = time.monotonic() + seconds
        finished = self._finished.get(job_id)
        if finished is not None:
            finished.wait(seconds)
        # A job of another process is watched through the store.
        while (job := self.job(job_id)) is not None and not job.finished and time.monotonic() < deadline:
            if self._stopped.wait(POLL_SECONDS):
                break
        return job

    def job(self, job_id: str) -> Job | None:
        """The job of that id as it is now."""
        return self._store.jobs.get(job_id)

    def cancel(self, job_id: str) -> None:
        """Stops a job, in this process at once and in another soon."""
        self._store.jobs.request_cancel(job_id)
        ticket = self._tickets.get(job_id)
        if ticket is not None:
            self._pool.cancel(ticket)

    def draw(self, task: Task, report: StoredReport, seconds: float, documents: Mapping[str, bytes], arguments: Mapping[str, Any]) -> Made:
        """What a task makes of the files and options of a report.

        Raises what the pool does, and TimeoutError after so many seconds.
        """
        files = {name: str(self._store.blobs.path(digest)) for name, digest in report.blobs.items()}
        return self.call(Call(task, {"options": report.options, **arguments}, documents, files), seconds)

    def call(self, call: Call, seconds: float) -> Made:
        """What a call makes in a job's process.

        Raises what the pool does, and TimeoutError after so many seconds.
        """
        ticket = self._pool.submit(call)
        try:
            return self._pool.wait(ticket, seconds)
        finally:
            self._pool.cancel(ticket)

    def remove(self, report_id: str) -> bool:
        """Forgets a report, and its files where no other report needs them; says whether it was known."""
        with self._store.blobs.exclusive():
            digests = self._store.reports.remove(report_id)
            self._remove_unused(digests or [])
        return digests is not None

    def close(self) -> None:
        """Stops; jobs that are not finished may be taken over by another process."""
        self._stopped.set()
        self._watcher.join()
        self._pool.close()

    def _launch(self, job: Job) -> None:
        place = self._store.uploads.place(job.request["upload"])
        parts = {"": job.request["model"], **job.request["externals"]}
        files = {name: str(place / part["file"]) for name, part in parts.items()}
        arguments = {"question": question_document(_question(job)), "created_at": job.created_at}
        ticket = self._pool.submit(Call(self._task, arguments, files=files))
        self._tickets[job.id] = ticket
        ticket.future.add_done_callback(lambda future: self._complete(job, future))

    def _complete(self, job: Job, future: Future[Made]) -> None:
        """Keeps what came of a job. Runs in the pool's thread, where nobody would see an error: every one becomes the job's problem."""
        state: State = "failed"
        problem: dict[str, Any] | None = None
        try:
            self._keep(job, stored_report(future.result(), _question(job), job.created_at))
            state = "done"
        except Stopped as stop:
            if stop.reason == "closed":
                self._release(job)
                return
            state = "cancelled"
        except Refused as error:
            problem = error.record()
        except BrokenAnalysisError as error:
            log.error("analysis-failed", job=job.id, digest=job.request["model"]["digest"], error=str(error))
            problem = {"fault": "invalid", "code": "analysis-failed", "detail": "The service could not analyse this model.", "errors": []}
        except (OSError, SQLAlchemyError) as error:
            log.error("storage-unavailable", job=job.id, error=str(error))
            problem = {"fault": "unavailable", "code": "storage-unavailable", "detail": "The report could not be stored.", "errors": []}
        self._end(job, state, problem)

    def _end(self, job: Job, state: State, problem: Mapping[str, Any] | None) -> None:
        try:
            self._store.uploads.discard(job.request["upload"])
            self._store.jobs.finish(job.id, state, problem)
        except (OSError, SQLAlchemyError) as error:
            log.error("storage-unavailable", job=job.id, error=str(error))
        finally:
            self._forget(job)

    def _release(self, job: Job) -> None:
        """Leaves a job to another process; whoever waits for it here is told that it is not finished."""
        try:
            self._store.jobs.release(job.id)
        except SQLAlchemyError as error:
            log.error("storage-unavailable", job=job.id, error=str(error))
        finally:
            self._forget(job)

    def _forget(self, job: Job) -> None:
        self._tickets.pop(job.id, None)
        self._noted.discard(job.id)
        finished = self._finished.pop(job.id, None)
        if finished is not None:
            finished.set()

    def _keep(self, job: Job, report: StoredReport) -> None:
        """Stores the files and the report of a job: both or neither."""
        parts = [job.request["model"], *job.request["externals"].values()]
        place = self._store.uploads.place(job.request["upload"])
        with self._store.blobs.exclusive():
            try:
                for part in parts:
                    # Two parts may have the same content.
                    if (place / part["file"]).exists():
                        self._store.blobs.put(place / part["file"], Digest(part["digest"]))
                self._store.reports.add(report)
            except (OSError, SQLAlchemyError):
                self._remove_unused(report.blobs.values())
                raise

    def _remove_unused(self, digests: Collection[Digest]) -> None:
        for digest in self._store.reports.unused(set(digests)):
            self._store.blobs.remove(digest)

    def _watch(self) -> None:
        """Keeps this process's jobs its own, hears requests to cancel them, takes over those of dead processes, and tidies up."""
        swept = float("-inf")
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                self._beat()
                if time.monotonic() - swept > SWEEP_SECONDS:
                    swept = time.monotonic()
                    self._sweep()
            except (OSError, SQLAlchemyError) as error:
                log.error("storage-unavailable", error=str(error))

    def _beat(self) -> None:
        for job_id, ticket in tuple(self._tickets.items()):
            if job_id not in self._noted and self._pool.status(ticket) == "running":
                self._noted.add(job_id)
                self._store.jobs.start(job_id)
        for job_id in self._store.jobs.beat(self._owner) if self._tickets else ():
            if job_id in self._tickets:
                self._pool.cancel(self._tickets[job_id])
        for job in self._store.jobs.adopt(self._owner, SILENT_SECONDS):
            self._resume(job)

    def _resume(self, job: Job) -> None:
        """Starts a job again that another process left behind, but not one that takes every process with it."""
        log.warning("job-adopted", job=job.id, attempts=job.attempts)
        if job.cancel_requested:
            self._end(job, "cancelled", None)
        elif job.attempts > MOST_ATTEMPTS:
            self._end(job, "failed", Refused("limit", "worker-died", "Every process that worked on the model died.").record())
        else:
            try:
                self._launch(job)
            except Refused:
                self._store.jobs.release(job.id)

    def _sweep(self) -> None:
        self._store.jobs.remove_finished(self._keep_seconds)
        self._store.uploads.sweep({job.request["upload"] for job in self._store.jobs.active()}, UPLOAD_SECONDS)


def _question(job: Job) -> Question:
    """What a job is to answer."""
    externals = {name: Digest(part["digest"]) for name, part in job.request["externals"].items()}
    return Question(Digest(job.request["model"]["digest"]), externals, read_options(job.request["options"]))
