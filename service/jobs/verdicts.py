"""Verdicts: watched models get their versions when reports are there, and every version is held to the budgets of its model.

1. A version that was asked for before its report was there waits in the store, so that it outlives this process.
2. A version is held against the baseline of its model; where none is set, against the version before; the first one, against itself.
3. What this process cannot work out now, this or another one does later: doing it twice gives the same verdict.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import structlog

from service.clock import now
from service.faults import Refused
from service.jobs.drawing import Drawing
from service.jobs.message import BrokenAnalysisError, Call, Lying, Stopped
from service.store import Store
from service.store.interfaces import StoreError
from service.store.watched import Awaited, Label, Version, WatchedModel
from service.work import tasks

log = structlog.get_logger(__name__)

TURN_SECONDS = 2.0
JUDGING_SECONDS = 60.0
LOST_SECONDS = 60.0
"""After so long, a version that no job works for is not waited for any more."""

MAX_AT_ONCE = 100
"""Versions that are looked at in one turn."""


class Judge:
    """Gives verdicts on the versions of watched models in a store."""

    def __init__(self, store: Store, drawing: Drawing) -> None:
        self._store, self._drawing = store, drawing
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    def start(self) -> None:
        """Look for what is to be done from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def expect(self, label: Label, report_id: str) -> None:
        """Have a report be that version as soon as it is there."""
        self._store.models.expect(Awaited(label, report_id, now()))

    def welcome(self, report_id: str, seconds: float) -> None:
        """Have a report that is there be the versions that wait for it, and judge them."""
        for awaited in self._store.models.awaited(MAX_AT_ONCE, report_id):
            if self._store.reports.has(awaited.label.project, report_id):
                self._admit(awaited, seconds)

    def put(self, label: Label, report_id: str, seconds: float) -> bool:
        """Have a report that is there be that version, and judge it; say whether the version is new."""
        new = self._store.models.put(label, report_id, now())
        self.settle(label, seconds)
        return new

    def settle(self, label: Label, seconds: float) -> None:
        """Judge a version where that takes no more than so many seconds; else it is judged later."""
        version = self._store.models.version(label)
        if version is not None and version.verdict == "pending":
            self._judge(version, seconds)

    def turn(self) -> None:
        """Do once what there is to be done. StoreError where the store fails."""
        for awaited in self._store.models.awaited(MAX_AT_ONCE):
            project = awaited.label.project
            if self._store.reports.has(project, awaited.report_id):
                self._admit(awaited, JUDGING_SECONDS)
            elif awaited.created_at < now(LOST_SECONDS) and self._store.jobs.working_on(project, awaited.report_id) is None:
                self._store.models.forget_awaited(awaited)
        for version in self._store.models.pending(MAX_AT_ONCE):
            if self._stopped.is_set():
                return
            self._judge(version, JUDGING_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(TURN_SECONDS):
            try:
                self.turn()
            except StoreError as error:
                log.error("storage-unavailable", error=str(error))

    def _admit(self, awaited: Awaited, seconds: float) -> None:
        self._store.models.put(awaited.label, awaited.report_id, awaited.created_at)
        self._store.models.forget_awaited(awaited)
        self.settle(awaited.label, seconds)

    def _judge(self, version: Version, seconds: float) -> None:
        """One attempt at a verdict."""
        model = self._store.models.get(version.label.project, version.label.model)
        if model is None:
            return
        base = self._base(model, version)
        if not model.budgets:
            self._store.models.judge(version, "none", base.label.version)
            return
        try:
            document = self._compared(model, base, version, seconds)
        except (TimeoutError, Stopped):
            return
        except (Refused, BrokenAnalysisError) as error:
            if isinstance(error, Refused) and error.fault == "unavailable":
                return
            log.error("verdict-unknown", model=model.name, version=version.label.version, error=str(error))
            self._store.models.judge(version, "unknown", base.label.version)
            return
        self._store.models.judge(version, document["verdict"], base.label.version, document["budgets"])

    def _base(self, model: WatchedModel, version: Version) -> Version:
        """The version that another one is held against."""
        label = version.label
        chosen = None if model.baseline is None else self._store.models.version(Label(label.project, label.model, model.baseline))
        return chosen or self._store.models.before(version) or version

    def _compared(self, model: WatchedModel, base: Version, head: Version, seconds: float) -> dict[str, Any]:
        """The comparison, worked out in a job's process: reports are large, and aligning them takes time."""
        documents = {name: self._text(version) for name, version in (("base", base), ("head", head))}
        made = self._drawing.of_call(Call(tasks.COMPARISON, {"budgets": model.budgets}, documents), seconds)
        document: dict[str, Any] = json.loads(made.content)
        return document

    def _text(self, version: Version) -> Lying:
        report = self._store.reports.get(version.label.project, version.report_id)
        if report is None:
            raise StoreError("the report of this version is gone")
        return self._store.reports.document(report)
