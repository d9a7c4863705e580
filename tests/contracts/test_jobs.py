"""What every store of jobs keeps to: they are seen by every process, worked on by one, and outlive it."""

from __future__ import annotations

from dataclasses import replace

from service.clock import now
from service.report.identity import DEFAULT_PROJECT, Project
from service.store import Store
from service.store.interfaces import BATCH, SINGLE, Job


def job(name: str, report: str = "sha256-1", project: Project = DEFAULT_PROJECT) -> Job:
    return Job(name, project, report, "queued", now(), now(), {"model": name})


def test_one_report_has_one_active_job(store: Store) -> None:
    first = store.jobs.add(job("a"), "us")
    assert store.jobs.add(job("b"), "them").id == first.id
    store.jobs.finish("a", "failed", {"code": "broken"})
    assert store.jobs.add(job("c"), "them").id == "c"
    ended = store.jobs.get(DEFAULT_PROJECT, "a")
    assert ended is not None and ended.finished and ended.problem == {"code": "broken"}
    assert [each.id for each in store.jobs.active()] == ["c"]


def test_finished_job_changes_no_more(store: Store) -> None:
    store.jobs.add(job("a"), "us")
    store.jobs.start("a")
    store.jobs.finish("a", "done")
    store.jobs.finish("a", "cancelled")
    store.jobs.release("a")
    ended = store.jobs.get(DEFAULT_PROJECT, "a")
    assert ended is not None and ended.state == "done"


def test_cancelling_reaches_the_owner(store: Store) -> None:
    store.jobs.add(job("a"), "us")
    store.jobs.add(job("b", "sha256-2"), "us")
    store.jobs.request_cancel("b")
    assert store.jobs.beat("us") == ["b"]
    assert store.jobs.beat("them") == []


def test_job_of_a_silent_owner_is_adopted_once(store: Store) -> None:
    store.jobs.add(job("a"), "us")
    assert store.jobs.adopt("them", 60) == []
    store.jobs.release("a")
    adopted = store.jobs.adopt("them", 60)
    assert [(each.id, each.attempts, each.request) for each in adopted] == [("a", 1, {"model": "a"})]
    assert store.jobs.adopt("others", 60) == []
    assert [each.attempts for each in store.jobs.adopt("others", -1)] == [2]


def test_old_jobs_are_forgotten(store: Store) -> None:
    store.jobs.add(job("a"), "us")
    store.jobs.add(job("b", "sha256-2"), "us")
    store.jobs.finish("a", "done")
    store.jobs.remove_finished(60)
    assert store.jobs.get(DEFAULT_PROJECT, "a") is not None
    store.jobs.remove_finished(-1)
    assert store.jobs.get(DEFAULT_PROJECT, "a") is None and store.jobs.get(DEFAULT_PROJECT, "b") is not None


def test_job_that_was_released_is_nobodys_until_it_is_adopted(store: Store) -> None:
    store.jobs.add(job("a"), "us")
    store.jobs.release("a")
    assert store.jobs.owned("us") == [] and store.jobs.beat("us") == []
    assert [each.id for each in store.jobs.adopt("us", 60)] == ["a"]
    assert [each.id for each in store.jobs.owned("us")] == ["a"]


def test_job_is_found_by_what_it_works_on_while_it_does(store: Store) -> None:
    store.jobs.add(job("a"), "us")
    found = store.jobs.working_on(DEFAULT_PROJECT, "sha256-1")
    assert found is not None and found.id == "a"
    store.jobs.finish("a", "done")
    assert store.jobs.working_on(DEFAULT_PROJECT, "sha256-1") is None


def test_job_is_its_projects_alone(store: Store) -> None:
    """One question of two projects is two jobs, and neither sees the other's."""
    other = Project("other")
    assert store.jobs.add(job("a"), "us").id == "a"
    assert store.jobs.add(job("b", project=other), "us").id == "b"
    assert store.jobs.get(other, "a") is None and store.jobs.get(DEFAULT_PROJECT, "b") is None
    working = [store.jobs.working_on(project, "sha256-1") for project in (DEFAULT_PROJECT, other, Project("third"))]
    assert [each and (each.id, each.project) for each in working] == [("a", DEFAULT_PROJECT), ("b", other), None]


def handed_over(store: Store, *names: str) -> None:
    for name in names:
        store.jobs.add(job(name, f"sha256-{name}"), "web")
        store.jobs.hand_over(name)


def test_job_in_the_queue_between_machines_is_taken_by_one(store: Store) -> None:
    handed_over(store, "a")
    assert store.jobs.handed_over() == 1
    assert store.jobs.adopt("another web", -1) == [] and store.jobs.owned("web") == []
    taken = store.jobs.take("a", "worker")
    assert taken is not None and (taken.id, taken.state, taken.attempts) == ("a", "running", 1)
    assert store.jobs.take("a", "another worker") is None
    assert store.jobs.handed_over() == 0
    assert [each.id for each in store.jobs.owned("worker")] == ["a"]
    store.jobs.finish("a", "done")
    assert store.jobs.take("a", "worker") is None


def test_job_of_a_worker_that_died_goes_back_to_the_queue_between_machines(store: Store) -> None:
    handed_over(store, "a")
    store.jobs.take("a", "worker")
    adopted = store.jobs.adopt("another worker", -1)
    assert [each.attempts for each in adopted] == [2]
    store.jobs.hand_over("a")
    again = store.jobs.take("a", "another worker")
    assert again is not None and again.attempts == 2


def test_jobs_whose_message_may_be_lost_are_given_out_once_the_oldest_first(store: Store) -> None:
    handed_over(store, "a", "b", "c")
    assert store.jobs.forgotten(10, 60) == []
    assert [each.id for each in store.jobs.forgotten(2, 0)] == ["a", "b"]
    assert [each.id for each in store.jobs.forgotten(1, 0)] == ["c"]
    store.jobs.finish("a", "cancelled")
    assert [each.id for each in store.jobs.forgotten(10, 0)] == ["b", "c"]


def test_jobs_of_the_queue_between_machines_can_be_taken_back(store: Store) -> None:
    handed_over(store, "a")
    store.jobs.take_back()
    assert [(each.id, each.attempts) for each in store.jobs.adopt("us", 60)] == [("a", 1)]


def test_job_stands_behind_those_of_its_rank_and_of_a_smaller_one(store: Store) -> None:
    for name, rank in (("batch", BATCH), ("single", SINGLE), ("second", SINGLE)):
        store.jobs.add(replace(job(name, f"sha256-{name}"), rank=rank), "web")
    assert store.jobs.standing("batch") is None
    for name in ("batch", "single", "second"):
        store.jobs.hand_over(name)
    assert [store.jobs.standing(name) for name in ("single", "second", "batch")] == [("queued", 0), ("queued", 1), ("queued", 2)]
    store.jobs.take("single", "worker")
    assert [store.jobs.standing(name) for name in ("single", "second", "batch")] == [("running", 0), ("queued", 0), ("queued", 1)]
    store.jobs.finish("single", "done")
    assert store.jobs.standing("single") is None
    found = store.jobs.working_on(DEFAULT_PROJECT, "sha256-batch")
    assert found is not None and found.rank == BATCH
