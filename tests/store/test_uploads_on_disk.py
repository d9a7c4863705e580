"""Uploads on their way to the blobs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from service.store.disk.uploads import Uploads


def test_part_is_hashed_while_it_is_written_and_read_from_its_beginning(tmp_path: Path) -> None:
    with Uploads(tmp_path).begin() as upload:
        part = upload.part()
        part.write(b"abc")
        part.write(b"def")
        assert (part.size, part.digest) == (6, hashlib.sha256(b"abcdef").hexdigest())
        with part.open() as stream:
            assert stream.read() == b"abcdef"


def test_upload_is_gone_after_its_block_however_that_ends(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with uploads.begin() as kept:
        kept.part().write(b"whole")
    with pytest.raises(KeyboardInterrupt), uploads.begin() as lost:
        lost.part().write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_abandoned_uploads_are_swept(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    old, fresh = uploads.new(), uploads.new()
    for upload in (old, fresh):
        upload.part().close()
    for path in (*old.directory.iterdir(), old.directory):
        os.utime(path, (0, 0))
    uploads.sweep(60)
    assert [path.name for path in tmp_path.iterdir()] == [fresh.directory.name]
