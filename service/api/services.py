"""What a request needs of the service: settings, store and engines."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from flask import current_app

from service.jobs.asking import Asking
from service.jobs.batches import Batching
from service.jobs.drawing import Drawing
from service.jobs.in_process import InProcessQueue
from service.jobs.intake import Intake
from service.jobs.keeper import Keeper
from service.jobs.local import sandbox
from service.jobs.local.drawer import Drawer, KeptProcess
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.jobs.queue import Queue
from service.jobs.verdicts import Judge
from service.jobs.watch import Watch
from service.settings import Settings
from service.store import Store, retention
from service.store.interfaces import Document, StoredReport, Usage
from service.work import tasks
from service.work.tasks import Task

log = structlog.get_logger(__name__)

EXTENSION = "receptive"

FLEET_ITEMS = 32
"""Models of batches that a server process has under way where others work on them."""

DRAWING_SECONDS = 20.0
"""The wall time of one drawing of a report: less than a request waits, so that it is told whose fault it was."""


MAX_FOLLOWERS = 4
"""Pages that are told at once what changes; others ask again every now and then."""

PAUSED_SECONDS = 1.0
"""How long whoever holds a place may pause while another wants it."""

GIVE_UP_SECONDS = 1.0
"""How soon one who is told to give up a place does."""


class Holder(Protocol):
    """A connection that holds a place."""

    @property
    def paused_seconds(self) -> float:
        """How long nothing has come over it."""

    def abandon(self) -> None:
        """Has its request fail as stalled."""


class Gate:
    """Lets so many requests in at a time. Uploads and waits are slow; the rest of the server's threads stay free for what is quick."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._holders: set[Holder] = set()

    @contextlib.contextmanager
    def place(self, holder: Holder | None = None) -> Iterator[bool]:
        """Takes a place until the block ends, and says whether there was one. Where there is none, the `holder` of one that has paused
        longest, and for a while, loses it."""
        taken = self._places.acquire(blocking=False) or (self._take_back() and self._places.acquire(timeout=GIVE_UP_SECONDS))
        if taken and holder is not None:
            self._holders.add(holder)
        try:
            yield taken
        finally:
            if holder is not None:
                self._holders.discard(holder)
            if taken:
                self._places.release()

    def _take_back(self) -> bool:
        """Ends the request that has paused longest; whether there is one."""
        paused = [each for each in tuple(self._holders) if each.paused_seconds > PAUSED_SECONDS]
        if not paused:
            return False
        slowest = max(paused, key=lambda each: each.paused_seconds)
        self._holders.discard(slowest)
        slowest.abandon()
        return True


@dataclass(frozen=True, slots=True)
class Work:
    """The tasks that a test may put others in the place of."""

    report: Task = tasks.REPORT
    filters: Task = tasks.FILTERS_PNG
    warm_up: Task = tasks.WARM_UP


@dataclass(frozen=True, slots=True)
class Engines:
    """What works for one process of the server, and the id of that process."""

    process: int
    pool: ProcessPool
    queue: Queue
    keeper: Keeper
    intake: Intake
    asking: Asking
    watch: Watch
    drawing: Drawing
    drawer: Drawer
    judge: Judge
    batching: Batching

    def close(self) -> None:
        """Stop everything; jobs under way go back to the store, for another process."""
        self.batching.close()
        self.judge.close()
        self.watch.close()
        self.drawer.close()
        self.keeper.close()
        self.queue.close()
        self.pool.close()


class Service:
    """The service behind one application. Its engines start in the process that first needs them, because threads do not survive a fork."""

    def __init__(self, settings: Settings, store: Store, work: Work) -> None:
        self.settings, self.store, self.tasks = settings, store, work
        self.uploads, self.waits = Gate(settings.max_uploads), Gate(settings.max_waits)
        # Readers of pages that keep themselves up to date never take the place of a request that waits for its answer.
        self.followers = Gate(MAX_FOLLOWERS)
        self._lock = threading.Lock()
        self._running: Engines | None = None

    @property
    def engines(self) -> Engines:
        """What works for this process."""
        with self._lock:
            if self._running is None or self._running.process != os.getpid():
                _tell(sandbox.offered())
                self._running = self._started()
            return self._running

    def start(self) -> None:
        """Starts the engines of this process, for a server that wants the first request to be as fast as the second."""
        self.engines.drawer.start()

    def check(self) -> str:
        """`ok`, or why no process can be started for a job. A fork server that is dead is started anew."""
        try:
            self.engines.pool.revive()
        except OSError as error:
            log.error("fork-server", error=str(error))
            return error.strerror or "no process can be started"
        return "ok"

    def close(self) -> None:
        """Stops the engines and closes the database."""
        with self._lock:
            if self._running is not None:
                self._running.close()
                self._running = None
        self.store.close()

    def _started(self) -> Engines:
        settings, store, owner = self.settings, self.store, uuid.uuid4().hex
        limits = Limits(settings.job_memory_bytes, settings.job_cpu_seconds, settings.job_wall_seconds)
        pool = ProcessPool(settings.pool_size, settings.queue_size, limits)
        keeper = Keeper(store, self.tasks.report, settings.max_report_bytes)
        queue = self._queue(pool, keeper, owner)
        drawer = KeptProcess(replace(limits, wall_seconds=min(limits.wall_seconds, DRAWING_SECONDS)), self.tasks.warm_up)

        def revive() -> None:
            pool.revive()
            drawer.revive()

        watch = Watch(store, queue, keeper, owner, settings.job_keep_seconds, revive, retention(settings))
        watch.start()
        quota = Usage(settings.max_project_analyses, settings.max_project_bytes)
        intake, drawing = Intake(store, queue, keeper, owner, quota), Drawing(store, pool)
        asking = Asking(store.sources, intake, drawing, settings.sources_read_bytes)
        judge = Judge(store, drawing)
        judge.start()
        size = FLEET_ITEMS if settings.broker_url else settings.pool_size
        batching = Batching(store, asking, keeper, watch, judge, owner, size, settings.job_wall_seconds)
        batching.start()
        return Engines(os.getpid(), pool, queue, keeper, intake, asking, watch, drawing, drawer, judge, batching)

    def _queue(self, pool: ProcessPool, keeper: Keeper, owner: str) -> Queue:
        """Where jobs wait: for this process, or for workers."""
        settings, store = self.settings, self.store
        if not settings.broker_url:
            return InProcessQueue(pool, keeper)
        # The library is wanted where there is a broker only.
        from service.jobs.celery.broker import Broker
        from service.jobs.celery.queue import CeleryQueue

        broker = Broker(settings.broker_url, settings.broker_queue, settings.job_wall_seconds)
        return CeleryQueue(store, keeper, broker, owner, settings.broker_queue_size)


def _tell(offer: sandbox.Offer) -> None:
    """Writes one line of what holds jobs to their work here, and what does not."""
    write = log.warning if offer.missing else log.info
    write("sandbox", landlock=offer.landlock, seccomp=offer.seccomp, missing=offer.missing)


def text_of(report: StoredReport) -> Document:
    """The text of a report, which is read where it lies."""
    return current().store.reports.document(report)


def current() -> Service:
    """The service of the application that answers this request."""
    service: Service = current_app.extensions[EXTENSION]
    return service
