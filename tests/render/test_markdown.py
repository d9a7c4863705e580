"""Markdown for pull requests: complete, and no name of a layer can be more than text."""

from __future__ import annotations

from service.analysis.comparison import compare
from service.render.markdown import MOST_LAYERS, comparison_markdown, report_markdown, safe
from tests import networks
from tests.reports import report_of


def test_the_report_says_what_the_model_shares_skips_and_sees() -> None:
    text = report_markdown(report_of(networks.example("lenet-5"))).decode()
    assert "| connections \\(exact\\) | 332,824 |" in text
    assert "| c1 | convolution | 1×6×28×28 | 156 | 117,600 | 784 | 97.559 % | 5×5 | 1×1 |" in text


def test_names_are_text() -> None:
    """Markup, mentions, links, line breaks and characters that reorder what is read."""
    assert safe("<script>") == "&lt;script&gt;"
    assert safe("a|b\nc") == "a\\|b\\\\u000ac"
    assert safe("\u202eevil") == "\\\\u202eevil"
    assert "@" not in safe("@everyone")
    assert "://" not in safe("https://example.org")
    assert safe("[x](y)") == "\\[x\\]\\(y\\)"


def test_a_long_table_ends() -> None:
    layers = [networks.conv(f"c{i}", 1, 1) for i in range(MOST_LAYERS + 7)]
    text = report_markdown(report_of(networks.spec_of([1, 8, 8], *layers))).decode()
    assert "… and 7 more layers." in text


def test_a_comparison_leads_with_the_verdict() -> None:
    base, head = report_of(networks.vgg_a()), report_of(networks.vgg_16())
    text = comparison_markdown(compare(base, head, {"max_parameters": 1})).decode()
    assert text.startswith("## vgg\\_a → vgg\\_16: ❌ a budget is broken")
    assert "| ❌ | `max_parameters` | 1 | 138,357,544 |" in text
    assert "| parameters.stored | 132,863,336 | 138,357,544 | +4.14 % |" in text
