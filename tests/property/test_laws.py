"""Laws that hold for every network, whatever its numbers are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from service.analysis.field.published import Measure
from service.graph import Graph, Shape
from tests.analysis.networks import measures, views
from tests.property.recipes import CUTS, PADS, Move, Recipe, convolutions, poolings, recipes, sliding_moves, spelled_moves

pytestmark = pytest.mark.property


@cache
def regular(shape: Shape) -> st.SearchStrategy[Move]:
    """Windows, slices and padding, which have one phase."""
    return st.one_of(convolutions(shape), poolings(shape), PADS, CUTS)


def last(graph: Graph) -> tuple[Measure, ...]:
    """The measures of the last layer."""
    return measures(graph)[graph.outputs[0]]


def law(measure: Measure) -> tuple[object, ...]:
    """What does not depend on the size of the input."""
    return measure.size, measure.min_size, measure.stride, measure.padding, measure.phases


@given(recipes(regular, most=4, joins=()), st.integers(0, 4))
def test_composition_is_associative(recipe: Recipe, cut: int) -> None:
    """A chain is the product of its halves: (k, s, p)·(l, t, q) = (k + (l - 1)s, st, p + qs). The halves are graphs of their own."""
    cut = min(cut, len(recipe.moves))
    assume(0 < cut < len(recipe.moves))
    first = replace(recipe, moves=recipe.moves[:cut]).graph()
    middle = first.tensors[first.outputs[0]].shape or ()
    second = Recipe(middle, recipe.moves[cut:]).graph()
    for whole, one, two in zip(last(recipe.graph()), last(first), last(second), strict=True):
        assert None not in (one.size, one.stride, one.padding, two.size, two.stride, two.padding)
        assert whole.size == (one.size or 0) + ((two.size or 0) - 1) * (one.stride or 0)
        assert whole.stride == (one.stride or 0) * (two.stride or 0)
        assert whole.padding == (one.padding or 0) + (two.padding or 0) * (one.stride or 0)


@given(recipes(sliding_moves, joins=("add", "concat")), st.integers(1, 3), st.integers(0, 2))
def test_shifting_the_input_shifts_the_padding_alone(recipe: Recipe, shift: int, axis: int) -> None:
    assume(recipe.moves)
    axis %= len(recipe.shape) - 2
    moved = Recipe(recipe.shape, (Move("pad", {"axis": axis, "before": shift, "after": 0, "mode": "constant"}), *recipe.moves)).graph()
    bigger = recipe.enlarged(axis + 2, shift)
    for position, (one, two) in enumerate(zip(last(bigger), last(moved), strict=True)):
        if one.padding is None or two.size is None:
            event("no common stride, or channels from all over the input, which are a mixture of the whole axis")
            continue
        assert two.padding == one.padding + (shift if position == axis else 0)
        assert (one.size, one.min_size, one.stride, one.phases) == (two.size, two.min_size, two.stride, two.phases)


@given(recipes(sliding_moves, joins=()), st.integers(1, 40), st.integers(0, 2))
def test_enlarging_the_input_changes_nothing(recipe: Recipe, more: int, axis: int) -> None:
    small = recipe.graph()
    assume(small.layers)
    large = recipe.enlarged(2 + axis % (len(recipe.shape) - 2), more)
    for one, two in zip(last(small), last(large), strict=True):
        if one.padding is None:
            event("too few units for a period")
            continue
        assert law(one) == law(two)


@given(recipes(sliding_moves, joins=("add",)))
def test_the_order_of_branches_does_not_matter(recipe: Recipe) -> None:
    place = next((i for i, move in enumerate(recipe.moves) if move.name == "branches"), None)
    if place is None:
        return
    join = recipe.moves[place]
    turned = Move("branches", {**join.parameters, "branches": join.parameters["branches"][::-1]})
    one = recipe.graph()
    two = replace(recipe, moves=(*recipe.moves[:place], turned, *recipe.moves[place + 1 :])).graph()
    event(f"{len(join.parameters['branches'])} branches")
    for a, b in zip(last(one), last(two), strict=True):
        assert a == b
    left, right = views(one)[one.outputs[0]], views(two)[two.outputs[0]]
    assert left.density == pytest.approx(right.density)
    for s, t, field in zip(left.spread, right.spread, left.fields, strict=True):
        if field.empty:
            continue
        assert (s.variance, s.log_paths) == (pytest.approx(t.variance), pytest.approx(t.log_paths))


@given(recipes(sliding_moves), st.integers(2, 3))
def test_the_batch_sees_nothing_else(recipe: Recipe, batch: int) -> None:
    one, several = recipe.graph(), recipe.graph((batch, *recipe.shape[1:]))
    assume(one.layers)
    assert last(one) == last(several)


SPELLINGS = {"written_out", "pooled"}
"""Parameters of a step that choose between two ways to write one network."""


def respelled(moves: tuple[Move, ...]) -> tuple[Move, ...]:
    """The same steps, those that can be written in two ways in the other one."""
    result = []
    for move in moves:
        turned = {name: not value for name, value in move.parameters.items() if name in SPELLINGS}
        if "branches" in move.parameters:
            turned["branches"] = tuple(respelled(branch) for branch in move.parameters["branches"])
        result.append(Move(move.name, move.parameters | turned))
    return tuple(result)


@given(recipes(spelled_moves, joins=("add", "concat")))
def test_one_network_written_in_two_ways_gets_one_answer(recipe: Recipe) -> None:
    other = replace(recipe, moves=respelled(recipe.moves))
    one, two = recipe.graph(), other.graph()
    assume(len(one.layers) != len(two.layers))
    event("written differently")
    for left, right in zip(views(one)[one.outputs[0]].fields, views(two)[two.outputs[0]].fields, strict=True):
        assert left.reach == right.reach
    for first, second in zip(last(one), last(two), strict=True):
        assert (first.size, first.stride, first.padding, first.coverage) == (second.size, second.stride, second.padding, second.coverage)
