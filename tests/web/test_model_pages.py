"""The pages of watched models and of the fleet, and pages inside panels of others."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from tests.api.test_watched_models import spec


@pytest.fixture(scope="module")
def watched_models(live: str) -> Iterator[str]:
    """A model of two versions whose newest one breaks a budget; its name is hostile."""
    name = "<b>net & 'co'"
    for version, kernel in (("1", 5), ("2", 3)):
        call(live, "POST", f"/v1/analyses?model={urllib.request.quote(name)}&version={version}", spec(kernel, name="watched"))
    call(live, "PATCH", f"/v1/models/{urllib.request.quote(name)}", {"budgets": {"min_receptive_field": 6}})
    yield name
    call(live, "DELETE", f"/v1/models/{urllib.request.quote(name)}")


def call(live: str, method: str, path: str, body: Any = None) -> None:
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    urllib.request.urlopen(urllib.request.Request(live + path, content, headers, method=method)).close()


@pytest.fixture(scope="module")
def client(live_app: Any) -> FlaskClient:
    return live_app.test_client()


def test_models_are_listed_with_verdict_and_change(client: FlaskClient, watched_models: str) -> None:
    text = client.get("/models").text
    assert "&lt;b&gt;net" in text and "<b>net" not in text
    row = text[text.index("&lt;b&gt;net") :]
    assert "broken" in row and "−28.6 %" in row and "<polyline" in row
    assert "No model is watched yet" not in text


def test_model_page_shows_verdicts_history_and_two_versions(client: FlaskClient, watched_models: str) -> None:
    address = re.search(r'href="(/models/[^"]+net[^"]+)"', client.get("/models").text)
    assert address is not None
    text = client.get(address[1]).text
    assert "min_receptive_field" in text and 'data-chart="/v1/models/' in text and "Two versions side by side" in text
    assert client.get(f"{address[1]}?left=2&right=1").status_code == 200
    assert client.get(f"{address[1]}?left=nowhere").status_code == 404
    assert client.get("/models/nobody").status_code == 404
    assert 'data-query="?metric=receptive.layers"' in client.get(f"{address[1]}/history?metric=receptive.layers").text


def test_fleet_page_says_what_to_look_at_first(client: FlaskClient, watched_models: str) -> None:
    text = client.get("/fleet").text
    assert "What to look at first" in text and "min_receptive_field" in text and "Receptive field against input" in text


@pytest.mark.parametrize("path", ["/models", "/fleet", "/analyses/{id}", "/analyses/{id}/layers", "/analyses/{id}/charts/sharing"])
def test_embedded_page_has_no_frame_of_its_own(client: FlaskClient, analyses: dict[str, str], path: str) -> None:
    address = path.format(id=analyses["lenet-5"])
    whole, inner = client.get(address).text, client.get(f"{address}?embed=1&theme=dark").text
    assert '<header class="bar">' in whole and '<header class="bar">' not in inner and 'data-theme="dark"' in inner
    assert "data-theme" not in client.get(f"{address}?theme=x%22onload").text
    for tabs in re.findall(r'<nav class="tabs".*?</nav>', inner, re.DOTALL):
        assert set(re.findall(r"embed=1", tabs)) and not re.search(r'href="[^"?]*"', tabs), "its tabs stay inside the panel"


def test_oembed_frames_our_pages_and_nothing_else(client: FlaskClient, analyses: dict[str, str]) -> None:
    page = f"http://localhost/analyses/{analyses['lenet-5']}?x=%22%3E%3Cscript%3E"
    answer = client.get("/oembed", query_string={"url": page, "maxwidth": 300}).json
    assert (answer["type"], answer["version"], answer["width"]) == ("rich", "1.0", 300)
    assert "embed=1" in answer["html"] and "<script" not in answer["html"]
    for other in ("http://elsewhere/analyses/x", "http://localhost/v1/analyses", "http://localhost/nothing", "file:///etc/passwd"):
        assert client.get("/oembed", query_string={"url": other}).json["code"] == "not-found"
    found = re.search(r'oembed" href="([^"]+)"', client.get("/fleet").text)
    assert found is not None and client.get(found[1]).json["type"] == "rich"


@pytest.mark.browser
def test_page_keeps_itself_up_to_date(live: str, page: Page, watched_models: str) -> None:
    page.goto(f"{live}/models")
    expect(page.locator("table")).not_to_contain_text("brought later")
    page.wait_for_timeout(200)
    call(live, "POST", "/v1/analyses?model=brought%20later&version=1", spec(3, name="watched"))
    expect(page.locator("table")).to_contain_text("brought later")
    call(live, "DELETE", "/v1/models/brought%20later")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_history_is_drawn_and_nothing_is_wider_than_the_page(live: str, page: Page, watched_models: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{live}/models/{urllib.request.quote(watched_models)}/history?embed=1&metric=receptive.layers")
    expect(page.locator(".chart canvas")).to_be_visible()
    for path in ("/models", f"/models/{urllib.request.quote(watched_models)}", "/fleet"):
        page.goto(live + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    box = page.evaluate("innerWidth")
    assert box == width
