"""The watch: keeps the jobs of a process its own, and takes over those of processes that are dead.

1. It beats: a process that is not heard of for a while is taken for dead, and its jobs are done by another.
2. It hears requests to cancel jobs, which may come to any process.
3. A job that has ended several processes is given up.
4. It tidies up what nobody needs any more, and has whoever does the work revived.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from service.faults import Refused
from service.jobs.keeper import Keeper
from service.jobs.message import Stopped
from service.jobs.queue import Queue
from service.store import Store
from service.store.interfaces import Job, Retention, StoreError

log = structlog.get_logger(__name__)

BEAT_SECONDS = 2.0
SILENT_SECONDS = 20.0
SWEEP_SECONDS = 600.0
ABANDONED_SECONDS = 3600.0
MAX_ATTEMPTS = 3
FOR_EVER = Retention()

GIVEN_UP = Refused("limit", "worker-died", "Every process that worked on the model died.")


class Watch:
    """Watches over the jobs of `owner` in a store and a queue. `revive` is called at each beat: other things to keep alive.

    Finished jobs can be asked for for `keep_seconds`, reports as `retention` says.
    """

    def __init__(
        self,
        store: Store,
        queue: Queue,
        keeper: Keeper,
        owner: str,
        keep_seconds: float,
        revive: Callable[[], None] = lambda: None,
        retention: Retention = FOR_EVER,
    ) -> None:
        self._store, self._queue, self._keeper, self._owner, self._keep_seconds = store, queue, keeper, owner, keep_seconds
        self._retention = retention
        self._missing: set[str] = set()
        self._revive = revive
        self._swept = float("-inf")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Beat from now on."""
        self._thread.start()

    def cancel(self, job_id: str) -> None:
        """Stop a job: at once where this process works on it, and at the next beat of its own elsewhere."""
        self._store.jobs.request_cancel(job_id)
        self._queue.cancel(job_id)

    def close(self) -> None:
        """Stop; the last beat is over when this returns."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def beat(self) -> None:
        """Note what runs, hear who is to stop, and take over what others left behind. StoreError where the store fails."""
        self._queue.revive()
        active = self._store.jobs.owned(self._owner)
        for job in active:
            if job.state == "queued" and self._queue.status(job.id) == "running":
                self._store.jobs.start(job.id)
        self._find_lost(active)
        for job_id in self._store.jobs.beat(self._owner) if active else ():
            self._queue.cancel(job_id)
        for job in self._store.jobs.adopt(self._owner, SILENT_SECONDS):
            self._resume(job)

    def sweep(self) -> None:
        """Remove old jobs, and what dead processes left: uploads, claims, and blobs that nobody needs."""
        self._store.jobs.remove_finished(self._keep_seconds)
        self._store.uploads.sweep(ABANDONED_SECONDS)
        for holder in self._store.claims.stale(ABANDONED_SECONDS):
            self._store.release(holder)
        self._store.collect()
        forgotten = self._store.retain(self._retention)
        if forgotten:
            log.info("retention", forgotten=forgotten)

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                self._revive()
                self.beat()
                if time.monotonic() - self._swept > SWEEP_SECONDS:
                    self._swept = time.monotonic()
                    self.sweep()
            except (OSError, StoreError) as error:
                log.error("storage-unavailable", error=str(error))

    def _find_lost(self, active: Sequence[Job]) -> None:
        """Starts jobs again that are this process's own and that nobody works on, two beats in a row.

        A job that ended since `active` was read is not lost: the store is asked again once the queue does not have it any more.
        """
        missing = {job.id for job in active if self._queue.status(job.id) is None and not self._keeper.holds(job.id)}
        for lost in active:
            if lost.id not in missing & self._missing:
                continue
            job = self._store.jobs.get(lost.project, lost.id)
            if job is not None and not job.finished:
                self._resume(job)
        self._missing = missing

    def _resume(self, job: Job) -> None:
        """Starts a job again that another process left behind, but not one that takes every process with it."""
        log.warning("job-adopted", job=job.id, attempts=job.attempts)
        if job.cancel_requested:
            self._keeper.keep(job, Stopped("cancelled"))
        elif job.attempts > MAX_ATTEMPTS:
            self._keeper.keep(job, GIVEN_UP)
        else:
            try:
                self._queue.submit(job)
            except Refused:
                self._store.jobs.release(job.id)
