"""Where a model's bytes are: random access by offset, so that nobody needs the whole of them in memory."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from service.faults import Refused

CHUNK_BYTES = 4 << 20

MAPPED_BYTES = 8 << 20
"""Bytes that are mapped or read at a time: what is mapped counts as memory of the process, and reading from afar takes a request."""


class Source(Protocol):
    """Bytes that can be read at any offset: a local file today, a range of an object store's object tomorrow."""

    @property
    def size(self) -> int:
        """The number of bytes there are."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on; Refused `truncated-model` where the source ends before."""


class LocalFile:
    """A regular file, read with pread; it is closed when nobody refers to it any more."""

    def __init__(self, path: Path) -> None:
        # Without O_NONBLOCK, opening a named pipe would wait for its writer.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("malformed", "not-a-file", "The model is not a regular file.")
        self._size = status.st_size
        self._sha1: str | None = None

    @property
    def size(self) -> int:
        """The number of bytes when the file was opened."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on; Refused `truncated-model` where the file ends before."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) == length:
            return data
        parts, missing = [data], length - len(data)  # one pread gives at most 2 GiB on Linux
        while parts[-1] and missing:
            parts.append(os.pread(self._descriptor, missing, offset + length - missing))
            missing -= len(parts[-1])
        if missing:
            raise _truncated(missing, offset)
        return b"".join(parts)

    def map(self, offset: int, length: int) -> memoryview:
        """Exactly `length` bytes from `offset` on, as they lie in the file; Refused `truncated-model` where the file ends before."""
        # To look at what is mapped behind the end of a file ends the process, so the file's size is asked for again.
        missing = offset + length - os.fstat(self._descriptor).st_size
        if missing > 0:
            raise _truncated(missing, offset)
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(self._descriptor, offset + length - start, prot=mmap.PROT_READ, offset=start)
        return memoryview(mapped)[offset - start :]

    def chunks(self) -> Iterator[bytes]:
        """The whole content in consecutive pieces of a few MiB."""
        for offset in range(0, self._size, CHUNK_BYTES):
            yield self.read(offset, min(CHUNK_BYTES, self._size - offset))

    def sha1(self) -> str:
        """The SHA-1 of the whole content in hexadecimal digits, which is what ONNX's external_data calls `checksum`."""
        if self._sha1 is None:
            digest = hashlib.sha1(usedforsecurity=False)
            for chunk in self.chunks():
                digest.update(chunk)
            self._sha1 = digest.hexdigest()
        return self._sha1


def views(source: Source, offset: int, length: int, step: int) -> Iterator[memoryview]:
    """`length` bytes from `offset` on in consecutive pieces of `step` bytes, each to be used before the next; files are not copied.

    Refused `truncated-model` where the source ends before.
    """
    whole = max(1, MAPPED_BYTES // step) * step
    for start in range(offset, offset + length, whole):
        size = min(whole, offset + length - start)
        part = source.map(start, size) if isinstance(source, LocalFile) else memoryview(source.read(start, size))
        for place in range(0, size, step):
            yield part[place : place + step]


def _truncated(missing: int, offset: int) -> Refused:
    return Refused("malformed", "truncated-model", f"The file ends {missing} bytes before the end of a value at offset {offset}.")
