"""Zeros of a Pad node in front of a convolution are its padding; anything else in front of it is units."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.analysis.connections.connectivity import Connectivity, connectivity
from service.analysis.padding import absorb_padding
from service.graph import Graph
from service.graph import operators as core
from tests.analysis.networks import Builder, conv, measures


def zeros(rows: tuple[int, int], columns: tuple[int, int]) -> core.Padding:
    """Zeros before and after the spatial axes; negative amounts crop."""
    return core.Padding(((0, 0), (0, 0), rows, columns), zeros=True)


ZEROS = zeros((1, 1), (1, 1))


def network(*operators: core.Operator) -> Graph:
    """Operators one after the other on an image of 12×12 in three channels, padding of zeros absorbed."""
    builder = Builder()
    builder.input(1, 3, 12, 12)
    for operator in operators:
        builder.add(operator)
    return absorb_padding(builder.graph())


def counted(graph: Graph) -> Connectivity:
    """The connections of the last layer."""
    counts = connectivity(graph.layers[-1], lambda name: graph.tensors[name].shape, 1)
    assert counts is not None
    return counts


OWN = counted(network(conv(4, 3, pad=1)))


@pytest.mark.parametrize(
    "operators",
    [
        (ZEROS, conv(4, 3)),
        (zeros((0, 0), (1, 1)), conv(4, 3, pad=(1, 0))),
        (zeros((1, 1), (0, 0)), zeros((0, 0), (1, 1)), conv(4, 3)),
        (zeros((2, 2), (2, 2)), zeros((-1, -1), (-1, -1)), conv(4, 3)),
    ],
)
def test_zeros_in_front_of_a_convolution_are_its_padding(operators: tuple[core.Operator, ...]) -> None:
    """Two exporters of one network give the same numbers: 12² · 27 · 4 connections less those that fall on the border."""
    counts = counted(network(*operators))
    assert (counts.exact, counts.padded, counts.dense, counts.fan_in, counts.uses) == (
        OWN.exact,
        OWN.padded,
        OWN.dense,
        OWN.fan_in,
        OWN.uses,
    )


def test_padding_absorbed_moves_no_field() -> None:
    padded = network(ZEROS, conv(4, 3))
    own = network(conv(4, 3, pad=1))
    assert measures(padded)[padded.outputs[0]] == measures(own)[own.outputs[0]]
    assert padded.layers[-1].inputs == ("input0",)


@pytest.mark.parametrize(
    "operators",
    [
        (replace(ZEROS, zeros=False), conv(4, 3)),
        (core.Padding(ZEROS.pads, "reflect"), conv(4, 3)),
        (ZEROS, core.Elementwise("Relu"), conv(4, 3)),
    ],
)
def test_other_values_and_what_passes_through_something_else_are_units(operators: tuple[core.Operator, ...]) -> None:
    assert counted(network(*operators)).units_in == 3 * 14 * 14


def test_channels_that_are_padded_are_units() -> None:
    assert counted(network(core.Padding(((0, 0), (1, 0), (1, 1), (1, 1)), zeros=True), conv(4, 3))).units_in == 4 * 14 * 14


def test_units_that_are_cropped_are_not_read_again() -> None:
    """A crop by negative padding, then a convolution with a padding of its own: the cropped units stay zeros."""
    graph = network(zeros((-1, -1), (-1, -1)), conv(4, 3, pad=1))
    assert counted(graph).units_in == 3 * 10 * 10
    assert counted(graph).exact == counted(network(core.Slicing(2, 1, 1, 10), core.Slicing(3, 1, 1, 10), conv(4, 3, pad=1))).exact
