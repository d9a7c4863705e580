"""What a request needs of the service: settings, store and runner."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from flask import current_app

from service.jobs.limits import Limits
from service.jobs.pool import ProcessPool
from service.jobs.runner import Runner
from service.settings import Settings
from service.store import Store

EXTENSION = "receptive"


class Gate:
    """Lets so many requests in at a time. Uploads and waits are slow; the rest of the server's threads stay free for what is quick."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """Takes a place until the block ends, and says whether there was one."""
        taken = self._places.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._places.release()


@dataclass(frozen=True, slots=True)
class Work:
    """The functions that run in a job's process, by name: the server itself never imports what parses a model."""

    analysis: str = "service.jobs.work:analyze_file"
    filters: str = "service.jobs.pictures:filters_png"


class Service:
    """The service behind one application. Its runner starts in the process that first needs it, because threads do not survive a fork."""

    def __init__(self, settings: Settings, store: Store, tasks: Work) -> None:
        self.settings, self.store, self.tasks = settings, store, tasks
        self.uploads, self.waits = Gate(settings.max_uploads), Gate(settings.max_waits)
        self._lock = threading.Lock()
        self._runner: Runner | None = None
        self._process: int | None = None

    @property
    def runner(self) -> Runner:
        """The runner of this process."""
        with self._lock:
            if self._runner is None or self._process != os.getpid():
                settings = self.settings
                limits = Limits(settings.job_memory_bytes, settings.job_cpu_seconds, settings.job_wall_seconds)
                pool = ProcessPool(settings.pool_size, settings.queue_size, limits)
                self._runner = Runner(self.store, pool, self.tasks.analysis, settings.job_keep_seconds)
                self._process = os.getpid()
            return self._runner

    def start(self) -> None:
        """Starts the runner of this process, for a server that wants the first request to be as fast as the second."""
        _ = self.runner

    def close(self) -> None:
        """Stops the runner and its pool and closes the database."""
        with self._lock:
            if self._runner is not None:
                self._runner.close()
                self._runner = None
        self.store.engine.dispose()


def current() -> Service:
    """The service of the application that answers this request."""
    service: Service = current_app.extensions[EXTENSION]
    return service
