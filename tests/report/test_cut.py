"""The bound of a report: it holds whatever is in it, the totals stay, and a finding says what is missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from service.faults import Refused
from service.render.told import TOLD
from service.report.cut import written_within
from service.report.document import Finding, Report
from service.report.layers import layer_places, layers_of
from service.report.plain import read_report, write_report
from service.report.quantities import flat_numbers
from tests.networks import conv, spec_of
from tests.reports import document_of

PAGES = [name for name in TOLD if name.startswith("page") and name != "page-layer"]


@pytest.fixture(scope="module")
def deep() -> Report:
    return document_of(spec_of([3, 16, 16], *(conv(f"c{number}", 3, 3, padding=1) for number in range(200))))


def noted(report: Report) -> Report:
    """With many findings, the worst one last."""
    told = [Finding("some", "info", None, "x" * 500, {}) for _ in range(300)]
    return replace(report, findings=(*told, Finding("worst", "error", None, "It is bad.", {})))


def test_report_within_the_bound_is_whole(deep: Report) -> None:
    text = write_report(deep)
    assert written_within(deep, len(text)) == (deep, text)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1])
def test_cut_report_says_what_it_leaves_out_and_keeps_its_totals(deep: Report, share: float) -> None:
    whole = noted(deep)
    bound = int(len(write_report(whole)) * share)
    shown, text = written_within(whole, bound)
    assert bound * 0.5 < len(text) <= bound and read_report(text) == shown
    cut = shown.findings[0]
    assert (cut.code, cut.severity) == ("report-cut", "warning")
    for name, counts in cut.data.items():
        assert counts == [len(getattr(shown, name)) - (name == "findings"), len(getattr(whole, name))]
    assert cut.data and "worst" in [each.code for each in shown.findings]
    assert shown.layers == whole.layers[: len(shown.layers)] and shown.summary == whole.summary
    assert flat_numbers(shown)["receptive.parameters"] == flat_numbers(whole)["receptive.parameters"]


def test_everything_can_be_told_of_a_cut_report(deep: Report) -> None:
    shown, _ = written_within(noted(deep), 40_000)
    assert 0 < len(shown.layers) < 50
    for name in ("csv", "md", "metrics"):
        assert TOLD[name](shown)
    for name in PAGES:
        assert b"</html>" in TOLD[name](shown, here="/analyses/x", asked={})
    with pytest.raises(Refused, match="no layer"):
        TOLD["layer"](shown, wanted="c199")


def test_report_that_cannot_be_cut_is_refused(deep: Report) -> None:
    with pytest.raises(Refused) as refused:
        written_within(deep, 300)
    assert (refused.value.fault, refused.value.code) == ("limit", "report-too-large")


@pytest.mark.parametrize("layers", [0, 1, 200])
def test_each_layer_is_found_where_it_lies(deep: Report, layers: int) -> None:
    shown = replace(deep, layers=deep.layers[:layers], options=replace(deep.options, input_shapes={"layers": (1, 2)}))
    text = write_report(shown)
    places = layer_places(text)
    assert len(places) == layers + 1
    assert [one for start, stop in pairwise(places) for one in layers_of(text[start:stop])] == list(shown.layers)
    assert layers_of(text[places[0] : places[-1]]) == list(shown.layers)
