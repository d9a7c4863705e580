"""Fields: intervals along axes that repeat with a period, and NumPy's operations on them."""

from __future__ import annotations

import numpy as np
import pytest

from service.analysis.field.intervals import FAR, Field, expand, identity, mix, nothing, sizes, slide, transpose
from service.analysis.field.meeting import concatenate, join
from service.analysis.field.reshaping import reshape, segments
from service.analysis.field.taps import listed, shifted, sliding, tiled, transposed


def intervals(field: Field, length: int, axis: int = 0) -> list[tuple[int, int] | None]:
    """What the units along one axis see, where the others have one unit."""
    result = []
    for i in range(length):
        extent, step = field.extents[axis], field.steps[axis] or 0
        low, high = (int(end) for end in np.moveaxis(field.bounds, axis + 1, 1).reshape(4, extent, -1)[:2, i % extent, 0])
        result.append(None if low >= FAR // 2 else (low + i // extent * step, -high + i // extent * step))
    return result


def test_identity_sees_itself() -> None:
    assert intervals(identity(1, 0), 3) == [(0, 0), (1, 1), (2, 2)]
    assert not identity(2, 0).varies(1)


def test_a_chain_of_windows_needs_one_entry() -> None:
    field = slide(slide(identity(1, 0), 0, sliding(3, 2, 1, 1), 50), 0, sliding(3, 1, 2, 2), 50)
    assert (field.extents, field.steps) == ((1,), (2,))
    assert intervals(field, 2) == [(-5, 5), (-3, 7)]


def test_a_transposed_window_needs_one_entry_for_each_phase() -> None:
    field = slide(identity(1, 0), 0, transposed(3, 2, 1, 0), 9)
    assert (field.extents, field.steps) == ((2,), (1,))
    assert intervals(field, 4) == [(-1, 0), (0, 0), (0, 1), (1, 1)]


def test_a_phase_that_sees_nothing_stays_blind() -> None:
    field = slide(identity(1, 0), 0, transposed(1, 2, 1, 0), 5)
    assert intervals(field, 4) == [(0, 0), None, (1, 1), None]
    wide = slide(field, 0, sliding(2, 1, 1, 0), 4)
    assert intervals(wide, 4) == [(0, 0), (1, 1), (1, 1), (2, 2)]
    assert (wide.bounds[wide.bounds > 0] < FAR // 2).all()


def test_a_period_that_is_resampled_away_is_forgotten() -> None:
    """Enlarged by two and every second unit kept: the identity again."""
    field = slide(slide(identity(1, 0), 0, transposed(2, 2, 1, 0), 10), 0, shifted(0, 2), 5)
    assert (field.extents, field.steps) == ((1,), (1,))


def test_a_flip_runs_backwards() -> None:
    field = slide(slide(identity(1, 0), 0, sliding(3, 1, 1, 1), 5), 0, shifted(4, -1), 5)
    assert intervals(field, 3) == [(3, 5), (2, 4), (1, 3)]


def test_lists_say_nothing_beyond_their_border() -> None:
    field = slide(identity(1, 0), 0, listed((2, 0, 1, 1)), 4)
    assert field.steps == (None,)
    padded = slide(field, 0, shifted(-1), 6)
    assert intervals(padded, 6) == [None, (2, 2), (0, 0), (1, 1), (1, 1), None]


def test_an_affine_list_is_a_stride_after_all() -> None:
    field = slide(identity(1, 0), 0, listed((1, 3, 5, 7)), 4)
    assert (field.extents, field.steps) == ((1,), (2,))


def test_tiles_repeat() -> None:
    field = slide(identity(1, 0), 0, tiled(3), 9)
    assert intervals(field, 5) == [(0, 0), (1, 1), (2, 2), (0, 0), (1, 1)]


def test_mixing_sees_all_of_a_group() -> None:
    field = slide(identity(1, 0), 0, sliding(3, 1, 1, 1), 6)
    assert intervals(mix(field, 0, 6, 2), 2) == [(-1, 6), (-1, 6)]
    assert intervals(mix(field, 0, 6, 4, groups=2), 4) == [(-1, 3), (-1, 3), (2, 6), (2, 6)]


def test_join_is_the_union_and_keeps_the_narrower_path() -> None:
    narrow = slide(identity(1, 0), 0, shifted(2), 6)
    wide = slide(identity(1, 0), 0, sliding(3, 1, 1, 1), 6)
    both = join([wide, narrow], (6,))
    assert intervals(both, 2) == [(-1, 2), (0, 3)]
    assert [int(s.reshape(-1)[0]) for s in sizes(both.bounds)] == [4, 1]


def test_join_of_different_periods_has_their_least_common_one() -> None:
    two = slide(identity(1, 0), 0, transposed(2, 2, 1, 0), 12)
    two = slide(two, 0, shifted(0), 12)
    three = slide(slide(identity(1, 0), 0, sliding(1, 3, 1, 0), 2), 0, transposed(6, 6, 1, 0), 12)
    both = join([two, three], (12,))
    assert (both.extents, both.steps) == ((6,), (3,))


def test_of_equally_narrow_paths_the_order_does_not_choose() -> None:
    one, two = slide(identity(1, 0), 0, sliding(1, 2, 1, 0), 5), slide(identity(1, 0), 0, shifted(1), 5)
    assert (join([one, two], (5,)).bounds == join([two, one], (5,)).bounds).all()


def test_a_period_longer_than_the_axis_is_kept() -> None:
    """Enlarged by six and kept every fourth: three units to a period, of which an axis of two has but two."""
    field = slide(slide(identity(1, 0), 0, transposed(6, 6, 1, 0), 12), 0, shifted(0, 4), 2)
    assert (field.extents, field.steps) == ((3,), (2,))


def test_join_of_different_paces_is_listed() -> None:
    one, two = identity(1, 0), slide(identity(1, 0), 0, sliding(1, 2, 1, 0), 4)
    both = join([one, two], (4,))
    assert intervals(both, 4) == [(0, 0), (1, 2), (2, 4), (3, 6)]


def test_paths_that_agree_on_few_units_need_not_have_one_stride() -> None:
    """Strides of six and of two over a single unit: which comes first must not decide how the field goes on."""
    six, two = (slide(identity(1, 0), 0, sliding(1, stride, 1, 0), 1) for stride in (6, 2))
    assert join([six, two], (1,)).steps == join([two, six], (1,)).steps == (0,)


def test_the_empty_field_is_neutral() -> None:
    one = slide(identity(1, 0), 0, sliding(3, 1, 1, 1), 4)
    assert intervals(join([nothing(1), one], (4,)), 4) == intervals(one, 4)
    worse = join([nothing(1).worse("global", "mean"), one], (4,))
    assert (worse.reach, worse.because) == ("global", "mean")


def test_concatenation_lays_units_side_by_side() -> None:
    one, two = slide(identity(1, 0), 0, shifted(5), 2), identity(1, 0)
    assert intervals(concatenate([one, two], 0, [2, 3], (5,)), 5) == [(5, 5), (6, 6), (0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("shape", "result", "expected"),
    [
        ((2, 6), (12,), [((2, 6), (12,))]),
        ((4, 6), (4, 2, 3), [((4,), (4,)), ((6,), (2, 3))]),
        ((1, 6), (6,), [((1, 6), (6,))]),
        ((2, 3, 4), (6, 2, 2), [((2, 3), (6,)), ((4,), (2, 2))]),
        ((6,), (6, 1), [((6,), (6,)), ((), (1,))]),
    ],
)
def test_segments_hold_the_same_number_of_units(shape: tuple[int, ...], result: tuple[int, ...], expected: list[object]) -> None:
    found = segments(shape, result)
    for old, new in found:
        assert np.prod(old) == np.prod(new)
    assert tuple(n for old, _ in found for n in old) == shape
    assert tuple(n for _, new in found for n in new) == result
    assert len(found) <= len(expected) + 1


@pytest.mark.parametrize("result", [(3, 4), (4, 3), (2, 6), (2, 3, 2), (1, 12, 1), (12,)])
def test_reshape_keeps_the_order(result: tuple[int, ...]) -> None:
    """Every unit of another shape sees what the unit of the same rank in row-major order saw."""
    field = slide(identity(1, 0), 0, transposed(3, 2, 1, 1), 12)
    shaped = reshape(field, (12,), result)
    again = reshape(shaped, result, (12,))
    assert intervals(again, 12) == intervals(field, 12)
    flat = [tuple(int(e) for e in np.array([1, -1]) * _at(shaped, unit)) for unit in np.ndindex(*result)]
    assert flat == intervals(field, 12)


def test_an_axis_merged_with_another_and_split_off_again_has_its_stride() -> None:
    """Rows of 5 read as one list of tokens and back, as Einsum does: height and width move along their own axis."""
    height, width = identity(3, 0), identity(3, 1)
    for field, steps in ((height, (1, 0, 0)), (width, (0, 1, 0))):
        back = reshape(reshape(field, (8, 5, 4), (40, 4)), (40, 4), (8, 5, 4))
        assert (back.steps, back.extents) == (steps, (1, 1, 1))
    assert reshape(height, (8, 5, 4), (1, 8, 5, 4)).steps == (0, 1, 0, 0)
    assert reshape(width, (8, 5, 4), (8, 1, 5, 4)).steps == (0, 0, 1, 0)


def _at(field: Field, unit: tuple[int, ...]) -> np.ndarray:
    index = tuple(i % e for i, e in zip(unit, field.extents, strict=True))
    moved = sum(i // e * (s or 0) for i, e, s in zip(unit, field.extents, field.steps, strict=True))
    return field.bounds[(slice(0, 2), *index)] + np.array([moved, -moved])


def test_transpose_and_expand_follow_numpy() -> None:
    field = transpose(identity(3, 1), (1, 2, 0))
    assert field.steps == (1, 0, 0)
    stretched = expand(identity(2, 1), (1, 4), (3, 2, 4))
    assert stretched.steps == (0, 0, 1)
    assert expand(identity(1, 0), (1,), (5,)).steps == (0,)
