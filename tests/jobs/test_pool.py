"""A job's process may do what it likes: the pool answers, and the other jobs go on."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from service.faults import Detail, Refused
from service.jobs.local.limits import Limits
from service.jobs.local.pool import MAX_STARTS, ProcessPool, Ticket
from service.jobs.message import BrokenAnalysisError, Call, Stopped
from service.options import Options
from service.report.identity import Digest, Question, question_document
from tests.jobs import fakes

GIBIBYTE = 1 << 30


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(2, 8, Limits(memory_bytes=GIBIBYTE, cpu_seconds=1, wall_seconds=2.0))
    yield pool
    pool.close()


def submit(pool: ProcessPool, directory: Path, content: str) -> Ticket:
    path = directory / f"{content.replace(' ', '-')}.model"
    path.write_text(content)
    question = question_document(Question.of_digests(Digest("0" * 64), {}, Options()))
    return pool.submit(Call(fakes.REPORT, {"question": question, "created_at": "2026-11-30T00:00:00Z"}, files={"": str(path)}))


def outcome(pool: ProcessPool, ticket: Ticket) -> Any:
    return json.loads(pool.wait(ticket, 60).content)


@pytest.mark.parametrize(
    ("misfortune", "code"),
    [
        ("crash", "worker-died"),
        ("kill", "worker-died"),
        ("leave", "worker-died"),
        ("signal", "worker-died"),
        ("lie", "worker-died"),
        ("bomb", "limit-memory"),
        ("sleep", "limit-time"),
        ("burn", "limit-time"),
        ("recurse", "limit-depth"),
    ],
)
def test_misfortune_is_the_models_and_nobody_elses(pool: ProcessPool, tmp_path: Path, misfortune: str, code: str) -> None:
    companion = submit(pool, tmp_path, "slow 0.2")
    with pytest.raises(Refused) as caught:
        outcome(pool, submit(pool, tmp_path, misfortune))
    assert (caught.value.fault, caught.value.code) == ("limit", code)
    assert outcome(pool, companion)["model"]["size_bytes"] == len("slow 0.2")
    assert "RECEPTIVE_UNPICKLED" not in os.environ


def test_read_error_crosses_whole(pool: ProcessPool, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        outcome(pool, submit(pool, tmp_path, "malformed"))
    error = caught.value
    assert (error.fault, error.code, error.detail) == ("malformed", "fake-malformed", "It is no model.")
    assert error.errors == (Detail("/layers/3", "This place.", "fake-place"),)


@pytest.mark.parametrize(
    ("misfortune", "reason"), [("broken", "ZeroDivisionError"), ("write", "Operation not permitted"), ("exit", "SystemExit: 4")]
)
def test_fault_of_our_own_brings_its_traceback(pool: ProcessPool, tmp_path: Path, misfortune: str, reason: str) -> None:
    with pytest.raises(BrokenAnalysisError, match=reason):
        outcome(pool, submit(pool, tmp_path, misfortune))
    assert not list(tmp_path.glob("*.written")) or (tmp_path / "write.model.written").stat().st_size == 0


def test_running_job_is_cancelled(tmp_path: Path) -> None:
    pool = ProcessPool(1, 8, Limits(GIBIBYTE, 10, 60.0))
    ticket = submit(pool, tmp_path, "sleep")
    while pool.status(ticket) != "running" or ticket.worker is None:
        time.sleep(0.01)
    waiting = submit(pool, tmp_path, "slow 0")
    assert pool.status(waiting) == "queued"
    pool.cancel(waiting)
    pool.cancel(ticket)
    for cancelled in (ticket, waiting):
        with pytest.raises(Stopped, match="cancelled"):
            outcome(pool, cancelled)
        assert pool.status(cancelled) == "cancelled"
    done = submit(pool, tmp_path, "slow 0.0")
    assert outcome(pool, done) and pool.status(done) == "done"
    pool.close()


def test_queue_has_an_end(tmp_path: Path) -> None:
    pool = ProcessPool(1, 1, Limits(GIBIBYTE, 10, 60.0))
    running = submit(pool, tmp_path, "sleep")
    while pool.status(running) != "running":
        time.sleep(0.01)
    submit(pool, tmp_path, "slow 0")
    with pytest.raises(Refused, match="Too many"):
        submit(pool, tmp_path, "slow 0")
    with pytest.raises(TimeoutError):
        pool.wait(running, 0.01)
    pool.close()
    with pytest.raises(Stopped, match="closed"):
        outcome(pool, running)
    with pytest.raises(Refused, match="stopping"):
        submit(pool, tmp_path, "slow 0")


def test_process_that_reads_a_model_has_no_database_and_no_server_loaded(pool: ProcessPool, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("model")
    loaded = outcome(pool, pool.submit(Call(fakes.MODULES, files={"": str(tmp_path / "model")})))
    assert {"service.readers.model", "service.analysis", "onnx"} <= set(loaded)
    kept_out = ("sqlalchemy", "alembic", "flask", "werkzeug", "gunicorn", "service.store", "service.api", "service.settings")
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{each}." for each in kept_out))] == []


def fork_server() -> int:
    """The process id of the fork server, which multiprocessing keeps to itself."""
    pid: int = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return pid


def test_jobs_outlive_the_fork_server(pool: ProcessPool, tmp_path: Path) -> None:
    """Their processes die with it and are started again from another."""
    for number in range(3):
        tickets = [submit(pool, tmp_path, f"slow 0.3 {number} {each}") for each in range(4)]
        while not any(ticket.worker for ticket in tickets):
            time.sleep(0.01)
        before = fork_server()
        os.kill(before, signal.SIGKILL)
        assert [outcome(pool, ticket)["model"]["name"] for ticket in tickets] == ["fake"] * 4
        pool.revive()
        assert fork_server() != before


def test_job_that_is_killed_from_outside_is_tried_again(pool: ProcessPool, tmp_path: Path) -> None:
    ticket = submit(pool, tmp_path, "slow 0.5")
    killed = set()
    while len(killed) < MAX_STARTS - 1:
        worker = ticket.worker
        if worker is not None and worker not in killed:
            killed.add(worker)
            time.sleep(0.05)
            worker.kill()
    assert outcome(pool, ticket)["model"]["name"] == "fake"


def test_job_that_is_killed_again_and_again_fails(pool: ProcessPool, tmp_path: Path) -> None:
    ticket = submit(pool, tmp_path, "sleep")
    while not ticket.future.done():
        worker = ticket.worker
        if worker is not None:
            worker.kill()
        time.sleep(0.01)
    with pytest.raises(Refused) as caught:
        outcome(pool, ticket)
    assert (caught.value.fault, caught.value.code) == ("limit", "worker-died") and "SIGKILL" in caught.value.detail
