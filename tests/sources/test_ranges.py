"""Blocks and read-ahead: every range is right, none is fetched twice while it is kept, and no more than is worth it."""

from __future__ import annotations

import random

import pytest

from service.faults import Refused
from service.sources import ranges
from service.sources.ranges import BLOCK_BYTES, MAX_AHEAD_BYTES, RangedSource

CONTENT = random.Random(3).randbytes(3 * MAX_AHEAD_BYTES + 777)


class Memory:
    """An object, and the ranges that were fetched of it."""

    def __init__(self, content: bytes) -> None:
        self.content, self.fetched = content, list[tuple[int, int]]()

    @property
    def size(self) -> int:
        return len(self.content)

    def fetch(self, start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= self.size
        self.fetched.append((start, stop))
        return self.content[start:stop]


def test_any_sequence_of_reads_is_right() -> None:
    memory, random_ = Memory(CONTENT), random.Random(5)
    source = RangedSource(memory)
    for _ in range(300):
        offset = random_.randrange(len(CONTENT))
        length = min(random_.choice([0, 1, 40, 4096, 5000, 70_000, MAX_AHEAD_BYTES + 5]), len(CONTENT) - offset)
        assert source.read(offset, length) == CONTENT[offset : offset + length]
    assert source.bytes_fetched == sum(stop - start for start, stop in memory.fetched)


def test_a_jump_fetches_one_block() -> None:
    memory = Memory(CONTENT)
    source = RangedSource(memory)
    for offset in (0, 1_000_000, 2_000_000, 2_000_100, 0):
        source.read(offset, 100)
    assert [stop - start for start, stop in memory.fetched] == [BLOCK_BYTES] * 3


def test_reading_on_fetches_more_and_more() -> None:
    memory = Memory(CONTENT)
    source = RangedSource(memory)
    for offset in range(0, len(CONTENT) - 1000, 1000):
        source.read(offset, 1000)
    assert len(memory.fetched) < 16
    assert max(stop - start for start, stop in memory.fetched) == MAX_AHEAD_BYTES
    assert source.bytes_fetched <= len(CONTENT)


def test_values_are_fetched_as_they_are_and_not_kept() -> None:
    memory = Memory(CONTENT)
    source = RangedSource(memory)
    source.read(10, MAX_AHEAD_BYTES + 1)
    assert memory.fetched == [(10, MAX_AHEAD_BYTES + 11)]


def test_blocks_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "MAX_KEPT_BYTES", 2 * BLOCK_BYTES)
    memory = Memory(CONTENT)
    source = RangedSource(memory)
    for offset in (0, 100_000, 200_000, 0):
        source.read(offset, 10)
    assert len(memory.fetched) == 4


def test_end_is_where_it_is() -> None:
    source = RangedSource(Memory(CONTENT))
    assert source.read(len(CONTENT) - 3, 3) == CONTENT[-3:]
    with pytest.raises(Refused) as caught:
        source.read(len(CONTENT) - 3, 4)
    assert caught.value.code == "truncated-model"


def test_what_is_fetched_of_one_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "MAX_KEPT_BYTES", 0)
    source = RangedSource(Memory(CONTENT))
    with pytest.raises(Refused) as caught:
        for _ in range(ranges.MAX_TIMES + 1):
            source.read(0, len(CONTENT))
    assert (caught.value.fault, caught.value.code) == ("limit", "limit-fetched")


@pytest.mark.parametrize("wrong", [b"", b"short", b"x" * (BLOCK_BYTES + 1)])
def test_range_of_another_length_is_a_failure(wrong: bytes) -> None:
    memory = Memory(CONTENT)
    memory.fetch = lambda start, stop: wrong  # type: ignore[method-assign]
    with pytest.raises(Refused) as caught:
        RangedSource(memory).read(0, 10)
    assert (caught.value.fault, caught.value.code) == ("source", "source-failed")
