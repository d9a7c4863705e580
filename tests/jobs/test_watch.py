"""The watch: jobs of dead processes are taken over, lost ones are found, and nothing is left lying about."""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.clock import now
from service.faults import Refused
from service.jobs import watch as watch_module
from service.jobs.keeper import Keeper
from service.jobs.queue import Status
from service.jobs.watch import Watch
from service.options import Options
from service.report.identity import DEFAULT_PROJECT, Question, question_document
from service.settings import Settings
from service.store import Store, open_store
from service.store.interfaces import Job, StoreError
from service.store.sql.jobs import SqlJobs
from tests.contracts.conftest import digest_of
from tests.jobs import fakes


class Recorded:
    """A queue whose jobs have the state that a test gives them."""

    def __init__(self) -> None:
        self.full, self.revived = False, 0
        self.states, self.cancelled, self.submitted = dict[str, Status](), list[str](), list[str]()

    def submit(self, job: Job) -> None:
        if self.full:
            raise Refused("unavailable", "too-busy", "Too many jobs are waiting.")
        self.states[job.id] = "queued"
        self.submitted.append(job.id)

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    def status(self, job_id: str) -> Status | None:
        return self.states.get(job_id)

    def progress(self, job_id: str) -> int | None:
        return None

    def revive(self) -> None:
        self.revived += 1

    def close(self) -> None:
        self.states.clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def queue() -> Recorded:
    return Recorded()


@pytest.fixture
def watch(store: Store, queue: Recorded) -> Watch:
    return Watch(store, queue, Keeper(store, fakes.REPORT), "us", 60.0)


def accepted(store: Store, name: str = "model", owner: str = "us") -> Job:
    question = Question.of_digests(digest_of(name.encode()), {}, Options())
    asked = Job(uuid.uuid4().hex, DEFAULT_PROJECT, question.id, "queued", now(), now(), question_document(question))
    store.claims.claim(asked.id, [digest_of(name.encode())])
    store.blobs.put(io.BytesIO(name.encode()), digest_of(name.encode()))
    return store.jobs.add(asked, owner)


def state(store: Store, job: Job) -> str:
    found = store.jobs.get(DEFAULT_PROJECT, job.id)
    assert found is not None
    return found.state


def test_beat_notes_what_runs_and_revives(store: Store, queue: Recorded, watch: Watch) -> None:
    running, waiting = accepted(store, "a"), accepted(store, "b")
    queue.states = {running.id: "running", waiting.id: "queued"}
    watch.beat()
    assert (state(store, running), state(store, waiting), queue.revived) == ("running", "queued", 1)


def test_request_to_cancel_reaches_the_process_that_works(store: Store, queue: Recorded, watch: Watch) -> None:
    job = accepted(store)
    queue.states[job.id] = "running"
    Watch(store, Recorded(), Keeper(store, fakes.REPORT), "another", 60.0).cancel(job.id)
    watch.beat()
    assert queue.cancelled == [job.id]


def test_job_of_a_silent_process_is_taken_over(store: Store, queue: Recorded, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    job = accepted(store, owner="dead")
    watch.beat()
    assert queue.submitted == []
    monkeypatch.setattr(watch_module, "SILENT_SECONDS", -1.0)
    watch.beat()
    assert queue.submitted == [job.id]
    assert [each.id for each in store.jobs.owned("us")] == [job.id]


def test_job_that_no_queue_takes_is_left_to_the_next(store: Store, queue: Recorded, watch: Watch) -> None:
    job = accepted(store, owner="dead")
    store.jobs.release(job.id)
    queue.full = True
    watch.beat()
    assert store.jobs.owned("us") == [] and state(store, job) == "queued"
    queue.full = False
    watch.beat()
    assert queue.submitted == [job.id]


def test_job_that_ended_every_process_is_given_up(store: Store, queue: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    job = accepted(store, owner="dead")
    monkeypatch.setattr(watch_module, "SILENT_SECONDS", -1.0)
    for _ in range(watch_module.MAX_ATTEMPTS):
        Watch(store, queue, Keeper(store, fakes.REPORT), uuid.uuid4().hex, 60.0).beat()
    failed = store.jobs.get(DEFAULT_PROJECT, job.id)
    assert failed is not None and failed.problem is not None and failed.problem["code"] == "worker-died"
    assert len(queue.submitted) == watch_module.MAX_ATTEMPTS - 1
    assert not store.blobs.sound(digest_of(b"model"))


def test_cancelled_job_of_a_dead_process_is_not_started_again(store: Store, queue: Recorded, watch: Watch) -> None:
    job = accepted(store, owner="dead")
    store.jobs.request_cancel(job.id)
    store.jobs.release(job.id)
    watch.beat()
    assert state(store, job) == "cancelled" and queue.submitted == []


def test_own_job_that_nobody_works_on_is_found(store: Store, queue: Recorded, watch: Watch) -> None:
    """One beat may see a job on its way into the queue; two do not."""
    job = accepted(store)
    watch.beat()
    assert queue.submitted == []
    watch.beat()
    assert queue.submitted == [job.id]
    watch.beat()
    assert queue.submitted == [job.id]


def test_own_job_that_is_on_its_way_into_the_queue_is_not_lost(store: Store, queue: Recorded) -> None:
    """However long that takes: a full queue withdraws the job, and its files go."""
    keeper = Keeper(store, fakes.REPORT)
    watch = Watch(store, queue, keeper, "us", 60.0)
    job = accepted(store)
    with keeper.hold(job.id):
        for _ in range(3):
            watch.beat()
        assert queue.submitted == []
    watch.beat()
    watch.beat()
    assert queue.submitted == [job.id]


def test_own_job_that_ends_while_the_watch_looks_is_not_lost(
    store: Store, queue: Recorded, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = accepted(store)
    watch.beat()
    owned = store.jobs.owned("us")
    store.jobs.finish(job.id, "done")
    monkeypatch.setattr(SqlJobs, "owned", lambda self, owner: owned)
    watch.beat()
    assert queue.submitted == [] and state(store, job) == "done"


def test_sweep_removes_what_dead_processes_left(store: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "ABANDONED_SECONDS", -1.0)
    job = accepted(store, "needed")
    store.claims.claim("dead", [digest_of(b"abandoned")])
    store.blobs.put(io.BytesIO(b"abandoned"), digest_of(b"abandoned"))
    store.claims.claim("gone", [digest_of(b"released")])
    store.blobs.put(io.BytesIO(b"released"), digest_of(b"released"))
    store.claims.release("gone")
    upload = store.uploads.new()
    os.utime(upload.directory, (0, 0))
    watch.sweep()
    assert store.blobs.sound(digest_of(b"needed")) and state(store, job) == "queued"
    assert not store.blobs.sound(digest_of(b"abandoned")) and not store.blobs.sound(digest_of(b"released"))
    assert store.claims.stale(-1) == [] and not upload.directory.exists()


def test_watch_goes_on_when_the_store_fails(store: Store, queue: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "BEAT_SECONDS", 0.01)
    revived: list[int] = []
    works = SqlJobs.owned

    def flaky(self: SqlJobs, owner: str) -> list[Job]:
        if len(revived) < 3:
            raise StoreError("locked")
        return works(self, owner)

    monkeypatch.setattr(SqlJobs, "owned", flaky)
    job = accepted(store)
    watch = Watch(store, queue, Keeper(store, fakes.REPORT), "us", 60.0, lambda: revived.append(1))
    watch.start()
    deadline = time.monotonic() + 10
    while not queue.submitted and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.close()
    assert queue.submitted[0] == job.id and len(revived) > 3
