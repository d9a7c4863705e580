"""Models in S3, Google Cloud Storage or Azure, under their digest. Those that a process of this machine reads are copied to its disk."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.store import ObjectStore, from_url

from service.report.identity import Digest
from service.sources.objects import READ_ERRORS, ObjectSource, summary
from service.store.disk.cache import Cache
from service.store.interfaces import StoreError

PIECE_BYTES = 16 << 20
"""What is fetched by one request: each is held to REQUEST_SECONDS, and tried again by itself."""

CONNECT_SECONDS, REQUEST_SECONDS = 5, 60
MAX_RETRIES, RETRY_TIME = 3, timedelta(seconds=20)
MAX_PARTS_AT_ONCE = 4


def open_objects(url: str) -> ObjectStore:
    """The place that an address names. What else it takes (keys, region, endpoint) is read from the variables that its own tools read, such
    as AWS_ACCESS_KEY_ID, or is the identity that the machine has."""
    store: ObjectStore = from_url(
        url,
        # An endpoint without TLS is one that the operator has chosen.
        client_options={"connect_timeout": f"{CONNECT_SECONDS}s", "timeout": f"{REQUEST_SECONDS}s", "allow_http": True},
        retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIME},
    )
    return store


class ObjectBlobs:
    """Files by their digest, as objects ab/abcdef…: an object is complete or not there."""

    def __init__(self, store: ObjectStore, cache: Cache) -> None:
        self._store, self._cache = store, cache

    def put(self, stream: BinaryIO, digest: Digest) -> None:
        """Keep what a stream holds from its beginning, in the place of what is there; it is durable when this returns."""
        stream.seek(0)
        self._cache.remove(digest)
        with _translated():
            obstore.put(self._store, _path(digest), stream, chunk_size=PIECE_BYTES, max_concurrency=MAX_PARTS_AT_ONCE)

    def has(self, digest: Digest, size: int) -> bool:
        """Whether the file is there in that size."""
        with _translated():
            try:
                return int(obstore.head(self._store, _path(digest))["size"]) == size
            except FileNotFoundError:
                return False

    def open(self, digest: Digest) -> Blob:
        """The bytes of a file, to be read at any offset."""
        with _translated():
            return Blob(ObjectSource(self._store, _path(digest)))

    def local(self, digest: Digest) -> Path:
        """A file of this machine with that content, for a process that reads nothing else: it stays for as long as a job may take."""
        return self._cache.path(digest, lambda: self._pieces(digest))

    def sound(self, digest: Digest) -> bool:
        """Whether the file is there and its content has that digest. Reads the whole of it."""
        self._cache.remove(digest)
        found = hashlib.sha256()
        try:
            for piece in self._pieces(digest):
                found.update(piece)
        except FileNotFoundError:
            return False
        return found.hexdigest() == digest

    def remove(self, digest: Digest) -> None:
        """Remove the file if it is there."""
        self._cache.remove(digest)
        with _translated(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, _path(digest))

    def check(self) -> str:
        """`ok`, or why the place cannot be read."""
        try:
            with _translated():
                next(iter(obstore.list(self._store, chunk_size=1)), None)
        except StoreError as error:
            return str(error)
        return "ok"

    def _pieces(self, digest: Digest) -> Iterator[bytes]:
        """The whole content. FileNotFoundError where there is none."""
        with _translated(absent=FileNotFoundError):
            source = ObjectSource(self._store, _path(digest))
            for offset in range(0, source.size, PIECE_BYTES):
                yield source.read(offset, min(PIECE_BYTES, source.size - offset))


class Blob:
    """An object of ours as a source. StoreError where it cannot be read, or is gone."""

    def __init__(self, source: ObjectSource) -> None:
        self._source = source

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self._source.size

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on; Refused `truncated-model` where the file ends before."""
        with _translated():
            return self._source.read(offset, length)


def _path(digest: Digest) -> str:
    return f"{digest[:2]}/{digest}"


@contextlib.contextmanager
def _translated(absent: type[Exception] | None = None) -> Iterator[None]:
    """StoreError for what obstore raises; `absent` goes through."""
    try:
        yield
    except READ_ERRORS as error:
        if absent is not None and isinstance(error, absent):
            raise
        raise StoreError(summary(error)) from error
