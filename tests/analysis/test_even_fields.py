"""Fields whose units are one step apart are carried, joined and measured in whole numbers: the same as any description of them gives."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.analysis.field.intervals import Field, identity, remembered, sizes, slide, table
from service.analysis.field.meeting import join
from service.analysis.field.published import Measure, measure, placement
from service.analysis.field.taps import sliding

steps = st.sampled_from([-3, -1, 1, 2, 4])
edges = st.integers(-20, 20)
widths = st.integers(1, 30)


@st.composite
def even_fields(draw: st.DrawFn) -> Field:
    """A field that moves along the last axis of a tensor of rank 3."""
    low, width = draw(edges), draw(widths)
    narrow = draw(st.integers(1, width))
    inner = low + draw(st.integers(0, width - narrow))
    bounds = np.array([low, 1 - low - width, inner, 1 - inner - narrow], dtype=np.int64).reshape(4, 1, 1, 1)
    return Field(bounds, (0, 0, draw(steps)))


def doubled(field: Field) -> Field:
    """The same field, described over a period of two units."""
    step = field.steps[2] or 0
    return replace(field, bounds=table(field, 2, np.arange(2)), steps=(0, 0, 2 * step))


def units(field: Field, count: int = 7) -> list[list[int]]:
    """The bounds of the first units."""
    return table(field, 2, np.arange(count)).reshape(4, count).tolist()


def without_phases(found: Measure) -> Measure:
    """A period of two equal units has each size twice."""
    return replace(found, phases=found.phases[:1])


@given(even_fields(), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
def test_window(field: Field, kernel: int, stride: int, dilation: int, before: int) -> None:
    taps = sliding(kernel, stride, dilation, before)
    assert units(slide(field, 2, taps, 9)) == units(slide(doubled(field), 2, taps, 9))


@given(even_fields(), even_fields())
def test_join(one: Field, two: Field) -> None:
    two = replace(two, steps=one.steps)
    assert units(join([one, two], (1, 1, 9))) == units(join([doubled(one), doubled(two)], (1, 1, 9)))


@given(even_fields(), st.integers(0, 9), st.integers(0, 40))
def test_measure(field: Field, count: int, length: int) -> None:
    assert without_phases(measure(field, (1, 1, count), length)) == without_phases(measure(doubled(field), (1, 1, count), length))


@given(even_fields())
def test_placement_is_where_unit_0_looks(field: Field) -> None:
    found = placement(field)
    assert found is not None
    assert found == placement(doubled(field))
    assert found.newest - found.oldest + 1 == sizes(field.bounds)[0].max()


def test_layers_of_one_geometry_share_their_taps() -> None:
    assert sliding(3, 1, 1, 1) is sliding(3, 1, 1, 1)
    assert sliding(3, 1, 1, 1) is not sliding(3, 2, 1, 1)


def test_what_is_remembered_of_a_field_goes_with_it() -> None:
    asked = []

    @remembered
    def size(field: Field, factor: int) -> int:
        """The answer of a field that is gone would keep its tables."""
        asked.append(factor)
        return factor * field.bounds.size

    field = replace(identity(3, 2))
    assert [size(field, 2), size(field, 2), size(field, 3)] == [8, 8, 12]
    assert asked == [2, 3]
    kept = weakref.ref(field)
    del field
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_paths_as_narrow_as_each_other_the_first_one_counts(order: tuple[int, int]) -> None:
    """Whatever the order of the operands."""
    pair = [Field(np.array([low, -low - 2, low, -low - 2], dtype=np.int64).reshape(4, 1), (1,)) for low in (0, 5)]
    met = join([pair[i] for i in order], (9,))
    assert met.bounds.ravel().tolist() == [0, -7, 0, -2]
