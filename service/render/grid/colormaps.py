"""Colour maps for single-channel tiles: tables of 256 colours computed from formulas, index 0 for the smallest value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.render.grid.options import Colormap

Table = NDArray[np.uint8]


def _grey() -> Table:
    """The identity: value v is drawn as (v, v, v)."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def _anchored(anchors: Sequence[tuple[int, tuple[int, int, int]]]) -> Table:
    """Straight lines in RGB between anchor colours, given as (index, colour) in rising order from 0 to 255."""
    places = [index for index, _ in anchors]
    channels = [np.interp(np.arange(256), places, [colour[channel] for _, colour in anchors]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _cubehelix(start: float = 0.5, rotations: float = -1.5, hue: float = 1.0) -> Table:
    """A spiral from black to white whose perceived brightness rises evenly: equation 2 of Green 2011, with its default parameters.

    D. A. Green, *A colour scheme for the display of astronomical intensity images*, Bull. Astron. Soc. India 39, 289–295.
    """
    level = np.arange(256) / 255
    angle = 2 * np.pi * (start / 3 + rotations * level)
    amplitude = hue * level * (1 - level) / 2
    projection = np.array([[-0.14861, 1.78277], [-0.29227, -0.90649], [1.97294, 0.0]])
    turned = np.stack([np.cos(angle), np.sin(angle)])
    colours = level[:, None] + amplitude[:, None] * (projection @ turned).T
    return np.asarray(np.rint(255 * np.clip(colours, 0, 1)), np.uint8)


# Index 128 is where `symmetric` puts zero, so the diverging map is neutral there.
COLORMAPS: dict[Colormap, Table] = {
    "grey": _grey(),
    "diverging": _anchored([(0, (20, 50, 120)), (64, (80, 140, 205)), (128, (245, 245, 245)), (192, (225, 120, 80)), (255, (120, 15, 30))]),
    "cubehelix": _cubehelix(),
}
