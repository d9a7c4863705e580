"""Connections, weights and sharing against the numbers that were published."""

from __future__ import annotations

import pytest

from service.analysis.connections.connectivity import Connectivity, connectivity
from service.graph import Operator, Shape
from service.graph import operators as core
from service.graph.geometry import window_taps
from tests.analysis.networks import Builder, conv


def counts(operator: Operator, *shape: int, batch: int = 1, bias: int = 0) -> Connectivity:
    """The counts of one operator on an input of this shape."""
    builder = Builder()
    builder.input(*shape)
    builder.add(operator, bias=bias)
    graph = builder.graph()
    found = connectivity(graph.layers[0], lambda name: graph.tensors[name].shape, batch)
    assert found is not None
    return found


def test_the_smallest_example() -> None:
    """Design section 1: a 3×3 image and one 2×2 filter."""
    found = counts(conv(1, 2), 1, 1, 3, 3)
    assert (found.dense, found.exact, found.weights, found.fan_in) == (36, 16, 4, (4, 4.0, 4))
    assert found.uses == (4, 4.0, 4)
    local = counts(core.LocallyConnected((2, 2), (1, 1), (1, 1), ((0, 0), (0, 0)), 1), 1, 1, 3, 3)
    assert (local.exact, local.weights, local.uses) == (16, 16, (1, 1.0, 1))
    full = counts(core.Dense(4), 1, 9)
    assert (full.exact, full.weights, full.fan_in) == (36, 36, (9, 9.0, 9))


def test_edges_of_goodfellow() -> None:
    """Goodfellow, Bengio and Courville 2016, figure 9.6: 8,003,072,000 entries, 178,640 of them not zero, 2 parameters."""
    found = counts(conv(1, (1, 2)), 1, 1, 280, 320)
    assert (found.dense, found.exact, found.weights) == (8_003_072_000, 178_640, 2)


@pytest.mark.parametrize(
    ("length", "kernel", "pad", "padded", "real"),
    [(14, 3, 1, 1764, 1600), (7, 3, 1, 441, 361), (27, 5, 2, 18225, 16641)],
)
def test_padding_owns_a_share_of_the_taps(length: int, kernel: int, pad: int, padded: int, real: int) -> None:
    """3×3 on 14×14 and on 7×7, 5×5 on 27×27 (ResNet's and AlexNet's layers): taps counted by MAC counters and taps that are real."""
    found = counts(conv(1, kernel, pad=pad), 1, 1, length, length)
    assert (found.padded, found.exact) == (padded, real)


# Maps of S2 that each map of C3 reads: LeCun et al. 1998, table I, by columns.
C3 = (
    *[tuple(sorted((first + step) % 6 for step in range(3))) for first in range(6)],
    *[tuple(sorted((first + step) % 6 for step in range(4))) for first in range(6)],
    *[tuple(sorted((first + step) % 6 for step in (0, 1, 3, 4))) for first in range(3)],
    tuple(range(6)),
)


@pytest.mark.parametrize(
    ("operator", "shape", "parameters", "connections"),
    [
        (conv(6, 5), (1, 1, 32, 32), 156, 122_304),
        (core.Subsampling((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0))), (1, 6, 28, 28), 12, 5_880),
        (conv(16, 5, table=C3), (1, 6, 14, 14), 1_516, 151_600),
        (core.Subsampling((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0))), (1, 16, 10, 10), 32, 2_000),
        (conv(120, 5), (1, 16, 5, 5), 48_120, 48_120),
        (core.Dense(84), (1, 120), 10_164, 10_164),
    ],
)
def test_lenet_5(operator: Operator, shape: Shape, parameters: int, connections: int) -> None:
    """LeCun, Bottou, Bengio and Haffner 1998, section II.B. A bias is a parameter and, at each unit, a connection."""
    found = counts(operator, *shape)
    biases = operator.shapes(shape)[0][1]
    assert found.weights + biases == parameters
    assert found.exact + found.units_out == connections


def test_the_table_of_c3() -> None:
    """The same source: 6 maps read three maps, 9 read four, 1 reads all six; 60 kernels."""
    assert sorted(map(len, C3)) == [3] * 6 + [4] * 9 + [6]
    found = counts(conv(16, 5, table=C3), 1, 6, 14, 14)
    assert (found.fan_in[0], found.fan_in[2]) == (75, 150)


@pytest.mark.parametrize(
    ("operator", "shape", "weights", "connections"),
    [
        (conv(96, 11, 4), (1, 3, 227, 227), 34_944, 105_705_600),
        (conv(256, 5, pad=2, groups=2), (1, 96, 27, 27), 307_456, 224_135_424),
        (conv(384, 3, pad=1), (1, 256, 13, 13), 885_120, 149_585_280),
        (conv(384, 3, pad=1, groups=2), (1, 384, 13, 13), 663_936, 112_205_184),
        (conv(256, 3, pad=1, groups=2), (1, 384, 13, 13), 442_624, 74_803_456),
        (core.Dense(4096), (1, 9216), 37_752_832, 37_752_832),
        (core.Dense(4096), (1, 4096), 16_781_312, 16_781_312),
        (core.Dense(1000), (1, 4096), 4_097_000, 4_097_000),
    ],
)
def test_alexnet(operator: Operator, shape: Shape, weights: int, connections: int) -> None:
    """Krizhevsky, Sutskever and Hinton 2012 with two groups, biases included; connections with padding counted."""
    found = counts(operator, *shape)
    assert found.weights + operator.shapes(shape)[0][1] == weights
    assert found.padded + found.units_out == connections


def test_har_is_a_tied_dense_layer() -> None:
    """Corsi 2009: 22 daily lags in three disjoint groups, 22 connections that share 3 weights."""
    ties = ((0,), tuple(range(1, 5)), tuple(range(5, 22)))
    found = counts(core.Dense(1, ties), 1, 22)
    assert (found.exact, found.weights, found.uses) == (22, 3, (1, pytest.approx(22 / 3), 17))


def test_recurrent_layer_is_its_unrolled_network() -> None:
    """Design section 2: in = T·(input + hidden), out = T·gates·hidden, exact = T·weights, for each direction; an LSTM has 4 gates."""
    found = counts(core.Recurrent("LSTM", 5, "bidirectional"), 7, 1, 3)
    assert found.weights == 2 * 4 * 5 * (3 + 5)
    assert (found.exact, found.units_in, found.units_out) == (7 * found.weights, 2 * 7 * 8, 2 * 7 * 4 * 5)
    assert found.uses == (7, 7.0, 7)


def test_embedding_is_a_dense_layer_on_one_hot_inputs() -> None:
    """Design section 2: in = T·V, out = T·D, exact = T·V·D."""
    found = counts(core.Embedding(50, (8,)), 1, 6)
    assert (found.units_in, found.units_out, found.exact, found.weights, found.positions) == (300, 48, 2400, 400, 6)


def test_dense_layer_at_many_positions() -> None:
    """Design section 2: a MatMul over P leading positions has in = P·K, out = P·N, exact = P·K·N."""
    found = counts(core.Dense(4), 2, 5, 3, batch=2)
    assert (found.units_in, found.units_out, found.exact, found.weights, found.positions) == (15, 20, 60, 12, 5)


def test_taps_cost_no_pixels() -> None:
    """The places of a window on 10¹² units are counted in closed form."""
    taps = window_taps(10**12, 10**12, 3, 1, 1, 1)
    assert taps.uses == (10**12 - 1, 10**12, 10**12 - 1)
    assert (taps.least, taps.most, taps.real) == (2, 3, 3 * 10**12 - 2)


def test_a_layer_without_weights_has_no_connections() -> None:
    builder = Builder()
    builder.input(1, 2, 4, 4)
    builder.add(core.Elementwise("Relu"))
    graph = builder.graph()
    assert connectivity(graph.layers[0], lambda name: graph.tensors[name].shape, 1) is None
