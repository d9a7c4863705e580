"""The documentation page as a browser shows it, under its content security policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import watched


@pytest.mark.browser
def test_docs_show_every_route_and_the_browser_complains_of_nothing(live: str, browser: Browser) -> None:
    for page in watched(browser, viewport={"width": 390, "height": 800}):
        page.goto(f"{live}/docs")
        text = page.inner_text("body")
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        paths = page.request.get(f"{live}/openapi.json").json()["paths"]
        assert [path for path in paths if path not in text] == []
        assert wider <= 0, "the page fits on a telephone"
