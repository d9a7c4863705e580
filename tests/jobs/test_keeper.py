"""The keeper: every job ends once, whatever happened to it, and nothing is given up before that is in the store."""

from __future__ import annotations

import io
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.clock import now
from service.faults import Refused
from service.jobs import keeper as keeper_module
from service.jobs.keeper import Keeper
from service.jobs.local.limits import Limits
from service.jobs.local.worker import Death, signal_name
from service.jobs.message import BrokenAnalysisError, Stopped
from service.options import Options
from service.report.identity import DEFAULT_PROJECT, Question, question_document
from service.settings import Settings
from service.store import Store, open_store
from service.store.interfaces import Job, StoreError
from service.store.sql import database
from service.store.sql.claims import SqlClaims
from service.store.sql.jobs import SqlJobs
from service.store.sql.reports import SqlReports
from service.work.made import JSON, Made
from tests.contracts.conftest import digest_of
from tests.jobs import fakes

CONTENT = b"model"
DIGEST = digest_of(CONTENT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def keeper(store: Store, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.setattr(keeper_module, "RETRY_SECONDS", 0.02)
    return Keeper(store, fakes.REPORT)


@pytest.fixture
def job(store: Store, keeper: Keeper) -> Job:
    question = Question.of_digests(DIGEST, {}, Options())
    asked = Job(uuid.uuid4().hex, DEFAULT_PROJECT, question.id, "queued", now(), now(), question_document(question))
    store.claims.claim(asked.id, [DIGEST])
    store.blobs.put(io.BytesIO(CONTENT), DIGEST)
    return keeper.expect(asked, "us")


def made(keeper: Keeper, job: Job) -> Made:
    call = keeper.call(job)
    return fakes.make_report(call.files, **call.arguments)


def state(store: Store, job: Job) -> str:
    found = store.jobs.get(DEFAULT_PROJECT, job.id)
    assert found is not None
    return found.state


def test_report_is_kept_with_its_file(store: Store, keeper: Keeper, job: Job) -> None:
    keeper.keep(job, made(keeper, job))
    assert state(store, job) == "done" and store.blobs.sound(DIGEST) and store.claims.stale(-1) == []
    assert keeper.wait(job, 0) == store.jobs.get(DEFAULT_PROJECT, job.id)
    assert store.forget(DEFAULT_PROJECT, job.report_id) and not store.blobs.sound(DIGEST)


@pytest.mark.parametrize(
    ("outcome", "ended", "code"),
    [
        (Stopped("cancelled"), "cancelled", None),
        (Refused("malformed", "not-onnx", "It is not."), "failed", "not-onnx"),
        (BrokenAnalysisError("Traceback"), "failed", "analysis-failed"),
        (Made(b"{}", JSON), "failed", "analysis-failed"),
        (Made(b"{}", JSON, {"Receptive-Entry": '{"name": 3}'}), "failed", "analysis-failed"),
        (Made(b"{}", JSON, {"Receptive-Entry": "[" * 10_000}), "failed", "analysis-failed"),
    ],
)
def test_job_that_makes_no_report_leaves_no_file(
    store: Store, keeper: Keeper, job: Job, outcome: Made | Refused | BrokenAnalysisError | Stopped, ended: str, code: str | None
) -> None:
    keeper.keep(job, outcome)
    found = store.jobs.get(DEFAULT_PROJECT, job.id)
    assert found is not None and found.state == ended
    assert (found.problem and found.problem["code"]) == code
    assert not store.blobs.sound(DIGEST) and store.claims.unneeded() == []


@pytest.mark.parametrize("outcome", [Stopped("closed"), Refused("unavailable", "too-busy", "No process could be started for this.")])
def test_job_that_could_not_be_done_here_is_done_again(store: Store, keeper: Keeper, job: Job, outcome: Stopped | Refused) -> None:
    keeper.keep(job, outcome)
    assert state(store, job) == "queued" and store.blobs.sound(DIGEST)
    assert [(each.id, each.attempts) for each in store.jobs.adopt("another", 60)] == [(job.id, 1)]


@pytest.mark.parametrize("failing", [(SqlReports, "add"), (SqlJobs, "finish")], ids=["add", "finish"])
@pytest.mark.parametrize("times", [1, 7])
def test_store_that_fails_delays_and_loses_nothing(
    store: Store, keeper: Keeper, job: Job, monkeypatch: pytest.MonkeyPatch, failing: tuple[type, str], times: int
) -> None:
    owner, name = failing
    works, calls = getattr(owner, name), []

    def flaky(self: object, *arguments: object) -> object:
        calls.append(name)
        assert store.blobs.sound(DIGEST)
        if len(calls) <= times:
            raise StoreError("disk full", full=True)
        return works(self, *arguments)

    report = made(keeper, job)
    monkeypatch.setattr(owner, name, flaky)
    keeper.keep(job, report)
    assert len(calls) == times + 1
    assert state(store, job) == "done" and store.reports.has(DEFAULT_PROJECT, job.report_id) and store.blobs.sound(DIGEST)


def test_locked_database_delays_and_loses_nothing(store: Store, keeper: Keeper, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    report = made(keeper, job)
    path = str(store.directory / "receptive.sqlite3")
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    opened = database.Database(f"sqlite:///{path}")
    impatient = replace(store, database=opened, reports=SqlReports(opened), jobs=SqlJobs(opened), claims=SqlClaims(opened))
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    hasty = Keeper(impatient, fakes.REPORT)
    keeping = threading.Thread(target=hasty.keep, args=(job, report))
    keeping.start()
    time.sleep(0.5)
    assert keeping.is_alive() and state(store, job) == "queued"
    lock.execute("ROLLBACK")
    lock.close()
    keeping.join(20)
    assert state(store, job) == "done" and store.reports.has(DEFAULT_PROJECT, job.report_id)
    impatient.close()


def test_keeper_that_closes_leaves_the_job_to_another_process(
    store: Store, keeper: Keeper, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreError("away")

    report = made(keeper, job)
    monkeypatch.setattr(SqlReports, "add", away)
    keeping = threading.Thread(target=keeper.keep, args=(job, report))
    keeping.start()
    time.sleep(0.1)
    keeper.close()
    keeping.join(10)
    assert not keeping.is_alive() and state(store, job) == "queued" and store.blobs.sound(DIGEST)


def test_unexpected_fault_while_it_keeps_ends_the_job(store: Store, keeper: Keeper, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlReports, "add", lambda *_: 1 // 0)
    keeper.keep(job, made(keeper, job))
    found = store.jobs.get(DEFAULT_PROJECT, job.id)
    assert found is not None and found.problem is not None and found.problem["code"] == "analysis-failed"
    assert not store.blobs.sound(DIGEST)


def test_whoever_waits_is_told_at_once(store: Store, keeper: Keeper, job: Job) -> None:
    threading.Timer(0.2, keeper.keep, (job, Stopped("cancelled"))).start()
    begun = time.monotonic()
    found = keeper.wait(job, 30)
    assert found is not None and found.state == "cancelled" and time.monotonic() - begun < 10
    assert keeper.wait(replace(job, id="unknown"), 0.1) is None


LIMITS = Limits(1 << 30, 7, 9.0)


@pytest.mark.parametrize(
    ("death", "outside", "fault", "code", "words"),
    [
        (Death(-signal.SIGSEGV), False, "limit", "worker-died", "SIGSEGV"),
        (Death(-signal.SIGSYS), False, "limit", "worker-died", "SIGSYS"),
        (Death(-signal.SIGKILL), True, "limit", "worker-died", "SIGKILL"),
        (Death(-signal.SIGTERM), True, "limit", "worker-died", "SIGTERM"),
        (Death(-40), True, "limit", "worker-died", "signal 40"),
        (Death(-64), True, "limit", "worker-died", "SIG"),
        (Death(0), False, "limit", "worker-died", "without an answer"),
        (Death(3), False, "limit", "worker-died", "without an answer"),
        (Death(255), True, "limit", "worker-died", "without an answer"),
        (Death(-signal.SIGXCPU), False, "limit", "limit-time", "7 seconds of processor time"),
        (Death(-signal.SIGALRM), False, "limit", "limit-time", "9 seconds"),
        (Death(-signal.SIGKILL, late=True), False, "limit", "limit-time", "9 seconds"),
        (Death(None), True, "unavailable", "too-busy", "started"),
    ],
)
def test_account_of_a_death(death: Death, outside: bool, fault: str, code: str, words: str) -> None:
    assert death.from_outside == outside
    told = death.refused(LIMITS, "analysed the model")
    assert (told.fault, told.code) == (fault, code) and words in told.detail


def test_every_number_has_a_name() -> None:
    assert all(signal_name(number) for number in range(1, 65))
