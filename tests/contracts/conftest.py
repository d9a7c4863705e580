"""The back ends that every contract is held to: each fixture is run once for each that exists on this machine.

Another back end is one more entry here, and its tests are those of the first.
"""

from __future__ import annotations

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
from service.store.interfaces import Blobs
from tests.jobs import fakes

Opened = tuple[Source, Callable[[], None]]


def sqlite_store(directory: Path) -> Store:
    """Everything on this disk."""
    return open_store(Settings(data_dir=directory))


STORES = {"sqlite": sqlite_store}
BLOBS = {"disk": lambda directory: LocalBlobs(directory / "blobs")}
QUEUES = {"in process": lambda store, keeper: InProcessQueue(ProcessPool(1, 2, Limits(1 << 30, 10, 20.0)), keeper)}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = STORES[request.param](tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture(params=BLOBS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return cast(Blobs, BLOBS[request.param](tmp_path))


@pytest.fixture(params=QUEUES)
def queue(request: pytest.FixtureRequest, store: Store, keeper: Keeper) -> Iterator[Queue]:
    made = QUEUES[request.param](store, keeper)
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


def blob_source(content: bytes, directory: Path) -> Source:
    blobs = LocalBlobs(directory / "blobs")
    digest = digest_of(content)
    blobs.put(io.BytesIO(content), digest)
    return blobs.open(digest)


SOURCES = {"file": file_source, "blob on disk": blob_source}


@pytest.fixture(params=SOURCES)
def source_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Source]:
    return lambda content: SOURCES[request.param](content, tmp_path)


def digest_of(content: bytes) -> Digest:
    """The digest of some bytes."""
    return Digest(hashlib.sha256(content).hexdigest())
