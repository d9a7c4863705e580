"""The geometry of windows along one axis: lengths, padding and the taps that meet a unit of the axis. Its one home.

A window has a kernel k, a stride s, a dilation d and pads (before, after) on an axis of n units: place o reads the units
o·s - before + t·d for every tap t. Pads are what a convolution adds and what a transposed convolution takes away. The formulas are those of
Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), and of the ONNX operators Conv, MaxPool and ConvTranspose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


def window_length(length: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], ceil: bool = False) -> int:
    """Number of places of a window along one axis, floor((n + p - d(k - 1) - 1)/s) + 1 (Dumoulin and Visin 2016, relationship 15).

    With `ceil` the last window may start inside the input and overhang its end, but never start in the padding after it
    (the rule of ONNX MaxPool and PyTorch).
    """
    room = length + sum(pads) - dilation * (kernel - 1) - 1
    if not ceil:
        return room // stride + 1
    places = -(-room // stride) + 1
    return places - 1 if (places - 1) * stride >= length + pads[0] else places


def split_padding(total: int, upper: bool) -> tuple[int, int]:
    """(before, after) of a padding that belongs to both ends: an odd unit goes to the end (`upper`) or to the beginning."""
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def same_padding(length: int, kernel: int, stride: int, dilation: int, upper: bool = True) -> tuple[int, int]:
    """The padding that gives a window ceil(n/s) places: (ceil(n/s) - 1)·s + d(k - 1) + 1 - n units, at least 0.

    ONNX SAME_UPPER and TensorFlow's SAME put an odd unit at the end, SAME_LOWER puts it at the beginning.
    """
    reach = (-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1
    return split_padding(max(reach - length, 0), upper)


def causal_padding(kernel: int, dilation: int) -> tuple[int, int]:
    """The padding before an axis with which no place reads a unit after its own (van den Oord et al. 2016)."""
    return dilation * (kernel - 1), 0


def transposed_length(length: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], extra: int = 0) -> int:
    """Number of places of a transposed window, (n - 1)·s + d(k - 1) + 1 - pads + output padding (ONNX ConvTranspose)."""
    return (length - 1) * stride + dilation * (kernel - 1) + 1 + extra - sum(pads)


def transposed_padding(total: int, upper: bool = True) -> tuple[tuple[int, int], int]:
    """The pads and the further output padding that shorten the whole result of a transposed window by `total` units.

    A result that must become longer instead (the kernel is shorter than the stride) is lengthened at its end. TensorFlow's gradient of a
    SAME convolution and ONNX SAME_UPPER take an odd unit away at the end.
    """
    return split_padding(max(total, 0), upper), max(-total, 0)


@dataclass(frozen=True, slots=True)
class AxisTaps:
    """How a window meets one axis: `uses[k]` counts the places at which tap k falls on a real unit; `least` and `most` real taps of one
    place.
    """

    uses: tuple[int, ...]
    least: int
    most: int
    places: int

    @property
    def real(self) -> int:
        """Number of (place, tap) pairs that fall on a real unit."""
        return sum(self.uses)


@lru_cache(maxsize=64)
def window_taps(length: int, places: int, kernel: int, stride: int, dilation: int, before: int) -> AxisTaps:
    """The taps of a sliding window: place o reads o·stride - before + k·dilation, real where that lies in [0, length).

    Tap k is real for the places from ceil((before - kd)/s) to floor((length - 1 + before - kd)/s): O(kernel), never O(pixels).
    """
    uses = []
    for k in range(kernel):
        first = max(-((k * dilation - before) // stride), 0)
        last = min((length - 1 + before - k * dilation) // stride, places - 1)
        uses.append(max(last - first + 1, 0))
    counts = [_real(o, length, kernel, stride, dilation, before) for o in _telling(places, kernel, stride, dilation, before, length)]
    return AxisTaps(tuple(uses), min(counts, default=0), max(counts, default=0), places)


def _real(place: int, length: int, kernel: int, stride: int, dilation: int, before: int) -> int:
    """Real taps of one place: those k with 0 <= place·stride - before + k·dilation < length."""
    start = place * stride - before
    first = max(-(start // dilation), 0)
    last = min((length - 1 - start) // dilation, kernel - 1)
    return max(last - first + 1, 0)


def _telling(places: int, kernel: int, stride: int, dilation: int, before: int, length: int) -> Iterable[int]:
    """Places among which the fewest and the most real taps are found: O(kernel) of them, however wide the padding and the dilation.

    The first real tap and the last are step functions of the place. They change where tap k enters at either border of the axis, and
    between two such places the number of real taps stays the same.
    """
    enters = (-((k * dilation - end) // stride) for k in range(kernel + 1) for end in (before, before + length))
    near = {0, places - 1, *(place + move for place in enters for move in (-1, 0, 1))}
    return [place for place in near if 0 <= place < places]


def transposed_taps(length: int, places: int, kernel: int, stride: int, dilation: int, before: int) -> AxisTaps:
    """The taps of a transposed window: the roles of input and output are exchanged, so uses are those of the window that goes back.

    `places` is the length of the output. An output unit o is reached by input i through tap k where o = i·stride + k·dilation - before.
    """
    back = window_taps(places, length, kernel, stride, dilation, before)
    counts = [_reaching(o, length, kernel, stride, dilation, before) for o in _reached(length, places, kernel, stride, dilation, before)]
    classes = min(kernel, stride // math.gcd(stride, dilation))
    hit = sum((k * dilation - before) % stride < places for k in range(classes))
    if hit < min(stride, places):
        counts.append(0)
    return AxisTaps(back.uses, min(counts, default=0), max(counts, default=0), length)


def _reached(length: int, places: int, kernel: int, stride: int, dilation: int, before: int) -> Iterable[int]:
    """Output units among which the fewest and the most taps are found, of those whose remainder modulo the stride some tap has.

    The units o = k·dilation - before + t·stride share the taps k + j·stride/gcd, of which tap j is real for t - j·dilation/gcd in
    [0, length): as for a sliding window, their number changes only where one of them enters or leaves.
    """
    gcd = math.gcd(stride, dilation)
    step, pace = stride // gcd, dilation // gcd
    for k in range(min(kernel, step)):
        start = k * dilation - before
        first, last = -(start // stride), (places - 1 - start) // stride
        taps = range(-(-(kernel - k) // step) + 1)
        near = {first, last, *(j * pace + end + move for j in taps for end in (0, length) for move in (-1, 0, 1))}
        yield from (start + t * stride for t in near if first <= t <= last)


def _reaching(unit: int, length: int, kernel: int, stride: int, dilation: int, before: int) -> int:
    """Number of taps k for which (unit + before - k·dilation)/stride is an input unit."""
    positions = unit + before - np.arange(kernel) * dilation
    return int(((positions % stride == 0) & (positions >= 0) & (positions < length * stride)).sum())
