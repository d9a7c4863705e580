"""Batches: models that lie elsewhere, analysed one after the other, with nobody waiting.

1. Folders and registries are listed a page at a time, and no further page while enough items wait.
2. Items are taken from the batches in turn, no more at a time than the pool has processes, and their jobs have the rank of a batch: what
   somebody waits for goes first.
3. What an item came to is in the store, so a restart goes on. An item whose process died is taken by another; its question is the same, so
   it ends in one report.
4. An item that fails has its problem, and the others go on.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from service.clock import now
from service.faults import Refused
from service.jobs.asking import Asking
from service.jobs.keeper import FAILED, Keeper
from service.jobs.message import BrokenAnalysisError, Stopped
from service.jobs.verdicts import Judge
from service.jobs.watch import Watch
from service.options import Options
from service.report.identity import Project, options_document, read_options
from service.sources.address import Address
from service.store import Store
from service.store.batches import Batch, Item
from service.store.interfaces import BATCH, Job, StoreError
from service.store.watched import Label

log = structlog.get_logger(__name__)

IDLE_SECONDS = 1.0
BEAT_SECONDS = 5.0
SILENT_SECONDS = 30.0
RETRY_SECONDS = 0.5
FOLLOW_SECONDS = 1.0

MAX_WAITING = 1000
"""Items of a batch that wait, beyond which no further page is listed."""

LATE = Refused("limit", "limit-time", "The structure of the model was not read in time.")


class Batching:
    """Works on the batches in a store, `size` items at a time, each for `seconds` at the most until its job is there."""

    def __init__(
        self, store: Store, asking: Asking, keeper: Keeper, watch: Watch, judge: Judge, owner: str, size: int, seconds: float
    ) -> None:
        self._store, self._asking, self._keeper, self._watch, self._judge = store, asking, keeper, watch, judge
        self._owner, self._size, self._seconds = owner, size, seconds
        self._places = threading.Semaphore(size)
        self._closed, self._called = threading.Event(), threading.Event()
        self._workers = ThreadPoolExecutor(size, "batch")
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._beaten = float("-inf")

    def start(self) -> None:
        """Look for what is to be done from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is not finished is taken by another process, or after the next start."""
        self._closed.set()
        self._called.set()
        if self._thread.is_alive():
            self._thread.join()
        self._workers.shutdown()
        try:
            self._store.batches.give_back(self._owner)
        except StoreError as error:
            log.error("storage-unavailable", error=str(error))

    def begin(self, project: Project, addresses: Sequence[Address], options: Options, model: str | None) -> Batch:
        """A new batch of models, folders and registries that were checked."""
        moment = now()
        openings = tuple((str(address), None) for address in dict.fromkeys(addresses) if address.is_folder)
        batch = Batch(project, uuid.uuid4().hex, "running", moment, moment, options_document(options), model, openings)
        self._store.batches.add(batch, [str(address) for address in addresses if not address.is_folder])
        self._called.set()
        return batch

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                worked = self._turn()
            except StoreError as error:
                log.error("storage-unavailable", error=str(error))
                worked = False
            if not worked:
                self._called.wait(IDLE_SECONDS)
                self._called.clear()

    def _turn(self) -> bool:
        """Lists a page and starts an item, where there is one and a place for it; whether anything was done."""
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self._beaten = time.monotonic()
            self._store.batches.beat(self._owner, SILENT_SECONDS)
        listed = self._list()
        if not self._places.acquire(timeout=IDLE_SECONDS):
            return True
        taken = None
        try:
            taken = None if self._closed.is_set() else self._store.batches.take(self._owner)
        finally:
            if taken is None:
                self._places.release()
        if taken is not None:
            self._workers.submit(self._work, *taken)
        return listed or taken is not None

    def _list(self) -> bool:
        """Lists one page of a batch; whether there was one."""
        batch = self._store.batches.unlisted(MAX_WAITING)
        if batch is None:
            return False
        (place, after), *rest = batch.openings
        try:
            found, following = self._store.sources.page(self._store.sources.check(place), after)
        except Refused as error:
            self._store.batches.list_page(batch, [], rest, {"source": place, **error.record()})
            return True
        openings = rest if following is None else [(place, following), *rest]
        self._store.batches.list_page(batch, [str(address) for address in found], openings)
        return True

    def _work(self, batch: Batch, item: Item) -> None:
        """One item, from its source to its end in the store. What the store cannot take now is done again by whoever takes it next."""
        try:
            self._settle(batch, item)
        except StoreError as error:
            log.error("storage-unavailable", batch=batch.id, item=item.number, error=str(error))
        except Exception as error:
            log.error("analysis-failed", batch=batch.id, item=item.number, exc_info=error)
            self._store.batches.settle(item, "failed", problem=FAILED.record())
        finally:
            self._places.release()
            self._called.set()

    def _settle(self, batch: Batch, item: Item) -> None:
        try:
            job, report_id = self._asked(batch, item)
        except Stopped:
            return  # this process closes
        except Refused as error:
            self._store.batches.settle(item, "failed", problem=error.record())
            return
        except TimeoutError:
            self._store.batches.settle(item, "failed", problem=LATE.record())
            return
        except BrokenAnalysisError as error:
            log.error("analysis-failed", batch=batch.id, item=item.number, error=str(error))
            self._store.batches.settle(item, "failed", problem=FAILED.record())
            return
        if job is None or job.state == "done":
            self._store.batches.settle(item, "done", report_id)
        elif job.finished:
            self._store.batches.settle(item, job.state, problem=job.problem)

    def _asked(self, batch: Batch, item: Item) -> tuple[Job | None, str]:
        """The job of an item as it ended (None where its report was known), and the id of its report. Stopped where this process closes."""
        address, options = self._store.sources.check(item.source), read_options(batch.options)
        while True:
            try:
                accepted = self._asking.ask(batch.project, address, options, self._seconds, BATCH, batch.id)
                break
            except Refused as error:
                # Who is too busy now is asked again: a batch has time.
                if error.fault != "unavailable" or self._closed.wait(RETRY_SECONDS):
                    raise
        if batch.model is not None:
            self._judge.expect(Label(batch.project, batch.model, version_of(address)), accepted.report_id)
        job = accepted.job
        while job is not None and not job.finished:
            if self._closed.is_set():
                raise Stopped("closed")
            known = self._store.batches.get(batch.project, batch.id)
            if known is None or known.state == "cancelled":
                self._watch.cancel(job.id)
            job = self._keeper.wait(job, FOLLOW_SECONDS)
        if accepted.job is not None and job is None:  # it was forgotten meanwhile, as jobs are that ended long ago
            return None, accepted.report_id
        return job, accepted.report_id


def version_of(address: Address) -> str:
    """What a version of a watched model is called by where it lies: as the registry does, or as its file without the suffix."""
    return address.path.rpartition("/")[2].removesuffix(".onnx")[:200]
