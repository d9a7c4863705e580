"""Copies of files that lie elsewhere."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.report.identity import Digest
from service.store.disk.cache import Cache
from service.store.interfaces import StoreError

A, B, C = (Digest(letter * 64) for letter in "abc")


def gives(content: bytes) -> Callable[[], list[bytes]]:
    return lambda: [content]


def fail() -> Iterator[bytes]:
    yield b"a beginning"
    raise StoreError("the line broke")


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_file_is_fetched_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100, 60)
    assert cache.path(A, gives(b"first")).read_bytes() == b"first"
    assert cache.path(A, gives(b"second")).read_bytes() == b"first"
    cache.remove(A)
    cache.remove(A)
    assert cache.path(A, gives(b"second")).read_bytes() == b"second"


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100, 60)
    with pytest.raises(StoreError, match="the line broke"):
        cache.path(A, fail)
    assert list((tmp_path / "cache").iterdir()) == []
    assert cache.path(A, gives(b"whole")).read_bytes() == b"whole"


def test_those_that_were_not_asked_for_longest_make_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100, 60)
    for digest, seconds in ((A, 300), (B, 200)):
        age(cache.path(digest, gives(b"x" * 50)), seconds)
    cache.path(A, gives(b""))  # asked for again, so B is older now
    cache.path(C, gives(b"x" * 50))
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {A, C}


def test_what_a_job_may_be_about_to_read_stays_though_it_is_too_much(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100, 60)
    paths = [cache.path(digest, gives(b"x" * 60)) for digest in (A, B, C)]
    assert all(path.is_file() for path in paths)
    for path in paths[:2]:
        age(path, 61)
    cache.path(Digest("d" * 64), gives(b"x" * 10))
    assert [path.is_file() for path in paths] == [False, False, True]


def test_two_threads_that_want_one_file_fetch_it_once(tmp_path: Path) -> None:
    cache, fetched = Cache(tmp_path / "cache", 100, 60), []

    def fetch() -> list[bytes]:
        fetched.append(1)
        time.sleep(0.05)
        return [b"x"]

    threads = [threading.Thread(target=cache.path, args=(A, fetch)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [1]
