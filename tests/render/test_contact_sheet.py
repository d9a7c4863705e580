"""The contact sheet holds every grid whole, at its own size, under its caption."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.faults import Refused
from service.render.grid.contact_sheet import CAPTION, MARGIN, WIDTH, contact_sheet
from service.render.grid.grid import Grid, GridOptions, draw_grid


def grid_of(filters: int, layer: str, scale: int | None = None) -> Grid:
    return draw_grid(np.random.default_rng(filters).normal(size=(filters, 3, 7, 7)), GridOptions(scale=scale), layer=layer)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_grids_stand_whole_on_shelves_with_captions_between() -> None:
    grids = [grid_of(96, "first"), grid_of(64, "second"), grid_of(64, "third"), grid_of(16, "畳み込み")]
    sheet = pixels_of(contact_sheet(grids))
    assert sheet.shape[1] <= WIDTH
    x, y = MARGIN, MARGIN
    for grid in grids:
        height, width = grid.layout.size
        if x + width + MARGIN > WIDTH:
            x, y = MARGIN, y + max(one.layout.size[0] for one in grids[:3]) + CAPTION + MARGIN
        assert np.array_equal(sheet[y + CAPTION : y + CAPTION + height, x : x + width], pixels_of(grid.png))
        assert (sheet[y : y + CAPTION, x : x + width] == 0).all(axis=-1).any(), "a caption in black"
        x += width + MARGIN


def test_the_shelf_breaks_where_the_next_grid_does_not_fit() -> None:
    wide = [grid_of(96, "a"), grid_of(96, "b"), grid_of(96, "c")]
    sheet = pixels_of(contact_sheet(wide))
    height = wide[0].layout.size[0] + CAPTION + MARGIN
    assert sheet.shape[0] == MARGIN + 2 * height


def test_a_long_caption_moves_the_next_grid_and_not_the_shelf() -> None:
    sheet = pixels_of(contact_sheet([grid_of(4, "x" * 200), grid_of(4, "y")]))
    assert sheet.shape[1] == 3 * MARGIN + 64 * 6 + grid_of(4, "y").layout.size[1]


def test_equal_grids_give_equal_bytes() -> None:
    assert contact_sheet([grid_of(16, "a")]) == contact_sheet([grid_of(16, "a")])


def test_the_sheet_is_bounded() -> None:
    large = draw_grid(np.zeros((4, 1, 3, 3)), GridOptions(scale=256))
    assert large.layout.size[0] > 1500
    with pytest.raises(Refused) as caught:
        contact_sheet([large] * 20)
    assert caught.value.code == "grid-too-large"
