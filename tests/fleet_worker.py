"""A worker in a process of its own that works for one test after the other (python -m tests.fleet_worker BROKER QUEUE).

Each line of its standard input names a data directory and a database, or nothing: it works for that store from then on, and says so.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.jobs import watch
from service.jobs.celery.broker import Broker
from service.jobs.celery.worker import consume, serve
from service.settings import Settings
from service.store import Store, open_store
from service.worker import Hands
from tests.jobs import fakes

SMALL = Settings(pool_size=1, job_memory_bytes=1 << 30, job_cpu_seconds=10, job_wall_seconds=20.0, broker_queue_size=2)


class Worker:
    """Works for the store that it was told last."""

    def __init__(self, url: str, queue: str) -> None:
        self._url, self._queue = url, queue
        self._hands: Hands | None = None
        self._store: Store | None = None

    def perform(self, job_id: str, task: str, question: Mapping[str, Any]) -> None:
        """What is done with a message: nothing where there is no test to work for."""
        if self._hands is not None:
            self._hands.worker.perform(job_id, task, question)

    def obey(self) -> None:
        """Reads what it is told, to the end."""
        for line in sys.stdin:
            self._leave()
            place = json.loads(line)
            if place:
                settings = replace(SMALL, **{**place, "data_dir": Path(place["data_dir"])})
                self._store = open_store(settings)
                self._hands = Hands(settings, self._store, Broker(self._url, self._queue, 20.0), fakes.REPORT)
                self._hands.watch.start()
            print("ready", flush=True)
        os._exit(0)

    def _leave(self) -> None:
        hands, self._hands = self._hands, None
        if hands is not None and self._store is not None:
            hands.close()
            self._store.close()


if __name__ == "__main__":
    watch.BEAT_SECONDS = 0.1
    me = Worker(sys.argv[1], sys.argv[2])
    broker = Broker(sys.argv[1], sys.argv[2], 20.0)
    serve(broker, me.perform)
    threading.Thread(target=me.obey, daemon=True).start()
    with suppress(KeyboardInterrupt):
        consume(broker, 1, "CRITICAL", lambda: None)
