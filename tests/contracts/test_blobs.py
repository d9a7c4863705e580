"""What every place for blobs keeps to."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from service.store.interfaces import Blobs, StoreError
from tests.contracts.conftest import digest_of

CONTENT = bytes(range(256)) * 5000


def test_what_is_put_is_there_whole(blobs: Blobs) -> None:
    digest = digest_of(CONTENT)
    assert not blobs.has(digest, len(CONTENT)) and not blobs.sound(digest)
    blobs.put(io.BytesIO(CONTENT), digest)
    assert blobs.has(digest, len(CONTENT)) and not blobs.has(digest, len(CONTENT) - 1)
    assert blobs.sound(digest)
    source = blobs.open(digest)
    assert (source.size, source.read(0, source.size)) == (len(CONTENT), CONTENT)
    assert blobs.local(digest).read_bytes() == CONTENT


def test_stream_is_taken_from_its_beginning(blobs: Blobs) -> None:
    stream = io.BytesIO(b"abcdef")
    stream.seek(3)
    blobs.put(stream, digest_of(b"abcdef"))
    assert blobs.sound(digest_of(b"abcdef"))


def test_file_that_was_put_may_go_and_change_nothing(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(CONTENT)
    with path.open("rb") as stream:
        blobs.put(stream, digest_of(CONTENT))
    path.unlink()
    assert blobs.sound(digest_of(CONTENT))


def test_putting_again_mends_what_was_damaged(blobs: Blobs) -> None:
    digest = digest_of(CONTENT)
    blobs.put(io.BytesIO(b"something else"), digest)
    assert not blobs.sound(digest)
    blobs.put(io.BytesIO(CONTENT), digest)
    assert blobs.sound(digest)


def test_removing_twice_is_removing_once(blobs: Blobs) -> None:
    digest = digest_of(CONTENT)
    blobs.put(io.BytesIO(CONTENT), digest)
    blobs.remove(digest)
    blobs.remove(digest)
    assert not blobs.has(digest, len(CONTENT))


def test_what_is_not_there_cannot_be_opened(blobs: Blobs) -> None:
    with pytest.raises(StoreError):
        blobs.open(digest_of(b"never put"))


def test_source_that_was_opened_gives_its_bytes_or_none_when_the_blob_is_gone_or_replaced(blobs: Blobs) -> None:
    digest = digest_of(CONTENT)
    blobs.put(io.BytesIO(CONTENT), digest)
    source = blobs.open(digest)
    for change in (lambda: blobs.put(io.BytesIO(CONTENT[::-1]), digest), lambda: blobs.remove(digest)):
        change()
        try:
            read = source.read(1000, 10)
        except StoreError:
            continue
        assert read == CONTENT[1000:1010]


def test_place_says_whether_it_can_be_used(blobs: Blobs) -> None:
    assert blobs.check() == "ok"
