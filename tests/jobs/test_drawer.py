"""The kept process: it is warm, it is held to its limits, and no drawing is lost to its death."""

from __future__ import annotations

import fcntl
import json
import os
import termios
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.faults import Refused
from service.jobs.local.drawer import KeptProcess
from service.jobs.local.limits import Limits
from service.jobs.message import BrokenAnalysisError, Call, Stopped
from service.work import tasks
from service.work.tasks import Task
from tests.jobs import fakes
from tests.networks import conv, spec_of
from tests.reports import report_of

MEBIBYTE = 1 << 20
LIMITS = Limits(1024 * MEBIBYTE, 60, 60.0)
DOCUMENT = json.dumps(report_of(spec_of([1, 8, 8], conv("c", 1, 3)))).encode()

Make = Callable[..., KeptProcess]
Omens = Callable[[int], Path]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Drawers of nothing but fakes, which can read what lies in `tmp_path`; closed in the end."""
    made: list[KeptProcess] = []

    def kept(limits: Limits = LIMITS, **more: Any) -> KeptProcess:
        made.append(KeptProcess(limits, fakes.READY, reads=(str(tmp_path),), **more))
        return made[-1]

    yield kept
    for drawer in made:
        drawer.close()


@pytest.fixture
def omens(tmp_path: Path) -> Iterator[Omens]:
    """A named pipe of so many bytes, each of which ends the drawing that reads it: the process itself can write nothing down."""
    pipes: list[int] = []

    def pipe(count: int) -> Path:
        path = tmp_path / f"omens-{count}"
        os.mkfifo(path)
        pipes.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        os.write(pipes[-1], b"x" * count)
        return path

    yield pipe
    for each in pipes:
        os.close(each)


def wait_until_read(pipe: Path, count: int) -> None:
    """Returns when fewer bytes than `count` are left in a pipe."""
    left = array("i", [count])
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as end:
        while left[0] >= count:
            time.sleep(0.01)
            fcntl.ioctl(end, termios.FIONREAD, left)


@pytest.fixture(scope="module")
def engine() -> Iterator[KeptProcess]:
    """The drawer as it is served."""
    drawer = KeptProcess(LIMITS, tasks.WARM_UP)
    drawer.start()
    yield drawer
    drawer.close()


def growth(drawer: KeptProcess) -> bytes:
    return drawer.draw(Call(tasks.CHART, {"name": "growth", "form": "svg"}, {"report": DOCUMENT}), 60.0).content


def drawing(drawer: KeptProcess, omens: Path, misfortune: str, seconds: float = 30.0) -> bytes:
    return drawer.draw(Call(fakes.DRAWING, {"omens": str(omens), "misfortune": misfortune}), seconds).content


def fill(drawer: KeptProcess, size: int) -> bytes:
    return drawer.draw(Call(fakes.FILL, {"size": size}), 30.0).content


def test_the_same_process_draws_again(engine: KeptProcess) -> None:
    first = growth(engine)
    process = engine.worker
    assert first.startswith(b"<svg") and growth(engine) == first
    assert process is not None and engine.worker is process


def test_chart_is_not_lost_when_its_process_dies(engine: KeptProcess) -> None:
    whole = growth(engine)
    for milliseconds in (0, 5, 15):
        before = engine.worker
        assert before is not None
        threading.Timer(milliseconds / 1000, before.kill).start()
        assert growth(engine) == whole
        before.process.join(10)
        assert growth(engine) == whole
        assert engine.worker is not before


@pytest.mark.parametrize("misfortune", ["die", "hang"])
def test_drawing_is_made_again_by_another_process(make: Make, omens: Omens, tmp_path: Path, misfortune: str) -> None:
    drawer = make(Limits(LIMITS.memory_bytes, 60, 1.0))
    first = drawing(drawer, tmp_path / "no", misfortune)
    second = drawing(drawer, omens(1), misfortune)
    assert first != second == drawing(drawer, tmp_path / "no", misfortune)


@pytest.mark.parametrize(("misfortune", "code"), [("die", "worker-died"), ("hang", "limit-time")])
def test_drawing_that_ends_every_process_is_refused_and_the_next_is_made(
    make: Make, omens: Omens, tmp_path: Path, misfortune: str, code: str
) -> None:
    drawer = make(Limits(LIMITS.memory_bytes, 60, 0.5))
    with pytest.raises(Refused) as caught:
        drawing(drawer, omens(9), misfortune)
    assert (caught.value.fault, caught.value.code) == ("limit", code)
    assert drawing(drawer, tmp_path / "no", misfortune)


def test_fault_of_our_own_leaves_the_process_alive(make: Make) -> None:
    drawer = make()
    with pytest.raises(BrokenAnalysisError, match="'missing'"):
        drawer.draw(Call(Task("missing", "tests.jobs.fakes:missing")), 30.0)
    assert drawer.worker is not None and drawer.worker.alive


def test_memory_of_a_drawing_is_bounded(make: Make) -> None:
    drawer = make(Limits(256 * MEBIBYTE, 60, 60.0))
    with pytest.raises(Refused) as caught:
        fill(drawer, 512 * MEBIBYTE)
    assert caught.value.code == "limit-memory"
    with pytest.raises(Refused) as caught:
        fill(drawer, 512 * MEBIBYTE)
    assert caught.value.code == "limit-memory"
    assert fill(drawer, MEBIBYTE) == str(MEBIBYTE).encode()


def test_engine_that_needs_more_memory_than_the_limit_is_ended() -> None:
    drawer = KeptProcess(Limits(128 * MEBIBYTE, 60, 60.0), tasks.WARM_UP)
    try:
        with pytest.raises(Refused) as caught:
            growth(drawer)
    finally:
        drawer.close()
    assert caught.value.fault == "limit"


def test_process_is_replaced_when_it_has_made_its_drawings(make: Make, tmp_path: Path) -> None:
    drawer = make(max_drawings=2)
    makers = [drawing(drawer, tmp_path / "no", "die") for _ in range(4)]
    assert makers[0] == makers[1] != makers[2] == makers[3]


def test_whoever_comes_later_waits_and_not_for_ever(make: Make, omens: Omens, tmp_path: Path) -> None:
    drawer = make()
    drawing(drawer, tmp_path / "no", "hang")
    pipe = omens(9)
    busy = threading.Thread(target=pytest.raises, args=(TimeoutError, drawing, drawer, pipe, "hang", 2.0))
    busy.start()
    wait_until_read(pipe, 9)
    with pytest.raises(TimeoutError):
        drawing(drawer, tmp_path / "no", "hang", 0.1)
    assert drawing(drawer, tmp_path / "no", "hang")
    busy.join()


def test_closing_ends_the_drawing_under_way_and_leaves_no_process(make: Make, omens: Omens, tmp_path: Path) -> None:
    drawer = make()
    drawing(drawer, tmp_path / "no", "hang")
    worker = drawer.worker
    assert worker is not None and worker.process.pid is not None
    told: list[BaseException] = []
    pipe = omens(9)

    def ask() -> None:
        try:
            drawing(drawer, pipe, "hang")
        except Stopped as error:
            told.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until_read(pipe, 9)
    drawer.close()
    asking.join(10)
    assert len(told) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(worker.process.pid, 0)
    with pytest.raises(Stopped):
        drawing(drawer, tmp_path / "no", "hang")


def test_process_that_was_wanted_is_revived_and_no_other(make: Make, tmp_path: Path) -> None:
    drawer = make()
    drawer.revive()
    assert drawer.worker is None
    drawer.start()
    first = drawing(drawer, tmp_path / "no", "die")
    worker = drawer.worker
    assert worker is not None
    worker.kill()
    worker.wait()
    drawer.revive()
    deadline = time.monotonic() + 30
    while drawer.worker in (worker, None) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drawer.worker not in (worker, None)
    assert drawing(drawer, tmp_path / "no", "die") != first
