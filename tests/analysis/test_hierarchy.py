"""Deeper filters in pixels: networks of delta and Gabor filters whose composition is known, to 1e-5 (in float32)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.analysis.field.intervals import TooLarge
from service.analysis.filters.hierarchy import MOST_SIDE, Projector, convolutions
from tests.networks import conv, spec_of
from tests.reports import graph_of

Array = np.ndarray[Any, np.dtype[np.float64]]


def gabor(angle: float, size: int = 7) -> Array:
    """A Gabor patch of wavelength 4 pixels (Daugman 1985)."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along = x * np.cos(angle) + y * np.sin(angle)
    return np.exp(-(x**2 + y**2) / 6) * np.cos(2 * np.pi * along / 4)


def delta(size: int, row: int, column: int) -> Array:
    kernel = np.zeros((size, size))
    kernel[row, column] = 1.0
    return kernel


def stated(name: str, kernel: Array, **more: Any) -> dict[str, Any]:
    kernel = kernel.astype(np.float32)
    return conv(name, len(kernel), list(kernel.shape[2:]), weights=kernel.tolist(), bias=False, **{"padding": "valid", **more})


def project(layers: list[dict[str, Any]], depth: int, channels: int = 1, size: int = 33, strongest: int = 64) -> Array:
    graph, weights = graph_of(spec_of([channels, size, size], *layers))
    layer = convolutions(graph)[depth - 1]
    projection = Projector(graph, weights, strongest).project(layer, range(layer.kernel[0].shape[0]))
    assert projection is not None
    return projection.pixels


GABORS = np.stack([gabor(angle)[None] for angle in np.arange(4) * np.pi / 4])


def test_the_first_layer_is_its_own_filters() -> None:
    assert project([stated("g", GABORS)], 1) == pytest.approx(GABORS.astype(np.float32), rel=1e-5, abs=1e-5)


def test_a_delta_moves_the_filter_below_by_its_stride() -> None:
    """A delta at (row 2, column 0) on a layer of stride 3 is the Gabor moved by 6 pixels down."""
    above = np.zeros((1, 4, 3, 3))
    above[0, 2] = delta(3, 2, 0)
    (picture,) = project([stated("g", GABORS, stride=3), stated("d", above)], 2)[:, 0]
    wanted = np.zeros((13, 13))
    wanted[6:13, 0:7] = GABORS[2, 0]
    assert picture == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def composed(lower: Array, upper: Array, stride: int, dilation: int = 1) -> Array:
    """The kernel of two layers as one, by the definition: Σ over taps and channels of upper · lower moved by tap·dilation·stride."""
    filters, channels, rows, columns = upper.shape
    reach = [dilation * stride * (k - 1) + lower.shape[2 + axis] for axis, k in enumerate((rows, columns))]
    result = np.zeros((filters, lower.shape[1], *reach))
    for f in range(filters):
        for c in range(channels):
            for i in range(rows):
                for j in range(columns):
                    y, x = i * dilation * stride, j * dilation * stride
                    result[f, :, y : y + lower.shape[2], x : x + lower.shape[3]] += upper[f, c, i, j] * lower[c]
    return result


def random(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (2, 2)])
def test_random_layers_compose_as_defined(stride: int, dilation: int) -> None:
    lower, upper = random(5, 3, 4, 4), random(2, 5, 3, 2)
    pictures = project([stated("a", lower, stride=stride), stated("b", upper, dilation=dilation)], 2, channels=3)
    assert pictures == pytest.approx(composed(lower, upper, stride, dilation), rel=1e-5, abs=1e-5)


def test_a_pool_is_the_mean_of_what_it_reads() -> None:
    lower, upper = random(3, 1, 3, 3), random(2, 3, 2, 2)
    mean = np.zeros((3, 3, 2, 2))
    mean[range(3), range(3)] = 0.25
    layers = [stated("a", lower), {"name": "p", "type": "pool", "mode": "avg", "kernel": 2}, stated("b", upper)]
    assert project(layers, 2) == pytest.approx(composed(composed(lower, mean, 1), upper, 2), rel=1e-5, abs=1e-5)


def test_a_residual_join_is_the_sum_of_its_paths() -> None:
    lower, inner, upper = random(3, 1, 3, 3), random(3, 3, 3, 3), random(1, 3, 1, 1)
    layers = [
        stated("a", lower),
        stated("b", inner, padding="same"),
        {"name": "join", "type": "add", "inputs": ["a", "b"]},
        stated("c", upper),
    ]
    identity = np.zeros((3, 3, 3, 3))
    identity[range(3), range(3), 1, 1] = 1.0
    assert project(layers, 3) == pytest.approx(composed(composed(lower, inner + identity, 1), upper, 1), rel=1e-5, abs=1e-5)


def test_groups_read_their_own_channels() -> None:
    lower, upper = random(4, 1, 3, 3), random(2, 2, 2, 2)
    full = np.zeros((2, 4, 2, 2))
    full[0, :2], full[1, 2:] = upper[0], upper[1]
    pictures = project([stated("a", lower), stated("b", upper, groups=2)], 2)
    assert pictures == pytest.approx(composed(lower, full, 1), rel=1e-5, abs=1e-5)


def test_only_the_strongest_channels_are_followed() -> None:
    """Of two channels read with weights 3 and 1, the strongest one alone leaves 3 times its filter."""
    upper = np.zeros((1, 4, 1, 1))
    upper[0, 1], upper[0, 3] = 3.0, 1.0
    (picture,) = project([stated("g", GABORS), stated("d", upper)], 2, strongest=1)[:, 0]
    assert picture == pytest.approx(3 * GABORS[1, 0], abs=1e-5)


def test_without_values_there_is_no_picture() -> None:
    graph, weights = graph_of(spec_of([1, 16, 16], conv("a", 2, 3)))
    assert Projector(graph, weights).project(graph.layers[0], [0]) is None


def test_an_image_that_is_given_another_shape_keeps_the_field_small() -> None:
    """A column of 40 pixels read as a line: the filters stay 5 pixels long, beyond the border of the reshaped line too."""
    kernel = random(2, 1, 5)
    for padding in (0, [[4, 0]]):
        layers = [{"name": "line", "type": "reshape", "shape": [1, 40]}, stated("a", kernel, padding=padding, stride=40)]
        graph, weights = graph_of({"receptive": 1, "name": "line", "inputs": [{"name": "x", "shape": [1, 40, 1]}], "layers": layers})
        projection = Projector(graph, weights).project(convolutions(graph)[0], [0, 1])
        assert projection is not None
        assert projection.pixels == pytest.approx(kernel, rel=1e-5, abs=1e-5)


def test_a_field_that_no_picture_could_show_is_refused() -> None:
    layers = [stated("a", random(1, 1, 2), stride=MOST_SIDE), stated("b", random(1, 1, 2))]
    graph, weights = graph_of({"receptive": 1, "name": "long", "inputs": [{"name": "x", "shape": [1, 4 * MOST_SIDE]}], "layers": layers})
    with pytest.raises(TooLarge):
        Projector(graph, weights).project(convolutions(graph)[1], [0])
