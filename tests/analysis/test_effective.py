"""The effective receptive field: the Gaussian of Luo et al. 2016, by path counts and by weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.analysis.field.effective import Spread, TapWeights
from service.analysis.field.receptive_field import walk
from service.graph import Graph
from service.graph import operators as core
from tests.analysis.networks import ADD, Builder, conv, spatial, transposed, views


@pytest.mark.parametrize("depth", [1, 2, 5, 20, 200])
def test_sigma_of_stacked_layers(depth: int) -> None:
    """Luo, Li, Urtasun and Zemel 2016: n layers of three uniform taps have σ = sqrt(2n/3) on each axis."""
    builder = Builder()
    builder.input(1, 3, 32, 32)
    for _ in range(depth):
        builder.add(conv(4, 3, pad=1))
    view = views(builder.graph())[builder.last]
    assert [math.sqrt(s.variance) for s in view.spread] == [pytest.approx(math.sqrt(2 * depth / 3))] * 2
    assert [s.mean for s in view.spread] == [0.0, 0.0]
    assert not any(s.weighted for s in view.spread)


def test_a_stride_widens_what_follows() -> None:
    """Variances add in input pixels: 2/3, then 4·2/3 behind a stride of two."""
    builder = Builder()
    builder.input(1, 1, 32)
    builder.add(conv(1, 3, 2, 1, rank=1))
    builder.add(conv(1, 3, pad=1, rank=1))
    (spread,) = views(builder.graph())[builder.last].spread
    assert spread.variance == pytest.approx(2 / 3 + 4 * 2 / 3)


def test_paths_that_meet_are_a_mixture_by_their_number() -> None:
    """A residual block of one channel: one path at the unit itself, three over three pixels, so a variance of (3·2/3)/4."""
    builder = Builder()
    source = builder.input(1, 1, 32)
    builder.add(ADD, source, builder.add(conv(1, 3, pad=1, rank=1)))
    (spread,) = views(builder.graph())[builder.last].spread
    assert spread.variance == pytest.approx(2 / 4)
    assert math.exp(spread.log_paths) == pytest.approx(4)


def test_channels_that_look_in_two_directions() -> None:
    """Half of the channels look one pixel back, half one pixel on: a unit has no spread of its own, a mixture of both has one of 1."""
    builder = Builder()
    source = builder.input(1, 1, 32)
    back = builder.add(core.Slicing(2, 0, 1, 30), source)
    on = builder.add(core.Slicing(2, 2, 1, 30), source)
    both = builder.add(core.Concatenation(1), back, on)
    builder.add(conv(1, 1, rank=1))
    found = views(builder.graph())
    assert found[both].spread[0].variance == 0.0
    assert found[builder.last].spread[0].variance == pytest.approx(1.0)


def test_channels_that_are_mixed_count_by_their_paths() -> None:
    """One path from pixel 0 beside three from pixels 0, 1 and 2, mixed: 0 twice, 1, 2, so a variance of 5/4 - (3/4)². Filters of one
    channel do not mix them.
    """
    for groups, variance in ((1, 11 / 16), (2, (0 * 1 + 3 * 2 / 3) / 4)):
        builder = Builder()
        source = builder.input(1, 1, 32)
        wide = builder.add(conv(1, 3, rank=1), source)
        near = builder.add(core.Slicing(2, 0, 1, 30), source)
        builder.add(core.Concatenation(1), near, wide)
        builder.add(conv(2, 1, groups=groups, rank=1))
        assert views(builder.graph())[builder.last].spread[0].variance == pytest.approx(variance)


def test_a_roll_does_not_spread() -> None:
    """The last pixels laid before the first ones: every unit still sees one pixel, and three behind a window of three."""
    builder = Builder()
    source = builder.input(1, 2, 32)
    last = builder.add(core.Slicing(2, 28, 1, 4), source)
    first = builder.add(core.Slicing(2, 0, 1, 28), source)
    builder.add(core.Concatenation(2), last, first)
    builder.add(conv(2, 3, pad=1, rank=1))
    assert views(builder.graph())[builder.last].spread[0].variance == pytest.approx(2 / 3)


@pytest.mark.parametrize(("mode", "sigma"), [("nearest", 1.247219), ("linear", 1.443376), ("cubic", 1.025235)])
def test_enlarged_units_have_a_spread_of_their_own(mode: str, sigma: float) -> None:
    """Three taps at stride 2, enlarged by 2 as PyTorch does, three taps: σ of the float64 gradient, which interpolation weighs."""
    builder = Builder()
    builder.input(1, 1, 96)
    builder.add(conv(1, 3, 2, 1, rank=1))
    rounding = {"transform": "asymmetric", "rounding": "floor"} if mode == "nearest" else {}
    builder.add(core.Resampling(2, 96, 2.0, mode, **rounding))  # type: ignore[arg-type]
    builder.add(conv(1, 3, pad=1, rank=1))
    assert views(builder.graph())[builder.last].spread[0].sigma == pytest.approx(sigma, abs=1e-6)


def test_phases_of_a_transposed_window_count_by_their_taps() -> None:
    """Three taps at stride 2 give units of two pixels and of one in turn; a window of three holds them as 1, 2, 1 or as 2, 1, 2 paths."""
    builder = Builder()
    builder.input(1, 1, 32)
    builder.add(transposed(1, 3, 2, 1, rank=1))
    (spread,) = views(builder.graph())[builder.last].spread
    assert list(np.exp(spread.log_paths)) == pytest.approx([1, 2]) and list(np.atleast_1d(spread.variance)) == pytest.approx([0, 1 / 4])
    builder.add(conv(1, 3, pad=1, rank=1))
    (spread,) = views(builder.graph())[builder.last].spread
    even, odd = np.array([-1, 0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert list(np.exp(spread.log_paths)) == pytest.approx([5, 4])
    assert list(np.atleast_1d(spread.variance)) == pytest.approx([even.var(), odd.var()])


def test_units_of_a_window_spread_over_it() -> None:
    """Attention in windows of four: the variance of four neighbouring pixels, (4² - 1)/12."""
    builder = Builder()
    builder.input(1, 1, 32)
    builder.add(core.Reshaping((1, 1, 8, 4)))
    builder.add(core.Mixing((3,), "Softmax"))
    (spread,) = views(builder.graph())[builder.last].spread
    assert spread.variance == pytest.approx((4**2 - 1) / 12)


def weighted(graph: Graph, shares: dict[str, tuple[float, ...]]) -> Spread:
    """The spread of the last layer where kernels of one axis are weighed by their shares of |w|."""
    taps = {name: TapWeights((np.array(values),), 1.0) for name, values in shares.items()}
    return list(walk(graph, spatial(graph), taps))[-1].output[0].spread[0]


def test_weights_move_and_narrow_the_field() -> None:
    """Shares 1/4, 1/2, 1/4 have a variance of 1/2; shares 0, 0, 1 look one pixel on."""
    builder = Builder()
    builder.input(1, 1, 32)
    first = builder.add(conv(1, 3, pad=1, rank=1))
    second = builder.add(conv(1, 3, pad=1, rank=1))
    spread = weighted(builder.graph(), {first: (0.25, 0.5, 0.25), second: (0.0, 0.0, 1.0)})
    assert (spread.variance, spread.mean, spread.weighted) == (pytest.approx(0.5), pytest.approx(1.0), True)


def test_one_unread_kernel_makes_it_uniform() -> None:
    builder = Builder()
    builder.input(1, 1, 32)
    builder.add(conv(1, 3, pad=1, rank=1))
    second = builder.add(conv(1, 3, pad=1, rank=1))
    assert weighted(builder.graph(), {second: (0.25, 0.5, 0.25)}).weighted is False


def test_weights_of_a_transposed_convolution_are_in_its_order() -> None:
    """Tap 2 of three, cropped by one, feeds the output after the input: the output reads one pixel back."""
    builder = Builder()
    builder.input(1, 1, 32)
    name = builder.add(transposed(1, 3, 1, 1, rank=1))
    assert weighted(builder.graph(), {name: (0.0, 0.0, 1.0)}).mean == pytest.approx(-1.0)


def test_a_path_through_the_whole_axis_does_not_count() -> None:
    """Squeeze and excitation: the field is that of the local paths, however many lead through the mean."""
    builder = Builder()
    builder.input(1, 1, 32)
    trunk = builder.add(conv(1, 3, pad=1, rank=1))
    builder.add(core.Elementwise("Mul"), trunk, builder.add(core.Reduction((2,))))
    (spread,) = views(builder.graph())[builder.last].spread
    assert spread.variance == pytest.approx(2 / 3)


def test_a_normalisation_leaves_the_weights_known() -> None:
    """A mean over channels has no kernel whose values could be missing."""
    builder = Builder()
    builder.input(1, 2, 32)
    first = builder.add(conv(2, 3, pad=1, rank=1))
    builder.add(core.Mixing((1,), "LayerNormalization"))
    assert weighted(builder.graph(), {first: (0.25, 0.5, 0.25)}).weighted is True
