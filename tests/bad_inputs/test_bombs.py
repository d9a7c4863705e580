"""Every bomb ends within seconds and in little memory: in a report, or in a refusal by a named limit."""

from __future__ import annotations

import multiprocessing
import resource
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from service.analysis import analyze
from service.faults import Refused
from service.options import Options
from service.readers.model import read_model
from tests.bad_inputs import BadInput
from tests.bad_inputs.bombs import BOMBS

MAX_SECONDS = 10.0
MAX_BYTES = 500 << 20
"""What a bomb may cost: twice the 5 seconds of processor time that are promised; and memory beyond that of an idle process."""


class Cost(NamedTuple):
    """The code of the answer, "" for a report, with the seconds and the bytes it took."""

    code: str
    seconds: float
    extra_bytes: int


def _run(path: str, answers: multiprocessing.queues.SimpleQueue[Cost]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, code = time.process_time(), ""
    try:
        analyze(read_model(Path(path), Options(), {}))
    except Refused as refused:
        code = refused.code
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers.put(Cost(code, time.process_time() - start, (after - before) << 10))


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_a_bomb_costs_little(tmp_path: Path, bomb: BadInput) -> None:
    path = tmp_path / ("model.json" if bomb.kind.endswith("json") else "model.onnx")
    path.write_bytes(bomb.make())
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    worker = context.Process(target=_run, args=(str(path), answers))
    worker.start()
    worker.join(60)
    if worker.is_alive():
        worker.kill()
        worker.join()
        pytest.fail("it still runs after a minute")
    assert worker.exitcode == 0
    cost = answers.get()
    assert cost.code in bomb.codes
    assert cost.seconds < MAX_SECONDS
    assert cost.extra_bytes < MAX_BYTES
