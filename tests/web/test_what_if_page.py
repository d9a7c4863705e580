"""The page on which a network is changed: numbers follow, links hold the edits, proposals are applied, and a variant is kept."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from service.render.words.geometry import geometry_texts, has_window
from tests.networks import conv, pool, spec_of
from tests.reports import document_of
from tests.web.conftest import analyse

pytestmark = pytest.mark.browser

TIGHT = spec_of([1, 7, 7], conv("a", 2, 3), pool("p", 2, 2), conv("b", 2, 3), conv("c", 2, 3), name="tight")


def test_geometry_is_written_as_it_is_typed() -> None:
    odd = conv("a", 2, [3, 5], 2, [[1, 2], [2, 2]])
    report = document_of(spec_of([1, 16, 16], odd, conv("b", 2, 3, 1, 1), {"name": "flat", "type": "flatten"}))
    first, second, flat = report.layers
    assert geometry_texts(first) == {"kernel": "3,5", "stride": "2", "dilation": "1", "padding": "1:2,2"}
    assert geometry_texts(second) == {"kernel": "3", "stride": "1", "dilation": "1", "padding": "1"}
    assert [has_window(layer) for layer in (first, second, flat)] == [True, True, False]


@pytest.fixture
def tight(live: str, page: Page) -> Page:
    """The page of a network whose last layer is unproductive."""
    report_id = analyse(live, json.dumps(TIGHT).encode(), "application/json")
    page.goto(f"{live}/analyses/{report_id}/what-if")
    return page


def total(page: Page, name: str) -> str:
    return page.locator("#totals tr", has_text=name).locator("td").last.inner_text()


def test_numbers_follow_what_is_typed_and_go_back(tight: Page) -> None:
    assert total(tight, "unproductive layers") == "1"
    tight.fill("[data-layer=p] input[name=stride]", "1")
    expect(tight.locator("#totals tr", has_text="unproductive layers").locator("td").last).to_have_text("0")
    expect(tight.locator("[data-layer=c] [data-number=field]")).to_have_text("8×8")
    assert tight.locator("#growth .would").get_attribute("points") != tight.locator("#growth .was").get_attribute("points")
    asked = json.loads(parse_qs(urlsplit(tight.url).query)["edits"][0])
    assert asked == {"edits": [{"layer": "p", "set": {"stride": 1}}], "input_shapes": {}}
    tight.reload()
    expect(tight.locator("[data-layer=p] input[name=stride]")).to_have_value("1")
    expect(tight.locator("#totals tr", has_text="unproductive layers").locator("td").last).to_have_text("0")
    tight.check("[data-layer=c] input[name=remove]")
    expect(tight.locator("[data-layer=c] [data-number=field]")).to_have_text("")
    tight.click("#undo")
    expect(tight.locator("[data-layer=c] [data-number=field]")).to_have_text("8×8")
    tight.click("#clear")
    expect(tight.locator("#totals tr", has_text="unproductive layers").locator("td").last).to_have_text("1")
    assert urlsplit(tight.url).query == ""


def test_proposal_is_applied_and_kept(tight: Page) -> None:
    tight.select_option("#goals select", "productive")
    tight.click("#goals button")
    first = tight.locator("#proposals li", has_text="p: stride 2 → 1").first
    expect(first).to_be_visible()
    first.get_by_role("button", name="Apply").click()
    expect(tight.locator("[data-layer=p] input[name=stride]")).to_have_value("1")
    tight.click("#keep")
    expect(tight.locator("#markdown")).to_be_visible()
    text = tight.locator("#markdown").input_value()
    assert '{"layer":"p","set":{"stride":1}}' in text
    assert "## tight" in text
    tight.click("#kept")
    expect(tight.locator("h1")).to_have_text("tight")


def test_page_says_what_it_needs_without_its_script(live: str, http_page: FlaskClient) -> None:
    report_id = analyse(live, json.dumps(TIGHT).encode(), "application/json")
    text = http_page.get(f"/analyses/{report_id}/what-if").get_data(as_text=True)
    assert text.count("<tbody data-layer=") == 4
    assert f"POST /v1/analyses/{report_id}/variants" in text


@pytest.fixture
def http_page(live_app: Flask) -> FlaskClient:
    return live_app.test_client()
