"""The queue between machines: what the broker loses is sent again, what it doubles is dropped, and what it forges does nothing."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kombu.transport import redis

from service.clock import now
from service.faults import Refused
from service.jobs.celery.broker import Broker
from service.jobs.celery.queue import CeleryQueue
from service.jobs.celery.worker import Worker
from service.jobs.in_process import InProcessQueue
from service.jobs.keeper import Keeper
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.options import Options
from service.report.identity import DEFAULT_PROJECT, Question, question_document
from service.settings import Settings
from service.store import Store, open_store
from service.store.interfaces import BATCH, SINGLE, Job
from tests.contracts.conftest import digest_of
from tests.fleet import BROKERS, queue_of_its_own
from tests.jobs import fakes


class Messages(Broker):
    """A broker without a server: its messages are in a list, and `away` says whether it can be reached."""

    def __init__(self) -> None:
        super().__init__("memory://", "receptive", 20.0)
        self.sent, self.away = list[Job](), False

    def publish(self, job: Job, task: object) -> bool:
        if not self.away:
            self.sent.append(job)
        return not self.away

    def depth(self) -> int | None:
        return None if self.away else len(self.sent)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def keeper(store: Store) -> Keeper:
    return Keeper(store, fakes.REPORT)


@pytest.fixture
def broker() -> Messages:
    return Messages()


@pytest.fixture
def queue(store: Store, keeper: Keeper, broker: Messages) -> CeleryQueue:
    return CeleryQueue(store, keeper, broker, "web", 100)


@pytest.fixture
def worker(store: Store) -> Iterator[Worker]:
    keeper = Keeper(store, fakes.REPORT)
    here = InProcessQueue(ProcessPool(1, 2, Limits(1 << 30, 10, 20.0)), keeper)
    yield Worker(store, keeper, here, "worker")
    keeper.close()
    here.close()


def accepted(store: Store, keeper: Keeper, content: str, rank: int = SINGLE) -> Job:
    digest = digest_of(content.encode())
    question = Question.of_digests(digest, {}, Options())
    asked = Job(uuid.uuid4().hex, DEFAULT_PROJECT, question.id, "queued", now(), now(), question_document(question), rank=rank)
    store.claims.claim(asked.id, [digest])
    store.blobs.put(io.BytesIO(content.encode()), digest)
    return keeper.expect(asked, "web")


def state(store: Store, job: Job) -> str:
    found = store.jobs.get(DEFAULT_PROJECT, job.id)
    assert found is not None
    return found.state


def test_job_waits_while_the_broker_is_away_and_is_sent_when_it_is_back(
    queue: CeleryQueue, store: Store, keeper: Keeper, broker: Messages
) -> None:
    broker.away = True
    job = accepted(store, keeper, "model")
    queue.submit(job)
    queue.send_lost(0)
    assert (queue.status(job.id), broker.sent) == ("queued", [])
    broker.away = False
    queue.send_lost(0)
    assert [each.id for each in broker.sent] == [job.id]
    queue.send_lost(0)
    assert len(broker.sent) == 1, "a message that is there is not sent again"


def test_messages_that_are_lost_are_sent_again_the_oldest_first_and_no_more_than_are_missing(
    queue: CeleryQueue, store: Store, keeper: Keeper, broker: Messages
) -> None:
    jobs = [accepted(store, keeper, f"model {number}") for number in range(4)]
    for job in jobs:
        queue.submit(job)
    broker.sent = broker.sent[2:]
    queue.send_lost(60)
    assert len(broker.sent) == 2, "a worker may be about to take them"
    queue.send_lost(0)
    assert [each.id for each in broker.sent[2:]] == [jobs[0].id, jobs[1].id]


def test_message_that_comes_twice_is_worked_on_once(
    queue: CeleryQueue, store: Store, keeper: Keeper, broker: Messages, worker: Worker
) -> None:
    job = accepted(store, keeper, "model")
    queue.submit(job)
    for _ in range(2):
        worker.perform(job.id, fakes.REPORT.name, job.request)
    assert state(store, job) == "done" and store.reports.count() == 1
    worker.perform("no such job", fakes.REPORT.name, job.request)


@pytest.mark.parametrize(("task", "question"), [("other", None), (fakes.REPORT.name, {"model": "sha256:" + "0" * 64})])
def test_message_that_is_not_what_the_store_says_does_nothing(
    queue: CeleryQueue, store: Store, keeper: Keeper, worker: Worker, task: str, question: dict[str, object] | None
) -> None:
    job = accepted(store, keeper, "model")
    queue.submit(job)
    worker.perform(job.id, task, question or job.request)
    assert (state(store, job), store.reports.count()) == ("queued", 0)
    assert [each.id for each in store.jobs.adopt("another", 60)] == [job.id]


def test_file_that_is_gone_ends_the_job(queue: CeleryQueue, store: Store, keeper: Keeper, worker: Worker) -> None:
    job = accepted(store, keeper, "model")
    store.blobs.remove(digest_of(b"model"))
    queue.submit(job)
    worker.perform(job.id, fakes.REPORT.name, job.request)
    assert state(store, job) == "failed"


def test_waiting_job_that_is_cancelled_is_never_worked_on(queue: CeleryQueue, store: Store, keeper: Keeper, worker: Worker) -> None:
    job = accepted(store, keeper, "model")
    queue.submit(job)
    queue.cancel(job.id)
    assert state(store, job) == "cancelled"
    worker.perform(job.id, fakes.REPORT.name, job.request)
    assert store.reports.count() == 0 and store.claims.stale(-1) == []


def test_running_job_hears_from_the_store_that_it_is_cancelled(queue: CeleryQueue, store: Store, keeper: Keeper) -> None:
    job = accepted(store, keeper, "model")
    queue.submit(job)
    store.jobs.take(job.id, "a worker elsewhere")
    queue.cancel(job.id)
    assert state(store, job) == "running" and store.jobs.beat("a worker elsewhere") == [job.id]


def test_closed_queue_takes_no_job(queue: CeleryQueue, store: Store, keeper: Keeper) -> None:
    queue.close()
    with pytest.raises(Refused, match="stopping"):
        queue.submit(accepted(store, keeper, "model"))


@pytest.mark.parametrize("name", BROKERS)
def test_single_upload_goes_before_a_batch_and_what_a_dead_worker_left_before_both(store: Store, keeper: Keeper, name: str) -> None:
    """The broker gives out what somebody waits for first, though it came last."""
    with queue_of_its_own(name) as (url, channel_name):
        broker = Broker(url, channel_name, 20.0)
        for content, rank, attempts in (("a", BATCH, 1), ("b", BATCH, 1), ("c", SINGLE, 1), ("d", BATCH, 2)):
            assert broker.publish(replace(accepted(store, keeper, content, rank), attempts=attempts), fakes.REPORT)
        assert broker.depth() == 4
        with broker.app.connection_for_read() as connection, connection.channel() as channel:
            route = broker.app.amqp.queues[channel_name](channel)
            messages = [route.get(no_ack=True) for _ in range(4)]
        assert [message.payload[1]["question"]["model"] for message in messages] == [
            f"sha256:{digest_of(c)}" for c in (b"d", b"c", b"a", b"b")
        ]
        assert all(message.content_type == "application/json" for message in messages)
        assert {message.payload[1]["task"] for message in messages} == {fakes.REPORT.name}
        broker.close()


def test_broker_that_is_away_is_told_apart_from_one_that_is_empty(store: Store, keeper: Keeper) -> None:
    broker = Broker("redis://127.0.0.1:9/0", "receptive", 20.0)
    assert not broker.publish(accepted(store, keeper, "model"), fakes.REPORT)
    assert broker.depth() is None
    broker.close()


def test_worker_looks_for_messages_again_after_an_acknowledgement_failed(
    store: Store, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one message at a time, one that is never acknowledged would be the last."""

    def fail(*_: object) -> None:
        raise ConnectionError("Redis is away")

    with queue_of_its_own("redis") as (url, name):
        broker = Broker(url, name, 20.0)
        assert broker.publish(accepted(store, keeper, "model"), fakes.REPORT)
        with broker.app.connection_for_read() as connection, connection.channel() as channel:
            channel.basic_qos(0, 1, False)
            message = broker.app.amqp.queues[name](channel).get()
            assert not channel.qos.can_consume()
            with monkeypatch.context() as patch, pytest.raises(ConnectionError):
                patch.setattr(redis.QoS, "_remove_from_indices", fail)
                message.ack()
            assert channel.qos.can_consume()
        broker.close()
