"""The intake: one question is worked on once, and what is accepted is on disk before anybody is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.faults import Refused
from service.jobs.intake import Accepted, Intake
from service.jobs.keeper import Keeper
from service.options import Options
from service.report.identity import DEFAULT_PROJECT, Question
from service.settings import Settings
from service.store import Store, open_store
from service.store.disk.blobs import LocalBlobs
from service.store.interfaces import Job, StoreError
from service.store.sql.claims import SqlClaims
from service.store.sql.jobs import SqlJobs
from tests.jobs import fakes


class Recorded:
    """A queue that takes jobs and does nothing with them."""

    def __init__(self) -> None:
        self.full, self.jobs = False, list[Job]()

    def submit(self, job: Job) -> None:
        if self.full:
            raise Refused("unavailable", "too-busy", "Too many jobs are waiting.")
        self.jobs.append(job)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the intake asks a queue for {name}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def queue() -> Recorded:
    return Recorded()


@pytest.fixture
def intake(store: Store, queue: Recorded) -> Intake:
    return Intake(store, queue, Keeper(store, fakes.REPORT), "us")


def sent(store: Store, intake: Intake, content: bytes, name: str | None = None, **externals: bytes) -> Accepted:
    with store.uploads.begin() as upload:
        parts = {}
        for part_name, data in {"": content, **externals}.items():
            parts[part_name] = upload.part()
            parts[part_name].write(data)
        digests = {part_name: part.digest for part_name, part in parts.items()}
        return intake.accept(DEFAULT_PROJECT, parts, Question.of_digests(digests.pop(""), digests, Options(name)))


def files(store: Store) -> list[bytes]:
    """The contents of all blobs."""
    return sorted(path.read_bytes() for path in (store.directory / "blobs").rglob("*") if path.is_file())


def test_job_is_the_question_alone_and_its_files_are_blobs(store: Store, queue: Recorded, intake: Intake) -> None:
    accepted = sent(store, intake, b"model", **{"w.bin": b"weights", "copy.bin": b"weights"})
    assert [job.id for job in queue.jobs] == [accepted.job and accepted.job.id]
    assert queue.jobs[0].request.keys() == {"model", "externals", "options"}
    assert files(store) == [b"model", b"weights"]
    assert list((store.directory / "uploads").iterdir()) == []
    assert store.claims.unneeded() == []


def test_second_upload_joins_the_first_whatever_it_is_called(store: Store, queue: Recorded, intake: Intake) -> None:
    first, second = sent(store, intake, b"model", "one"), sent(store, intake, b"model", "two")
    assert first.job is not None and second.job is not None
    assert (first.job.id, first.report_id) == (second.job.id, second.report_id)
    assert len(queue.jobs) == 1


def test_uploads_at_the_same_moment_make_one_job(store: Store, queue: Recorded, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    both, works = threading.Barrier(2), SqlJobs.add

    def together(self: SqlJobs, job: Job, owner: str) -> Job:
        """Both found no job before either adds its own."""
        both.wait(10)
        return works(self, job, owner)

    monkeypatch.setattr(SqlJobs, "add", together)
    accepted: list[Accepted] = []
    threads = [threading.Thread(target=lambda: accepted.append(sent(store, intake, b"model"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.id for job in queue.jobs] * 2 == [each.job.id for each in accepted if each.job]
    assert files(store) == [b"model"] and len(store.jobs.active()) == 1


def test_full_queue_refuses_before_anything_is_written(store: Store, queue: Recorded, intake: Intake) -> None:
    sent(store, intake, b"model")
    queue.full = True
    with pytest.raises(Refused, match="Too many"):
        sent(store, intake, b"another")
    assert files(store) == [b"model"] and [job.state for job in store.jobs.active()] == ["queued"]
    assert sent(store, intake, b"model").job is not None


def test_queue_that_fills_meanwhile_leaves_nothing(store: Store, queue: Recorded, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorded, "submit", lambda self, job: (_ for _ in ()).throw(Refused("unavailable", "too-busy", "Full.")))
    with pytest.raises(Refused, match="Full"):
        sent(store, intake, b"model")
    assert files(store) == [] and store.jobs.active() == []


@pytest.mark.parametrize("failing", [(LocalBlobs, "put"), (SqlClaims, "claim"), (SqlJobs, "add")], ids=["put", "claim", "add"])
def test_store_that_fails_refuses_and_keeps_nothing(
    store: Store, queue: Recorded, intake: Intake, monkeypatch: pytest.MonkeyPatch, failing: tuple[type, str]
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space", full=True)

    with monkeypatch.context() as patched:
        patched.setattr(*failing, full)
        with pytest.raises(StoreError):
            sent(store, intake, b"model")
    assert files(store) == [] and store.jobs.active() == [] and store.claims.unneeded() == []
    assert sent(store, intake, b"model").job is not None


def test_known_report_needs_no_job_and_mends_its_damaged_file(store: Store, queue: Recorded, intake: Intake) -> None:
    first = sent(store, intake, b"model")
    (job,), keeper = queue.jobs, Keeper(store, fakes.REPORT)
    call = keeper.call(job)
    keeper.keep(job, fakes.make_report(call.files, **call.arguments))
    assert sent(store, intake, b"model") == Accepted(first.report_id, None)
    for path in (store.directory / "blobs").rglob("*/*"):
        path.write_bytes(b"cut")
    assert sent(store, intake, b"model", "another name") == Accepted(first.report_id, None)
    assert files(store) == [b"model"] and len(queue.jobs) == 1 and store.claims.stale(-1) == []
