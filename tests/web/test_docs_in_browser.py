"""The documentation page as a browser shows it, under its content security policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from service.api import create_app
from service.settings import Settings


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a service on a free port."""
    app = create_app(Settings(data_dir=tmp_path))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["receptive"].close()


@pytest.mark.browser
def test_docs_show_every_route_and_the_browser_complains_of_nothing(address: str, chromium_path: str) -> None:
    complaints: list[str] = []
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that root in a container does not have; the page is ours.
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/docs")
        text = page.inner_text("body")
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        paths = page.request.get(f"{address}/openapi.json").json()["paths"]
        browser.close()
    assert [path for path in paths if path not in text] == []
    assert wider <= 0, "the page fits on a telephone"
    assert complaints == []
