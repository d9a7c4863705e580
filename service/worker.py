"""A worker of a fleet: works on the jobs that the web tier puts into the queue (python -m service.worker).

It has the settings of a server, and answers /livez and /metrics on PORT.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog

from service import metrics
from service.jobs.celery.broker import Broker
from service.jobs.celery.queue import CeleryQueue
from service.jobs.celery.worker import Worker, WorkerQueue, consume, serve
from service.jobs.in_process import InProcessQueue
from service.jobs.keeper import Keeper
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.jobs.watch import Watch
from service.logs import configure
from service.settings import Settings, load_settings
from service.store import Store, open_store, retention
from service.work import tasks
from service.work.tasks import Task

log = structlog.get_logger(__name__)

MAX_SILENT_SECONDS = 30.0
"""How long the watch may be silent before the worker counts as stuck. It beats every 2 s; a database that is away may hold it up."""


class Hands:
    """What works for one worker, from the store to the processes; `report` is the task that makes a report."""

    def __init__(self, settings: Settings, store: Store, broker: Broker, report: Task = tasks.REPORT) -> None:
        owner = uuid.uuid4().hex
        limits = Limits(settings.job_memory_bytes, settings.job_cpu_seconds, settings.job_wall_seconds)
        self.beaten = time.monotonic()
        self.keeper = Keeper(store, report, settings.max_report_bytes)
        here = InProcessQueue(ProcessPool(settings.pool_size, settings.queue_size, limits), self.keeper)
        between = CeleryQueue(store, self.keeper, broker, owner, settings.broker_queue_size)
        self.queue = WorkerQueue(here, between)
        self.watch = Watch(store, self.queue, self.keeper, owner, settings.job_keep_seconds, self._note, retention(settings))
        self.worker = Worker(store, self.keeper, here, owner)

    def start(self, broker: Broker) -> None:
        """Have the broker's messages worked on."""
        serve(broker, self.worker.perform)
        self.watch.start()

    def close(self) -> None:
        """Stop everything; jobs under way go back to the queue."""
        self.worker.close()
        self.watch.close()
        self.keeper.close()
        self.queue.close()

    @property
    def alive(self) -> bool:
        """Whether the watch has beaten lately."""
        return time.monotonic() - self.beaten < MAX_SILENT_SECONDS

    def _note(self) -> None:
        self.beaten = time.monotonic()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:
        """Probes and scrapes are no news."""


def answer_probes(port: int, alive: Callable[[], bool]) -> WSGIServer:
    """Answer /livez and /metrics on a port of this machine, from a thread."""

    def application(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
        found = {"/livez": _livez, "/metrics": _metrics}.get(environ["PATH_INFO"], _unknown)
        status, kind, body = found(alive)
        start_response(f"{status.value} {status.phrase}", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    server = make_server("", port, application, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server


Answer = tuple[HTTPStatus, str, bytes]


def _livez(alive: Callable[[], bool]) -> Answer:
    return (
        (HTTPStatus.OK, "application/json", b'{"status":"ok"}')
        if alive()
        else (
            HTTPStatus.SERVICE_UNAVAILABLE,
            "application/json",
            b'{"status":"unavailable"}',
        )
    )


def _metrics(_: Callable[[], bool]) -> Answer:
    return HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.exposition()


def _unknown(_: Callable[[], bool]) -> Answer:
    return HTTPStatus.NOT_FOUND, "text/plain", b"A worker answers /livez and /metrics.\n"


def main(report: Task = tasks.REPORT) -> int:
    """Work until SIGTERM; the exit code."""
    settings = load_settings()
    if not settings.broker_url:
        print("receptive: a worker needs RECEPTIVE_BROKER_URL", file=sys.stderr)
        return 2
    configure(settings.log_level)
    store = open_store(settings)
    broker = Broker(settings.broker_url, settings.broker_queue, settings.job_wall_seconds)
    hands = Hands(settings, store, broker, report)
    hands.start(broker)
    server = answer_probes(int(os.environ.get("PORT", "8080")), lambda: hands.alive)
    try:
        return consume(broker, settings.pool_size, settings.log_level, hands.close)
    finally:
        server.shutdown()
        hands.close()
        store.close()


if __name__ == "__main__":
    sys.exit(main())
