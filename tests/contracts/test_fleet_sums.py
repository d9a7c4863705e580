"""What every store says of a whole fleet, held to the same sums in Python."""

from __future__ import annotations

import random
from typing import Any

from service.report.identity import DEFAULT_PROJECT, Project
from service.report.quantities import is_flat
from service.store import Store
from service.store.interfaces import Retention
from service.store.sql.numbers import COVERAGE, PLAIN, PREFIX
from service.store.watched import Label
from tests.contracts.test_reports import report

MANY = 120
SHARES = ("connection_sparsity", "weight_sparsity", "receptive_field_coverage")


def fleet(store: Store) -> list[dict[str, Any]]:
    """Analyses with numbers by chance, some of which lack some."""
    chance, rows = random.Random(1), []
    for number in range(MANY):
        metrics: dict[str, Any] = {
            "receptive.parameters": 10 ** chance.randrange(13),
            "receptive.sharing_factor": 10 ** chance.uniform(-1, 7),
            "receptive.connection_sparsity": chance.choice((0.0, 0.5, 1.0, chance.random())),
            "receptive.receptive_field_coverage.height": chance.uniform(0, 2),
            "receptive.receptive_field_coverage.width": chance.uniform(0, 2),
            "receptive.unproductive_layers": chance.choice((0, 0, 3, 7)),
            "receptive.output_is_global": chance.choice((0, 1)),
        }
        metrics = {name: value for name, value in metrics.items() if chance.random() < 0.9}
        structure = f"sha256:{chance.randrange(MANY // 2):064x}"
        store.reports.add(report(number, created_at="2026", entry={"metrics": metrics, "structure_digest": structure}), b"{}")
        rows.append({**metrics, "structure": structure, "id": report(number).id})
    return rows


def numbers(rows: list[dict[str, Any]], name: str) -> list[float]:
    if name == "receptive_field_coverage":
        along = [[value for key, value in row.items() if key.startswith(f"receptive.{name}.")] for row in rows]
        return [min(values) for values in along if values]
    return [row[f"receptive.{name}"] for row in rows if f"receptive.{name}" in row]


def test_distributions_are_those_of_the_numbers(store: Store) -> None:
    rows = fleet(store)
    summary = store.fleet.summary(DEFAULT_PROJECT, 5)
    assert summary.reports == MANY
    for name, shape in summary.distributions.items():
        values = numbers(rows, name)
        assert shape.count == len(values) == sum(each.count for each in shape.bins), name
        if values:
            assert (shape.min, shape.max) == (min(values), max(values)), name
            assert shape.mean is not None and abs(shape.mean - sum(values) / len(values)) <= 1e-9 * max(values), name
        for each in shape.bins:
            low, high = each.low if each.low is not None else float("-inf"), each.high if each.high is not None else float("inf")
            assert each.count == sum(low <= value < high for value in values), (name, each)


def test_what_there_is_twice_and_what_is_first(store: Store) -> None:
    rows = fleet(store)
    summary = store.fleet.summary(DEFAULT_PROJECT, 5)
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row["structure"], []).append(row["id"])
    assert summary.structures == len(ids)
    assert summary.duplicated == sum(len(each) for each in ids.values() if len(each) > 1)
    assert [each.count for each in summary.duplicates] == sorted(map(len, ids.values()), reverse=True)[:5]
    for each in summary.duplicates:
        assert {report_id for report_id, _ in each.examples} <= set(ids[each.structure_digest])
        assert len(each.examples) == min(each.count, 5)
    assert [each.value for each in summary.most_shared] == sorted(numbers(rows, "sharing_factor"), reverse=True)[:5]
    wasteful = [value for value in numbers(rows, "unproductive_layers") if value]
    assert summary.unproductive == len(wasteful)
    assert [each.value for each in summary.most_unproductive] == sorted(wasteful, reverse=True)[:5]
    assert summary.global_outputs == sum(numbers(rows, "output_is_global"))


def test_empty_fleet_and_that_of_another_project_are_empty(store: Store) -> None:
    fleet(store)
    summary = store.fleet.summary(Project("other"), 5)
    assert (summary.reports, summary.structures, summary.duplicated, summary.models, summary.broken) == (0, 0, 0, 0, 0)
    assert {shape.count for shape in summary.distributions.values()} == {0}
    assert all(shape.min is None and shape.mean is None for shape in summary.distributions.values())


def test_model_counts_as_broken_by_its_newest_version(store: Store) -> None:
    verdicts = {"mended": ("fail", "pass"), "broken": ("pass", "fail"), "always": ("fail",), "fine": ("pass",)}
    number = 0
    for model, given in verdicts.items():
        for place, verdict in enumerate(given):
            number += 1
            kept = report(number)
            store.reports.add(kept, b"{}")
            label = Label(DEFAULT_PROJECT, model, str(place))
            store.models.put(label, kept.id, f"2026-01-0{place + 1}")
            version = store.models.version(label)
            assert version is not None and store.models.judge(version, verdict)  # type: ignore[arg-type]
    summary = store.fleet.summary(DEFAULT_PROJECT, 1)
    assert (summary.models, summary.broken) == (4, 2)
    assert [version.label for version in summary.broken_versions] == [Label(DEFAULT_PROJECT, "broken", "1")]


def test_numbers_that_no_database_holds_are_left_out_of_sums(store: Store) -> None:
    store.reports.add(report(1, entry={"metrics": {"receptive.parameters": 10**400}, "structure_digest": ""}), b"{}")
    store.reports.add(report(2, entry={"id": 2}), b"{}")
    summary = store.fleet.summary(DEFAULT_PROJECT, 5)
    assert (summary.reports, summary.structures, summary.distributions["parameters"].count) == (2, 0, 0)


def test_columns_are_flat_numbers() -> None:
    assert all(is_flat(PREFIX + name) for name in PLAIN) and is_flat(f"{PREFIX}{COVERAGE}.height")


def test_versions_of_watched_models_outlive_retention(store: Store) -> None:
    for number in (1, 2, 3):
        store.reports.add(report(number), b"{}")
    store.models.put(Label(DEFAULT_PROJECT, "kept", "1"), report(1).id, "2026")
    assert store.reports.expired(Retention(seconds=1.0), 10) == [(DEFAULT_PROJECT, report(2).id), (DEFAULT_PROJECT, report(3).id)]
