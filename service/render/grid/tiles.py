"""Kernels → tiles: which numbers of a filter are shown, and the colour each of them gets. Nothing here knows where a tile will stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.faults import pointer_to, refused_at
from service.render.grid.colormaps import COLORMAPS
from service.render.grid.layout import smallest_divisor
from service.render.grid.options import GridOptions, Normalize

# By default every channel is drawn while there are few of them and the picture stays one that can be looked at; else their mean.
MAX_EACH_CHANNELS = 16
MAX_EACH_PANELS = 1024
# Rows of the strip of a 1-D filter by default: one per channel up to here, else their mean.
MAX_STRIP_ROWS = 64
# Numbers shown in one picture: 4 Mi, 32 MiB as float64.
MAX_SHOWN = 1 << 22

MID_GREY = 128
NOT_A_NUMBER, PLUS_INFINITY, MINUS_INFINITY = 1, 2, 3

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of a layer before enlargement.

    `pixels` is (filters, panel rows, panel columns, height, width, 3): one panel per frame of a 3-D filter and per channel where each is
    shown, else a single one. `special` (the same without the last axis) is 0, or NOT_A_NUMBER, PLUS_INFINITY or MINUS_INFINITY.
    `ranges` (filters, 2) are the values drawn as 0 and 255. `channels` says what is shown: `rgb`, `grey`, `mean`, `each` or a triple.
    """

    pixels: NDArray[np.uint8]
    special: NDArray[np.uint8]
    ranges: Values
    channels: str


def make_tiles(kernel: NDArray[np.floating], options: GridOptions) -> Tiles:
    """The tiles of `kernel` (filters, channels of a group, *kernel) as `options` ask. Raises Refused where they do not fit the kernel."""
    channels = options.channels or default_channels(kernel.shape)
    shown = _shown(kernel, channels, options)
    special = np.zeros(shown.shape, np.uint8)
    special[np.isnan(shown)] = NOT_A_NUMBER
    special[np.isposinf(shown)] = PLUS_INFINITY
    special[np.isneginf(shown)] = MINUS_INFINITY
    levels, ranges = normalise(shown, options.normalize)
    coloured = shown.shape[-1] == 3
    pixels = levels if coloured else COLORMAPS[options.colormap][levels[..., 0]]
    # Of the three colours of a pixel the worst counts: NaN before infinity.
    worst = np.where((special == NOT_A_NUMBER).any(-1), NOT_A_NUMBER, special.max(-1)).astype(np.uint8)
    return Tiles(pixels, worst, ranges, "grey" if kernel.shape[1] == 1 and not coloured else channels)


def default_channels(shape: tuple[int, ...]) -> str:
    """`rgb` for two- and three-dimensional filters over three channels, else `each` while that stays small, else `mean`."""
    filters, channels, *kernel = shape
    if len(kernel) == 1:
        return "each" if channels <= MAX_STRIP_ROWS else "mean"
    if channels == 3:
        return "rgb"
    frames = kernel[0] if len(kernel) == 3 else 1
    few = channels <= MAX_EACH_CHANNELS and filters * channels * frames <= MAX_EACH_PANELS
    return "each" if channels == 1 or few else "mean"


def normalise(shown: Values, mode: Normalize) -> tuple[NDArray[np.uint8], Values]:
    """Levels 0..255 of `shown` (filters first), and per filter the (lowest, highest) value that 0 and 255 stand for.

    With lo and hi the smallest and largest finite value of the filter over all that is shown of it (`filter`) or of the layer (`layer`),
    or −m and m with m the largest finite |value| of the layer (`symmetric`), level = rint(255·(value − lo)/(hi − lo)), ties to even, in
    float64; `symmetric` computes rint(127.5 + 127.5·value/m), so that zero is exactly 128. Where hi = lo (a constant filter) the level is
    128. Values that are not finite take no part; their level is 128 too.
    """
    flat = shown.reshape(len(shown), -1)
    finite = np.isfinite(flat)
    lowest = np.where(finite, flat, np.inf).min(axis=1, initial=np.inf)
    highest = np.where(finite, flat, -np.inf).max(axis=1, initial=-np.inf)
    if mode != "filter":
        lowest, highest = np.full_like(lowest, lowest.min()), np.full_like(highest, highest.max())
    if mode == "symmetric":
        highest = np.maximum(np.abs(lowest), np.abs(highest))
        lowest = -highest
    known = np.isfinite(lowest) & np.isfinite(highest)
    lowest, highest = np.where(known, lowest, 0.0), np.where(known, highest, 0.0)
    # The difference of two finite doubles may overflow; a power of two keeps every other result bit for bit.
    quarter = np.where(np.maximum(-lowest, highest) > 2.0**1022, 0.25, 1.0)
    low, high = (lowest * quarter)[:, None], (highest * quarter)[:, None]
    value = np.where(finite, flat * quarter[:, None], low)
    constant = high == low
    if mode == "symmetric":
        level = 127.5 + 127.5 * (value / np.where(constant, 1.0, high))
    else:
        level = 255 * ((value - low) / np.where(constant, 1.0, high - low))
    level = np.where(constant | ~finite, MID_GREY, np.rint(level))
    return level.astype(np.uint8).reshape(shown.shape), np.stack([lowest, highest], axis=1)


def _shown(kernel: NDArray[np.floating], channels: str, options: GridOptions) -> Values:
    """What is shown of each filter: (filters, panel rows, panel columns, height, width, 1 or 3)."""
    filters, count, *size = kernel.shape
    if channels == "mean":
        with np.errstate(invalid="ignore", over="ignore"):
            picked = kernel.mean(axis=1, dtype=np.float64, keepdims=True)
    elif channels == "each":
        picked = kernel
    else:
        picked = kernel[:, _triple(count, channels, options)]
    if picked.size > MAX_SHOWN:
        detail = f"{picked.size} values are more than the {MAX_SHOWN} that one grid shows; channels=mean shows fewer"
        raise refused_at(pointer_to("channels"), "grid-too-large", detail)
    values: Values = picked.astype(np.float64)
    coloured = channels not in ("mean", "each")
    # (filters, shown channels, *kernel, depth): three channels are the depth of one; a 1-D filter is one panel whose rows are the channels.
    values = np.moveaxis(values, 1, -1)[:, None] if coloured else values[..., None]
    depth, shown = values.shape[-1], values.shape[1]
    if len(size) == 1:
        return values.reshape(filters, 1, 1, shown, size[0], depth)
    if len(size) == 2:
        columns = smallest_divisor(shown, math.sqrt(shown * size[0] / size[1]))
        return values.reshape(filters, shown // columns, columns, *size, depth)
    return values.reshape(filters, shown, *size, depth)


def _triple(count: int, channels: str, options: GridOptions) -> list[int]:
    """The kernel channels drawn as red, green and blue."""
    if channels == "rgb":
        if count != 3:
            detail = f"rgb needs three channels and a filter of this layer has {count}; use mean, each or three indices"
            raise refused_at(pointer_to("channels"), "invalid-option", detail)
        return [0, 1, 2] if options.channel_order == "rgb" else [2, 1, 0]
    triple = list(options.triple or ())
    if max(triple) >= count:
        detail = f"channel {max(triple)} does not exist: a filter of this layer has {count}, counted from 0"
        raise refused_at(pointer_to("channels"), "invalid-option", detail)
    return triple
