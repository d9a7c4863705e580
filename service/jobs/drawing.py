"""Drawings: what a request waits for, of the files of a report or of nothing but its arguments. They are not kept."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from service.faults import Refused
from service.jobs.local.pool import Pool
from service.jobs.message import BrokenAnalysisError, Call, Lying
from service.jobs.stored import identities
from service.store import Store
from service.store.interfaces import GoneError, StoredReport
from service.work.made import Made
from service.work.tasks import Task

log = structlog.get_logger(__name__)

DAMAGED = "The stored file of this analysis is damaged; send the model again, and it is mended."


class Drawing:
    """Has a pool draw what requests ask of a store. Both verbs raise what the pool does, and TimeoutError after so many seconds."""

    def __init__(self, store: Store, pool: Pool) -> None:
        self._store, self._pool = store, pool

    def of_report(
        self, task: Task, report: StoredReport, seconds: float, documents: Mapping[str, bytes | Lying], arguments: Mapping[str, object]
    ) -> Made:
        """What a task makes of the files and options of a report. Refused `blob-damaged` where a file is not what it was."""
        elsewhere = {name: identity for name, identity in identities(report).items() if name not in report.blobs}
        lent = {name: self._store.sources.later(identity) for name, identity in elsewhere.items()}
        try:
            files = {name: str(self._store.blobs.local(digest)) for name, digest in report.blobs.items()}
            return self.of_call(Call(task, {"options": report.options, **arguments}, documents, files, lent), seconds, report.project)
        except (Refused, BrokenAnalysisError, GoneError):
            if self._damaged(report):
                raise Refused("unavailable", "blob-damaged", DAMAGED) from None
            raise

    def of_call(self, call: Call, seconds: float, client: str = "") -> Made:
        """What a call makes in a process of its own, in the turn of a client."""
        ticket = self._pool.submit(call, client)
        try:
            return self._pool.wait(ticket, seconds)
        finally:
            self._pool.cancel(ticket)

    def _damaged(self, report: StoredReport) -> bool:
        """Whether a file of a report is not what it was; it is removed then, so that the next upload puts it back."""
        damaged = [digest for digest in set(report.blobs.values()) if not self._store.blobs.sound(digest)]
        for digest in damaged:
            log.error("blob-damaged", digest=digest, report=report.id)
            self._store.blobs.remove(digest)
        return bool(damaged)
