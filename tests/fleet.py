"""A fleet for tests: the queue of a web tier, and one worker behind it in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu import Connection

from service.jobs.celery.broker import Broker
from service.jobs.celery.queue import CeleryQueue
from service.jobs.keeper import Keeper
from service.store import Store
from tests.fleet_worker import SMALL
from tests.machine import RABBITMQ, REDIS, need

BROKERS = {"redis": REDIS, "rabbitmq": RABBITMQ}
REPOSITORY = Path(__file__).resolve().parents[1]


@contextmanager
def queue_of_its_own(name: str) -> Iterator[tuple[str, str]]:
    """The address of a broker and the name of a queue there, of which nothing is left when the block ends."""
    url, queue = need(name.capitalize(), BROKERS[name]), f"receptive-test-{uuid.uuid4().hex}"
    yield url, queue
    with Connection(url) as connection:
        channel = connection.default_channel
        if name == "redis":
            channel.client.delete(*(channel.client.keys(f"{queue}:*") or ["none"]))
        else:
            channel.queue_delete(queue)
            channel.exchange_delete(queue)


class WorkerProcess:
    """tests.fleet_worker, which works for one store after the other."""

    def __init__(self, url: str, queue: str) -> None:
        self.url, self.queue = url, queue
        command = [sys.executable, "-m", "tests.fleet_worker", url, queue]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def work_for(self, store: Store | None, blobs_url: str = "", directory: Path | None = None) -> None:
        """Have it work for a store, with its models at an address and a directory of its own, or for nobody; returns when it does."""
        place = {}
        if store is not None:
            address = store.database.engine.url.render_as_string(hide_password=False)
            place = {"data_dir": str(directory or store.directory), "database_url": address, "blobs_url": blobs_url}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(place) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line == "ready\n":
                return
        raise AssertionError("the worker ended")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class FleetOfOne(CeleryQueue):
    """The web tier's queue with one worker behind it, which stops working for its store when the queue closes."""

    def __init__(self, store: Store, keeper: Keeper, worker: WorkerProcess) -> None:
        broker = Broker(worker.url, worker.queue, SMALL.job_wall_seconds)
        super().__init__(store, keeper, broker, "web", SMALL.broker_queue_size)
        self._worker = worker
        worker.work_for(store)

    def close(self) -> None:
        """Closes the worker as well."""
        super().close()
        self._worker.work_for(None)
