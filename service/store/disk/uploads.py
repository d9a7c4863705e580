"""Uploads in progress, each in a directory of its own on the local disk."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from service.report.identity import Digest


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

    def open(self) -> BinaryIO:
        """What was written, from its beginning."""
        self.close()
        return self.path.open("rb")

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
        """An empty upload, which is removed when the block ends: whoever wants to keep a file of it has done so by then."""
        upload = self.new()
        try:
            yield upload
        finally:
            upload.discard()

    def sweep(self, older_than_seconds: float) -> None:
        """Removes uploads that nothing was written to for so long: their process died."""
        limit = time.time() - older_than_seconds
        for place in self._directory.glob("*"):
            with contextlib.suppress(OSError):
                if max(entry.stat().st_mtime for entry in (place, *place.iterdir())) < limit:
                    shutil.rmtree(place)
