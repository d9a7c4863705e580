"""A unit's receptive field drawn on an image: its box, the pixels it reads, and how much they count."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from service.analysis.field.unit import UnitField
from service.faults import Refused
from service.render.figures.png import encode_png

MOST_PIXELS = 2048
"""Longest side to which a picture is enlarged."""

MOST_INPUT_PIXELS = 1 << 23
"""Pixels of the largest input that is drawn, which is then not enlarged."""

_BOX = (230, 60, 40)
_READ = np.array([255, 196, 0], dtype=np.float64)


def draw_overlay(field: UnitField, image: bytes | None = None, scale: int | None = None) -> bytes:
    """A PNG of the input with the unit's box as a frame, the pixels outside the box dimmed, and those read tinted by their influence.

    The image is fitted to the network's input, as a loader would by resizing; without one the ground is a neutral checkered grey.
    `scale` enlarges by a whole number, nearest neighbour; by default so that the picture is at least 448 pixels.
    """
    if len(field.lengths) != 2:
        raise Refused("invalid", "no-picture", f"an overlay needs an image of two axes, {field.input} has {len(field.lengths)}")
    height, width = field.lengths
    if height * width > MOST_INPUT_PIXELS:
        raise Refused("invalid", "no-picture", f"an input of {height}×{width} pixels is too large for a picture")
    ground = _checkered(height, width) if image is None else _fitted(image, height, width)
    factor = scale or max(1, -(-448 // max(height, width)))
    factor = max(1, min(factor, MOST_PIXELS // max(height, width)))
    tinted = _tinted(ground, field)
    picture = Image.fromarray(tinted).resize((width * factor, height * factor), Image.Resampling.NEAREST)
    top, left = (start * factor for start in field.origin)
    bottom, right = ((start + n) * factor - 1 for start, n in zip(field.origin, field.influence.shape, strict=True))
    frame = min(factor, 3)
    ImageDraw.Draw(picture).rectangle((left - frame, top - frame, right + frame, bottom + frame), outline=_BOX, width=frame)
    box = (*field.origin, *field.influence.shape)
    about = {"layer": field.layer.encode("ascii", "backslashreplace").decode()}
    about |= {name: ",".join(map(str, numbers)) for name, numbers in (("unit", field.unit), ("box", box))}
    return encode_png(np.asarray(picture), about)


def _checkered(height: int, width: int) -> NDArray[np.float64]:
    rows, columns = np.indices((height, width))
    return np.repeat(np.where((rows // 8 + columns // 8) % 2, 150.0, 170.0)[..., None], 3, axis=2)


def _fitted(image: bytes, height: int, width: int) -> NDArray[np.float64]:
    try:
        with Image.open(io.BytesIO(image), formats=("PNG", "JPEG", "WEBP", "GIF", "BMP")) as opened:
            if opened.width * opened.height > 64_000_000:
                raise Refused("invalid", "no-picture", "the image has more than 64 million pixels")
            return np.asarray(ImageOps.fit(opened.convert("RGB"), (width, height)), dtype=np.float64)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused("invalid", "no-picture", "the upload is no image that can be read (PNG, JPEG, WebP, GIF or BMP)") from error


def _tinted(ground: NDArray[np.float64], field: UnitField) -> NDArray[np.uint8]:
    """Outside the box dimmed; inside, a pixel that is read takes on colour by the square root of its influence (0.25 at the least)."""
    result = ground * 0.45
    strength = np.zeros(field.lengths)
    (top, left), (rows, columns) = field.origin, field.influence.shape
    y0, y1 = max(top, 0), min(top + rows, field.lengths[0])
    x0, x1 = max(left, 0), min(left + columns, field.lengths[1])
    if y0 < y1 and x0 < x1:
        inside = field.influence[y0 - top : y1 - top, x0 - left : x1 - left]
        relative = np.sqrt(inside / field.influence.max())
        strength[y0:y1, x0:x1] = np.where(inside > 0, 0.25 + 0.6 * relative, 0.0)
        result[y0:y1, x0:x1] = ground[y0:y1, x0:x1]
    mixed = result * (1 - strength[..., None]) + _READ * strength[..., None]
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)
