"""A comparison's budgets as JUnit XML, which every CI system shows as tests: one test case for each budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from service.render.difference import difference

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def comparison_junit(comparison: Mapping[str, Any]) -> bytes:
    """JUnit XML (the schema of the Ant task, as Jenkins and GitLab read it) with a failure for each broken budget."""
    budgets = difference(comparison).budgets
    broken = [budget for budget in budgets if not budget.passed]
    suite = ElementTree.Element(
        "testsuite", name="receptive budgets", tests=str(len(budgets)), failures=str(len(broken)), errors="0", skipped="0"
    )
    for side in ("base", "head"):
        named = comparison[side]
        properties = suite.find("properties")
        properties = ElementTree.SubElement(suite, "properties") if properties is None else properties
        ElementTree.SubElement(properties, "property", name=side, value=_text(named["name"] or named["digest"]))
    for budget in budgets:
        case = ElementTree.SubElement(suite, "testcase", classname="receptive.budgets", name=budget.name)
        if not budget.passed:
            said = _text(f"{budget.label}: the limit is {budget.limit}, the value is {budget.value}")
            ElementTree.SubElement(case, "failure", message=said, type="budget").text = said
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _text(value: object) -> str:
    """Text without the characters that XML 1.0 forbids."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else _REPLACEMENT for c in str(value)
    )
