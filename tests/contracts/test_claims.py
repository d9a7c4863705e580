"""What every store of claims keeps to: a file that somebody needs is not removed, and one that nobody needs is."""

from __future__ import annotations

import threading
import time

import pytest

from service.report.identity import DEFAULT_PROJECT, Digest
from service.store import Store
from service.store.interfaces import StoreError
from tests.contracts.test_reports import report

A, B = Digest("a" * 64), Digest("b" * 64)


def dropped(store: Store, digest: Digest) -> bool:
    removed: list[Digest] = []
    assert store.claims.drop(digest, removed.append) == bool(removed)
    return removed == [digest]


def test_file_is_removed_when_the_last_claim_is_gone(store: Store) -> None:
    store.claims.claim("one", [A, B, A])
    store.claims.claim("two", [A])
    assert not dropped(store, A)
    assert sorted(store.claims.release("one")) == [A, B]
    assert not dropped(store, A)
    assert dropped(store, B)
    assert store.claims.release("two") == [A] and store.claims.release("two") == []
    assert store.claims.unneeded() == [A]
    assert dropped(store, A)
    assert not dropped(store, A) and store.claims.unneeded() == []


def test_report_needs_its_files_until_it_is_removed(store: Store) -> None:
    kept = report(1, blobs={"": A, "w.bin": B})
    store.reports.add(kept, b"{}")
    assert not dropped(store, A) and store.claims.unneeded() == []
    store.reports.remove(DEFAULT_PROJECT, kept.id)
    assert sorted(store.claims.unneeded()) == [A, B]
    assert dropped(store, A) and dropped(store, B)


def test_file_whose_removal_fails_is_still_known(store: Store) -> None:
    def fail(_: Digest) -> None:
        raise StoreError("the disk is away")

    store.claims.claim("one", [A])
    store.claims.release("one")
    with pytest.raises(StoreError):
        store.claims.drop(A, fail)
    assert dropped(store, A)


def test_claim_waits_for_a_removal_under_way(store: Store) -> None:
    """Else the file would be put first and removed then."""
    events: list[str] = []
    removing, go = threading.Event(), threading.Event()

    def remove(_: Digest) -> None:
        removing.set()
        go.wait(10)
        events.append("removed")

    def claim() -> None:
        store.claims.claim("two", [A])
        events.append("claimed")

    store.claims.claim("one", [A])
    store.claims.release("one")
    first = threading.Thread(target=store.claims.drop, args=(A, remove))
    first.start()
    removing.wait(10)
    second = threading.Thread(target=claim)
    second.start()
    time.sleep(0.2)
    go.set()
    for thread in (first, second):
        thread.join(10)
    assert events == ["removed", "claimed"]
    assert not dropped(store, A)


def test_claims_of_no_job_are_stale_after_a_while(store: Store) -> None:
    store.claims.claim("dead", [A])
    assert store.claims.stale(60) == []
    assert store.claims.stale(-1) == ["dead"]
