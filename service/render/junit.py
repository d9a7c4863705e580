"""A comparison's budgets as JUnit XML, which every CI system shows as tests: one test case for each budget."""

from __future__ import annotations

from xml.etree import ElementTree

from service.render.words.difference import difference
from service.report.comparison import Comparison


def comparison_junit(comparison: Comparison) -> bytes:
    """JUnit XML (the schema of the Ant task, as Jenkins and GitLab read it) with a failure for each broken budget.

    The words of a difference hold no character that XML 1.0 forbids, because none that is hidden is left in them.
    """
    said = difference(comparison)
    budgets = said.budgets
    broken = [budget for budget in budgets if not budget.passed]
    suite = ElementTree.Element(
        "testsuite", name="receptive budgets", tests=str(len(budgets)), failures=str(len(broken)), errors="0", skipped="0"
    )
    properties = ElementTree.SubElement(suite, "properties")
    for side, name in (("base", said.base), ("head", said.head)):
        ElementTree.SubElement(properties, "property", name=side, value=name)
    for budget in budgets:
        case = ElementTree.SubElement(suite, "testcase", classname="receptive.budgets", name=budget.name)
        if not budget.passed:
            message = f"{budget.label}: the limit is {budget.limit}, the value is {budget.value}"
            ElementTree.SubElement(case, "failure", message=message, type="budget").text = message
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
