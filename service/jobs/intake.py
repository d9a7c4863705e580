"""The intake: takes a model over, so that it is analysed once and is not lost.

1. A question whose report is known, or that a job works on, is not asked again.
2. A full queue refuses before anything is written.
3. The files are claimed, put among the blobs and durable before the job is; the job is durable before anybody is told of it.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from service.clock import now
from service.faults import Refused
from service.jobs.keeper import Keeper
from service.jobs.message import Stopped
from service.jobs.queue import Queue
from service.report.identity import Digest, Project, Question, question_document
from service.store import Store
from service.store.interfaces import SINGLE, Job, StoreError, Usage


class Part(Protocol):
    """One file that arrived."""

    size: int

    @property
    def digest(self) -> Digest:
        """The digest of its content."""

    def open(self) -> BinaryIO:
        """Its content, from the beginning."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a model: `job` works on it, or is None where the report was known already."""

    report_id: str
    job: Job | None


UNBOUNDED = Usage(0, 0)
"""The quota of a project that may store any number of analyses, and any number of bytes."""


class Intake:
    """Takes models into a store and has them worked on by a queue; `owner` is the process that answers for its jobs.

    A project may store what `quota` says, where 0 is any number.
    """

    def __init__(self, store: Store, queue: Queue, keeper: Keeper, owner: str, quota: Usage = UNBOUNDED) -> None:
        self._store, self._queue, self._keeper, self._owner, self._quota = store, queue, keeper, owner, quota

    def accept(self, project: Project, parts: Mapping[str, Part], question: Question, rank: int = SINGLE, client: str = "") -> Accepted:
        """Have a project's question answered about the files `parts` ("" for the model), unless that is done or under way for it already.

        Files that are among the blobs already, as those of a report are, need not be parts.

        `client` is whose turn it takes in the queue.

        Refused `too-busy` where the queue is full, and `quota-exceeded` where the project has no room for it; StoreError where the
        model cannot be kept. In all these cases nothing of it is left.
        """
        known = self._store.reports.has(project, question.id)
        working = None if known else self._store.jobs.working_on(project, question.id)
        if working is None and not known and self._queue.full:
            raise Refused("unavailable", "too-busy", "Too many jobs are waiting.")
        if working is not None:
            return Accepted(question.id, working)
        if known and all(self._store.blobs.has(part.digest, part.size) for part in parts.values()):
            return Accepted(question.id, None)
        if not known:
            self._check_quota(project, sum(part.size for part in parts.values()))
        moment = now()
        asked = Job(uuid.uuid4().hex, project, question.id, "queued", moment, moment, question_document(question), rank=rank, client=client)
        with self._keeper.hold(asked.id):
            with self._kept(asked.id, parts, question):
                if known:  # its files were damaged, and are whole again now
                    self._store.release(asked.id)
                    return Accepted(question.id, None)
                job = self._keeper.expect(asked, self._owner)
            if job.id != asked.id:  # another request was faster
                self._store.release(asked.id)
            else:
                self._submit(job)
        return Accepted(question.id, job)

    def _check_quota(self, project: Project, size: int) -> None:
        """Refused `quota-exceeded` where a project has no room for one more analysis, of files of that size."""
        if self._quota == UNBOUNDED:
            return
        used, most = self._store.reports.usage(project), self._quota
        if most.analyses and used.analyses >= most.analyses:
            detail = f"The project has {used.analyses} analyses; it may have {most.analyses}. Remove some first."
            raise Refused("limit", "quota-exceeded", detail)
        if most.size_bytes and used.size_bytes + size > most.size_bytes:
            detail = f"The project stores {used.size_bytes} bytes, and {size} more are beyond the {most.size_bytes} that it may store."
            raise Refused("limit", "quota-exceeded", detail)

    def _submit(self, job: Job) -> None:
        try:
            self._queue.submit(job)
        except Refused:
            self._keeper.keep(job, Stopped("cancelled"))
            raise

    @contextlib.contextmanager
    def _kept(self, holder: str, parts: Mapping[str, Part], question: Question) -> Iterator[None]:
        """The files of a job among the blobs, claimed for it; given up again where that or what follows fails."""
        with contextlib.ExitStack() as undo:
            undo.callback(self._give_up, holder)
            self._store.claims.claim(holder, list(question.blobs.values()))
            for part in parts.values():
                with part.open() as stream:
                    self._store.blobs.put(stream, part.digest)
            yield
            undo.pop_all()

    def _give_up(self, holder: str) -> None:
        """What cannot be given up now, because the store fails, is given up by the next sweep (see watch)."""
        with contextlib.suppress(StoreError):
            self._store.release(holder)
