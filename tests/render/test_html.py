"""HTML reports and comparisons: complete, escaped, of bounded size."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.render.figures.png import encode_png
from service.render.html import PICTURES, comparison_html, report_html
from service.render.words.difference import BUDGET_FIELDS
from service.render.words.explain import explain
from service.render.words.view import MOST_MESSAGES, MOST_ROWS, rows
from service.report.comparison import BUDGETS, compare
from service.report.document import Finding, Report
from service.report.plain import plain_object, read_report
from service.report.quantities import QUANTITIES
from tests import networks
from tests.bad_inputs.hostile_names import HOSTILE_NAMES, MODEL_NAME
from tests.reports import document_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MEGABYTE = 1_000_000


class Document(HTMLParser):
    """The text of a document, its elements, and the addresses that it would load."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(document.decode())
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "data", "action", "xlink:href")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def lenet() -> Report:
    return document_of(json.loads((EXAMPLES / "lenet-5.json").read_text()))


@pytest.fixture(scope="module")
def resnet() -> Report:
    return document_of(networks.resnet_v1_50())


def renamed(report: Report) -> Report:
    """The report with hostile names wherever a model has names."""
    text = json.dumps(plain_object(report))
    for number, layer in enumerate(report.layers):
        hostile = HOSTILE_NAMES[number % len(HOSTILE_NAMES)] + str(number)
        text = text.replace(json.dumps(layer.name), json.dumps(hostile))
    result = read_report(text)
    odd = (Finding("gridding", "warning", layer.name, f"{layer.name} is odd", {}) for layer in result.layers)
    return replace(result, model=replace(result.model, name=MODEL_NAME, producer=MODEL_NAME), findings=(*result.findings, *odd))


def test_every_derivation_is_in_the_report(lenet: Report) -> None:
    text = Document(report_html(lenet)).text
    shown = {quantity.path for quantity in QUANTITIES if quantity.shown is not None}
    lines = [line for layer in lenet.layers for path, line in explain(lenet, layer).items() if path in shown]
    assert len(lines) > 150
    assert [line for line in lines if line not in text] == []


def test_the_summary_is_in_words_with_units(lenet: Report) -> None:
    text = Document(report_html(lenet)).text
    # LeCun et al. 1998: 60,000 parameters; 332,824 connections without the 8,084 biases of 340,908.
    assert "332,824 connections are made by 59,752 weights, so each weight is used 5.57 times" in text
    assert "12,929,320 connections; 332,824 of them exist" in text
    assert "One unit of the output sees 32×32 pixels of an input of 32×32" in text
    assert "flop" not in text.lower()


def test_a_report_loads_nothing(lenet: Report) -> None:
    png = encode_png(np.zeros((2, 2, 3), np.uint8), {})
    document = Document(report_html(lenet, dict.fromkeys(PICTURES, png)))
    assert [each for each in document.addresses if not each.startswith(("#", "data:image/png;base64,"))] == []
    assert document.elements.count("img") == len(PICTURES)
    assert "link" not in document.elements


def test_pictures_have_names_that_are_known(lenet: Report) -> None:
    with pytest.raises(KeyError):
        report_html(lenet, {"unknown": b""})


def test_findings_come_before_charts_and_tables(resnet: Report) -> None:
    document = report_html(resnet)
    places = [document.index(mark) for mark in (b'id="findings"', b'id="receptive-field"', b'id="sharing"', b'<table class="layers"')]
    assert places == sorted(places)


def test_hostile_names_are_text(resnet: Report) -> None:
    hostile = renamed(resnet)
    plain, changed = Document(report_html(resnet)), Document(report_html(hostile))
    assert changed.elements.count("script") == plain.elements.count("script") == 1
    assert changed.elements.count("style") == plain.elements.count("style") == 1
    assert "img" not in changed.elements
    assert changed.handlers == []
    assert "\u202e" not in changed.text and "\\u202e" in changed.text
    assert "two\\u000alines\\u0000\\u2028" in changed.text
    assert "49" not in re.findall(r"\{\{ ?7\*7 ?\}\}|(?<!\d)49(?= ?</style)", changed.text), "a name is no template"
    assert "n" * 600 not in changed.text


def test_a_name_of_a_megabyte_is_shortened(lenet: Report) -> None:
    before = len(report_html(lenet))
    first = replace(lenet.layers[0], name="x" * (1 << 20))
    changed = replace(lenet, layers=(first, *lenet.layers[1:]), model=replace(lenet.model, name="y" * (1 << 20)))
    assert len(report_html(changed)) < before + 10_000


def test_resnet_50_is_below_a_megabyte(resnet: Report) -> None:
    assert len(report_html(resnet)) < MEGABYTE


def test_two_thousand_layers_are_below_six_megabytes() -> None:
    layers = []
    for number in range(1000):
        layers.append({"name": f"stage{number // 10}/unit{number % 10}/conv", "type": "conv", "filters": 8, "kernel": 3, "padding": 1})
        layers.append({"name": f"stage{number // 10}/unit{number % 10}/relu", "type": "activation", "function": "relu"})
    document = report_html(document_of({"receptive": 1, "name": "deep", "input": {"shape": [3, 32, 32]}, "layers": layers}))
    assert len(document) < 6 * MEGABYTE
    assert document.count(b'<tbody id="layer-') == 2000


def test_a_table_ends_where_a_browser_would_suffer(lenet: Report) -> None:
    layer = lenet.layers[0]
    layers = (replace(layer, index=index, name=f"l{index}", outputs=(f"l{index}",)) for index in range(MOST_ROWS + 7))
    many = replace(lenet, layers=tuple(layers))
    document = report_html(many)
    assert document.count(b'<tbody id="layer-') == MOST_ROWS
    assert f"the first {MOST_ROWS:,} of {MOST_ROWS + 7:,} layers".encode() in document
    assert [row.index for row in rows(many, MOST_ROWS)] == list(range(MOST_ROWS, MOST_ROWS + 7))


def test_many_findings_are_counted_and_the_first_are_shown(lenet: Report) -> None:
    finding = Finding("gridding", "warning", "c1", "odd", {})
    text = Document(report_html(replace(lenet, findings=(finding,) * (MOST_MESSAGES + 50)))).text
    assert f"{MOST_MESSAGES + 50} times" in text
    assert "And 50 more" in text
    assert text.count("odd") == MOST_MESSAGES


@pytest.mark.parametrize(
    "layers",
    [
        [{"name": "d", "type": "dense", "units": 3}],
        [{"name": "r", "type": "activation", "function": "relu"}],
    ],
    ids=["nothing but dense", "nothing with weights"],
)
def test_reports_without_much_in_them(layers: list[dict[str, Any]]) -> None:
    assert b"</html>" in report_html(document_of({"receptive": 1, "name": "small", "input": {"shape": [5]}, "layers": layers}))


def test_a_model_compared_with_itself_shows_nothing(lenet: Report) -> None:
    text = Document(comparison_html(compare(lenet, lenet))).text
    assert "12 layers unchanged" in text
    assert "Every number of the model is the same." in text
    assert "every layer has its equal on the other side" in text


def test_a_comparison_shows_verdict_budgets_and_layers(lenet: Report, resnet: Report) -> None:
    comparison = compare(lenet, resnet, {"max_parameters": 1_000_000, "min_receptive_field": 100})
    text = Document(comparison_html(comparison)).text
    assert "A budget is broken" in text
    assert re.search(r"parameters, at most\s*max_parameters\s+1,000,000\s+23,454,912\s+broken", text)
    assert re.search(r"min_receptive_field\s+100 pixels\s+483 pixels\s+holds", text)
    assert "block1/unit_1/shortcut" in text


def test_hostile_names_are_text_in_comparisons(lenet: Report, resnet: Report) -> None:
    document = Document(comparison_html(compare(renamed(lenet), renamed(resnet))))
    assert {"script", "img"}.isdisjoint(document.elements)
    assert document.handlers == []
    assert "\u202e" not in document.text
    assert html.unescape("&lt;script&gt;document") in document.text


def test_every_budget_has_a_field_in_the_form() -> None:
    assert [field.name for field in BUDGET_FIELDS] == list(BUDGETS)
