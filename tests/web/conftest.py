"""A running service, a browser, and some analyses, shared by all tests of the pages."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from tests.bad_inputs.hostile_names import hostile_model
from tests.serving import served

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
AXE = REPOSITORY / "tests" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def live_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data"), log_level="ERROR", wait_seconds=120.0))
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture(scope="session")
def live(live_app: Flask) -> Iterator[str]:
    """The address of the service on a free port."""
    with served(live_app) as address:
        yield address


def analyse(address: str, body: bytes, kind: str, name: str = "") -> str:
    """The id of the analysis of a model."""
    query = f"?name={name}" if name else ""
    request = urllib.request.Request(f"{address}/v1/analyses{query}", body, {"Content-Type": kind, "Prefer": "wait=60"})
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["id"])


@pytest.fixture(scope="session")
def analyses(live: str) -> dict[str, str]:
    """The ids of some analyses by name."""
    known = {path.stem: analyse(live, path.read_bytes(), "application/json") for path in sorted(EXAMPLES.glob("*.json"))}
    for path in sorted(EXAMPLES.glob("*.onnx")):
        known[path.stem] = analyse(live, path.read_bytes(), "application/onnx", path.stem)
    known["hostile"] = analyse(live, hostile_model(), "application/onnx")
    return known


expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that root in a container does not have; the pages are ours.
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page about which the browser has nothing to complain."""
    yield from watched(browser)


def watched(browser: Browser, **context: Any) -> Iterator[Page]:
    """A page in a context of its own; fails when the console showed anything."""
    complaints: list[str] = []
    inner = browser.new_context(**context)
    inner.set_default_timeout(90_000)  # a machine that does much else draws slowly
    shown = inner.new_page()
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    yield shown
    inner.close()
    assert complaints == []


def settled(page: Page) -> None:
    """Waits until everything on a page is there: its drawings, which the load event awaits, and its charts, which a script brings."""
    page.wait_for_load_state("load")
    expect(page.locator("[data-chart]:not(:has(canvas, img))")).to_have_count(0)


def until(page: Page, condition: str, argument: Any = None, seconds: float = 90.0) -> None:
    """Waits until a JavaScript condition holds.

    Playwright's own wait_for_function compiles text inside the page when the condition does not hold at once, and the page's content
    security policy forbids that.
    """
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition, argument):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core; a test that asks for it is skipped where it is not installed."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (make test-packages installs it through npm)")
    return AXE.read_text()
