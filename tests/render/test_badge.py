"""Badges: the text is the report's number, short enough for a badge."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from service.render.figures.badge import METRICS, badge_svg, endpoint, verdict
from service.report.comparison import compare
from service.report.document import Connections
from tests import networks
from tests.reports import document_of

LENET = document_of(networks.example("lenet-5"))
SAME = compare(LENET, LENET)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        # LeCun et al. 1998: 60,000 trainable parameters; 340,908 connections, of which 8,084 are to biases.
        ("parameters", "60k"),
        ("connections", "333k"),
        ("receptive-field", "32×32 px"),
        ("sparsity", "97.4 %"),
        ("weight-sparsity", "unknown"),
    ],
)
def test_message_is_the_reports_number(metric: str, message: str) -> None:
    assert endpoint(LENET, metric).message == message


def test_a_sequence_is_counted_in_positions() -> None:
    report = document_of(networks.spec_of([1, 4000], networks.conv("long", 1, 1500)))
    assert endpoint(report, "receptive-field").message == "1,500 positions"


def test_large_numbers_have_a_prefix() -> None:
    for value, text in ((0, "0"), (999, "999"), (1000, "1k"), (61_100_840, "61.1M"), (4_111_514_624, "4.11G"), (None, "unknown")):
        report = replace(LENET, summary=replace(LENET.summary, connections=Connections(value, 0, 0, 0, None)))
        assert endpoint(report, "connections").message == text


@pytest.mark.parametrize("metric", METRICS)
def test_endpoint_is_what_shields_io_asks_for(metric: str) -> None:
    """shields.io/badges/endpoint-badge: schemaVersion 1, label and message."""
    badge = endpoint(LENET, metric)
    assert badge.schemaVersion == 1 and badge.label and badge.message
    assert badge == endpoint(LENET, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_svg_says_the_same(metric: str) -> None:
    badge = endpoint(LENET, metric)
    root = ElementTree.fromstring(badge_svg(badge))
    assert [text.text for text in root.iter(f"{SVG}text")] == [badge.label, badge.message]
    assert root.findtext(f"{SVG}title") == f"{badge.label}: {badge.message}"
    widths = [float(box.attrib["width"]) for box in root.iter(f"{SVG}rect")]
    assert sum(widths) == float(root.attrib["width"])


def test_verdict_is_told_by_word_and_colour() -> None:
    said = [verdict(replace(SAME, verdict=each)) for each in ("pass", "fail", "none")]
    assert [badge.message for badge in said] == ["within budget", "over budget", "no budget"]
    assert len({badge.color for badge in said}) == 3
