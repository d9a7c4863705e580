"""What every store of watched models keeps to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.report.identity import DEFAULT_PROJECT, Project
from service.store import Store
from service.store.interfaces import StoreError
from service.store.watched import Awaited, Label
from tests.contracts.test_reports import report

OTHER = Project("other")


def label(version: str, model: str = "resnet", project: Project = DEFAULT_PROJECT) -> Label:
    return Label(project, model, version)


def put(store: Store, number: int, version: str, model: str = "resnet", project: Project = DEFAULT_PROJECT) -> bool:
    kept = replace(report(number, entry={"metrics": {"receptive.layers": number}}), project=project)
    store.reports.add(kept, b"{}")
    return store.models.put(label(version, model, project), kept.id, f"2026-01-01T00:00:{number:02d}Z")


def test_versions_come_newest_first_with_what_a_list_shows_of_their_reports(store: Store) -> None:
    assert all(put(store, number, f"v{number}") for number in range(5))
    newest = store.models.newest(DEFAULT_PROJECT, ["resnet", "nobody"], 3)
    assert [version.label.version for version in newest["resnet"]] == ["v4", "v3", "v2"]
    assert newest["resnet"][0].entry == {"metrics": {"receptive.layers": 4}}
    assert store.models.versions_of(DEFAULT_PROJECT, ["resnet", "nobody"]) == {"resnet": 5}
    before = store.models.before(newest["resnet"][0])
    assert before is not None and before.label == label("v3")
    assert "nobody" not in newest


def test_versions_of_one_moment_have_an_order(store: Store) -> None:
    kept = report(1)
    store.reports.add(kept, b"{}")
    for version in ("b", "a", "c"):
        store.models.put(label(version), kept.id, "2026-01-01T00:00:00Z")
    found = store.models.newest(DEFAULT_PROJECT, ["resnet"], 9)["resnet"]
    assert [version.label.version for version in found] == ["c", "b", "a"]
    assert [before and before.label.version for before in map(store.models.before, found)] == ["b", "a", None]


def test_version_that_was_another_report_keeps_its_place_and_is_judged_anew(store: Store) -> None:
    put(store, 1, "a")
    put(store, 2, "b")
    first = store.models.version(label("a"))
    assert first is not None and first.verdict == "pending"
    assert store.models.judge(first, "pass", "a", [{"budget": "max_layers"}])
    assert not store.models.put(label("a"), first.report_id, "2027"), "the same report changes nothing"
    judged = store.models.version(label("a"))
    assert judged is not None and (judged.verdict, judged.base, judged.judged) == ("pass", "a", [{"budget": "max_layers"}])
    assert not put(store, 3, "a")
    again = store.models.version(label("a"))
    assert again is not None and (again.verdict, again.created_at, again.judged) == ("pending", first.created_at, [])
    assert not store.models.judge(first, "fail"), "it was the verdict on another report"
    assert [version.label.version for version in store.models.pending(10)] == ["a", "b"]


def test_project_sees_its_own_models_alone(store: Store) -> None:
    put(store, 1, "1")
    put(store, 1, "1", project=OTHER)
    assert store.models.remove(OTHER, "resnet") and not store.models.remove(OTHER, "resnet")
    assert store.models.version(label("1", project=OTHER)) is None
    assert store.models.version(label("1")) is not None
    assert [model.name for model in store.models.page(OTHER, 10)] == []
    assert store.models.count(DEFAULT_PROJECT) == 1


def test_models_are_listed_by_name_and_changed(store: Store) -> None:
    for number, name in enumerate(("b", "a", "c")):
        put(store, number, "1", name)
    assert [model.name for model in store.models.page(DEFAULT_PROJECT, 2)] == ["a", "b"]
    assert [model.name for model in store.models.page(DEFAULT_PROJECT, 2, "b")] == ["c"]
    model = store.models.get(DEFAULT_PROJECT, "a")
    assert model is not None and (model.baseline, model.budgets) == (None, {})
    changed = replace(model, baseline="1", budgets={"max_layers": 3})
    store.models.change(changed)
    assert store.models.get(DEFAULT_PROJECT, "a") == changed
    assert store.models.get(DEFAULT_PROJECT, "d") is None


def test_version_goes_with_its_report_and_a_report_stays_without_its_model(store: Store) -> None:
    put(store, 1, "1")
    put(store, 2, "2")
    assert store.forget(DEFAULT_PROJECT, report(1).id)
    assert store.models.version(label("1")) is None
    assert store.models.withdraw(label("2")) and not store.models.withdraw(label("2"))
    assert store.models.remove(DEFAULT_PROJECT, "resnet")
    assert store.reports.has(DEFAULT_PROJECT, report(2).id)


def test_report_that_is_not_there_is_no_version(store: Store) -> None:
    with pytest.raises(StoreError):
        store.models.put(label("1"), "sha256-unknown", "2026")


def test_version_waits_for_its_report_until_it_is_asked_for_anew(store: Store) -> None:
    first, second = Awaited(label("1"), "sha256-1", "2026-01-01"), Awaited(label("1"), "sha256-2", "2026-01-02")
    store.models.expect(first)
    store.models.expect(first)
    assert store.models.awaited(10, "sha256-1") == [first]
    store.models.expect(second)
    assert store.models.awaited(10) == [second]
    store.models.forget_awaited(first)
    assert store.models.awaited(10) == [second], "what waits for another report is left alone"
    store.models.forget_awaited(second)
    assert store.models.awaited(10) == []
