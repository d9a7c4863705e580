"""What every source of bytes keeps to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.faults import Refused
from service.sources.local import Source

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0, len(CONTENT)), (5000, 240), (len(CONTENT) - 1, 1), (17, 0), (len(CONTENT), 0)])
def test_any_range_is_read_exactly(source_of: Callable[[bytes], Source], offset: int, length: int) -> None:
    source = source_of(CONTENT)
    assert source.size == len(CONTENT)
    assert source.read(offset, length) == CONTENT[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(0, len(CONTENT) + 1), (len(CONTENT), 1), (1 << 40, 1)])
def test_range_beyond_the_end_is_refused(source_of: Callable[[bytes], Source], offset: int, length: int) -> None:
    with pytest.raises(Refused) as caught:
        source_of(CONTENT).read(offset, length)
    assert (caught.value.fault, caught.value.code) == ("malformed", "truncated-model")


def test_nothing_is_a_source_too(source_of: Callable[[bytes], Source]) -> None:
    source = source_of(b"")
    assert (source.size, source.read(0, 0)) == (0, b"")
