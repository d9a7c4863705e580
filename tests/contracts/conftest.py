"""The back ends that every contract is held to: each fixture is run once for each that exists on this machine.

Another back end is one more entry here, and its tests are those of the first.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from service.jobs.in_process import InProcessQueue
from service.jobs.keeper import Keeper
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.jobs.queue import Queue
from service.report.identity import Digest
from service.settings import Settings
from service.sources.local import LocalFile, Source
from service.store import Store, open_store
from service.store.disk.blobs import LocalBlobs
from service.store.disk.cache import Cache
from service.store.interfaces import Blobs
from service.store.objects import ObjectBlobs, open_objects
from tests.fleet import BROKERS, FleetOfOne, WorkerProcess, queue_of_its_own
from tests.jobs import fakes
from tests.machine import new_bucket, postgres_database


@contextlib.contextmanager
def sqlite_store(directory: Path) -> Iterator[Store]:
    """Everything on this disk."""
    store = open_store(Settings(data_dir=directory))
    yield store
    store.close()


@contextlib.contextmanager
def postgres_store(directory: Path) -> Iterator[Store]:
    """The database in PostgreSQL."""
    with postgres_database() as address:
        store = open_store(Settings(data_dir=directory, database_url=address))
        yield store
        store.close()


STORES = {"sqlite": sqlite_store, "postgres": postgres_store}
BLOBS = {"disk": lambda directory, _: LocalBlobs(directory / "blobs"), "s3": lambda directory, s3: s3_blobs(directory, s3())}
# Each queue, and the store that it is tried with.
QUEUES = {"in process": "sqlite", "in process, postgres": "postgres", "redis": "postgres", "rabbitmq": "postgres"}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with STORES[request.param](tmp_path / "data") as opened:
        yield opened


@pytest.fixture(params=BLOBS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return cast(Blobs, BLOBS[request.param](tmp_path, lambda: request.getfixturevalue("s3")))


def s3_blobs(directory: Path, endpoint: str) -> ObjectBlobs:
    bucket = new_bucket(endpoint)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        return ObjectBlobs(open_objects(bucket.url), Cache(directory / "cache", 1 << 20, 60.0))


@pytest.fixture
def queue(request: pytest.FixtureRequest, queue_name: str, store: Store, keeper: Keeper) -> Iterator[Queue]:
    """A queue that works on one job at a time, and lets two wait."""
    made: Queue
    if queue_name in BROKERS:
        made = FleetOfOne(store, keeper, request.getfixturevalue("workers")(queue_name))
    else:
        made = InProcessQueue(ProcessPool(1, 2, Limits(1 << 30, 10, 20.0)), keeper)
    yield made
    keeper.close()
    made.close()


@pytest.fixture
def keeper(store: Store) -> Keeper:
    return Keeper(store, fakes.REPORT)


def file_source(content: bytes, directory: Path) -> Source:
    path = directory / "source"
    path.write_bytes(content)
    return LocalFile(path)


SOURCES = ("file", *BLOBS)


@pytest.fixture(params=SOURCES)
def source_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Source]:
    """Makes a source of some bytes: a file, or a blob of each place."""
    if request.param == "file":
        return lambda content: file_source(content, tmp_path)
    blobs = cast(Blobs, BLOBS[request.param](tmp_path, lambda: request.getfixturevalue("s3")))

    def blob(content: bytes) -> Source:
        blobs.put(io.BytesIO(content), digest_of(content))
        return blobs.open(digest_of(content))

    return blob


def digest_of(content: bytes) -> Digest:
    """The digest of some bytes."""
    return Digest(hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="session")
def workers() -> Iterator[Callable[[str], WorkerProcess]]:
    """Gives the worker of a broker, which the tests share: starting one takes a while."""
    with contextlib.ExitStack() as stack:
        running: dict[str, WorkerProcess] = {}

        def worker(name: str) -> WorkerProcess:
            if name not in running:
                running[name] = WorkerProcess(*stack.enter_context(queue_of_its_own(name)))
                stack.callback(running[name].close)
            return running[name]

        yield worker
