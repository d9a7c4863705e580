"""Density: pixels read / pixels of the box, where paths meet. Each number was counted by hand or is the support of a gradient."""

from __future__ import annotations

import numpy as np
import pytest

from service.analysis.field.density import TOO_MUCH, Density, PixelCounter
from service.analysis.field.influence import Ended
from service.analysis.field.receptive_field import View, walk
from service.graph import Operator, Shape
from service.graph import operators as core
from tests.analysis.networks import ADD, Builder, conv, measures, spatial, views

CHANNELS = core.Concatenation(1)


def branched(*branches: Operator, join: Operator = ADD, length: int = 64, after: tuple[Operator, ...] = ()) -> Builder:
    """Operators beside each other on a square image that meet in a join, and operators behind it."""
    builder = Builder()
    source = builder.input(1, 1, length, length)
    builder.add(join, *[builder.add(branch, source) for branch in branches])
    for operator in after:
        builder.add(operator)
    return builder


def seen(builder: Builder) -> View:
    """What the last layer sees."""
    return views(builder.graph())[builder.last]


def sizes(builder: Builder) -> tuple[int | None, ...]:
    return tuple(axis.size for axis in measures(builder.graph())[builder.last])


CROSS = (conv(1, (1, 7), pad=(0, 3)), conv(1, (7, 1), pad=(3, 0)))
ASPP = tuple(conv(1, 3, pad=rate, dilation=rate) if rate else conv(1, 1) for rate in (0, 6, 12, 18))
SHIFTED = (conv(1, 3, pad=((1, 1), (1, 1))), conv(1, 3, pad=((0, 2), (0, 2))))


@pytest.mark.parametrize(
    ("branches", "side", "read"),
    [
        (CROSS, 7, 13),  # a 1×7 beside a 7×1 (Cross-SRN)
        ((conv(1, (1, 3), pad=(0, 1)), conv(1, (3, 1), pad=(1, 0))), 3, 5),
        (ASPP, 37, 25),  # DeepLab v2's rates 6, 12 and 18: the centre and eight taps each
        (SHIFTED, 4, 14),  # NASNet's factorised reduction: one window beside the same one a pixel down and to the right
        ((conv(1, 5, pad=2), conv(1, 3, pad=1), conv(1, 1)), 5, 25),
        ((conv(1, 3, pad=2, dilation=2), conv(1, 5, pad=2)), 5, 25),
    ],
)
@pytest.mark.parametrize("join", [ADD, CHANNELS], ids=["add", "concat"])
def test_paths_that_meet(branches: tuple[Operator, ...], side: int, read: int, join: Operator) -> None:
    """The union over all paths, whether they are added or lie side by side as channels that a 1×1 mixes."""
    builder = branched(*branches, join=join, after=(conv(1, 1),))
    assert sizes(builder) == (side, side)
    assert seen(builder).density == pytest.approx(read / side**2)


def test_the_pinwheel() -> None:
    """Four 1×3 and 3×1 arms, each padded on two sides, and a 2×2 over them read 25 of 49 pixels (PConv, AAAI 2025)."""
    builder = Builder()
    source = builder.input(1, 1, 32, 32)
    arms = []
    for left, right, top, bottom in ((3, 0, 1, 0), (0, 3, 0, 1), (0, 1, 3, 0), (1, 0, 0, 3)):
        padded = builder.add(core.Padding(((0, 0), (0, 0), (top, bottom), (left, right))), source)
        arms.append(builder.add(conv(1, (1, 3) if max(left, right) == 3 else (3, 1)), padded))
    builder.add(CHANNELS, *arms)
    builder.add(conv(1, 2))
    assert sizes(builder) == (7, 7)
    assert seen(builder).density == pytest.approx(25 / 49)


def test_corners_stay_missing_behind_windows() -> None:
    """A cross, then a 3×3: a plus of 9×3 and 3×9, 45 of 81 pixels."""
    builder = branched(*CROSS, after=(conv(1, 3, pad=1),))
    assert sizes(builder) == (9, 9)
    assert seen(builder).density == pytest.approx(45 / 81)


def test_a_path_that_holds_the_others_leaves_no_hole() -> None:
    """A plus beside a 9×9 is the 9×9, and so is what follows: nothing needs to be counted there."""
    builder = branched(*CROSS)
    builder.add(ADD, builder.last, builder.add(conv(1, 9, pad=4), "input0"))
    whole = seen(builder)
    assert (whole.density, whole.filled, whole.gridded) == (1.0, True, False)
    builder.add(conv(1, 3, pad=1))
    assert seen(builder).filled


def test_gridding_leaves_out_whole_rows_and_a_cross_does_not() -> None:
    dilated = Builder()
    dilated.input(1, 1, 32, 32)
    dilated.add(conv(1, 3, pad=2, dilation=2))
    assert seen(dilated).gridded
    assert not seen(branched(*CROSS)).gridded


def test_channels_of_a_group_are_judged_apart() -> None:
    """Two channels of a space-to-depth lie on a diagonal and read two of four pixels; all four read the whole square."""
    builder = Builder()
    source = builder.input(1, 1, 16, 16)
    parts = {}
    for row in (0, 1):
        rows = builder.add(core.Slicing(2, row, 2, 8), source)
        for column in (0, 1):
            parts[row, column] = builder.add(core.Slicing(3, column, 2, 8), rows)
    builder.add(CHANNELS, parts[0, 0], parts[1, 1], parts[0, 1], parts[1, 0])
    stacked = builder.last
    builder.add(conv(2, 1, groups=2))
    assert seen(builder).density == pytest.approx(2 / 4)
    builder.add(conv(1, 1), stacked)
    assert seen(builder).density == 1.0


def scores(length: int) -> Builder:
    """Every position's query on every position's key."""
    builder = Builder()
    source = builder.input(1, 4, length)
    query, key = (builder.add(conv(4, 1, rank=1), source) for _ in range(2))
    builder.add(core.Contraction(((0, 3, 1), (0, 3, 2)), (0, 1, 2)), query, key)
    return builder


@pytest.mark.parametrize("length", [10, 16, 77])
def test_a_score_reads_its_query_and_its_key(length: int) -> None:
    """Unit (0, n - 1) reads the first and the last position: a box of n positions, of which two are read."""
    builder = scores(length)
    assert sizes(builder) == (length,)
    assert seen(builder).density == pytest.approx(2 / length)


@pytest.mark.parametrize("shapes", [((1, 12, 1), (12,), (4, 3), (1, 1, 12)), ((1, 1, 1, 12), (1, 3, 4), (12, 1), (1, 1, 12))])
def test_axes_of_one_unit_come_and_go(shapes: tuple[Shape, ...]) -> None:
    """Two dilated windows with reshapes between them that add, drop, split and merge axes read what they read without."""
    builder = Builder()
    builder.input(1, 1, 12)
    builder.add(conv(1, 3, pad=2, dilation=2, rank=1))
    for shape in shapes:
        builder.add(core.Reshaping(shape))
        assert sizes(builder) == (5,)
        assert seen(builder).density == pytest.approx(3 / 5)


def test_masked_scores_read_nothing() -> None:
    """Scores of a causal mask: of those that are left, (3, 0) is the widest, and reads two of four positions."""
    builder = scores(4)
    blocked = ~np.tril(np.ones((4, 4), dtype=bool))
    builder.add(core.Masking((1, 4, 4), blocked.tobytes()))
    assert sizes(builder) == (4,)
    assert seen(builder).density == pytest.approx(2 / 4)


def test_windows_beside_the_seam_of_a_roll() -> None:
    """Cyclically shifted windows of four: inner ones read four neighbours; the one across the seam is not the unit that is reported."""
    builder = Builder()
    source = builder.input(1, 1, 16)
    builder.add(core.Concatenation(2), builder.add(core.Slicing(2, 2, 1, 14), source), builder.add(core.Slicing(2, 0, 1, 2), source))
    builder.add(core.Reshaping((1, 1, 4, 4)))
    builder.add(core.Dense(4))
    assert sizes(builder) == (4,)
    assert seen(builder).density == 1.0


def counted(builder: Builder, steps: int) -> Density | None:
    """The density of the last layer with so many steps to walk backwards."""
    graph = builder.graph()
    axes = spatial(graph)
    ended: dict[int, Ended] = {}
    *_, found = walk(graph, axes, ended=ended)
    view, shape = found.output[0], graph.tensors[graph.outputs[0]].shape or ()
    counter = PixelCounter(graph, axes, ended, steps)
    return counter.density(len(graph.layers) - 1, 0, view.fields, shape)[0]


def test_too_much_to_count_is_no_number() -> None:
    """With too few steps nothing is said; with enough, the plus."""
    builder = branched(*CROSS)
    assert counted(builder, 2) is TOO_MUCH
    assert counted(builder, 100) == Density(13 / 49, (1.0, 1.0))


@pytest.mark.parametrize("shape", [(1, 64, 64), (1, 2048, 2048)])
def test_the_size_of_the_image_does_not_matter(shape: Shape) -> None:
    builder = branched(*CROSS, length=shape[-1], after=(conv(1, 3, pad=1), conv(1, 3, pad=1)))
    assert seen(builder).density == pytest.approx((11 * 5 * 2 - 25) / 121)
