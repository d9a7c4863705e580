"""Files by their digest, and uploads on their way there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from service.store.disk.blobs import LocalBlobs, Uploads


def test_upload_becomes_a_blob(tmp_path: Path) -> None:
    blobs, uploads = LocalBlobs(tmp_path / "blobs"), Uploads(tmp_path / "uploads")
    upload = uploads.new()
    part = upload.part()
    part.write(b"abc")
    part.write(b"def")
    upload.close()
    assert (part.size, part.digest) == (6, hashlib.sha256(b"abcdef").hexdigest())
    with blobs.exclusive():
        blobs.put(part.path, part.digest)
    assert blobs.path(part.digest).read_bytes() == b"abcdef"
    upload.discard()
    assert list((tmp_path / "uploads").iterdir()) == []
    blobs.remove(part.digest)
    blobs.remove(part.digest)
    assert not blobs.path(part.digest).exists()


def test_an_upload_outlives_its_block_only_where_that_succeeds(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with uploads.begin() as taken:
        taken.part().close()
    with pytest.raises(KeyboardInterrupt), uploads.begin() as lost:
        lost.part().write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [taken.directory]


def test_abandoned_uploads_are_swept(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    old, needed, fresh = uploads.new(), uploads.new(), uploads.new()
    for upload in (old, needed, fresh):
        upload.part().close()
    for upload in (old, needed):
        for path in (*upload.directory.iterdir(), upload.directory):
            os.utime(path, (0, 0))
    uploads.sweep({needed.directory.name}, 60)
    assert {path.name for path in tmp_path.iterdir()} == {needed.directory.name, fresh.directory.name}
