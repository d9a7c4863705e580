"""A layer of filters in numbers and words."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from service.analysis.filters.measurements import (
    COLOURED,
    DEAD_SHARE,
    DUPLICATE_COSINE,
    FLAT,
    LABELS,
    MAX_TRANSFORM,
    MAX_WEIGHTS,
    ORIENTED,
    ROUGH,
    SPREAD,
    FilterMeasurement,
    measure_filters,
)
from service.analysis.filters.summary import describe_filters, layer_colour_share, orientation_histogram, summary
from service.render.grid.layout import MAX_PIXELS, MAX_TILES
from service.render.grid.tiles import MAX_SHOWN

VERTICAL = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
ROUND = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])


def layer(*filters: tuple[np.ndarray, tuple[float, float, float]]) -> np.ndarray:
    return np.stack([pattern[None] * np.reshape(colour, (3, 1, 1)) for pattern, colour in filters])


def test_shares_and_counts_are_of_the_labels() -> None:
    kernel = layer((VERTICAL, (1, 1, 1)), (VERTICAL.T, (1, 1, 1)), (ROUND, (1, -1, 0)), (ROUND, (0, 0, 0)))
    described = describe_filters(measure_filters(kernel), "conv1")
    assert described["labels"] == dict.fromkeys(LABELS, 0) | {"edge": 2, "colour-blob": 1, "dead": 1}
    assert described["shares"]["edge"] == 0.5 and sum(described["shares"].values()) == 1
    assert (described["layer"], described["count"], described["kernel"], described["channels"]) == ("conv1", 4, [3, 3], 3)
    assert dict(zip(described["orientations"]["degrees"], described["orientations"]["counts"], strict=True))[90] == 1
    assert described["orientations"]["counts"][0] == 1 and sum(described["orientations"]["counts"]) == 2
    assert sum(described["frequencies"]["counts"]) == 3, "every filter but the dead one"


def test_directions_are_told_apart_around_their_centres() -> None:
    assert orientation_histogram([0, 7.4, 172.6, 179.9]) == [4] + [0] * 11
    assert orientation_histogram([7.6, 90, 172.4]) == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_the_layers_colour_share_is_weighted_by_energy() -> None:
    kernel = layer((VERTICAL, (1, 1, 1)), (VERTICAL, (2, -2, 0)))
    # Energies 3 and 8 (times 12) of which 0 and 8 lie off the grey axis.
    assert layer_colour_share(measure_filters(kernel)) == pytest.approx(8 / 11)
    assert layer_colour_share(measure_filters(kernel * 2.0**900)) == pytest.approx(8 / 11)
    assert layer_colour_share(measure_filters(kernel[:, :2])) is None
    assert layer_colour_share(measure_filters(np.zeros((2, 3, 3, 3)))) is None


def test_the_description_is_plain_json_and_its_rows_are_flat() -> None:
    kernel = layer((VERTICAL, (1, 1, 1)), (ROUND, (1, -1, 0)))
    kernel[1, 0, 0, 0] = np.nan
    described = describe_filters(measure_filters(kernel, channel_order="bgr"))
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described["channel_order"] == "bgr"
    assert [list(row) for row in described["filters"]] == [[field.name for field in fields(FilterMeasurement)]] * 2


def test_a_layer_of_edges_is_said_to_choose_orientation_and_to_ignore_colour() -> None:
    kernel = layer((VERTICAL, (1, 1, 1)), (VERTICAL.T, (1, 1, 1)), (ROUND, (1, -1, 0)))
    assert summary(measure_filters(kernel)) == (
        "3 filters of 3×3 over 3 channels: 2 oriented edges (67%) and 1 colour blob (33%). The layer chooses orientation first, in 2 of "
        "12 directions, and nearly ignores colour there (median colour share of its edges 0.00)."
    )


def test_a_layer_of_coloured_edges_is_not_said_to_ignore_colour() -> None:
    kernel = layer((VERTICAL, (1, -1, 0)), (VERTICAL.T, (1, -1, 0)))
    assert summary(measure_filters(kernel)) == (
        "2 filters of 3×3 over 3 channels: 2 coloured edges (100%). The layer chooses orientation first, in 2 of 12 directions, and does "
        "so in colour (median colour share of its edges 1.00)."
    )


def test_a_layer_of_noise_is_said_to_be_one() -> None:
    said = summary(measure_filters(np.random.default_rng(0).normal(size=(20, 3, 7, 7))))
    assert said == (
        "20 filters of 7×7 over 3 channels: 20 noise filters (100%). Most filters look like noise: the layer is untrained, under-trained "
        "or was never made to be smooth."
    )


def test_colour_duplicates_one_channel_and_one_axis_are_worded() -> None:
    coloured = layer((ROUND, (1, -1, 0)), (ROUND, (2, -2, 0)))
    assert summary(measure_filters(coloured)) == (
        "2 filters of 3×3 over 3 channels: 2 colour blobs (100%). Most filters respond to colour. 2 filters repeat "
        "another up to sign and scale."
    )
    strip = np.array([[[1.0, 0, -1]]])
    assert summary(measure_filters(strip)) == "1 filter of 3 over 1 channel: 1 edge (100%). The layer answers to change first."
    assert summary(measure_filters(strip[None])) == "1 filter of 1×3 over 1 channel: 1 edge (100%). The layer answers to change first."


def test_the_docs_define_every_measurement_label_and_threshold() -> None:
    text = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
    told_elsewhere = {"index", "label", "finite"}
    for name in {field.name for field in fields(FilterMeasurement)} - told_elsewhere | set(LABELS):
        assert f"`{name}`" in text, name
    assert f"colour share ≥ 1/{1 / COLOURED:g}" in text and f"selectivity ≥ 1/{1 / ORIENTED:g}" in text
    assert f"at least {FLAT:g} of all frequencies and {SPREAD:g} of all taps" in text and ROUGH == 0.5
    assert f"≤ {DEAD_SHARE:g} of the layer's median norm" in text and f"≥ {DUPLICATE_COSINE:g}" in text
    assert f"more\nthan {MAX_WEIGHTS:,} weights" in text and f"exceeds {MAX_TRANSFORM:,} values" in text
    assert f"at most {MAX_PIXELS:,} pixels and {MAX_TILES:,} panels, and shows at most {MAX_SHOWN:,} values" in text
