"""Receptive fields of random small networks against the connection matrix."""

from __future__ import annotations

import pytest
from hypothesis import given

from service.analysis.fields import FAR, Field
from service.analysis.receptive_field import View, walk
from service.graph import Graph
from tests import oracle
from tests.analysis.networks import spatial
from tests.property.recipes import Recipe, all_moves, recipes

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


@given(recipes(all_moves))
def test_every_unit_sees_the_box_of_its_row(recipe: Recipe) -> None:
    graph = recipe.graph()
    source, axes = graph.inputs[0].shape or (), spatial(graph)[0]
    wired = oracle.wire(graph, 0, axes)
    for name, view in engine(graph).items():
        tensor = wired[name]
        if tensor.doubtful:
            return
        for field, axis in zip(view.fields, axes, strict=True):
            assert (field.reach == "global") == (axis in tensor.ended), (name, axis)
        for number, unit in enumerate(oracle.places(tensor.shape)):
            seen = [bounds(field, unit) for field in view.fields]
            read = [oracle.box(tensor.local[axis][number], source, axis) for axis in axes]
            if not any(read):
                assert tensor.cut[number] or not all(seen), (name, unit)
                continue
            for one, other, axis in zip(seen, read, axes, strict=True):
                if not tensor.cut[number]:
                    assert (one and one[:2]) == other, (name, unit, axis)
                elif other:
                    assert one and one[0] <= other[0] and other[1] <= one[1], (name, unit, axis)
