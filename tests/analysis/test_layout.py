"""Which axes of an input are spatial."""

from __future__ import annotations

import pytest

from service.analysis.field.axes import axis_names, spatial_axes
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
