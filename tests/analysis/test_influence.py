"""Path counts from the pixels to one unit."""

from __future__ import annotations

import numpy as np
import pytest

from service.analysis.field.effective import TapWeights
from service.analysis.field.influence import Ended, influence
from service.analysis.field.receptive_field import walk
from service.graph import Graph
from service.graph import operators as core
from tests.analysis.networks import ADD, Builder, conv, spatial, transposed


def paths(builder: Builder, unit: tuple[int | None, ...], weights: dict[str, TapWeights] | None = None) -> tuple[list[float], int | None]:
    """Path counts over the only spatial axis to a unit of the last layer, and the position of the first."""
    graph: Graph = builder.graph()
    ended: dict[int, Ended] = {}
    for _ in walk(graph, spatial(graph), ended=ended):
        pass
    found = influence(graph, len(graph.layers) - 1, unit, graph.inputs[0].name, ended[0], weights)
    assert found is not None
    return found.counts.sum(axis=(0, 1)).tolist(), found.origin[2]


def stacked(depth: int, length: int = 40) -> Builder:
    builder = Builder()
    builder.input(1, 1, length)
    for _ in range(depth):
        builder.add(conv(1, 3, pad=1, rank=1))
    return builder


def test_stacked_boxes_are_trinomial() -> None:
    """(1 + x + x²)ⁿ: the distribution behind Luo et al. 2016."""
    assert paths(stacked(2), (0, 0, 20)) == ([1, 2, 3, 2, 1], 18)
    counts, _ = paths(stacked(5), (0, 0, 20))
    assert counts == np.polynomial.polynomial.polypow([1, 1, 1], 5).tolist()


def test_the_input_goes_on_beyond_its_border() -> None:
    assert paths(stacked(2), (0, 0, 0)) == ([1, 2, 3, 2, 1], -2)


def test_a_shortcut_is_one_more_path() -> None:
    builder = stacked(1)
    builder.add(ADD, "input0", builder.last)
    assert paths(builder, (0, 0, 20)) == ([1, 2, 1], 19)


def test_a_checkerboard() -> None:
    """Odena, Dumoulin and Olah 2016: k 3 s 2 feeds every second output twice. The pixel at 10 feeds outputs 20, 21 and 22."""
    builder = Builder()
    builder.input(1, 1, 40)
    builder.add(transposed(1, 3, 2, rank=1))
    assert paths(builder, (0, 0, 20)) == ([1, 1], 9)
    assert paths(builder, (0, 0, 21)) == ([1], 10)


def test_channels_share_paths() -> None:
    """Two groups of two channels, then all: one path from each channel at each of three pixels."""
    builder = Builder()
    builder.input(1, 4, 40)
    builder.add(conv(2, 3, pad=1, groups=2, rank=1))
    builder.add(conv(1, 1, rank=1))
    graph = builder.graph()
    found = influence(graph, 1, (0, 0, 20), "input0", set())
    assert found is not None
    assert (found.counts == 1).all()
    assert found.origin[2] == 19
    assert found.counts.shape[2] == 3


def test_weights_weigh_taps() -> None:
    builder = stacked(1)
    weights = {builder.last: TapWeights((np.array([0.1, 0.2, 0.7]),), 1.0)}
    counts, first = paths(builder, (0, 0, 20), weights)
    assert (counts, first) == (pytest.approx([0.1, 0.2, 0.7]), 19)


def test_paths_through_the_whole_axis_are_left_out() -> None:
    """A gate by the mean over all positions adds no local path."""
    builder = stacked(1)
    trunk = builder.last
    builder.add(core.Elementwise("Mul"), trunk, builder.add(core.Reduction((2,))))
    assert paths(builder, (0, 0, 20)) == ([1, 1, 1], 19)


def test_a_connection_table_reads_its_rows() -> None:
    """Filter 1 reads channel 2 alone, also behind a window over channels that reaches beyond the last."""
    builder = Builder()
    builder.input(1, 3, 5)
    builder.add(conv(2, 1, rank=1, table=((0, 1), (2,))))
    builder.add(core.Neighbourhood(1, 0, 3))
    graph = builder.graph()
    found = influence(graph, 1, (0, 1, 2), "input0", set())
    assert found is not None
    assert (found.counts.reshape(-1).tolist(), found.origin) == ([1], (0, 2, 2))


def test_a_unit_between_strides_reads_nothing() -> None:
    builder = Builder()
    builder.input(1, 1, 5)
    builder.add(transposed(1, 1, 3, rank=1))
    assert influence(builder.graph(), 0, (0, 0, 4), "input0", set()) is None
