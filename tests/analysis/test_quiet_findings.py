"""Findings that would cry wolf: shifts that are meant, pixels that another path reads, gaps that no stride leaves, batches of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.graph import Operator
from service.graph import operators as core
from service.graph.model import Model, ModelFacts
from service.readers.spec.values import InlineWeights
from tests.analysis.networks import ADD, Builder, conv, pool
from tests.networks import conv as layer
from tests.networks import spec_of
from tests.reports import analyzed, graph_of, report_of

CHANNELS = core.Concatenation(1)
RELU = core.Elementwise("Relu")


def found(builder: Builder, code: str) -> list[dict[str, Any]]:
    """The findings of one code of a graph without values."""
    report = analyzed(Model((builder.graph(),), InlineWeights({}), ModelFacts(None, "spec", 1, (), ())))
    return [finding for finding in report["findings"] if finding["code"] == code]


def image(side: int = 64, channels: int = 1) -> Builder:
    builder = Builder()
    builder.input(1, channels, side, side)
    return builder


def focus(builder: Builder) -> None:
    """Space to depth by slices, as YOLOv5's Focus and Swin's patch merging have it: four parts that lie a pixel apart."""
    source = builder.last
    parts = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        rows = builder.add(core.Slicing(2, row, 2, builder.shape(source)[2] // 2), source)
        parts.append(builder.add(core.Slicing(3, column, 2, builder.shape(source)[3] // 2), rows))
    builder.add(CHANNELS, *parts)


@pytest.mark.parametrize("before", [(), (conv(4, 3, pad=1), RELU), (conv(4, 4, 4),)], ids=["stem", "map", "patches"])
def test_space_to_depth_is_meant(before: tuple[Operator, ...]) -> None:
    builder = image()
    for operator in before:
        builder.add(operator)
    focus(builder)
    builder.add(conv(8, 3, pad=1))
    assert not found(builder, "misaligned-join")


def test_the_same_shift_between_two_convolutions_is_not() -> None:
    """Slices of different maps, a pixel apart at stride two: less than a stride, so information; two pixels are a warning."""

    def shifted(start: int) -> Builder:
        builder = image()
        one, two = builder.add(conv(1, 3, pad=1), "input0"), builder.add(conv(1, 3, pad=1), "input0")
        builder.add(ADD, builder.add(core.Slicing(2, 0, 2, 30), one), builder.add(core.Slicing(2, start, 2, 30), two))
        return builder

    (finding,) = [each for each in found(shifted(1), "misaligned-join") if each["data"]["axis"] == "height"]
    assert (finding["data"]["shift"], finding["severity"]) == (1.0, "info")
    assert {each["severity"] for each in found(shifted(2), "misaligned-join") if each["data"]["axis"] == "height"} == {"warning"}


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_causal_residuals_end_at_the_same_sample(dilation: int) -> None:
    """keras-tcn's residual block: a causal convolution beside its own input. Centred instead of causal on one side only, it is reported."""
    back = 2 * dilation
    causal = layer("causal", 4, 3, padding="causal", dilation=dilation)
    report = report_of(spec_of([4, 64], causal, {"name": "add", "type": "add", "inputs": ["causal", "input"]}))
    assert report["layers"][-1]["receptive_field"]["padding"] == [back]
    assert "misaligned-join" not in {finding["code"] for finding in report["findings"]}
    late = layer("late", 4, 3, padding=[[0, back]], dilation=dilation)
    report = report_of(spec_of([4, 64], late, {"name": "add", "type": "add", "inputs": ["late", "input"]}))
    (finding,) = [each for each in report["findings"] if each["code"] == "misaligned-join"]
    assert "pixel" not in finding["message"] and "position" in finding["message"]


def residual(kernel: int) -> Builder:
    """A stage of ResNet: a 1×1 of stride two beside a window of stride two over the same map (He et al. 2015)."""
    builder = image(channels=4)
    source = builder.add(RELU)
    main = builder.add(conv(4, kernel, 2, pad=kernel // 2), source)
    builder.add(ADD, builder.add(conv(4, 1, 2), source), main)
    return builder


def test_a_shortcut_beside_a_path_that_reads_all() -> None:
    assert not found(residual(3), "pixels-never-read")
    assert len(found(residual(1), "pixels-never-read")) == 2


def test_the_other_reader_may_take_the_units_moved_or_activated() -> None:
    """A pre-activation block: the shortcut reads the map, the other path its activation; and a map that is a result is read."""
    builder = image(channels=4)
    source = builder.add(conv(4, 3, pad=1))
    main = builder.add(conv(4, 3, 2, pad=1), builder.add(RELU, source))
    builder.add(ADD, builder.add(pool(1, 2), builder.add(core.Padding(((0, 0), (0, 0), (1, -1), (1, -1))), source)), main)
    assert not found(builder, "pixels-never-read")
    alone = image()
    alone.add(pool(1, 2), "input0")
    assert len(found(alone, "pixels-never-read")) == 1


def test_one_place_steps_over_nothing() -> None:
    builder = image(1)
    builder.add(conv(1, 1, 2))
    assert not found(builder, "pixels-never-read")


def test_a_flattened_image_has_gaps_between_its_rows_whatever_reads_it() -> None:
    """A 3×3 window on rows that lie one after the other reads three runs of three: no dilation, no stride, no gridding."""
    builder = Builder()
    builder.input(1, 256)
    builder.add(core.Reshaping((1, 1, 16, 16)))
    builder.add(conv(4, 3, pad=1))
    builder.add(conv(4, 3, 2, pad=1))
    assert not found(builder, "gridding")


def test_a_cross_is_no_gridding() -> None:
    """A 1×7 beside a 7×1 behind a stride: every row and every column is read somewhere."""
    builder = image()
    source = builder.add(conv(2, 3, 2, pad=1))
    builder.add(ADD, builder.add(conv(2, (1, 7), pad=(0, 3)), source), builder.add(conv(2, (7, 1), pad=(3, 0)), source))
    builder.add(conv(2, 1))
    assert not found(builder, "gridding")


def test_gridding_of_a_sequence_counts_positions() -> None:
    report = report_of(spec_of([1, 64], layer("wide", 1, 3, dilation=4)))
    (finding,) = [each for each in report["findings"] if each["code"] == "gridding"]
    assert finding["message"] == "an inner unit reads 33.3% of the positions in its box"


def test_a_batch_is_kept_only_where_connections_are_counted() -> None:
    """Four images beside one vector: counted together once a layer with weights reads the images; nothing to say where none does."""

    def beside(*operators: Operator) -> Builder:
        builder = Builder()
        images, other = builder.input(4, 3, 8, 8), builder.input(1, 3, 8, 8)
        builder.add(conv(2, 1), other)
        builder.add(RELU, images)
        for operator in operators:
            builder.add(operator)
        return builder

    assert not found(beside(), "batch-kept")
    assert found(beside(conv(2, 3)), "batch-kept")[0]["data"]["lengths"] == [1, 4]


def masked(mask: list[list[int]]) -> list[dict[str, Any]]:
    """A 3×3 convolution of two filters whose other taps are drawn at random."""
    graph, _ = graph_of(spec_of([2, 8, 8], layer("c", 2, 3, bias=False)))
    kernel = np.random.default_rng(7).uniform(0.5, 1.0, (2, 2, 3, 3)) * np.array(mask)
    values = InlineWeights({graph.layers[0].kernel[0].stored: kernel})
    report = analyzed(Model((graph,), values, ModelFacts(None, "spec", 1, (), ())))
    assert report["layers"][0]["receptive_field"]["size"] == [3, 3]
    return [finding for finding in report["findings"] if finding["code"] == "masked-taps"]


def test_masked_taps() -> None:
    """PixelCNN's mask A (van den Oord et al. 2016): the centre and all after it are zero; the field stays 3×3."""
    (finding,) = masked([[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    assert finding["data"]["taps"] == [[1, 1], [1, 2], [2, 0], [2, 1], [2, 2]]
    assert finding["message"] == "5 of the 3×3 taps are zero in every filter"
    assert not masked([[1, 1, 1], [1, 1, 1], [1, 1, 1]])
    assert not masked([[0, 0, 0], [0, 0, 0], [0, 0, 0]])
