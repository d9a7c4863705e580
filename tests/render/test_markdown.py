"""Markdown for pull requests: complete, and no name of a layer can be more than text."""

from __future__ import annotations

from service.render.words.markdown import MOST_LAYERS, comparison_markdown, report_markdown, safe
from service.report.comparison import compare
from tests import networks
from tests.reports import document_of


def test_the_report_says_what_the_model_shares_skips_and_sees() -> None:
    text = report_markdown(document_of(networks.example("lenet-5"))).decode()
    assert "| connections (exact) | 332,824 |" in text
    assert "| c1 | convolution | 1×6×28×28 | 156 | 117,600 | 784 | 97.6 % | 5×5 | 1×1 |" in text


def test_names_are_text() -> None:
    """Markup, mentions, links, line breaks and characters that reorder what is read."""
    assert safe("<script>") == "&lt;script&gt;"
    assert safe("a|b\nc") == "a\\|b\\\\u000ac"
    assert safe("\u202eevil") == "\\\\u202eevil"
    # GitHub sees mentions where nothing stands between the sign and the name.
    assert safe("@everyone") == "@&#8203;everyone"
    assert "www." not in safe("www.example.org")
    assert "://" not in safe("https://example.org")
    assert safe("[x](y)") == "\\[x\\]\\(y\\)"


def test_a_long_table_ends() -> None:
    layers = [networks.conv(f"c{i}", 1, 1) for i in range(MOST_LAYERS + 7)]
    text = report_markdown(document_of(networks.spec_of([1, 8, 8], *layers))).decode()
    assert "… and 7 more layers." in text


def test_a_comparison_leads_with_the_verdict() -> None:
    base, head = document_of(networks.vgg_a()), document_of(networks.vgg_16())
    text = comparison_markdown(compare(base, head, {"max_parameters": 1})).decode()
    assert text.startswith("## vgg\\_a → vgg\\_16: ❌ a budget is broken")
    assert "| ❌ | `max_parameters` | 1 | 138,357,544 |" in text
    assert "| parameters (each stored tensor once) | 132,863,336 | 138,357,544 | +4.14 % |" in text


def test_a_comparison_says_what_the_output_sees_before_and_after() -> None:
    base, head = (document_of(networks.spec_of([1, 64, 64], *layers)) for layers in (CONVS[:2], CONVS))
    text = comparison_markdown(compare(base, head)).decode()
    assert "| receptive field, pixels | 5×5 | 7×7 |" in text
    same = comparison_markdown(compare(base, base)).decode()
    assert same.startswith("## network → network: nothing differs")
    assert "<details>" not in same


CONVS = [networks.conv(f"c{number}", 4, 3) for number in range(3)]


def test_words_stand_left_and_numbers_right() -> None:
    lines = report_markdown(document_of(networks.spec_of([1, 8, 8], *CONVS))).decode().splitlines()
    assert lines[lines.index("### Layers") + 3].startswith("| --- | --- | ---: |")


def test_a_comparison_fits_a_comment() -> None:
    """GitHub refuses a comment of more than 65,536 characters."""
    before, after = (
        document_of(networks.spec_of([4, 8, 8], *(networks.conv(f"layer-{'x' * 60}-{i}", filters, 3) for i in range(400))))
        for filters in (4, 5)
    )
    text = comparison_markdown(compare(before, after)).decode()
    assert len(text) < 65_536
    assert "more layers that differ." in text


def test_shares_are_percentages_in_the_units_of_the_budgets() -> None:
    weights = [[[[1, 0], [0, 2]]]], [[[[1, 1], [1, 2]]]]
    pruned, full = (document_of(networks.spec_of([1, 5, 5], networks.conv("c", 1, 2, weights=each))) for each in weights)
    text = comparison_markdown(compare(full, pruned, {"min_weight_sparsity": 0.4, "max_parameters_change": 0.05})).decode()
    assert "| ✅ | `min_weight_sparsity` | 40 % | 50 % |" in text
    assert "| ✅ | `max_parameters_change` | 5 % | 0 % |" in text
    assert "| weights equal to zero | 0 % | 50.0 % | +50.000 points |" in text
