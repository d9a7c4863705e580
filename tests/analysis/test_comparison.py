"""Comparison: layers aligned by structure rather than by name, differences, budgets."""

from __future__ import annotations

from dataclasses import replace
from time import process_time

import pytest

from service.faults import Refused
from service.render.junit import comparison_junit
from service.report.comparison import BUDGETS, NO_NEW_FINDINGS, Change, compare
from service.report.document import Layer
from tests.networks import conv, spec_of, vgg_16, vgg_a
from tests.reports import document_of

THREE = [conv("a", 4, 3), conv("b", 8, 5), conv("c", 2, 1)]


def test_a_model_with_itself_does_not_differ() -> None:
    report = document_of(vgg_a())
    difference = compare(report, report)
    assert difference.counts == {"same": len(report.layers), "changed": 0, "added": 0, "removed": 0}
    assert (difference.summary, difference.verdict) == ({}, "none")


def test_renamed_layers_are_the_same() -> None:
    renamed = [{**layer, "name": f"new_{layer['name']}"} for layer in THREE]
    difference = compare(document_of(spec_of([1, 16, 16], *THREE)), document_of(spec_of([1, 16, 16], *renamed)))
    assert difference.counts["same"] == 3
    assert [(layer.base, layer.head) for layer in difference.layers] == [("a", "new_a"), ("b", "new_b"), ("c", "new_c")]


def test_an_inserted_layer_is_added_and_its_neighbours_stay_aligned() -> None:
    more = [THREE[0], conv("extra", 4, 7), *THREE[1:]]
    difference = compare(document_of(spec_of([1, 16, 16], *THREE)), document_of(spec_of([1, 16, 16], *more)))
    assert [(layer.status, layer.head) for layer in difference.layers] == [
        ("same", "a"),
        ("added", "extra"),
        ("changed", "b"),
        ("changed", "c"),
    ]
    assert difference.layers[2].changes["receptive_field.size"] == Change((7, 7), (13, 13), None)
    assert (difference.output.base.size, difference.output.head.size) == ((7, 7), (13, 13))


def test_a_removed_layer() -> None:
    difference = compare(document_of(spec_of([1, 16, 16], *THREE)), document_of(spec_of([1, 16, 16], *THREE[:2])))
    assert difference.layers[-1].status == "removed"
    assert difference.layers[-1].base == "c"


@pytest.mark.parametrize(
    ("budget", "held", "broken"),
    [
        ("max_parameters", 138_357_544, 138_357_543),
        ("max_parameters_change", 0.05, 0.04),
        ("max_connections_change", 1.05, 1.04),
        ("max_layers", 21, 20),
        ("min_receptive_field", 404, 405),
        ("min_connection_sparsity", 0.99, 0.9999),
    ],
)
def test_budgets_hold_up_to_their_limit(budget: str, held: float, broken: float) -> None:
    base, head = document_of(vgg_a()), document_of(vgg_16())
    assert compare(base, head, {budget: held}).verdict == "pass"
    assert compare(base, head, {budget: broken}).verdict == "fail"


def test_new_findings_break_their_budget() -> None:
    base = document_of(spec_of([1, 16, 16], conv("a", 1, 3)))
    head = document_of(spec_of([1, 16, 16], conv("a", 1, 3, dilation=2)))
    assert compare(base, head, {"no_new_findings": True}).budgets[0].value == ["gridding"]
    assert compare(base, head, {"no_new_findings": ["checkerboard"]}).verdict == "pass"
    assert compare(head, base, {"no_new_findings": True}).verdict == "pass"
    assert [finding.code for finding in compare(head, base).findings.gone] == ["gridding"]


def test_a_value_that_is_not_known_breaks_its_budget() -> None:
    """No weights were read, so the weights' sparsity is unknown: a gate must not pass on that."""
    report = document_of(vgg_a())
    assert compare(report, report, {"min_weight_sparsity": 0}).verdict == "fail"


@pytest.mark.parametrize("budgets", [{"max_speed": 1}, {"max_layers": "ten"}, {"max_layers": True}, {"no_new_findings": 3}])
def test_budgets_that_make_no_sense(budgets: dict[str, object]) -> None:
    report = document_of(spec_of([1, 8, 8], conv("a", 1, 3)))
    with pytest.raises(Refused):
        compare(report, report, budgets)


def test_every_budget_is_measured() -> None:
    report = document_of(spec_of([1, 8, 8], conv("a", 1, 3)))
    limits = {name: True if name == NO_NEW_FINDINGS else 0 for name in BUDGETS}
    assert [entry.budget for entry in compare(report, report, limits).budgets] == list(BUDGETS)


def test_junit_has_a_case_for_each_budget() -> None:
    report = document_of(spec_of([1, 8, 8], conv("a", 1, 3), name="<evil>"))
    xml = comparison_junit(compare(report, report, {"max_layers": 0, "max_parameters": 99})).decode()
    assert 'tests="2" failures="1"' in xml
    assert xml.count("<failure") == 1
    assert "<evil>" not in xml


def many(layers: list[Layer], count: int) -> list[Layer]:
    """So many layers, one after the other of those given."""
    return [replace(layers[i * 7 % len(layers)], name=f"layer{i}") for i in range(count)]


def test_two_graphs_of_twenty_thousand_layers_take_seconds() -> None:
    """Renamed, cut, and with layers put in; and two that have no layer in common. About 1 s each on a quiet machine."""
    report = document_of(spec_of([1, 16, 16], *THREE))
    base = replace(report, layers=tuple(many(list(report.layers), 20_000)))
    renamed = [replace(layer, name=f"new_{layer.name}") for layer in base.layers]
    put_in = [replace(layer, op="Other") for layer in many(list(report.layers), 100)]
    head = replace(report, layers=(*renamed[:5000], *put_in, *renamed[6000:]))
    start = process_time()
    assert compare(base, head).counts == {"same": 19_000, "changed": 0, "added": 100, "removed": 1000}
    others = tuple(replace(layer, op="Other", kind="other", name=f"o{i}") for i, layer in enumerate(base.layers))
    assert compare(base, replace(report, layers=others)).counts == {"same": 0, "changed": 0, "added": 20_000, "removed": 20_000}
    assert process_time() - start < 12


def test_partners_between_aligned_layers_are_of_one_name_before_one_kind() -> None:
    base = [conv("a", 4, 3), conv("b", 4, 5)]
    head = [conv("x", 2, 7), conv("b", 2, 9), conv("y", 2, 11)]
    difference = compare(document_of(spec_of([1, 32, 32], *base)), document_of(spec_of([1, 32, 32], *head)))
    assert [(layer.base, layer.head) for layer in difference.layers] == [("a", "x"), ("b", "b"), (None, "y")]
