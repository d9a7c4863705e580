"""Where windows are placed, against a count of the places one by one."""

from __future__ import annotations

import itertools

import pytest

from service.graph.geometry import window_length


@pytest.mark.parametrize("ceil", [False, True])
def test_places_are_counted(ceil: bool) -> None:
    """A window must fit; rounding up, the last may overhang the end, but none begins in the padding after it (ONNX MaxPool)."""
    for length, kernel, stride, dilation, before, after in itertools.product((4, 5, 7, 8), (1, 2, 3), (1, 2, 3), (1, 2), (0, 1), (0, 1, 2)):
        reach = dilation * (kernel - 1)
        # Rounding up is for pooling, where runtimes refuse padding as wide as the window.
        if length + before + after <= reach or (ceil and after > reach):
            continue
        places = 0
        while True:
            start = places * stride - before
            fits = start + reach < length + after
            uncovered = places > 0 and start - stride + reach < length + after - 1
            if not ((fits or uncovered) and start < length if ceil else fits):
                break
            places += 1
        assert window_length(length, kernel, stride, dilation, (before, after), ceil) == places, (
            length,
            kernel,
            stride,
            dilation,
            before,
            after,
        )


def test_the_cases_of_the_operator() -> None:
    """ONNX MaxPool's own example of ceil_mode: 4 units, kernel 3, stride 2 give 2 places, not 1; PyTorch drops a place in padding."""
    assert window_length(4, 3, 2, 1, (0, 0)) == 1
    assert window_length(4, 3, 2, 1, (0, 0), ceil=True) == 2
    assert window_length(3, 1, 2, 1, (0, 2), ceil=True) == 2
