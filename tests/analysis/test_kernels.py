"""Kernel values in one pass: zeros, dead and twin filters, N:M patterns, effective connections exact at borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.analysis import Reading
from service.analysis.connections import kernel_pass
from service.analysis.connections.kernels import kernel_statistics, tap_weights
from tests.networks import conv, spec_of
from tests.reports import graph_of, report_of

Array = np.ndarray[Any, np.dtype[np.float64]]


def layer(kernel: Array, **more: Any) -> dict[str, Any]:
    return conv("c", len(kernel), list(kernel.shape[2:]), weights=kernel.tolist(), bias=False, **{"padding": 1, **more})


def pruned(*shape: int, keep: float = 0.4) -> Array:
    generator = np.random.default_rng(3)
    return np.where(generator.random(shape) < keep, generator.normal(size=shape), 0.0).astype(np.float32).astype(np.float64)


def naive_effective(kernel: Array, size: int, stride: int, padding: int) -> int:
    """Connections whose weight is not zero, counted one by one."""
    count = 0
    places = (size + 2 * padding - kernel.shape[2]) // stride + 1
    for _f, _c, i, j in zip(*np.nonzero(kernel), strict=True):
        for y in range(places):
            for x in range(places):
                row, column = y * stride - padding + i, x * stride - padding + j
                count += 0 <= row < size and 0 <= column < size
    return count


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (1, 0), (2, 2)])
def test_effective_connections_are_exact_at_borders(stride: int, padding: int) -> None:
    kernel = pruned(4, 2, 3, 3)
    found = report_of(spec_of([2, 7, 7], layer(kernel, stride=stride, padding=padding)))["layers"][0]
    assert found["connections"]["effective"] == naive_effective(kernel, 7, stride, padding)
    assert found["sparsity"]["weight"] == pytest.approx(float((kernel == 0).mean()))
    assert found["sparsity"]["effective"] == 1 - found["connections"]["effective"] / found["connections"]["dense"]


def test_without_zeros_effective_is_exact() -> None:
    found = report_of(spec_of([1, 5, 5], layer(np.ones((1, 1, 3, 3)))))["layers"][0]["connections"]
    assert found["effective"] == found["exact"]


def test_a_tolerance_counts_small_weights_as_zero() -> None:
    kernel = np.array([[[[0.0, 0.01], [0.5, -0.02]]]])
    spec = spec_of([1, 5, 5], layer(kernel))
    assert report_of(spec)["layers"][0]["sparsity"]["weight"] == 0.25
    assert report_of(spec, Reading(zero_tolerance=0.02))["layers"][0]["sparsity"]["weight"] == 0.75


@pytest.mark.parametrize(("mode", "known"), [("none", [False, False]), ("first", [True, False]), ("all", [True, True])])
def test_which_weights_are_read(mode: str, known: list[bool]) -> None:
    second = {**layer(np.ones((1, 1, 1, 1))), "name": "d"}
    report = report_of(spec_of([1, 5, 5], layer(np.ones((1, 1, 3, 3))), second), Reading(mode))
    assert [found["connections"]["effective"] is not None for found in report["layers"]] == known


def statistics(kernel: Array) -> Any:
    graph, weights = graph_of(spec_of([kernel.shape[1], 8, 8], layer(kernel)))
    return kernel_statistics(graph.layers[0], weights, 0.0)


def test_dead_and_duplicate_filters() -> None:
    kernel = np.zeros((4, 1, 2, 2))
    kernel[0] = kernel[2] = 0.5
    kernel[3] = 0.25
    found = statistics(kernel)
    assert (found.dead_filters, found.duplicate_filters) == ((1,), ((0, 2),))


def test_units_of_a_dense_layer_are_filters() -> None:
    """Units 0 and 2 weigh all inputs alike (−0 is 0), unit 1 weighs none."""
    weights = [[0.5, 0.0, 0.5, 1.0], [0.0, -0.0, -0.0, 2.0]]
    graph, reader = graph_of(spec_of([2], {"name": "d", "type": "dense", "units": 4, "weights": weights, "bias": False}))
    found = kernel_statistics(graph.layers[0], reader, 0.0)
    assert found is not None
    assert (found.rows, found.dead_filters, found.duplicate_filters) == (4, (1,), ((0, 2),))


def test_filters_of_a_grouped_transposed_convolution() -> None:
    """(channels, filters of a group): filters 2 and 3 are those of the second group; equal filters of two groups are no duplicates."""
    weights = np.array([[[1.0], [1.0]], [[2.0], [2.0]], [[1.0], [0.0]], [[2.0], [0.0]]])
    spec = {"name": "t", "type": "conv_transpose", "filters": 4, "kernel": 1, "groups": 2, "weights": weights.tolist(), "bias": False}
    graph, reader = graph_of(spec_of([4, 8], spec))
    found = kernel_statistics(graph.layers[0], reader, 0.0)
    assert found is not None
    assert (found.rows, found.dead_filters, found.duplicate_filters) == (4, (3,), ((0, 1),))


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units 0 and 1 of a dense layer of 40 inputs agree, and all keep to 2:4, in one block and in blocks of eight inputs."""
    kernel = np.where(np.arange(40) % 4 < 2, np.random.default_rng(1).normal(size=40), 0.0)
    weights = np.stack([kernel, kernel, 2 * kernel], axis=1).tolist()
    graph, reader = graph_of(spec_of([40], {"name": "d", "type": "dense", "units": 3, "weights": weights, "bias": False}))
    whole = kernel_statistics(graph.layers[0], reader, 0.0)
    monkeypatch.setattr(kernel_pass, "BLOCK_BYTES", 1)
    assert len(list(reader.stored(graph.layers[0].kernel[0]).blocks(1))) == 5
    parts = kernel_statistics(graph.layers[0], reader, 0.0)
    assert whole is not None and parts is not None
    assert parts.duplicate_filters == whole.duplicate_filters == ((0, 1),)
    assert (parts.pattern, parts.fingerprint) == (whole.pattern, whole.fingerprint)
    assert whole.pattern == "2:4"


def test_maps_outside_a_connection_table_are_no_zero_weights() -> None:
    """LeNet-5's C3: a filter has weights for its own maps only."""
    table = [[0], [0, 1]]
    weights = [[[[1.0]]], [[[1.0]], [[0.0]]]]
    spec = conv("c", 2, 1, weights=weights, connection_table=table, bias=False)
    found = report_of(spec_of([2, 4, 4], spec))["layers"][0]
    assert found["parameters"]["weights"] == 3
    assert found["sparsity"]["weight"] == pytest.approx(1 / 3)
    assert (found["values"]["nonzero"], found["values"]["zero"]) == (2, 1)


@pytest.mark.parametrize(
    ("row", "pattern"),
    [
        ([1, 0, 0, 0, 0, 1, 0, 0], "1:4"),
        ([1, 1, 0, 0, 0, 1, 0, 1], "2:4"),
        ([1, 1, 1, 0, 0, 1, 0, 0], "4:8"),
        ([1, 1, 1, 1, 1, 0, 0, 0], None),
    ],
)
def test_structured_sparsity_along_the_channels(row: list[int], pattern: str | None) -> None:
    """Mishra et al. 2021: 2:4 means at most two of four consecutive weights along the input channels are not zero."""
    assert statistics(np.array(row, dtype=float).reshape(1, 8, 1, 1)).pattern == pattern


def test_how_the_weight_spreads_over_the_taps() -> None:
    """Column sums 1, 2 and 3 of |w|; rows 1.5 and 4.5; one filter of mass 6."""
    found = statistics(np.array([[[[0.5, -0.5, 0.5], [-0.5, 1.5, 2.5]]]])).tap_weights()
    assert found is not None
    assert found.shares[0] == pytest.approx([1.5 / 6, 4.5 / 6])
    assert found.shares[1] == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert found.mass == 6


@pytest.mark.parametrize("shape", [(4, 2, 3, 5), (6, 3, 1, 2)])
def test_taps_alone_are_weighed_as_in_the_whole_pass(shape: tuple[int, ...]) -> None:
    kernel = pruned(*shape)
    graph, weights = graph_of(spec_of([shape[1], 9, 9], layer(kernel)))
    whole, alone = kernel_statistics(graph.layers[0], weights, 0.0).tap_weights(), tap_weights(graph.layers[0], weights)
    assert whole is not None and alone is not None
    assert alone.mass == whole.mass and all((a == b).all() for a, b in zip(alone.shares, whole.shares, strict=True))


def test_a_single_tap_has_nothing_to_weigh() -> None:
    graph, weights = graph_of(spec_of([2, 9, 9], layer(pruned(4, 2, 1, 1))))
    assert tap_weights(graph.layers[0], weights) is None
