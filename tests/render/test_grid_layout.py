"""Where tiles, groups, labels and marks of the weight grid stand, and that equal questions have equal bytes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.render.grid.grid import MARK_COLOURS, Grid, GridOptions, draw_grid


def pixels_of(grid: Grid) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(grid.png)))


def noise(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
    ("filters", "rows", "columns"),
    [(64, 8, 8), (96, 8, 12), (32, 4, 8), (16, 4, 4), (24, 4, 6), (1, 1, 1), (2, 1, 2), (97, 10, 10), (7, 3, 3)],
)
def test_the_grid_is_near_square_and_full_where_it_can_be(filters: int, rows: int, columns: int) -> None:
    grid = draw_grid(noise(filters, 3, 7, 7))
    assert (grid.rows, grid.columns) == (rows, columns)


def test_labels_do_not_move_filters_to_other_places() -> None:
    plain, labelled = draw_grid(noise(64, 3, 7, 7)), draw_grid(noise(64, 3, 7, 7), GridOptions(labels=True))
    assert (plain.rows, plain.columns) == (labelled.rows, labelled.columns)


def test_two_groups_are_drawn_as_in_figure_3_of_alexnet() -> None:
    """Krizhevsky et al. 2012, figure 3: 96 kernels of 11×11×3, 6 rows of 16; the top 48 were learned on GPU 1, the bottom 48 on GPU 2."""
    grid = draw_grid(noise(96, 3, 11, 11), groups=2)
    twin = grid.describe()
    assert (grid.rows, grid.columns, grid.tile) == (6, 16, (33, 33))
    assert twin["groups"] == [{"first_row": 0, "rows": 3}, {"first_row": 3, "rows": 3}]
    ends = [next(tile for tile in twin["tiles"] if tile["filter"] == index) for index in (47, 48)]
    assert [(tile["row"], tile["column"]) for tile in ends] == [(2, 15), (3, 0)]
    assert ends[1]["y"] - ends[0]["y"] == 33 + 3 * grid.gap, "the gap between the halves is wider"


def test_groups_begin_a_row_of_their_own_when_columns_are_chosen() -> None:
    grid = draw_grid(noise(10, 1, 3, 3), GridOptions(columns=3), groups=2)
    assert [(tile.row, tile.column) for tile in grid.tiles if tile.filter in (0, 4, 5, 9)] == [(0, 0), (1, 1), (2, 0), (3, 1)]


def test_a_depthwise_layer_is_not_split() -> None:
    assert draw_grid(noise(16, 1, 3, 3), groups=16).describe()["groups"] == [{"first_row": 0, "rows": 4}]


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (7, 7), (11, 11), (31, 31), (40, 40), (1, 7), (7, 1), (1, 251), (1, 1)])
def test_by_default_a_tile_is_at_least_32_pixels(size: tuple[int, int]) -> None:
    grid = draw_grid(noise(4, 3, *size))
    assert min(grid.tile) >= 32
    assert grid.tile == (size[0] * grid.layout.scale[0], size[1] * grid.layout.scale[1])
    if max(size) <= 8 * min(size):
        assert grid.layout.scale[0] == grid.layout.scale[1], "pixels are square"


def test_the_smallest_enlargement_of_at_least_32_pixels_is_taken() -> None:
    assert [draw_grid(noise(4, 3, side, side)).layout.scale[0] for side in (3, 7, 11, 32, 33)] == [11, 5, 3, 1, 1]


@pytest.mark.parametrize("options", [GridOptions(), GridOptions(gap=0), GridOptions(gap=7, labels=True), GridOptions(scale=1, labels=True)])
def test_the_twin_covers_every_tile_and_nothing_is_clipped(options: GridOptions) -> None:
    grid = draw_grid(noise(30, 3, 5, 5), options)
    twin, pixels = grid.describe(), pixels_of(grid)
    assert pixels.shape == (twin["height"], twin["width"], 3)
    covered = np.zeros(pixels.shape[:2], int)
    for tile in twin["tiles"]:
        window = covered[tile["y"] : tile["y"] + twin["tile"]["height"], tile["x"] : tile["x"] + twin["tile"]["width"]]
        assert window.shape == (twin["tile"]["height"], twin["tile"]["width"])
        window += 1
    assert covered.max() == 1, "no two tiles overlap"
    assert covered.sum() == 30 * grid.tile[0] * grid.tile[1]
    if not options.labels:
        assert (pixels[covered == 0] == 255).all(), "nothing but background between tiles"


@pytest.mark.parametrize("options", [GridOptions(labels=True, scale=1, gap=0), GridOptions(labels=True, gap=1), GridOptions(labels=True)])
def test_labels_stay_in_their_own_cells_and_off_the_tiles(options: GridOptions) -> None:
    kernel = noise(300, 1, 3, 3)
    kernel[:20] = 0  # dead ones have frames
    grid, bare = draw_grid(kernel, options), draw_grid(np.zeros_like(kernel), options)
    pixels, bare_pixels, layout = pixels_of(grid), pixels_of(bare), grid.layout
    for tile in grid.tiles:
        cell = pixels[tile.y : tile.y + layout.pitch[0], tile.x : tile.x + layout.pitch[1]]
        same = bare_pixels[tile.y : tile.y + layout.pitch[0], tile.x : tile.x + layout.pitch[1]]
        ink = (cell == 0).all(axis=-1)[grid.tile[0] :]
        assert ink.any() and np.array_equal(ink, (same == 0).all(axis=-1)[grid.tile[0] :]), "the whole label, whatever stands beside it"
        assert not ink[:, -1].any(), "a free column before the next label"


def test_dead_filters_and_duplicates_are_framed_in_the_gap_alone() -> None:
    kernel = noise(9, 3, 5, 5)
    kernel[4] = 0
    kernel[7] = 1.5 * kernel[2]
    kernel[8] = -kernel[1]
    options = GridOptions(gap=4)
    marked, plain = draw_grid(kernel, options), draw_grid(noise(9, 3, 5, 5), options)
    assert {tile.filter: tile.marks for tile in marked.tiles if tile.marks} == {
        4: ("dead",),
        2: ("duplicate",),
        7: ("duplicate",),
        1: ("duplicate",),
        8: ("duplicate",),
    }
    assert [(tile.nearest, tile.similarity) for tile in marked.tiles if tile.filter in (7, 8)] == [
        (2, pytest.approx(1)),
        (1, pytest.approx(-1)),
    ]
    pixels, unmarked = pixels_of(marked), pixels_of(plain)
    for tile in marked.tiles:
        frame = pixels[tile.y - 1 : tile.y + 36, tile.x - 1 : tile.x + 36].copy()
        inside = frame[1:-1, 1:-1].copy()
        frame[1:-1, 1:-1] = (expected := MARK_COLOURS[tile.marks[0]] if tile.marks else (255, 255, 255))
        assert (frame == expected).all()
        if tile.filter in (0, 1, 2, 3, 5, 6):
            assert np.array_equal(inside, unmarked[tile.y : tile.y + 35, tile.x : tile.x + 35]), "the mark leaves the tile as it was"


@pytest.mark.parametrize(("gap", "frame"), [(1, 1), (2, 1), (4, 1), (5, 2), (9, 2)])
def test_a_frame_leaves_the_gap_between_two_marked_tiles_open_where_it_can(gap: int, frame: int) -> None:
    grid = draw_grid(np.zeros((2, 1, 3, 3)), GridOptions(gap=gap))
    between = pixels_of(grid)[grid.tiles[0].y, grid.tiles[0].x + grid.tile[1] : grid.tiles[1].x]
    marked, free = [(between == colour).all(axis=-1).sum() for colour in (MARK_COLOURS["dead"], (255, 255, 255))]
    assert (marked, free) == (min(gap, 2 * frame), max(0, gap - 2 * frame))


def test_the_gap_is_wider_between_tiles_of_several_panels() -> None:
    one, several = draw_grid(noise(4, 3, 3, 3)), draw_grid(noise(4, 3, 2, 3, 3))
    assert (one.gap, several.gap) == (5, 9)


def test_without_a_gap_there_is_no_frame() -> None:
    grid = draw_grid(np.zeros((4, 1, 3, 3)), GridOptions(gap=0))
    assert (pixels_of(grid) == 128).all()
    assert all(tile.marks == ("dead",) for tile in grid.tiles)


def test_sorting_by_norm_puts_the_strongest_first_within_each_group() -> None:
    kernel = noise(6, 1, 3, 3)
    kernel /= np.sqrt((kernel**2).sum(axis=(1, 2, 3), keepdims=True))
    kernel *= np.array([1.0, 3.0, 2.0, 6.0, 4.0, 5.0])[:, None, None, None]
    assert draw_grid(kernel, GridOptions(sort="norm")).order == (3, 5, 4, 1, 2, 0)
    assert draw_grid(kernel, GridOptions(sort="norm"), groups=2).order == (1, 2, 0, 3, 5, 4)


def test_sorting_by_colour_ends_with_the_coloured_filters_and_what_has_none() -> None:
    kernel = np.zeros((3, 3, 3, 3))
    kernel[0, 0, 1, 1] = 1  # pure red
    kernel[1] = noise(1, 1, 3, 3)  # grey
    assert draw_grid(kernel, GridOptions(sort="colour")).order == (1, 0, 2), "the dead filter has no colour and comes last"


def test_sorting_by_orientation_and_frequency() -> None:
    y, x = np.indices((9, 9)) - 4
    window = np.exp(-(x**2 + y**2) / 8)
    waves = [(30, 0.30), (90, 0.10), (60, 0.20)]  # stripes at these angles, cycles per pixel
    across = [x * np.sin(np.radians(angle)) + y * np.cos(np.radians(angle)) for angle, _ in waves]
    kernel = np.stack([window * np.sin(2 * np.pi * frequency * at) for at, (_, frequency) in zip(across, waves, strict=True)])[:, None]
    assert draw_grid(kernel, GridOptions(sort="frequency")).order == (1, 2, 0)
    assert draw_grid(kernel, GridOptions(sort="orientation")).order == (0, 2, 1)


def test_the_bytes_depend_on_the_question_alone() -> None:
    kernel = noise(20, 3, 7, 7)
    options = GridOptions(labels=True, sort="orientation", background="navy")
    assert draw_grid(kernel, options, layer="conv1").png == draw_grid(kernel.copy(), options, layer="conv1").png
    assert draw_grid(kernel, options, layer="conv1").png != draw_grid(kernel, options, layer="conv2").png


def test_the_png_says_what_it_shows_and_nothing_else() -> None:
    grid = draw_grid(noise(96, 3, 11, 11), groups=2, layer="features/0\x00\n")
    image = Image.open(io.BytesIO(grid.png))
    image.load()
    assert image.info == {"rows": "6", "columns": "16", "tile": "33x33", "layer": "features/0"}
    assert b"tIME" not in grid.png
    unicode_name = Image.open(io.BytesIO(draw_grid(noise(1, 1, 3, 3), layer="畳み込み").png))
    unicode_name.load()
    assert unicode_name.info["layer"] == "畳み込み"


@pytest.mark.parametrize(("background", "ink"), [("#000", (255, 255, 255)), ("white", (0, 0, 0)), ("rgb(20, 40, 60)", (255, 255, 255))])
def test_labels_are_readable_on_any_background(background: str, ink: tuple[int, int, int]) -> None:
    grid = draw_grid(noise(4, 1, 3, 3), GridOptions(background=background, labels=True))
    tile = grid.tiles[3]
    below = pixels_of(grid)[tile.y + grid.tile[0] :, tile.x : tile.x + grid.tile[1]]
    assert (below == ink).all(axis=-1).any()
