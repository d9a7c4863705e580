"""What every store of reports keeps to."""

from __future__ import annotations

import pytest

from service.faults import Refused
from service.report.identity import Digest
from service.store import Store
from service.store.interfaces import StoredReport


def report(number: int, **changes: object) -> StoredReport:
    values = {
        "id": f"sha256-{number:064x}",
        "created_at": f"2026-01-01T00:00:{number:02d}.000000Z",
        "name": f"model {number}",
        "digest": f"sha256:{number:064x}",
        "entry": {"id": number},
        "document": b"{}",
        "etag": f"{number:064x}",
        "options": {"name": None},
        "blobs": {"": Digest(f"{number:064x}"), "weights.bin": Digest("f" * 64)},
    }
    return StoredReport(**(values | changes))  # type: ignore[arg-type]


def test_report_comes_back_as_it_was(store: Store) -> None:
    kept = report(1)
    store.reports.add(kept)
    store.reports.add(report(1, document=b"another"))
    assert store.reports.get(kept.id) == kept
    assert store.reports.has(kept.id)
    assert store.reports.get("sha256-unknown") is None


def test_hostile_names_are_kept_as_text(store: Store) -> None:
    store.reports.add(report(1, name="a\0b\ud800'; DROP TABLE reports"))
    stored = store.reports.get(report(1).id)
    assert stored is not None and stored.name == "a\N{REPLACEMENT CHARACTER}b?'; DROP TABLE reports"
    assert store.reports.page(10, name="a\0b\ud800'; DROP TABLE reports").items == [{"id": 1}]


def test_pages_are_newest_first_and_complete(store: Store) -> None:
    for number in range(7):
        # Equal times must not lose a report between two pages.
        store.reports.add(report(number, created_at=f"2026-01-01T00:00:0{number // 3}.000000Z"))
    seen, cursor = [], None
    while True:
        page = store.reports.page(2, cursor)
        seen += [item["id"] for item in page.items]
        if (cursor := page.cursor) is None:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_pages_are_filtered(store: Store) -> None:
    for number in range(3):
        store.reports.add(report(number))
    assert store.reports.page(10, name="model 1").items == [{"id": 1}]
    assert store.reports.page(10, digest=f"sha256:{2:064x}").items == [{"id": 2}]
    assert store.reports.page(10, name="model 1", digest=f"sha256:{2:064x}").items == []


@pytest.mark.parametrize("cursor", ["x", "!!!", "YQ", "é"])
def test_made_up_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        store.reports.page(10, cursor)


def test_removing_says_which_files_it_had(store: Store) -> None:
    store.reports.add(report(1))
    assert store.reports.remove(report(1).id) == [Digest(f"{1:064x}"), Digest("f" * 64)]
    assert store.reports.remove(report(1).id) is None
