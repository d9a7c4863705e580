"""Models on the local disk, under their digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from service.report.identity import Digest
from service.sources.local import LocalFile
from service.store.interfaces import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalBlobs:
    """Files by their digest, in `directory`/ab/abcdef…: complete or not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, stream: BinaryIO, digest: Digest) -> None:
        """Keep what a stream holds from its beginning, in the place of what is there; it is durable when this returns."""
        place = self._place(digest)
        part = self._directory / f"{digest}.{uuid.uuid4().hex}.part"
        with translated():
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                _take(stream, part)
                _sync(part)
                os.replace(part, place)
                _sync(place.parent)
            finally:
                part.unlink(missing_ok=True)

    def has(self, digest: Digest, size: int) -> bool:
        """Whether the file is there in that size."""
        with translated():
            try:
                return self._place(digest).stat().st_size == size
            except FileNotFoundError:
                return False

    def open(self, digest: Digest) -> LocalFile:
        """The bytes of a file, to be read at any offset."""
        with translated():
            return LocalFile(self._place(digest))

    def local(self, digest: Digest) -> Path:
        """A file of this machine with that content, for a process that reads nothing else."""
        return self._place(digest)

    def sound(self, digest: Digest) -> bool:
        """Whether the file is there and its content has that digest. Reads the whole of it."""
        with translated():
            try:
                with self._place(digest).open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest() == digest
            except FileNotFoundError:
                return False

    def remove(self, digest: Digest) -> None:
        """Remove the file if it is there."""
        with translated():
            self._place(digest).unlink(missing_ok=True)

    def check(self) -> str:
        """`ok`, or why the place cannot be written to."""
        nearest = next(place for place in (self._directory, *self._directory.parents) if place.exists())
        return "ok" if os.access(nearest, os.W_OK) else "not writable"

    def _place(self, digest: Digest) -> Path:
        return self._directory / digest[:2] / digest


def _take(stream: BinaryIO, part: Path) -> None:
    """Makes a file of what a stream holds: by another name for it where it is a file of this disk, else by copying."""
    name = getattr(stream, "name", None)
    if isinstance(name, str | Path):
        with contextlib.suppress(OSError):
            os.link(name, part)
            return
    stream.seek(0)
    with part.open("xb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)


def _sync(path: Path) -> None:
    """Waits until a file or a directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """StoreError for what the disk says."""
    try:
        yield
    except OSError as error:
        raise StoreError(error.strerror or str(error), full=error.errno in FULL) from error
