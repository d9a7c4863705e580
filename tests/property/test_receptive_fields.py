"""Receptive fields of random small networks against the connection matrix."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.analysis.field.influence import Ended, Reached, influence
from service.analysis.field.intervals import FAR, Field
from service.analysis.field.published import inner_units, measure
from service.analysis.field.receptive_field import View, walk
from service.graph import Graph, Shape
from tests import oracle
from tests.analysis.networks import spatial
from tests.property.recipes import CUTS, PADS, Move, Recipe, all_moves, convolutions, poolings, recipes, sliding_moves

pytestmark = pytest.mark.property


def bounds(field: Field, unit: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The interval that one unit sees, and its narrowest path's: unit i of an axis is entry i mod extent, moved on by the step."""
    index = tuple(i % extent for i, extent in zip(unit, field.extents, strict=True))
    low, high, narrow_low, narrow_high = (int(end) for end in field.bounds[(slice(None), *index)])
    if low >= FAR // 2:
        return None
    moved = sum((i // extent) * (step or 0) for i, extent, step in zip(unit, field.extents, field.steps, strict=True))
    return low + moved, -high + moved, narrow_low + moved, -narrow_high + moved


def engine(graph: Graph, index: int = 0) -> dict[str, View]:
    """What every layer sees of one input."""
    return {seen.layer.name: seen.output[index] for seen in walk(graph, spatial(graph)) if index in seen.output}


def known_apart(wired: dict[str, oracle.Wired], axes: tuple[int, ...]) -> bool:
    """Whether the axes can be judged one by one. Where a unit reads nothing on one axis, the fields of the others do not know."""
    return len(axes) == 1 or not oracle.blind(wired)


@given(recipes(all_moves, two_inputs=True), st.data())
def test_every_unit_sees_the_box_of_its_row(recipe: Recipe, data: st.DataObject) -> None:
    graph = recipe.graph()
    index = data.draw(st.integers(0, recipe.inputs - 1))
    source, axes = recipe.shape, spatial(graph)[index]
    wired = oracle.wire(graph, index, axes)
    exact = known_apart(wired, axes)
    for name, view in engine(graph, index).items():
        tensor = wired[name]
        if tensor.doubtful:
            event("left open what is global")
            return
        if tensor.ended:
            event("global")
        for field, axis in zip(view.fields, axes, strict=True):
            assert (field.reach == "global") == (axis in tensor.ended), (name, axis)
        for number, unit in enumerate(oracle.places(tensor.shape)):
            seen = [bounds(field, unit) for field in view.fields]
            read = [oracle.box(tensor.local[axis][number], source, axis) for axis in axes]
            if not any(read):
                assert tensor.cut[number] or not all(seen), (name, unit)
                continue
            for one, other, axis in zip(seen, read, axes, strict=True):
                if exact and not tensor.cut[number]:
                    assert (one and one[:2]) == other, (name, unit, axis)
                elif other:
                    assert one and one[0] <= other[0] and other[1] <= one[1], (name, unit, axis)


@cache
def regular(shape: Shape) -> st.SearchStrategy[Move]:
    """Windows, slices and padding: every unit sees what its neighbour sees, moved on by the stride."""
    return st.one_of(convolutions(shape, tables=False), poolings(shape), PADS, CUTS)


GROWN = {1: 48, 2: 13, 3: 7}
"""Length of every spatial axis of the larger input on which inner units are looked for, by their number."""


def larger(recipe: Recipe) -> Graph:
    """The network on an input whose inner units do not touch the border."""
    lengths = (GROWN[len(recipe.shape) - 2],) * (len(recipe.shape) - 2)
    graph = recipe.graph((1, recipe.shape[1], *lengths))
    assume(graph.layers and all(math.prod(tensor.shape or ()) <= 800 for tensor in graph.tensors.values()))
    return graph


def uncut(tensor: oracle.Wired) -> list[tuple[int, ...]]:
    """Places, by their spatial coordinates, of which no channel is cut by a border."""
    grid = tensor.cut.reshape(tensor.shape).any(axis=(0, 1))
    return [tuple(int(i) for i in place) for place in np.argwhere(~grid)]


def boxes(tensor: oracle.Wired, source: Shape, axis: int, place: tuple[int, ...]) -> list[tuple[int, int] | None]:
    """What the channels at a place see of an input axis."""
    rows = tensor.matrix.reshape((*tensor.shape, -1))[(0, slice(None), *place)]
    return [oracle.box(row, source, axis) for row in rows]


@given(recipes(sliding_moves, joins=("add", "concat")))
def test_inner_units_obey_one_law(recipe: Recipe) -> None:
    """Size of every phase, stride and padding: counted on a larger input, and the same whatever the size of the input."""
    small, large = recipe.graph(), larger(recipe)
    source = large.inputs[0].shape or ()
    wired = oracle.wire(large)
    assume(known_apart(wired, spatial(large)[0]))
    tensor = wired[large.outputs[0]]
    views = engine(large)
    view, grown = engine(small)[small.outputs[0]], views[large.outputs[0]]
    for position, axis in enumerate(spatial(large)[0]):
        field = grown.fields[position]
        found = measure(field, grown.shape, source[axis])
        # Where branches of different paces met anywhere, units are listed, and a few of them look like a pace of their own.
        if found.stride is None or any(None in each.fields[position].steps[2:] for each in views.values()):
            event("branches of different paces")
            continue
        period = len(found.phases)
        pace = found.stride * period
        for place in uncut(tensor):
            i = place[position]
            seen = [one for one in boxes(tensor, source, axis, place) if one is not None]
            if seen:
                event("an inner unit")
                assert max(high - low + 1 for low, high in seen) == found.phases[i % period]
                if i % period == 0:
                    assert found.padding is not None
                    assert min(low for low, _ in seen) == -found.padding + i // period * pace
        own = measure(view.fields[position], view.shape, recipe.shape[axis])
        if own.stride is not None:
            assert (own.size, own.min_size, own.stride, own.padding) == (found.size, found.min_size, found.stride, found.padding)


@given(recipes(sliding_moves, joins=("add", "concat")))
def test_coverage_is_the_best_unit_clipped_at_the_border(recipe: Recipe) -> None:
    """The boxes of inner units on a larger input, moved to every place of the smaller tensor by the law that they obey."""
    small, large = recipe.graph(), larger(recipe)
    source = large.inputs[0].shape or ()
    wired = oracle.wire(large)
    assume(known_apart(wired, spatial(large)[0]))
    tensor, view, grown = wired[large.outputs[0]], engine(small)[small.outputs[0]], engine(large)[large.outputs[0]]
    for position, axis in enumerate(spatial(large)[0]):
        field = view.fields[position]
        found = measure(field, view.shape, recipe.shape[axis])
        if None in (field.steps[axis], found.stride, grown.fields[position].steps[axis]):
            continue
        assert found.stride is not None
        period = len(found.phases)
        by_phase: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        for place in uncut(tensor):
            seen = [one for one in boxes(tensor, source, axis, place) if one is not None]
            if len(seen) > len(by_phase.get(place[position] % period, (0, []))[1]):
                by_phase[place[position] % period] = place[position], seen
        if any(i % period not in by_phase and found.phases[i % period] for i in range(view.shape[axis])):
            event("too few inner units")
            continue
        best = 0
        for i in range(view.shape[axis]):
            at, seen = by_phase.get(i % period, (0, []))
            moved = (i - at) // period * int(found.stride * period)
            for low, high in seen:
                best = max(best, min(high + moved, recipe.shape[axis] - 1) - max(low + moved, 0) + 1)
        event("covered")
        assert found.coverage == pytest.approx(best / recipe.shape[axis])


@given(recipes(all_moves, two_inputs=True), st.data())
def test_density_counts_the_pixels_that_are_read(recipe: Recipe, data: st.DataObject) -> None:
    graph = recipe.graph()
    index = data.draw(st.integers(0, recipe.inputs - 1))
    source, axes = recipe.shape, spatial(graph)[index]
    wired = oracle.wire(graph, index, axes)
    assume(known_apart(wired, axes))
    for name, view in engine(graph, index).items():
        tensor = wired[name]
        if tensor.ended or tensor.doubtful:
            continue
        inner = [number for number in range(len(tensor.cut)) if not tensor.cut[number] and tensor.matrix[number].any()]
        if view.filled:
            assert view.density == 1.0
            assert all(oracle.density(tensor.matrix[number], source, axes) == 1.0 for number in inner), name
            continue
        event("holes")
        judged = judged_units(view, tensor)
        if judged and view.density is not None:
            assert view.density == pytest.approx(oracle.density(tensor.matrix[judged].sum(axis=0), source, axes)), name


def judged_units(view: View, tensor: oracle.Wired) -> list[int]:
    """The units whose density is reported: the first of the inner units that reads anything; none where a border cuts one of them."""
    for unit in inner_units(view.fields, view.shape)[0]:
        numbers = [int(np.ravel_multi_index([i or 0 for i in unit], view.shape))]
        if tensor.cut[numbers].any():
            return []
        if tensor.matrix[numbers].any():
            return numbers
    return []


@given(recipes(all_moves, two_inputs=True), st.data())
def test_influence_is_a_row_of_the_matrix(recipe: Recipe, data: st.DataObject) -> None:
    graph = recipe.graph()
    assume(graph.layers)
    index = data.draw(st.integers(0, recipe.inputs - 1))
    axes = spatial(graph)
    wired = oracle.wire(graph, index, axes[index])
    ended: dict[int, Ended] = {}
    for _ in walk(graph, axes, ended=ended):
        pass
    known = {
        position: wired[layer.outputs[0]]
        for position, layer in enumerate(graph.layers)
        if layer.outputs[0] in wired and not (wired[layer.outputs[0]].cut.all() or wired[layer.outputs[0]].ended)
    }
    if not known:
        event("no unit to be judged")
        return
    position = data.draw(st.sampled_from(sorted(known)))
    tensor = known[position]
    number = data.draw(st.sampled_from(np.flatnonzero(~tensor.cut).tolist()))
    if tensor.doubtful:
        return
    unit = tuple(int(i) for i in np.unravel_index(number, tensor.shape))
    reached = influence(graph, position, unit, graph.inputs[index].name, ended[index])
    counts = np.zeros(recipe.shape) if reached is None else on_the_input(reached, recipe.shape)
    assert (counts.reshape(-1) == tensor.matrix[number]).all()


def on_the_input(reached: Reached, shape: Shape) -> NDArray[np.float64]:
    """Path counts for every unit of the input. None may lie beyond its border."""
    counts = np.zeros(shape)
    for entry in np.argwhere(reached.counts):
        at = tuple(slice(None) if start is None else start + int(i) for start, i in zip(reached.origin, entry, strict=True))
        assert all(isinstance(i, slice) or 0 <= i < n for i, n in zip(at, shape, strict=True))
        counts[at] += reached.counts[tuple(entry)]
    return counts


@given(recipes(regular, joins=("add",)))
def test_spread_is_the_distribution_of_the_paths(recipe: Recipe) -> None:
    """Mean and variance of the paths to an inner unit; in a join, of the mixture of its branches."""
    large = larger(recipe)
    source, axes = large.inputs[0].shape or (), spatial(large)[0]
    wired = oracle.wire(large)
    seen = engine(large)
    if any(view.fields[p].extents[a] > 1 or view.fields[p].steps[a] is None for view in seen.values() for p, a in enumerate(axes)):
        event("branches of different paces")
        return
    name = large.outputs[0]
    tensor, view = wired[name], seen[name]
    for place in uncut(tensor)[:3]:
        paths = tensor.matrix.reshape((*tensor.shape, -1))[(0, slice(None), *place)].sum(axis=0)
        for position, axis in enumerate(axes):
            mean, variance = oracle.moments(paths, source, axis)
            event("an inner unit")
            assert view.spread[position].variance == pytest.approx(variance, abs=1e-9)
            assert view.spread[position].mean + place[position] * (view.fields[position].steps[axis] or 0) == pytest.approx(mean)


@given(recipes(sliding_moves, joins=("add", "concat")))
def test_the_narrowest_path_is_one_path(recipe: Recipe) -> None:
    """Where single paths meet it is the narrowest of them; behind that none is narrower, and the widest bounds it from above."""
    graph = recipe.graph()
    source, axes = recipe.shape, spatial(graph)[0]
    wired = oracle.wire(graph)
    meetings = {
        layer.name for layer in graph.layers if len(layer.inputs) > 1 and all(len(wired[name].single) == 1 for name in layer.inputs)
    }
    for name, view in engine(graph).items():
        tensor = wired[name]
        for number, unit in enumerate(oracle.places(tensor.shape)):
            if tensor.cut[number] or not tensor.single or not tensor.matrix[number].any():
                continue
            for field, axis in zip(view.fields, axes, strict=True):
                if field.empty:
                    continue  # a mixture that sees the whole axis, as test_every_unit_sees_the_box_of_its_row judges
                ends = [end for one in tensor.single if (end := oracle.box(one[number], source, axis)) is not None]
                one = bounds(field, unit)
                assert one is not None
                narrowest = min(high - low + 1 for low, high in ends)
                assert narrowest <= one[3] - one[2] + 1 <= one[1] - one[0] + 1
                if len(tensor.single) == 1:
                    assert one[2:] == one[:2]
                elif name in meetings:
                    event("paths meet")
                    assert one[3] - one[2] + 1 == narrowest
