"""Every page is held to WCAG 2.2 AA as far as axe-core can tell, in light and dark, and to the keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.web.conftest import settled, watched

pytestmark = pytest.mark.browser

ADDRESSES = {
    "home": "/",
    "overview": "/analyses/{photographs}",
    "findings": "/analyses/{hostile}/findings",
    "layers": "/analyses/{lenet-5}/layers",
    "receptive-field": "/analyses/{alexnet-2012}/receptive-field",
    "what-if": "/analyses/{alexnet-2012}/what-if",
    "filters": "/analyses/{photographs}/filters",
    "layer": "/analyses/{lenet-5}/layers/0?animate=true",
    "compare": "/compare?base={photographs}&head={photographs-pruned}&max_parameters=10&no_new_findings=true",
    "choice": "/compare",
    "learn": "/learn",
    "docs": "/docs",
    "impossible": "/learn?size=2&kernel=5",
    "worksheet": "/learn/worksheet/{lenet-5}?key=true",
    "deletion": "/analyses/{lenet-5}/delete",
    "nothing": "/analyses/sha256-" + "0" * 64,
    "report": "/v1/analyses/{photographs}.html",
}


# WCAG 2.2 AA and what axe-core calls best practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds on a page, by rule and element."""
    page.evaluate(axe)
    found = page.evaluate("async (rules) => (await axe.run(document, {runOnly: rules})).violations", RULES)
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_axe_finds_nothing(live: str, analyses: dict[str, str], browser: Browser, axe: str, name: str, scheme: str) -> None:
    if name == "nothing":
        # A missing page is a message on the console, so this one is not watched.
        page = browser.new_page(color_scheme=scheme)
        page.goto(live + ADDRESSES[name])
        assert violations(page, axe) == []
        page.close()
        return
    for page in watched(browser, color_scheme=scheme):
        page.goto(live + ADDRESSES[name].format(**analyses))
        settled(page)
        assert violations(page, axe) == []


def test_the_first_stop_of_the_keyboard_skips_to_the_content(live: str, page: Page) -> None:
    page.goto(live)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "model"
