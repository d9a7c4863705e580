"""Connections, fan-in and sharing of random layers against their connection matrix."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.analysis.connections.connectivity import Connectivity, connectivity
from service.analysis.evidence import Examined
from service.analysis.field.receptive_field import walk
from service.analysis.findings import pixels_never_read
from service.analysis.lineage import Lineage
from service.graph import Graph, Layer, Shape, ShapeError
from service.graph import operators as core
from tests import oracle
from tests.analysis.networks import Builder, spatial
from tests.property.recipes import Move, convolutions, shapes, transposed_convolutions

pytestmark = pytest.mark.property


def counts(operator: core.Operator, shape: Shape, batch: int = 1) -> tuple[Connectivity, oracle.Connected, Layer]:
    """What the engine counts of a layer on an input of this shape, and its matrix."""
    builder = Builder()
    builder.input(*shape)
    try:
        builder.add(operator)
    except ShapeError:
        assume(False)
    graph = builder.graph()
    counted = connectivity(graph.layers[0], lambda name: graph.tensors[name].shape, batch)
    assert counted is not None
    result = builder.shape()
    assume(math.prod(result) > 0)
    return counted, oracle.connected(operator, [shape], result), graph.layers[0]


def operator_of(move: Move) -> core.Operator:
    """The operator of a windowed step."""
    parameters = dict(move.parameters)
    operator: core.Operator = getattr(core, parameters.pop("kind"))(**parameters)
    return operator


def agree(counted: Connectivity, matrix: oracle.Connected, shape: Shape, weights: int) -> None:
    """The counts are those of the matrix: exact, padded, dense, fan-in, uses."""
    assert counted.exact == matrix.exact
    assert counted.padded == matrix.padded
    assert counted.dense == matrix.matrices[0].size
    assert counted.units_in == math.prod(shape)
    assert counted.fan_in[0] == matrix.fan_in.min()
    assert counted.fan_in[1] == pytest.approx(matrix.fan_in.mean())
    assert counted.fan_in[2] == matrix.fan_in.max()
    assert counted.weights == weights
    assert sum(matrix.uses.values()) == counted.exact
    uses = [*matrix.uses.values(), *[0] * (weights - len(matrix.uses))]
    assert counted.uses == (min(uses, default=0), pytest.approx(sum(uses) / max(len(uses), 1)), max(uses, default=0))


def spatial_shapes() -> st.SearchStrategy[Shape]:
    """Small inputs, some of two samples."""
    return st.tuples(shapes(), st.integers(1, 2)).map(lambda drawn: (drawn[1], *drawn[0][1:]))


@given(st.data(), spatial_shapes())
def test_convolution(data: st.DataObject, shape: Shape) -> None:
    operator = operator_of(data.draw(convolutions(shape)))
    assert isinstance(operator, core.Convolution)
    counted, matrix, layer = counts(operator, shape)
    agree(counted, matrix, shape, layer.kernel[0].count)
    for (_, _, tap), uses in matrix.uses.items():
        assert counted.tap_uses[tap] == uses


@given(st.data(), spatial_shapes())
def test_transposed_convolution(data: st.DataObject, shape: Shape) -> None:
    operator = operator_of(data.draw(transposed_convolutions(shape)))
    assert isinstance(operator, core.TransposedConvolution)
    counted, matrix, layer = counts(operator, shape)
    agree(counted, matrix, shape, layer.kernel[0].count)
    assert counted.positions == math.prod((shape[0], *shape[2:]))
    for (_, _, tap), uses in matrix.uses.items():
        assert counted.tap_uses[tap] == uses


@given(st.data(), spatial_shapes())
def test_locally_connected(data: st.DataObject, shape: Shape) -> None:
    drawn = data.draw(convolutions(shape, tables=False)).parameters
    operator = core.LocallyConnected(**{name: value for name, value in drawn.items() if name not in ("kind", "table")})
    counted, matrix, layer = counts(operator, shape)
    assert counted.exact == matrix.exact == shape[0] * layer.kernel[0].count
    assert counted.padded == matrix.padded
    assert (counted.fan_in[0], counted.fan_in[2]) == (matrix.fan_in.min(), matrix.fan_in.max())
    if matrix.uses:
        assert set(matrix.uses.values()) == {counted.uses[0]} == {counted.uses[2]}


@given(st.data(), spatial_shapes())
def test_subsampling(data: st.DataObject, shape: Shape) -> None:
    drawn = data.draw(convolutions(shape)).parameters
    operator = core.Subsampling(**{name: drawn[name] for name in ("kernel", "strides", "dilations", "pads")})
    counted, matrix, _ = counts(operator, shape)
    agree(counted, matrix, shape, shape[1])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 4), st.data())
def test_dense(shape: list[int], units: int, data: st.DataObject) -> None:
    inputs = list(range(shape[-1]))
    ties = None
    if data.draw(st.booleans()):
        labels = data.draw(st.lists(st.integers(0, 2), min_size=len(inputs), max_size=len(inputs)))
        ties = tuple(tuple(i for i in inputs if labels[i] == label) for label in sorted(set(labels)))
    counted, matrix, layer = counts(core.Dense(units, ties), tuple(shape))
    agree(counted, matrix, tuple(shape), layer.kernel[0].count)
    assert Counter(matrix.uses.values()) == Counter(
        uses for uses in counted.tap_uses.reshape(-1).tolist() for _ in range(layer.kernel[0].count // counted.tap_uses.size)
    )


@given(st.data(), shapes(), st.integers(2, 3))
def test_the_batch_is_divided_out(data: st.DataObject, shape: Shape, batch: int) -> None:
    operator = operator_of(data.draw(st.one_of(convolutions(shape), transposed_convolutions(shape))))
    one, _, _ = counts(operator, shape)
    several, matrix, _ = counts(operator, (batch, *shape[1:]), batch)
    assert matrix.exact == batch * one.exact
    for name in ("units_in", "units_out", "weights", "exact", "padded", "dense", "positions", "fan_in", "uses"):
        assert getattr(several, name) == getattr(one, name)
    assert (several.tap_uses == one.tap_uses).all()


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_pixels_never_read(kernel: int, stride: int, dilation: int, pooled: bool) -> None:
    """A kernel that steps over units leaves columns of the matrix empty, everywhere but at the border."""
    window = core.Pooling if pooled else core.Convolution
    operator = window((kernel,), (stride,), (dilation,), ((0, 0),), **({} if pooled else {"filters": 1}))
    length = stride * 8 + 2 * dilation * kernel
    builder = Builder()
    builder.input(1, 1, length)
    builder.add(operator)
    graph: Graph = builder.graph()
    matrix = oracle.connected(operator, [(1, 1, length)], builder.shape()).matrices[0]
    inner = slice(dilation * kernel, dilation * kernel + stride)
    skipped = oracle.never_read(matrix)[inner].mean()
    seen = next(iter(walk(graph, spatial(graph))))
    examined = Examined(layer=seen.layer, seen=seen, counts=None, statistics=None, input=0, lengths=(length,), measures=(), needed=None)
    found = list(pixels_never_read(examined, Lineage(graph)))
    assert [f.data["skipped"] for f in found] == ([[pytest.approx(skipped)]] if skipped else [])
