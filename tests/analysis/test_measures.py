"""Size, stride, padding and coverage, read off fields."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from service.analysis.field.intervals import Field, identity, nothing, slide, transpose
from service.analysis.field.meeting import join
from service.analysis.field.published import Placement, inner_units, measure, measured, placement, size_at
from service.analysis.field.reshaping import reshape
from service.analysis.field.taps import listed, shifted, sliding, transposed


def line(*taps: tuple[int, int, int, int], length: int = 50) -> Field:
    """A chain of windows (kernel, stride, dilation, before) over one axis."""
    field = identity(1, 0)
    for one in taps:
        field = slide(field, 0, sliding(*one), length)
    return field


def test_unit_y_sees_what_araujo_says() -> None:
    """Araujo, Norris and Sim 2019: unit y sees -padding + y·stride … + size - 1."""
    found = measure(line((3, 2, 1, 1), (5, 2, 1, 2)), (50,), 200)
    assert (found.size, found.stride, found.padding, found.phases) == (11, Fraction(4), 5, (11,))


def test_phases_have_sizes_of_their_own() -> None:
    """A transposed window of 3 at stride 2 reads two units and one in turn; the stride is half a unit."""
    found = measure(slide(identity(1, 0), 0, transposed(3, 2, 1, 0), 40), (40,), 20)
    assert (found.size, found.min_size, found.stride, found.padding, found.phases) == (2, 1, Fraction(1, 2), 1, (2, 1))


def test_no_local_path() -> None:
    found = measure(nothing(1).worse("global", "mean"), (1,), 20)
    assert (found.size, found.min_size, found.stride, found.padding, found.coverage) == (None, None, None, None, 1.0)
    assert measure(nothing(1).worse("unknown", "loop"), (1,), 20).coverage is None


@pytest.mark.parametrize(
    ("taps", "units", "length", "expected"),
    [
        ((3, 1, 1, 1), 10, 10, 3),
        ((3, 1, 1, 1), 2, 2, 2),
        ((9, 1, 1, 4), 5, 5, 5),
        ((9, 1, 1, 8), 1, 20, 1),
        ((5, 4, 1, 2), 3, 10, 5),
        ((4, 3, 1, 3), 2, 4, 4),
        ((4, 3, 1, 3), 1, 4, 1),
    ],
)
def test_coverage_is_that_of_the_best_placed_unit(taps: tuple[int, int, int, int], units: int, length: int, expected: int) -> None:
    kernel, stride, _, before = taps
    best = max(len([i for i in range(length) if o * stride - before <= i <= o * stride - before + kernel - 1]) for o in range(units))
    assert best == expected
    assert measure(line(taps, length=units), (units,), length).coverage == expected / length


def test_padding_needs_a_stride() -> None:
    """Paths of different strides have no common law, and a mixture over windows is listed."""
    field = join([identity(1, 0), slide(identity(1, 0), 0, sliding(1, 2, 1, 0), 30)], (30,))
    found = measure(field, (30,), 60)
    assert (found.stride, found.padding) == (None, None)


def test_a_listed_axis_may_have_a_period_inside() -> None:
    """Windows of two: every second unit moves on by two."""
    field = slide(identity(1, 0), 0, listed(tuple(i // 2 * 2 for i in range(24))), 24)
    assert measure(field, (24,), 24).stride == 1


def test_a_list_has_the_padding_of_its_inner_units() -> None:
    """A circular padding of 1 before a window of 3: unit 0 sees both ends of the axis, unit y the pixels y - 1 … y + 1 (by gradient)."""
    ring = slide(identity(1, 0), 0, listed((23, *range(24), 0)), 26)
    found = measure(slide(ring, 0, sliding(3, 1, 1, 0), 24), (24,), 24)
    assert (found.size, found.stride, found.padding) == (3, 1, 1)
    pairs = slide(identity(1, 0), 0, listed(tuple(i // 2 * 2 - 3 for i in range(24))), 24)
    assert (measure(pairs, (24,), 24).stride, measure(pairs, (24,), 24).padding) == (1, 3)


def test_coverage_of_units_on_several_axes() -> None:
    """10 pixels in 5 windows of 2, each pixel seen through a window of 5 from 4 before: the last unit, 5 … 9, sees five pixels, not one."""
    field = reshape(line((5, 1, 1, 4), length=10), (10,), (5, 2))
    assert measure(field, (5, 2), 10).coverage == 5 / 10


def test_two_channels_are_not_a_stride() -> None:
    """Four channels that look at pixel 1, 1, 0 and 0: units of one place, which do not follow each other by a step."""
    bounds = np.array([[1, 1, 0, 0], [-1, -1, 0, 0]] * 2, dtype=np.int64)
    assert measure(Field(bounds, (None,)), (4,), 3).stride is None


def test_units_in_the_middle_that_see_nothing() -> None:
    """A list whose inner third reads nothing is measured over the others; coverage is always that of the best of all units."""
    field = slide(identity(1, 0), 0, listed((0, 1, 3, 9, 9, 9, 9, 9, 2, 5, 7)), 11)
    blind = slide(slide(field, 0, shifted(0), 11), 0, listed((0, 1, 2, -1, -1, -1, -1, -1, 8, 9, 10)), 11)
    assert measure(blind, (11,), 10).size == 1
    uneven = join([field, slide(identity(1, 0), 0, listed((5, *range(1, 11))), 11)], (11,))
    assert measure(uneven, (11,), 12).coverage == pytest.approx(7 / 12)


def test_placement_is_stride_and_ends() -> None:
    assert placement(line((3, 2, 1, 1))) == Placement(Fraction(2), Fraction(-1), Fraction(1))
    found = placement(line((2, 2, 1, 0)))
    assert found is not None and (found.stride, found.centre) == (2, Fraction(1, 2))
    assert placement(nothing(1)) is None


def test_inner_units_are_one_of_each_phase() -> None:
    """The widest phase first; of a listed axis the inner part; where there are too many, the widest, or the middle one of several."""
    field = slide(identity(1, 0), 0, transposed(3, 2, 1, 0), 41)
    assert inner_units((field,), (41,)) == ([[20], [21]], True)
    assert inner_units((identity(2, 1),), (3, 9)) == ([[None, 4]], True)
    order = tuple(int(i) for i in np.random.default_rng(0).permutation(90))
    units, stand_for_all = inner_units((slide(identity(1, 0), 0, listed(order[:40]), 40),), (40,))
    assert (sorted(units), stand_for_all) == ([[unit] for unit in range(13, 27)], False)
    shuffled = slide(identity(1, 0), 0, listed(order), 90)
    assert inner_units((shuffled,), (90,)) == ([[45]], False)
    taps = listed(order[:40] + tuple(range(40, 90)))
    wider = slide(slide(identity(1, 0), 0, taps, 90), 0, sliding(3, 1, 1, 1), 90)
    ((unit,),), _ = inner_units((wider,), (90,))
    assert unit is not None and size_at(wider, (unit,)) == max(size_at(wider, (place,)) for place in range(25, 65))


def test_measures_do_not_depend_on_where_the_slice_begins() -> None:
    one, two = line((3, 2, 1, 1)), slide(line((3, 2, 1, 1)), 0, shifted(3), 40)
    assert measure(one, (50,), 100).size == measure(two, (40,), 100).size
    assert measure(two, (40,), 100).padding == 1 - 3 * 2


def test_tokens_in_rows_are_one_stride_apart_on_both_axes() -> None:
    """A window of 7 at stride 4 gives 16×16 units; flattened row by row, neighbours still lie 4 pixels apart on either axis."""
    shape = (16, 16)
    fields = tuple(slide(identity(2, axis), axis, sliding(7, 4, 1, 3), 16) for axis in (0, 1))
    tokens = [reshape(field, shape, (256,)) for field in fields]
    for found in measured(tokens, (256,), (64, 64)):
        assert (found.size, found.stride, found.padding, found.phases) == (7, 4, 3, (7,))


def test_windows_and_their_units_are_one_grid() -> None:
    """Windows of 4×4 cut out of 16×16 units: window and unit together tell the place."""
    cut, order = (4, 4, 4, 4), (0, 2, 1, 3)
    fields = [transpose(reshape(slide(identity(2, a), a, sliding(4, 4, 1, 0), 16), (16, 16), cut), order) for a in (0, 1)]
    for shape in ((4, 4, 4, 4), (16, 16), (256,)):
        for found in measured([reshape(field, (4, 4, 4, 4), shape) for field in fields], shape, (64, 64)):
            assert (found.size, found.stride, found.padding) == (4, 4, 0)


def test_a_grid_of_unequal_units_has_no_stride() -> None:
    """Scores of every token for every other one see from one to the other: of 14×14 patches of 16 pixels, up to the whole image."""
    fields = [reshape(slide(identity(2, axis), axis, sliding(16, 16, 1, 0), 14), (14, 14), (196,)) for axis in (0, 1)]
    scores = [join([reshape(f, (196,), (196, 1)), reshape(f, (196,), (1, 196))], (196, 196)) for f in fields]
    assert [(m.size, m.stride, m.padding) for m in measured(scores, (196, 196), (224, 224))] == [(224, None, None)] * 2


def test_a_long_period_is_kept_on_a_short_axis() -> None:
    """Shrunk and enlarged by 128, then every third unit: 128 units make a period, of which only 85 lie within the border."""
    field = slide(identity(1, 0), 0, sliding(128, 128, 1, 0), 2)
    field = slide(slide(field, 0, transposed(128, 128, 1, 0), 256), 0, sliding(3, 3, 1, 0), 85)
    found = measure(field, (85,), 256)
    assert (found.size, found.stride, found.padding) == (256, 3, 0)


def test_units_that_see_nothing_make_no_grid() -> None:
    """Every other row reads nothing (a transposed window of 1 at stride 2): that is no way along which the columns lie."""
    listed_columns = slide(identity(2, 1), 1, listed((0, 1)), 2)
    rows, columns = (slide(field, 0, transposed(1, 2, 1, 0), 5) for field in (identity(2, 0), listed_columns))
    found = measured((rows, columns), (5, 2), (3, 2))
    assert (found[0].stride, found[0].phases, found[0].padding) == (Fraction(1, 2), (1, 0), 0)
