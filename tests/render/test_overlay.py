"""The overlay, pixel by pixel: what is outside the box is dimmed, what is read is tinted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.analysis.field.unit import UnitField
from service.faults import Refused
from service.render.figures.overlay import MOST_INPUT_PIXELS, draw_overlay

# A box of 3×4 pixels at (2, 5) of which one column is not read.
INFLUENCE = np.array([[1.0, 2.0, 0.0, 1.0], [2.0, 4.0, 0.0, 2.0], [1.0, 2.0, 0.0, 1.0]]) / 16
FIELD = UnitField("conv", "image", (1, 2), (16, 16), (2, 5), INFLUENCE)


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


def white(height: int = 16, width: int = 16) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (255, 255, 255)).save(out, "PNG")
    return out.getvalue()


def test_pixels_inside_and_outside_the_box() -> None:
    drawn = pixels(draw_overlay(FIELD, white(), scale=8))
    assert drawn.shape == (128, 128, 3)

    def at(row: int, column: int) -> list[int]:
        return list(map(int, drawn[row * 8 + 4, column * 8 + 4]))

    dimmed = round(255 * 0.45)
    assert at(0, 0) == at(15, 15) == [dimmed] * 3
    # Inside, a pixel that is not read keeps its colour.
    assert at(2, 7) == at(4, 7) == [255, 255, 255]
    # The strongest is tinted by 0.25 + 0.6, a quarter of its influence by 0.25 + 0.6·½, towards (255, 196, 0).
    assert at(3, 6) == [255, round(255 * 0.15 + 196 * 0.85), round(255 * 0.15)]
    assert at(2, 5) == [255, round(255 * 0.45 + 196 * 0.55), round(255 * 0.45)]


def test_frame_runs_around_the_box() -> None:
    drawn = pixels(draw_overlay(FIELD, white(), scale=8))
    frame = np.argwhere((drawn == (230, 60, 40)).all(axis=2))
    assert frame.min(axis=0).tolist() == [2 * 8 - 3, 5 * 8 - 3]
    assert frame.max(axis=0).tolist() == [5 * 8 - 1 + 3, 9 * 8 - 1 + 3]


def test_box_beyond_the_border_is_cut_off() -> None:
    field = UnitField("conv", "image", (0, 0), (16, 16), (-1, -2), INFLUENCE)
    drawn = pixels(draw_overlay(field, white(), scale=8))
    # The upper left pixel is row 1 and column 2 of the box, which is not read; the next is its last column.
    assert drawn[4, 4].tolist() == [255, 255, 255]
    assert drawn[4, 12].tolist() != [255, 255, 255]
    assert drawn[4, 28].tolist() == [round(255 * 0.45)] * 3


def test_default_is_neutral_large_enough_and_deterministic() -> None:
    first, second = (draw_overlay(FIELD) for _ in range(2))
    assert first == second
    opened = Image.open(io.BytesIO(first))
    assert opened.size == (448, 448)
    assert opened.info == {"layer": "conv", "unit": "1,2", "box": "2,5,3,4"}
    ground = np.asarray(opened)[-1, -1]
    assert len(set(ground.tolist())) == 1


def test_image_is_fitted_to_the_input() -> None:
    assert pixels(draw_overlay(FIELD, white(100, 37), scale=2)).shape == (32, 32, 3)


@pytest.mark.parametrize("image", [b"", b"no image", white()[:40], b"GIF89a"])
def test_what_is_no_image_is_refused(image: bytes) -> None:
    with pytest.raises(Refused):
        draw_overlay(FIELD, image)


def test_input_without_two_axes_or_too_large_is_refused() -> None:
    with pytest.raises(Refused, match="two axes"):
        draw_overlay(UnitField("conv", "sound", (1,), (16,), (2,), np.ones(3) / 3))
    with pytest.raises(Refused, match="too large"):
        draw_overlay(UnitField("conv", "image", (1, 1), (MOST_INPUT_PIXELS, 2), (0, 0), INFLUENCE))
