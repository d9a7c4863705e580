"""What is said of a report in words: sizes, padding and directions as people write them, and nothing said of what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.render.words.answers import answers
from service.render.words.numbers import percent
from service.render.words.view import about, facts, kinds, padding, rows
from service.report.document import Port, Sparsity, TotalSharing
from tests import networks
from tests.reports import document_of


@pytest.mark.parametrize(
    ("pads", "text"),
    [
        ([[1, 1], [1, 1]], "1×1"),
        ([[0, 3], [1, 2]], "0×1 before and 3×2 after"),
        ([[0, None], [0, None]], "0×0 before and ?×? after"),
        ([[0, 1200]], "0 before and 1,200 after"),
    ],
)
def test_padding_is_one_size_or_two(pads: list[list[int]], text: str) -> None:
    assert padding(pads) == text


@pytest.mark.parametrize(("bidirectional", "said"), [(False, True), (True, False)])
def test_a_recurrence_along_one_way_is_told_from_one_along_both(bidirectional: bool, said: bool) -> None:
    """Both are `global`, because the last step of either sees everything."""
    report = document_of(networks.spec_of([2, 5], {"name": "memory", "type": "lstm", "units": 3, "bidirectional": bidirectional}))
    layer = report.layers[0]
    assert layer.receptive_field.status == "global"
    assert ("a step sees those before it and itself" in facts(layer)) is said


def test_weights_of_which_none_is_zero_are_not_counted() -> None:
    spec = networks.spec_of([1, 3, 3], networks.conv("c", 1, 2, 1, 0, weights=[[[[1, 3], [4, 2]]]]))
    sentences = " ".join(sentence for answer in answers(document_of(spec)) for sentence in answer.sentences)
    assert "None of the 4 weights is zero." in sentences


def test_what_cannot_be_counted_says_why() -> None:
    report = document_of(networks.spec_of([1, 8], networks.conv("c", 1, 3)))
    summary = replace(report.summary, sharing=TotalSharing(None), sparsity=Sparsity(None, None, None))
    report = replace(report, summary=summary, model=replace(report.model, inputs=(Port("x", None, (1, None)),)))
    shares, skips, _ = answers(report)
    assert shares.sentences == skips.sentences
    assert "which it leaves open" in shares.sentences[0]
    relu = document_of(networks.spec_of([8], {"type": "activation", "function": "relu"}))
    assert [answer.sentences for answer in answers(relu)][:2] == [("It has no layer whose weights join units.",)] * 2


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (5 / 9, "55.6 %"), (0.9996, "99.960 %"), (1 - 1e-7, "99.999990 %"), (3e-9, "0.00000030 %")],
)
def test_a_share_is_never_rounded_to_none_or_to_all(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_few_zeros_are_counted() -> None:
    """One weight of 61 at zero is "1 of 61", not 0.000 %."""
    report = document_of(networks.spec_of([1, 3, 3], networks.conv("c", 1, 2, 1, 0, weights=[[[[1, 3], [0, 2]]]])))
    said = [sentence for answer in answers(report) for sentence in answer.sentences]
    assert "1 of 4 weights (25.0 %) is zero, which leaves 12 connections in effect." in said
    assert "1 of 4 weights (25.0 %) is zero" in facts(report.layers[0])


@pytest.mark.parametrize(("name", "published"), [("lenet-5", "340,908"), ("alexnet-2012", "725,066,088")])
def test_the_number_of_the_published_table_stands_beside_the_exact_one(name: str, published: str) -> None:
    """LeCun et al. 1998 count biases, Krizhevsky et al. 2012 padding too."""
    report = document_of(networks.example(name))
    assert any(published in sentence for sentence in answers(report)[1].sentences)
    assert (("connections, padding and biases counted", published)) in about(report)


def test_the_figure_of_what_is_seen_is_that_of_the_output() -> None:
    """A path that is wide before it ends in a part of the whole does not lead; what the output sees does."""
    local = document_of(networks.spec_of([1, 40, 40], networks.conv("a", 1, 5), networks.conv("b", 1, 3)))
    assert (answers(local)[2].figure, answers(local)[2].unit) == ("7×7", "pixels")
    whole = document_of(networks.spec_of([1, 40, 40], networks.conv("a", 1, 9), {"name": "mean", "type": "global_pool", "mode": "avg"}))
    sees = answers(whole)[2]
    assert sees.figure == "everything"
    assert "Of the local paths a has the largest field: 9×9 of 40×40 pixels." in sees.sentences


def test_the_kinds_add_up_to_the_totals() -> None:
    """Norms carry parameters too, and shared tensors count for every layer that uses them."""
    spec = networks.spec_of(
        [4, 8, 8], networks.conv("a", 4, 3, 1, 1), {"name": "n", "type": "batch_norm"}, networks.conv("b", 4, 3, 1, 1, share_with="a")
    )
    *each, every, stored = kinds(document_of(spec))
    assert every[0] == "all layers" and stored[0] == "each stored tensor once"
    assert sum(int(row[2].replace(",", "")) for row in each if row[2] != "–") == int(every[2]) == 2 * (4 * 4 * 9 + 4) + 8
    assert int(stored[2]) == 4 * 4 * 9 + 4 + 8


def test_a_language_model_is_described_by_what_attention_joins() -> None:
    """Token by token everything local sees one position, which is no headline; the scores of attention are no field."""
    spec = networks.spec_of(
        [77],
        {"name": "embed", "type": "embedding", "vocabulary": 50, "units": 8},
        {"name": "attend", "type": "attention", "heads": 2, "units": 8},
        {"name": "head", "type": "dense", "units": 50},
    )
    sees = answers(document_of(spec))[2]
    assert sees.figure == "everything"
    assert sees.sentences == (
        "attend is the first layer that sees the whole input at once.",
        "The local layers work position by position: their weights are shared over all 77 positions.",
    )


@pytest.mark.parametrize(("shape", "unit"), [([2, 64], "positions"), ([2, 64, 64], "pixels")])
def test_sequences_have_positions_and_images_pixels(shape: list[int | None], unit: str) -> None:
    """No line about a sequence speaks of pixels."""
    report = document_of(networks.spec_of(shape, networks.conv("a", 2, 3), networks.conv("b", 2, 3, 2)))
    said = [sentence for answer in answers(report) for sentence in answer.sentences]
    said += [f"{line.label} {line.text}" for row in rows(report) for line in row.lines]
    assert sum(unit in one for one in said) > 4
    assert any("pixels" in one for one in said) is (unit == "pixels")
