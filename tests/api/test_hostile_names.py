"""Names that are markup, formulas, line breaks or reordering characters are text in every format, in headers and in the log."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from tests.bad_inputs.hostile_names import HOSTILE_NAMES, hostile_model

HIDDEN = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def base(http: FlaskClient) -> str:
    """The address of the report on the hostile model."""
    answer = http.post("/v1/analyses", data=hostile_model(), content_type="application/onnx")
    assert answer.status_code == 201
    return str(answer.headers["Location"])


class Elements(HTMLParser):
    """The elements of an HTML document, and the attributes by which one could act."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.acting: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.acting += [name for name, value in attrs if name.startswith("on") or (value or "").startswith("javascript:")]


@pytest.mark.parametrize(
    "address",
    [
        "badge.svg?metric=findings",
        "receptive-field.svg",
        "sharing.svg",
        *(f"layers/{index}/connectivity.svg?view={view}" for index in (0, 1, 5) for view in ("graph", "matrix&animate=true")),
    ],
)
def test_pictures_are_drawings_and_nothing_else(http: FlaskClient, base: str, address: str) -> None:
    answer = http.get(f"{base}/{address}")
    assert answer.status_code == 200
    root = ElementTree.fromstring(answer.data)
    for element in root.iter():
        assert element.tag.rpartition("}")[2] not in ("script", "image", "iframe", "use", "a"), element.tag
        assert not [name for name in element.attrib if name.rpartition("}")[2].startswith("on")]
    assert not HIDDEN.search(answer.text)


@pytest.mark.parametrize("suffix", [".html", ".md", ".csv", "/layers.csv"])
def test_reports_hold_no_hidden_character(http: FlaskClient, base: str, suffix: str) -> None:
    answer = http.get(base + suffix)
    assert answer.status_code == 200
    assert not HIDDEN.search(answer.text)


def test_html_has_no_element_or_action_of_a_name(http: FlaskClient, base: str) -> None:
    elements = Elements(http.get(f"{base}.html").text)
    assert elements.names.count("script") == elements.names.count("style") == 1
    assert (
        "b"
        not in Elements(http.get(f"{base}.html").text.replace("<b>pixels-never-read</b>", "").replace("<b>duplicate-weights</b>", "")).names
    )
    assert elements.acting == []


def test_markdown_has_no_markup_of_a_name(http: FlaskClient, base: str) -> None:
    text = http.get(f"{base}.md").text
    assert not re.search(r"://|www\.|@[a-z]|<(?!/?sub>)", text)
    assert not re.search(r"(?<!\\)[`*\[\]]", text.split("### Layers")[1])
    rows = [line for line in text.splitlines() if " convolution " in line]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [10] * len(HOSTILE_NAMES)


def test_csv_has_a_row_for_each_layer_and_no_formula(http: FlaskClient, base: str) -> None:
    rows = list(csv.DictReader(io.StringIO(http.get(f"{base}.csv").text, newline="")))
    assert len(rows) == len(HOSTILE_NAMES)
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "@"))]


@pytest.mark.parametrize("accept", ["application/xml", "text/markdown", "text/html", "application/json"])
def test_comparisons(http: FlaskClient, base: str, accept: str) -> None:
    report = http.get(base).get_json()
    body = {"base": report["id"], "head": report["id"], "budgets": {"max_layers": 1, "no_new_findings": True}}
    answer = http.post("/v1/comparisons", json=body, headers={"Accept": accept})
    assert answer.status_code == 200
    assert not HIDDEN.search(answer.text)
    if accept == "application/xml":
        suite = ElementTree.fromstring(answer.data)
        assert {element.tag for element in suite.iter()} <= {"testsuite", "properties", "property", "testcase", "failure"}


def test_headers_are_one_line_of_ascii(http: FlaskClient, base: str) -> None:
    for suffix in ("", ".html", ".csv", "/layers?limit=1", "/filters.png", "/layers/0"):
        for name, value in http.get(base + suffix).headers:
            assert re.fullmatch(r"[ -~]*", value), (suffix, name, value)


def test_names_in_addresses_and_log_lines(http: FlaskClient, base: str, capfd: pytest.CaptureFixture[str]) -> None:
    for name in HOSTILE_NAMES:
        assert http.get(f"{base}/layers/" + "".join(f"%{byte:02x}" for byte in name.encode())).status_code == 200
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == len(HOSTILE_NAMES)
    for line in lines:
        assert json.loads(line)["status"] == 200
        assert line.isascii() and line.isprintable()


def test_a_name_of_a_megabyte_is_refused_or_short(http: FlaskClient, base: str) -> None:
    answer = http.post(f"/v1/analyses?name={'x' * 5000}", data=hostile_model(), content_type="application/onnx")
    assert answer.status_code == 422
    assert len(answer.data) < 2000
