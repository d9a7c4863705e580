"""Verdicts against the size of the input, against the report's own verdict at its own size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.faults import Refused
from service.report.sweep import sweep
from tests import networks
from tests.networks import conv, pool, spec_of
from tests.reports import document_of


def test_productive_from_the_narrowest_field_of_a_layers_input_on() -> None:
    """By hand: c2 reads units of 3 pixels; after pool3, c3 reads units of 3 + 2 + 1 = 6 pixels; so 6 is the smallest size for both."""
    report = document_of(spec_of([1, 32, 32], conv("c1", 4, 3), conv("c2", 4, 3), pool("p", 2, 2), conv("c3", 4, 3)))
    answer = sweep(report, [2, 5, 6, 12])
    assert (answer.layers, answer.smallest_productive) == (3, 6)
    names = [row.unproductive_layers for row in answer.sizes]
    assert names == [("c2", "c3"), ("c3",), (), ()]
    assert [row.unproductive for row in answer.sizes] == [2, 1, 0, 0]
    assert [row.productive_share for row in answer.sizes] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    # c3 sees 6 + (3 - 1)·2 = 10 pixels.
    assert [row.coverage for row in answer.sizes] == [(1, 1), (1, 1), (1, 1), (10 / 12, 10 / 12)]
    assert "2 of 3" in answer.sizes[0].verdict
    assert "83%" in answer.sizes[3].verdict


@pytest.mark.parametrize("size", [32, 64, 224])
def test_agrees_with_a_report_made_at_that_size(size: int) -> None:
    """VGG-16 on small images, the case of Richter et al. 2021: what the sweep says of a size is what an analysis at that size finds."""
    judged = sweep(document_of(networks.vgg_a(224)), [size]).sizes[0]
    # The dense part of vgg_a needs 7×7 features, which small images do not leave; its convolutions before are the same.
    layers = [layer for layer in networks.vgg_a(size)["layers"] if not layer["name"].startswith("fc")]
    report = document_of({**networks.vgg_a(size), "layers": layers})
    unproductive = [layer.name for layer in report.layers if layer.receptive_field.unproductive]
    assert [name for name in judged.unproductive_layers if not name.startswith("fc")] == unproductive


def test_own_size_has_the_reports_own_count() -> None:
    report = document_of(networks.resnet_v1_50(64))
    assert sweep(report, [64]).sizes[0].unproductive == report.summary.receptive_field.unproductive_layers > 0


def test_model_without_an_image() -> None:
    report = document_of(spec_of([1, 8, 8], conv("c", 1, 3)))
    with pytest.raises(Refused):
        sweep(replace(report, summary=replace(report.summary, receptive_field=None)), [32])


def test_model_without_convolutions() -> None:
    answer = sweep(document_of(spec_of([5], {"name": "d", "type": "dense", "units": 2})), [32])
    assert (answer.layers, answer.smallest_productive) == (0, None)
    assert answer.sizes[0].productive_share is None
