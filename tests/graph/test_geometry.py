"""Padding, transposed lengths and real taps, against the words of ONNX and Keras and against counts one by one."""

from __future__ import annotations

import itertools

import pytest

from service.graph.geometry import (
    AxisTaps,
    causal_padding,
    same_padding,
    split_padding,
    transposed_length,
    transposed_padding,
    transposed_taps,
    window_length,
    window_taps,
)

WINDOWS = list(itertools.product((1, 2, 5, 8), (1, 2, 3, 4), (1, 2, 3), (1, 2)))


def test_an_odd_unit_is_split_as_onnx_says() -> None:
    """ "In case of odd number add the extra padding at the end for SAME_UPPER and at the beginning for SAME_LOWER." """
    assert split_padding(3, upper=True) == (1, 2)
    assert split_padding(3, upper=False) == (2, 1)
    assert split_padding(4, upper=True) == split_padding(4, upper=False) == (2, 2)


@pytest.mark.parametrize(("length", "kernel", "stride", "dilation"), WINDOWS)
def test_same_padding_gives_the_places_that_onnx_and_keras_state(length: int, kernel: int, stride: int, dilation: int) -> None:
    """ONNX: output = ceil(input/stride). Keras: "padding evenly to the left/right", and no more than is needed."""
    pads = same_padding(length, kernel, stride, dilation)
    places = -(-length // stride)
    assert window_length(length, kernel, stride, dilation, pads) == places
    assert sum(pads) == 0 or window_length(length, kernel, stride, dilation, (0, sum(pads) - 1)) < places
    assert same_padding(length, kernel, stride, dilation, upper=False) == pads[::-1]


def test_tensorflow_pads_the_end_of_an_even_image() -> None:
    """ResNet's stem in Keras reads 224 pixels with 3×3/2: TensorFlow pads (0, 1), PyTorch (1, 1)."""
    assert same_padding(224, 3, 2, 1) == (0, 1)
    assert same_padding(224, 7, 2, 1) == (2, 3)


def test_causal_padding_is_all_before() -> None:
    """Keras: "causal results in causal (dilated) convolutions, e.g. output[t] does not depend on input[t+1:]"."""
    assert causal_padding(3, 4) == (8, 0)


@pytest.mark.parametrize(("length", "kernel", "stride", "dilation"), WINDOWS)
def test_a_transposed_window_goes_back_to_the_length_of_a_window(length: int, kernel: int, stride: int, dilation: int) -> None:
    """Dumoulin and Visin, relationship 14: the transpose has the length from which the window came, for what the floor cuts off."""
    places = window_length(length, kernel, stride, dilation, (0, 0))
    if places >= 1:
        cut = (length - dilation * (kernel - 1) - 1) % stride
        assert transposed_length(places, kernel, stride, dilation, (0, 0), cut) == length


@pytest.mark.parametrize(("total", "crop", "extra"), [(1, (0, 1), 0), (2, (1, 1), 0), (3, (1, 2), 0), (0, (0, 0), 0), (-2, (0, 0), 2)])
def test_what_a_transposed_window_loses_or_gains(total: int, crop: tuple[int, int], extra: int) -> None:
    """ONNX ConvTranspose: "pads[start_i] = total_padding[i]/2; pads[end_i] = total_padding[i] - (total_padding[i]/2)" for SAME_UPPER."""
    assert transposed_padding(total) == (crop, extra)
    assert transposed_padding(total, upper=False) == (crop[::-1], extra)


def by_place(pairs: list[tuple[int, int]], kernel: int, places: int, inputs: int) -> AxisTaps:
    """The same counts from a list of (place, tap) that meet a unit."""
    uses = tuple(sum(tap == k for _, tap in pairs) for k in range(kernel))
    taps = [sum(place == o for place, _ in pairs) for o in range(places)]
    return AxisTaps(uses, min(taps), max(taps), inputs)


@pytest.mark.parametrize(("length", "kernel", "stride", "dilation"), WINDOWS)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_real_taps_are_counted_one_by_one(length: int, kernel: int, stride: int, dilation: int, before: int) -> None:
    """A tap is real where it falls on a unit of the axis, o·s - before + t·d in [0, n); a tap on padding joins nothing."""
    places = max(window_length(length, kernel, stride, dilation, (before, 2)), 1)
    met = [(o, t) for o in range(places) for t in range(kernel) if 0 <= o * stride - before + t * dilation < length]
    assert window_taps(length, places, kernel, stride, dilation, before) == by_place(met, kernel, places, places)


@pytest.mark.parametrize(("length", "kernel", "stride", "dilation"), WINDOWS)
@pytest.mark.parametrize("before", [0, 1])
def test_real_taps_of_a_transposed_window(length: int, kernel: int, stride: int, dilation: int, before: int) -> None:
    """Input i feeds the places i·s + t·d - before; what falls outside is cropped."""
    places = transposed_length(length, kernel, stride, dilation, (before, 0), 1)
    if places >= 1:
        fed = [(i * stride + t * dilation - before, t) for i in range(length) for t in range(kernel)]
        met = [(o, t) for o, t in fed if 0 <= o < places]
        assert transposed_taps(length, places, kernel, stride, dilation, before) == by_place(met, kernel, places, length)


@pytest.mark.parametrize("far", [1 << 23, 1 << 40])
def test_wide_windows_cost_no_more_than_their_taps(far: int) -> None:
    """Padding, dilation and stride of any size: of nine taps spread so far at most the middle one is real, or the ends."""
    assert window_taps(512, 512, 3, 1, far, far) == AxisTaps((0, 512, 0), 1, 1, 512)
    assert window_taps(512, window_length(512, 3, far, 1, (far, far)), 3, far, 1, far) == AxisTaps((1, 1, 1), 0, 3, 3)
    assert transposed_taps(2, transposed_length(2, 3, far, 1, (0, 0)), 3, far, 1, 0) == AxisTaps((2, 2, 2), 0, 1, 2)
    assert transposed_taps(2, 512, 3, 1, far, far) == AxisTaps((0, 2, 0), 0, 1, 2)
