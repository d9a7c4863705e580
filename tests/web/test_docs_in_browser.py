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


@pytest.mark.browser
def test_the_interface_can_be_tried_on_a_page(live: str, browser: Browser) -> None:
    """The page shows every operation, and one that is executed is answered by this service."""
    for page in watched(browser):
        page.goto(f"{live}/docs/try")
        page.locator(".opblock-summary-path", has_text="/livez").first.wait_for()
        page.locator(".opblock", has_text="/livez").first.locator("button.opblock-summary-control, .opblock-summary").first.click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response(f"{live}/livez") as answer:
            page.get_by_role("button", name="Execute").click()
        assert answer.value.status == 200
