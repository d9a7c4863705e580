"""What every queue keeps to: a job is worked on once, ends once, and what came of it is in the store."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.clock import now
from service.faults import Refused
from service.jobs.keeper import Keeper
from service.jobs.queue import Queue
from service.options import Options
from service.report.identity import DEFAULT_PROJECT, Question, question_document
from service.store import Store
from service.store.interfaces import Job
from tests.contracts.conftest import QUEUES, STORES, digest_of


@pytest.fixture(params=QUEUES)
def queue_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(queue_name: str, tmp_path: Path) -> Iterator[Store]:
    with STORES[QUEUES[queue_name]](tmp_path / "data") as opened:
        yield opened


def accepted(store: Store, keeper: Keeper, content: str) -> Job:
    """A job that is in the store with its file, and not in a queue."""
    digest = digest_of(content.encode())
    question = Question.of_digests(digest, {}, Options())
    asked = Job(uuid.uuid4().hex, DEFAULT_PROJECT, question.id, "queued", now(), now(), question_document(question))
    store.claims.claim(asked.id, [digest])
    store.blobs.put(io.BytesIO(content.encode()), digest)
    return keeper.expect(asked, "us")


def ended(keeper: Keeper, job: Job) -> Job:
    found = keeper.wait(job, 60)
    assert found is not None and found.finished
    return found


def wait_until(so: Callable[[], bool]) -> None:
    """What another process does a moment later."""
    deadline = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_running(queue: Queue, job: Job) -> None:
    wait_until(lambda: queue.status(job.id) == "running")


def test_job_ends_in_a_report(queue: Queue, store: Store, keeper: Keeper) -> None:
    job = accepted(store, keeper, "model")
    queue.submit(job)
    assert ended(keeper, job).state == "done"
    kept = store.reports.get(DEFAULT_PROJECT, job.report_id)
    assert kept is not None
    document = json.loads(store.reports.document(kept).whole())
    assert document["id"] == job.report_id
    assert kept.created_at == job.created_at == document["created_at"]
    assert store.blobs.sound(digest_of(b"model"))
    wait_until(lambda: store.claims.stale(-1) == [])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("invalid", "fake-invalid"),
        ("broken", "analysis-failed"),
        ("nan", "analysis-failed"),
        ("crash", "worker-died"),
        ("kill", "worker-died"),
    ],
)
def test_job_that_fails_says_why_and_leaves_nothing(queue: Queue, store: Store, keeper: Keeper, content: str, code: str) -> None:
    job = accepted(store, keeper, content)
    queue.submit(job)
    failed = ended(keeper, job)
    assert failed.state == "failed" and failed.problem is not None and failed.problem["code"] == code
    wait_until(lambda: not store.blobs.has(digest_of(content.encode()), len(content)))
    assert store.reports.get(DEFAULT_PROJECT, job.report_id) is None


def test_jobs_are_cancelled_where_they_run_and_where_they_wait(queue: Queue, store: Store, keeper: Keeper) -> None:
    running, waiting = accepted(store, keeper, "sleep"), accepted(store, keeper, "slow 0")
    queue.submit(running)
    wait_until_running(queue, running)
    queue.submit(waiting)
    assert queue.status(waiting.id) == "queued"
    assert (queue.progress(running.id), queue.progress(waiting.id)) == (0, 0)
    behind = accepted(store, keeper, "slow 0.0")
    queue.submit(behind)
    assert queue.progress(behind.id) == 1
    for job in (waiting, running):
        queue.cancel(job.id)
        assert ended(keeper, job).state == "cancelled"
    assert ended(keeper, behind).state == "done"
    queue.cancel(running.id)
    assert queue.status(running.id) is None and queue.progress(running.id) is None


def test_full_queue_says_so_before_and_when_it_refuses(queue: Queue, store: Store, keeper: Keeper) -> None:
    running = accepted(store, keeper, "sleep")
    queue.submit(running)
    wait_until_running(queue, running)
    submitted = 0
    while not queue.full:
        queue.submit(accepted(store, keeper, f"slow 0 {submitted}"))
        submitted += 1
    with pytest.raises(Refused) as caught:
        queue.submit(accepted(store, keeper, "one too many"))
    assert (caught.value.fault, caught.value.code) == ("unavailable", "too-busy")


def test_queue_that_closes_gives_its_jobs_back(queue: Queue, store: Store, keeper: Keeper) -> None:
    running = accepted(store, keeper, "sleep")
    queue.submit(running)
    wait_until_running(queue, running)
    keeper.close()
    queue.close()
    given_back = store.jobs.get(DEFAULT_PROJECT, running.id)
    assert given_back is not None and (given_back.state, given_back.attempts) == ("queued", 0)
    assert store.blobs.sound(digest_of(b"sleep"))
    assert [each.id for each in store.jobs.adopt("another", 60)] == [running.id]
