"""What every store of batches keeps to: each model once, one process for each, and nothing is lost with a process."""

from __future__ import annotations

import uuid

from service.clock import now
from service.options import Options
from service.report.identity import DEFAULT_PROJECT, Project, options_document
from service.store import Store
from service.store.batches import Batch, Item, Opening

PROBLEM = {"fault": "source", "code": "source-failed", "detail": "It is away.", "errors": []}


def added(store: Store, *sources: str, openings: tuple[Opening, ...] = (), project: Project = DEFAULT_PROJECT) -> Batch:
    batch = Batch(project, uuid.uuid4().hex, "running", now(), now(), options_document(Options()), None, openings)
    store.batches.add(batch, sources)
    return batch


def read(store: Store, batch: Batch) -> Batch:
    found = store.batches.get(batch.project, batch.id)
    assert found is not None
    return found


def taken(store: Store, owner: str = "us") -> Item:
    found = store.batches.take(owner)
    assert found is not None
    return found[1]


def test_batch_comes_back_with_each_model_once(store: Store) -> None:
    batch = added(store, "s3://b/1", "s3://b/2", "s3://b/1", openings=(("s3://b/x/", None),))
    assert (read(store, batch).openings, read(store, batch).state) == ((("s3://b/x/", None),), "running")
    assert [(item.number, item.source, item.state) for item in store.batches.items(batch.project, batch.id, 9)] == [
        (0, "s3://b/1", "queued"),
        (1, "s3://b/2", "queued"),
    ]
    assert store.batches.counts(batch.project, batch.id) == {"queued": 2}
    assert [item.number for item in store.batches.items(batch.project, batch.id, 1, after=0)] == [1]
    assert store.batches.items(batch.project, batch.id, 9, state="done") == []


def test_batch_is_its_projects_alone(store: Store) -> None:
    batch, other = added(store, "s3://b/1"), Project("other")
    assert store.batches.get(other, batch.id) is None and store.batches.page(other, 9) == []
    assert store.batches.counts(other, batch.id) == {} and store.batches.items(other, batch.id, 9) == []
    store.batches.cancel(other, batch.id)
    assert read(store, batch).state == "running"
    assert [each.id for each in store.batches.page(batch.project, 9)] == [batch.id]


def test_items_are_taken_once_and_from_batches_in_turn(store: Store) -> None:
    first, second = added(store, "s3://a/1", "s3://a/2", "s3://a/3"), added(store, "s3://b/1")
    order = [taken(store).source for _ in range(4)]
    assert sorted(order) == ["s3://a/1", "s3://a/2", "s3://a/3", "s3://b/1"] and "s3://b/1" in order[:2]
    assert store.batches.take("us") is None
    assert store.batches.counts(first.project, first.id) == {"running": 3}
    assert store.batches.counts(second.project, second.id) == {"running": 1}


def test_batch_is_done_with_its_last_item(store: Store) -> None:
    batch = added(store, "s3://b/1", "s3://b/2")
    store.batches.settle(taken(store), "done", "sha256-1")
    assert read(store, batch).state == "running"
    store.batches.settle(taken(store), "failed", problem=PROBLEM)
    assert read(store, batch).state == "done"
    done, failed = store.batches.items(batch.project, batch.id, 9)
    assert (done.state, done.report_id, done.problem) == ("done", "sha256-1", None)
    assert (failed.state, failed.report_id, failed.problem) == ("failed", None, PROBLEM)
    store.batches.settle(done, "failed", problem=PROBLEM)
    assert store.batches.items(batch.project, batch.id, 9)[0] == done


def test_batch_of_nothing_is_done(store: Store) -> None:
    assert read(store, added(store)).state == "done"


def test_cancelled_batch_gives_no_more_items(store: Store) -> None:
    batch = added(store, "s3://b/1", "s3://b/2", openings=(("s3://b/x/", None),))
    item = taken(store)
    store.batches.cancel(batch.project, batch.id)
    assert (read(store, batch).state, read(store, batch).openings) == ("cancelled", ())
    assert store.batches.take("us") is None and store.batches.unlisted(9) is None
    store.batches.settle(item, "cancelled")
    assert store.batches.counts(batch.project, batch.id) == {"cancelled": 2}
    assert read(store, batch).state == "cancelled"


def test_items_of_whoever_is_silent_or_stops_are_taken_by_others(store: Store) -> None:
    added(store, "s3://b/1")
    item = taken(store, "dead")
    store.batches.beat("dead", 60)
    assert store.batches.take("us") is None
    store.batches.beat("us", -1)
    assert taken(store, "us") == item
    store.batches.give_back("others")
    assert store.batches.take("third") is None
    store.batches.give_back("us")
    assert taken(store, "third") == item


def test_pages_are_added_once_and_in_order(store: Store) -> None:
    batch = added(store, "s3://b/x/1", openings=(("s3://b/x/", None), ("models:/", None)))
    assert store.batches.unlisted(0) is None
    unlisted = store.batches.unlisted(1)
    assert unlisted == read(store, batch)
    following: list[Opening] = [("s3://b/x/", "x/2"), ("models:/", None)]
    store.batches.list_page(unlisted, ["s3://b/x/1", "s3://b/x/2"], following)
    store.batches.list_page(unlisted, ["s3://b/x/again"], following)  # another process listed the same page
    assert [item.source for item in store.batches.items(batch.project, batch.id, 9)] == ["s3://b/x/1", "s3://b/x/2"]
    assert read(store, batch).openings == tuple(following)
    store.batches.list_page(read(store, batch), [], [], {"source": "models:/", **PROBLEM})
    assert read(store, batch).problems == ({"source": "models:/", **PROBLEM},)
    for _ in range(2):
        store.batches.settle(taken(store), "done", "sha256-1")
    assert read(store, batch).state == "done"


def test_large_batches_keep_their_order(store: Store) -> None:
    sources = [f"s3://b/{number}" for number in range(1201)]
    batch = added(store, *sources, "s3://b/7")
    assert [item.source for item in store.batches.items(batch.project, batch.id, 2000)] == sources
