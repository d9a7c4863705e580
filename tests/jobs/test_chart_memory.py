"""A chart's process is held to its memory although the JavaScript engine in it reserves 64 GiB of addresses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.jobs.limits import Limits
from service.jobs.pool import ProcessPool
from service.readers.errors import ReadError
from service.render import charts
from tests.networks import conv, spec_of
from tests.reports import report_of

MEBIBYTE = 1 << 20


def drawn(memory_bytes: int) -> Any:
    document = json.dumps(report_of(spec_of([1, 8, 8], conv("c", 1, 3)))).encode()
    pool = ProcessPool(1, 1, Limits(memory_bytes, 60, 60.0))
    try:
        return pool.wait(pool.submit("service.jobs.report_pictures:chart_picture", document, charts.growth, "svg"), 60.0)
    finally:
        pool.close()


def test_chart_needs_less_than_the_least_sensible_limit() -> None:
    assert drawn(1024 * MEBIBYTE).startswith(b"<svg")


def test_chart_that_needs_more_is_ended() -> None:
    with pytest.raises(ReadError) as caught:
        drawn(128 * MEBIBYTE)
    assert caught.value.fault == "limit"
