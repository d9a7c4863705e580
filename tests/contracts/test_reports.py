"""What every store of reports keeps to."""

from __future__ import annotations

import hashlib
import io

import pytest

from service.faults import Refused
from service.report.identity import DEFAULT_PROJECT, Digest, Project
from service.store import Store
from service.store.interfaces import Retention, StoredReport, StoreError, Usage

TEXT = b'{"a": 1}'


def report(number: int, **changes: object) -> StoredReport:
    values = {
        "project": DEFAULT_PROJECT,
        "id": f"sha256-{number:064x}",
        "created_at": f"2026-01-01T00:00:{number:02d}.000000Z",
        "name": f"model {number}",
        "digest": f"sha256:{number:064x}",
        "entry": {"id": number},
        "etag": f"{number:064x}",
        "options": {"name": None},
        "blobs": {"": Digest(f"{number:064x}"), "weights.bin": Digest("f" * 64)},
        "size_bytes": len(TEXT),
        "model_bytes": 100 * number,
    }
    return StoredReport(**(values | changes))  # type: ignore[arg-type]


def test_report_comes_back_as_it_was(store: Store) -> None:
    kept = report(1)
    store.reports.add(kept, TEXT)
    store.reports.add(report(1, name="another"), b"another")
    assert store.reports.get(DEFAULT_PROJECT, kept.id) == kept
    assert store.reports.has(DEFAULT_PROJECT, kept.id)
    assert store.reports.get(DEFAULT_PROJECT, "sha256-unknown") is None


def test_hostile_names_are_kept_as_text(store: Store) -> None:
    store.reports.add(report(1, name="a\0b\ud800'; DROP TABLE reports"), TEXT)
    stored = store.reports.get(DEFAULT_PROJECT, report(1).id)
    assert stored is not None and stored.name == "a\N{REPLACEMENT CHARACTER}b?'; DROP TABLE reports"
    assert store.reports.page(DEFAULT_PROJECT, 10, name="a\0b\ud800'; DROP TABLE reports").items == [{"id": 1}]


def test_pages_are_newest_first_and_complete(store: Store) -> None:
    for number in range(7):
        # Equal times must not lose a report between two pages.
        store.reports.add(report(number, created_at=f"2026-01-01T00:00:0{number // 3}.000000Z"), TEXT)
    seen, cursor = [], None
    while True:
        page = store.reports.page(DEFAULT_PROJECT, 2, cursor)
        seen += [item["id"] for item in page.items]
        if (cursor := page.cursor) is None:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_pages_are_filtered(store: Store) -> None:
    for number in range(3):
        store.reports.add(report(number), TEXT)
    assert store.reports.page(DEFAULT_PROJECT, 10, name="model 1").items == [{"id": 1}]
    assert store.reports.page(DEFAULT_PROJECT, 10, digest=f"sha256:{2:064x}").items == [{"id": 2}]
    assert store.reports.page(DEFAULT_PROJECT, 10, name="model 1", digest=f"sha256:{2:064x}").items == []


@pytest.mark.parametrize("cursor", ["x", "!!!", "YQ", "é"])
def test_made_up_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        store.reports.page(DEFAULT_PROJECT, 10, cursor)


def test_removing_says_which_files_it_had(store: Store) -> None:
    store.reports.add(report(1), TEXT)
    assert store.reports.remove(DEFAULT_PROJECT, report(1).id) == [Digest(f"{1:064x}"), Digest("f" * 64)]
    assert store.reports.remove(DEFAULT_PROJECT, report(1).id) is None


OTHER = Project("other")


def test_report_is_its_projects_alone(store: Store) -> None:
    """The same model of two projects is two reports; whatever is asked for one project, the other's is not there."""
    mine, theirs = report(1), report(1, project=OTHER, name="theirs", entry={"id": "theirs"})
    store.reports.add(mine, TEXT)
    unknown = (store.reports.get(OTHER, mine.id), store.reports.has(OTHER, mine.id), store.reports.matching(OTHER, mine.id[:20]))
    assert unknown == (None, False, []) and store.reports.page(OTHER, 10).items == [] and store.reports.remove(OTHER, mine.id) is None
    store.reports.add(theirs, b"theirs!!")
    assert (store.reports.get(DEFAULT_PROJECT, mine.id), store.reports.get(OTHER, mine.id)) == (mine, theirs)
    assert [store.reports.document(each).whole() for each in (mine, theirs)] == [TEXT, b"theirs!!"]
    assert [store.reports.page(project, 10).items for project in (DEFAULT_PROJECT, OTHER)] == [[{"id": 1}], [{"id": "theirs"}]]
    assert store.reports.count() == 2
    assert store.reports.remove(OTHER, mine.id) and store.reports.get(DEFAULT_PROJECT, mine.id) == mine


def test_text_is_read_where_it_lies(store: Store) -> None:
    text = bytes(range(256)) * 4096
    kept = report(1, size_bytes=len(text))
    store.reports.add(kept, text)
    document = store.reports.document(kept)
    assert document.size == len(text) and document.whole() == text == b"".join(document.pieces())
    assert max(map(len, document.pieces())) < len(text)
    edge = len(next(iter(document.pieces())))
    for start, stop in ((0, 1), (edge - 3, edge + 3), (edge, edge), (7, 3 * edge + 5), (len(text) - 2, len(text))):
        assert document.read(start, stop) == text[start:stop]
    store.reports.remove(DEFAULT_PROJECT, kept.id)
    with pytest.raises(StoreError):
        document.whole()


def test_what_stands_beside_a_report_is_added_once(store: Store) -> None:
    old = report(1)
    store.reports.add(old, TEXT)
    assert store.reports.beside(old) is None
    store.reports.describe(old, "first")
    store.reports.describe(old, "second")
    store.reports.add(report(2), TEXT, "from the start")
    assert [store.reports.beside(each) for each in (old, report(2))] == ["first", "from the start"]


def test_usage_is_the_projects_own(store: Store) -> None:
    store.reports.add(report(1), TEXT)
    store.reports.add(report(2), TEXT)
    store.reports.add(report(3, project=OTHER), TEXT)
    assert store.reports.usage(DEFAULT_PROJECT) == Usage(2, 300 + 2 * len(TEXT))
    assert store.reports.usage(Project("third")) == Usage(0, 0)


def test_what_is_beyond_a_bound_is_the_oldest_of_each_project(store: Store) -> None:
    for number in (1, 2, 3):
        store.reports.add(report(number), TEXT)
    store.reports.add(report(0, project=OTHER), TEXT)
    first, second, third = (report(number).id for number in (1, 2, 3))

    def beyond(seconds: float = 0, count: int = 0, size: int = 0, limit: int = 10) -> list[tuple[Project, str]]:
        return store.reports.expired(Retention(seconds, count, size), limit)

    assert beyond() == []
    assert beyond(count=2) == [(DEFAULT_PROJECT, first)]
    assert beyond(count=1) == [(DEFAULT_PROJECT, first), (DEFAULT_PROJECT, second)] and beyond(count=1, limit=1) == [
        (DEFAULT_PROJECT, first)
    ]
    assert beyond(size=300 + len(TEXT)) == [(DEFAULT_PROJECT, first), (DEFAULT_PROJECT, second)]
    assert beyond(size=300 + len(TEXT) - 1)[-1] == (DEFAULT_PROJECT, third)
    assert len(beyond(seconds=60)) == 4 and beyond(seconds=1e10) == []


def test_retention_forgets_reports_and_their_files(store: Store) -> None:
    for number in (1, 2, 3):
        store.reports.add(report(number), TEXT)
    assert store.retain(Retention()) == 0
    assert store.retain(Retention(analyses=1)) == 2
    assert store.reports.everything() == [(DEFAULT_PROJECT, report(3).id)]
    assert store.claims.needed() == [Digest(f"{3:064x}"), Digest("f" * 64)] and store.claims.unneeded() == []


def test_verify_names_what_is_not_what_it_was(store: Store) -> None:
    content = b"a model"
    digest = Digest(hashlib.sha256(content).hexdigest())
    store.reports.add(report(1, blobs={"": digest}, etag=hashlib.sha256(TEXT).hexdigest()), TEXT)
    store.blobs.put(io.BytesIO(content), digest)
    assert list(store.verify()) == []
    store.blobs.put(io.BytesIO(b"another"), digest)
    store.reports.add(report(2, blobs={"": digest}), TEXT)
    faults = list(store.verify())
    assert [fault.split()[1:4] for fault in faults] == [["report", report(2).id, "of"], ["file", digest, "is"]]
