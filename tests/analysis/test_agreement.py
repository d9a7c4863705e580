"""What the reports of one model at several stand-in lengths agree on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.analysis.agreement import agreed
from service.report.document import Connections, Finding, Layer, LayerField, Report
from service.report.plain import of_plain
from tests import networks
from tests.reports import report_of

REPORT = of_plain(Report, report_of(networks.example("lenet-5")))
LAYER = REPORT.layers[0]


def test_equal_reports_are_one() -> None:
    assert agreed(Report, [REPORT, REPORT]) is REPORT


def test_numbers_that_differ_are_not_known() -> None:
    assert agreed(Connections, [Connections(1, 2, 3, 4, None), Connections(1, 2, 3, 5, 6)]) == Connections(1, 2, 3, None, None)


def test_a_part_that_only_one_has_is_not_known() -> None:
    assert agreed(Layer, [LAYER, replace(LAYER, connections=None)]).connections is None


def test_axes_are_held_against_each_other() -> None:
    other = replace(LAYER, output_shape=(1, 6, 28, 30), attributes={**LAYER.attributes, "kernel": [5, 7]})
    made = agreed(Layer, [LAYER, other])
    assert made.output_shape == (1, 6, 28, None)
    assert made.attributes["kernel"] == [5, None]


def test_attributes_are_those_that_all_have() -> None:
    made = agreed(Layer, [LAYER, replace(LAYER, attributes={"kernel": [5, 5], "mode": "max"})])
    assert made.attributes == {"kernel": [5, 5]}


def test_sizes_of_another_number_of_axes_are_not_known() -> None:
    field = LAYER.receptive_field
    assert field is not None
    assert agreed(LayerField, [field, replace(field, phases=None)]).phases is None


def test_findings_are_those_that_all_have() -> None:
    first, second = (Finding(code, "info", None, "", {}) for code in ("first", "second"))
    made = agreed(Report, [replace(REPORT, findings=(first, second)), replace(REPORT, findings=(second,))])
    assert made.findings == (second,)


@pytest.mark.parametrize("change", [{"kind": "dense"}, {"name": "other"}, {"index": 7}])
def test_what_must_be_there_is_that_of_the_first(change: dict[str, object]) -> None:
    assert agreed(Layer, [LAYER, replace(LAYER, **change)]) == LAYER  # type: ignore[arg-type]
