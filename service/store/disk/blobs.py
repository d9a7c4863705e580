"""Models on the local disk: uploads in progress, and finished files under their digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from service.report.identity import Digest
from service.store.sql.database import locked


class LocalBlobs:
    """Files by their digest, in `directory`/ab/abcdef…: complete or not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, digest: Digest) -> Path:
        """Where the file of that digest can be read."""
        return self._directory / digest[:2] / digest

    def put(self, path: Path, digest: Digest) -> None:
        """Moves a file in (same file system); it is on disk when this returns."""
        place = self.path(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        sync(path)
        os.replace(path, place)
        sync(place.parent)

    def remove(self, digest: Digest) -> None:
        """Removes the file if it is there."""
        self.path(digest).unlink(missing_ok=True)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds off every other process that adds or removes reports, so that no file goes while a new report begins to need it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with locked(self._directory / "lock"):
            yield


def sync(path: Path) -> None:
    """Waits until a file or a directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Part:
    """One file of an upload, hashed while it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Appends `data`."""
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def seek(self, _offset: int) -> None:
        """Ends writing. The form parser rewinds a file when it is complete; with a thousand parts the open files would run out."""
        self.close()

    def close(self) -> None:
        """Ends writing."""
        self._file.close()

    @property
    def digest(self) -> Digest:
        """The digest of what was written."""
        return Digest(self._hash.hexdigest())


class Upload:
    """The files of one request in a directory of their own, until they are kept or discarded."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._parts: list[Part] = []

    def part(self) -> Part:
        """A new, empty file of the upload."""
        part = Part(self.directory / str(len(self._parts)))
        self._parts.append(part)
        return part

    def close(self) -> None:
        """Ends writing to all parts."""
        for part in self._parts:
            part.close()

    def discard(self) -> None:
        """Removes everything."""
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Uploads:
    """The uploads in progress, in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def new(self) -> Upload:
        """An empty upload."""
        place = self._directory / uuid.uuid4().hex
        place.mkdir(parents=True)
        return Upload(place)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Upload]:
        """An empty upload. Whoever takes it over does so inside the block; if the block fails, it is removed."""
        upload = self.new()
        with contextlib.ExitStack() as undo:
            undo.callback(upload.discard)
            yield upload
            undo.pop_all()

    def place(self, name: str) -> Path:
        """The directory of the upload of that name."""
        return self._directory / name

    def discard(self, name: str) -> None:
        """Removes the upload of that name."""
        shutil.rmtree(self.place(name), ignore_errors=True)

    def sweep(self, needed: set[str], older_than_seconds: float) -> None:
        """Removes uploads that no job needs and that nothing was written to for so long: their process died."""
        limit = time.time() - older_than_seconds
        for place in self._directory.glob("*"):
            with contextlib.suppress(OSError):
                if place.name not in needed and max(entry.stat().st_mtime for entry in (place, *place.iterdir())) < limit:
                    shutil.rmtree(place)
