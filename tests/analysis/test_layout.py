"""Which axes of an input are spatial."""

from __future__ import annotations

import pytest

from service.analysis.batch import common_batch
from service.analysis.field.axes import Layout, axis_names, layouts, spatial_axes
from service.graph import operators as core
from tests.analysis.networks import ADD, Builder, conv


def test_a_window_slides_over_its_spatial_axes() -> None:
    builder = Builder()
    builder.input(1, 3, 32, 32)
    builder.add(conv(4, 3))
    assert spatial_axes(builder.graph()) == {0: (2, 3)}


def test_channels_last_behind_a_transposition() -> None:
    builder = Builder()
    builder.input(1, 32, 32, 3)
    builder.add(core.Transposing((0, 3, 1, 2)))
    builder.add(conv(4, 3))
    assert spatial_axes(builder.graph()) == {0: (1, 2)}


def test_patches_are_found_through_a_reshape() -> None:
    """An image cut into patches of 4 before the first convolution: the window slides over patches, which hold both axes."""
    builder = Builder()
    builder.input(1, 1, 16, 16)
    builder.add(core.Reshaping((1, 4, 4, 4, 4)))
    builder.add(core.Transposing((0, 2, 4, 1, 3)))
    builder.add(core.Reshaping((1, 16, 4, 4)))
    builder.add(conv(4, 3))
    assert spatial_axes(builder.graph()) == {0: (2, 3)}


def test_time_of_a_recurrent_layer() -> None:
    builder = Builder()
    builder.input(12, 1, 5)
    builder.add(core.Recurrent("LSTM", 4))
    assert spatial_axes(builder.graph()) == {0: (0,)}


def test_positions_of_an_embedding_and_of_a_dense_layer() -> None:
    builder = Builder()
    builder.input(1, 16)
    builder.add(core.Embedding(100, (8,)))
    builder.add(core.Dense(4))
    assert spatial_axes(builder.graph()) == {0: (1,)}
    builder = Builder()
    builder.input(1, 16, 8)
    builder.add(core.Dense(4))
    assert spatial_axes(builder.graph()) == {0: (1,)}


def test_inputs_of_a_dense_layer_are_positions_themselves() -> None:
    """HAR: 22 lags."""
    builder = Builder()
    builder.input(1, 22)
    builder.add(core.Dense(1))
    assert spatial_axes(builder.graph()) == {0: (1,)}


@pytest.mark.parametrize(("shape", "expected"), [((1, 3, 8, 8), (2, 3)), ((1, 28, 28, 1), (1, 2)), ((1, 4, 9, 9, 9), (2, 3, 4))])
def test_an_image_flattened_before_the_first_dense_layer(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Where no operator says which axes are spatial, images are channels first unless only the last axis looks like channels."""
    builder = Builder()
    builder.input(*shape)
    size = 1
    for n in shape:
        size *= n
    builder.add(core.Reshaping((1, size)))
    builder.add(core.Dense(10))
    assert spatial_axes(builder.graph()) == {0: expected}


def test_two_inputs_have_axes_of_their_own() -> None:
    builder = Builder()
    image, line = builder.input(1, 3, 8, 8), builder.input(1, 8)
    one = builder.add(core.Reduction((2, 3), keepdims=False), builder.add(conv(4, 3), image))
    builder.add(ADD, one, builder.add(core.Dense(4), line))
    assert spatial_axes(builder.graph()) == {0: (2, 3), 1: (1,)}


def test_names_of_axes() -> None:
    assert axis_names(1) == ("position",)
    assert axis_names(2) == ("height", "width")
    assert axis_names(3) == ("depth", "height", "width")
    assert axis_names(4) == ("axis0", "axis1", "axis2", "axis3")


def only(builder: Builder) -> Layout:
    """The layout of the first input."""
    return layouts(builder.graph())[0]


@pytest.mark.parametrize(("shape", "spatial"), [((4, 16, 16), (1, 2)), ((2, 100), (1,)), ((100,), (0,)), ((3, 4, 8, 8), (1, 2, 3))])
def test_an_image_or_a_sound_without_a_batch(shape: tuple[int, ...], spatial: tuple[int, ...]) -> None:
    """It is unsqueezed before its convolution, so that nothing of it reaches the batch place (design section 2)."""
    builder = Builder()
    builder.input(*shape)
    builder.add(core.Reshaping((1, *shape) if len(shape) > 1 else (1, 1, *shape)))
    builder.add(conv(8, (3,) * len(spatial), rank=len(spatial)))
    assert only(builder) == Layout(spatial, None)


def test_a_batch_behind_a_transposition() -> None:
    builder = Builder()
    builder.input(8, 8, 3, 2)
    builder.add(core.Transposing((3, 2, 0, 1)))
    builder.add(conv(4, 3))
    assert only(builder) == Layout((0, 1), 3)
    assert common_batch(builder.graph(), layouts(builder.graph())) == 2


def attend(builder: Builder, rows: str, places: int, batch: int) -> None:
    """Attention scores of a tensor (batch, places, features) with itself."""
    columns = builder.add(core.Transposing((0, 2, 1)), rows)
    builder.add(core.Contraction((("b", "m", "k"), ("b", "k", "n")), ("b", "m", "n")), rows, columns)
    assert builder.shape() == (batch, places, places)


@pytest.mark.parametrize("batch", [1, 2])
def test_attention_tells_positions_from_the_batch(batch: int) -> None:
    """Batch first behind a transposition to sequence first, as PyTorch's MultiheadAttention exports it, and sequence first itself."""
    builder = Builder()
    builder.input(batch, 7, 4)
    builder.add(core.Transposing((1, 0, 2)))
    builder.add(core.Dense(4))
    attend(builder, builder.add(core.Transposing((1, 0, 2))), 7, batch)
    assert only(builder) == Layout((1,), 0)
    builder = Builder()
    builder.input(7, batch, 4)
    builder.add(core.Dense(4))
    attend(builder, builder.add(core.Transposing((1, 0, 2))), 7, batch)
    assert only(builder) == Layout((0,), 1)


def test_attention_without_a_batch() -> None:
    builder = Builder()
    builder.input(7, 4)
    builder.add(core.Dense(4))
    attend(builder, builder.add(core.Reshaping((1, 7, 4))), 7, 1)
    assert only(builder) == Layout((0,), None)


def test_a_dense_layer_before_a_convolution_over_the_leading_axis() -> None:
    """Sequence first: its places are those of the convolution, whatever the dense layer alone would say."""
    builder = Builder()
    builder.input(9, 1, 12)
    builder.add(core.Dense(20))
    builder.add(core.Transposing((1, 2, 0)))
    builder.add(conv(8, 3, rank=1))
    assert only(builder) == Layout((0,), 1)


@pytest.mark.parametrize("first", ["dense", "sum"])
def test_the_rows_of_a_graph_network_are_nodes(first: str) -> None:
    """A layer that sums over the rows shows that they are no batch: A·X·W, in either order, with A given as an input."""
    builder = Builder()
    rows, edges = builder.input(34, 16), builder.input(34, 34)
    if first == "dense":
        rows = builder.add(core.Dense(8), rows)
    builder.add(core.Contraction((("m", "k"), ("k", "n")), ("m", "n")), edges, rows)
    builder.add(core.Dense(4))
    assert only(builder) == Layout((0,), None)
    assert common_batch(builder.graph(), layouts(builder.graph())) == 1


def test_the_rows_of_a_graph_network_with_constant_edges() -> None:
    """(Xᵀ·Aᵀ)ᵀ: the constant matrix is a dense layer over the rows."""
    builder = Builder()
    builder.input(34, 16)
    builder.add(core.Dense(8))
    builder.add(core.Dense(34), builder.add(core.Transposing((1, 0))))
    assert only(builder) == Layout((0,), None)


def test_rows_that_nothing_joins_are_samples() -> None:
    builder = Builder()
    builder.input(32, 16)
    builder.add(core.Dense(8))
    builder.add(core.Dense(4))
    assert only(builder) == Layout((1,), 0)
    assert common_batch(builder.graph(), layouts(builder.graph())) == 32


def test_what_the_data_choose_is_not_followed() -> None:
    builder = Builder()
    builder.input(1, 4, 5)
    builder.add(core.DataDependent(((1, 4, 1, 5),), "chosen by the data"))
    builder.add(core.Transposing((0, 2, 1, 3)))
    assert only(builder) == Layout((2,), 0)


def test_following_costs_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it the leading axis is the batch, as where nothing tells."""
    builder = Builder()
    builder.input(4, 16, 16)
    builder.add(core.Reshaping((1, 4, 16, 16)))
    builder.add(conv(8, 3))
    monkeypatch.setattr("service.analysis.field.axes.MAX_FOLLOWED", 2)
    assert only(builder) == Layout((1, 2), None)
    monkeypatch.setattr("service.analysis.field.axes.MAX_FOLLOWED", 1)
    assert only(builder) == Layout((2,), 0)
