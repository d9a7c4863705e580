"""Copies of files that lie elsewhere, on the local disk: bounded in bytes, and shared by all processes of this machine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from service.report.identity import Digest
from service.store.disk.blobs import translated
from service.store.interfaces import GoneError

STRIPES = 64
PART = ".part"


class Cache:
    """Files by their digest in `directory`, of `max_bytes` together.

    One that was asked for in the last `keep_seconds` stays all the same, as a job may be about to read it: a cache that is too small for
    the jobs of its machine grows until they are done, and shrinks then.
    """

    def __init__(self, directory: Path, max_bytes: int, keep_seconds: float) -> None:
        self._directory, self._max_bytes, self._keep_seconds = directory, max_bytes, keep_seconds
        # A file that two threads want is fetched once.
        self._locks = [threading.Lock() for _ in range(STRIPES)]

    def path(self, digest: Digest, fetch: Callable[[], Iterable[bytes]]) -> Path:
        """The copy of a file, which is made of what `fetch` gives where there is none. GoneError where `fetch` finds no such file."""
        place = self._directory / digest
        with self._locks[int(digest[:8], 16) % STRIPES], translated():
            if not _touched(place):
                self._make(place, fetch)
        return place

    def remove(self, digest: Digest) -> None:
        """Remove the copy of a file if there is one."""
        with translated():
            (self._directory / digest).unlink(missing_ok=True)

    def _make(self, place: Path, fetch: Callable[[], Iterable[bytes]]) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.{uuid.uuid4().hex}{PART}")
        try:
            with part.open("xb") as file:
                for piece in fetch():
                    file.write(piece)
            self._make_room(part.stat().st_size)
            os.replace(part, place)
        except FileNotFoundError:
            raise GoneError(f"there is no file {place.name}") from None
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> None:
        """Removes the copies that were not asked for longest, as far as they may go."""
        files = sorted((status.st_mtime, status.st_size, path) for path in self._directory.iterdir() if (status := _status(path)))
        excess = sum(size for _, size, path in files if path.suffix != PART) + wanted - self._max_bytes
        for used, size, path in files:
            if excess <= 0 or used > time.time() - self._keep_seconds:
                break
            path.unlink(missing_ok=True)
            excess -= size


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _touched(path: Path) -> bool:
    """Notes that a file was asked for now; whether it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        return True
    return False
