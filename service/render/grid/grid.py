"""The weight grid: the filters of a convolution as one pixel-exact picture, and a description that maps every pixel to its filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.analysis.filters.measurements import LayerFilters, check_kernel, measure_filters
from service.render.figures.png import encode_png
from service.render.grid.layout import Layout, frame_width, lay_out
from service.render.grid.options import GridOptions
from service.render.grid.tiles import MINUS_INFINITY, NOT_A_NUMBER, PLUS_INFINITY, Tiles, make_tiles

__all__ = ["Grid", "GridOptions", "draw_grid"]

Pixels = NDArray[np.uint8]
Mark = Literal["dead", "duplicate", "not-finite"]
Colour = tuple[int, int, int]

MARK_COLOURS: dict[Mark, Colour] = {"dead": (214, 40, 40), "duplicate": (0, 110, 200), "not-finite": (255, 0, 255)}
# A value that is not finite is hatched in two colours, because any single colour may be a filter's own.
HATCHES: dict[int, tuple[Colour, Colour]] = {
    NOT_A_NUMBER: ((255, 0, 255), (0, 0, 0)),
    PLUS_INFINITY: ((255, 0, 255), (255, 255, 255)),
    MINUS_INFINITY: ((255, 0, 255), (0, 0, 255)),
}
HATCH_WIDTH = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """One filter in the picture: its index in the kernel, its row and column, its upper left pixel (x, y), and what marks it.

    `nearest` is the filter that a duplicate repeats (`similarity` < 0: with opposite sign), else None.
    """

    filter: int
    row: int
    column: int
    x: int
    y: int
    black: float
    white: float
    marks: tuple[Mark, ...]
    nearest: int | None
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Grid:
    """A drawn weight grid. `tile` is (height, width) in pixels, `order` the filters in drawing order (row by row)."""

    png: bytes
    layer: str
    rows: int
    columns: int
    tile: tuple[int, int]
    gap: int
    order: tuple[int, ...]
    tiles: tuple[Tile, ...]
    layout: Layout
    options: GridOptions
    channels: str
    panels: tuple[int, int]
    not_finite: tuple[int, int, int]

    def describe(self) -> dict[str, object]:
        """The JSON twin of the picture: the filter whose tile covers pixel (x, y) is the entry of `tiles` with x ≤ px < x + tile width and
        y ≤ py < y + tile height; inside a tile, panel p starts at p·(panel + seam) and one kernel value covers `scale` pixels."""
        layout = self.layout
        return {
            "layer": self.layer,
            "width": layout.size[1],
            "height": layout.size[0],
            "rows": self.rows,
            "columns": self.columns,
            "tile": {"height": self.tile[0], "width": self.tile[1]},
            "pitch": {"y": layout.pitch[0], "x": layout.pitch[1]},
            "panels": {"rows": self.panels[0], "columns": self.panels[1], "seam": layout.seam},
            "panel": {"height": layout.panel[0], "width": layout.panel[1]},
            "scale": {"y": layout.scale[0], "x": layout.scale[1]},
            "gap": self.gap,
            "groups": [{"first_row": first, "rows": rows} for first, rows in layout.group_rows],
            "channels": self.channels,
            "channel_order": self.options.channel_order,
            "normalize": self.options.normalize,
            "colormap": self.options.colormap,
            "sort": self.options.sort,
            "order": list(self.order),
            "not_finite": dict(zip(("nan", "positive_infinity", "negative_infinity"), self.not_finite, strict=True)),
            "tiles": [_tile_as_json(tile) for tile in self.tiles],
        }


def draw_grid(
    kernel: NDArray[np.floating],
    options: GridOptions | None = None,
    *,
    groups: int = 1,
    layer: str = "",
    measured: LayerFilters | None = None,
) -> Grid:
    """The weight grid of `kernel` (filters, channels of a group, *kernel) with one to three kernel axes.

    Equal arguments give equal bytes. `measured` are the layer's measurements where they are known already. Raises Refused where an option
    does not fit the kernel, the picture would exceed its bounds, or the array is not a kernel that can be measured.
    """
    options = options or GridOptions()
    check_kernel(kernel.shape, groups)
    measured = measured or measure_filters(kernel, groups=groups, channel_order=options.channel_order)
    tiles = make_tiles(kernel, options)
    panels, values = tiles.pixels.shape[1:3], tiles.pixels.shape[3:5]
    layout = lay_out(len(kernel), (panels[0], panels[1]), (values[0], values[1]), groups, options)
    order = _order(measured, options, len(layout.group_rows))
    placed = _place(order, layout, tiles, measured)
    pixels = _paint(placed, tiles, layout, options)
    return Grid(
        png=encode_png(pixels, _texts(layout, layer)),
        layer=layer,
        rows=layout.rows,
        columns=layout.columns,
        tile=layout.tile,
        gap=layout.gap,
        order=order,
        tiles=placed,
        layout=layout,
        options=options,
        channels=tiles.channels,
        panels=(panels[0], panels[1]),
        not_finite=(int(np.isnan(kernel).sum()), int(np.isposinf(kernel).sum()), int(np.isneginf(kernel).sum())),
    )


def _order(measured: LayerFilters, options: GridOptions, blocks: int) -> tuple[int, ...]:
    """The filters in drawing order: sorted within each block of groups, ties and filters without the quantity last and by index.

    `norm` puts the largest first; the others rise, so that `colour` ends with the coloured filters as AlexNet's figure does.
    """
    filters = measured.filters
    in_block = len(filters) // blocks
    if options.sort == "index":
        return tuple(range(len(filters)))
    keys: list[float | None] = {
        "norm": [None if item.norm is None else -item.norm for item in filters],
        # Only an edge has a direction to speak of.
        "orientation": [item.orientation if item.label in ("edge", "colour-edge") else None for item in filters],
        "frequency": [item.frequency for item in filters],
        "colour": [item.colour_share for item in filters],
    }[options.sort]

    def key(index: int) -> tuple[int, bool, float, int]:
        value = keys[index]
        return index // in_block, value is None, value or 0.0, index

    return tuple(sorted(range(len(filters)), key=key))


def _place(order: Sequence[int], layout: Layout, tiles: Tiles, measured: LayerFilters) -> tuple[Tile, ...]:
    placed = []
    for index, (row, column), (y, x) in zip(order, layout.places, layout.corners, strict=True):
        item = measured.filters[index]
        marks: list[Mark] = []
        if not item.finite:
            marks.append("not-finite")
        if item.dead:
            marks.append("dead")
        if item.duplicate:
            marks.append("duplicate")
        nearest, similarity = (item.nearest, item.similarity) if item.duplicate else (None, None)
        black, white = (float(bound) for bound in tiles.ranges[index])
        placed.append(Tile(index, row, column, x, y, black, white, tuple(marks), nearest, similarity))
    return tuple(placed)


def _paint(placed: Sequence[Tile], tiles: Tiles, layout: Layout, options: GridOptions) -> Pixels:
    background = options.background_colour
    canvas = np.full((*layout.size, 3), background, np.uint8)
    height, width = layout.tile
    frame = frame_width(layout.gap)
    for tile in placed:
        if tile.marks and frame:
            canvas[tile.y - frame : tile.y + height + frame, tile.x - frame : tile.x + width + frame] = MARK_COLOURS[tile.marks[0]]
            canvas[tile.y : tile.y + height, tile.x : tile.x + width] = background
        _paint_panels(canvas, tile, tiles, layout)
    if options.labels:
        return _label(canvas, placed, layout, background)
    return canvas


def _paint_panels(canvas: Pixels, tile: Tile, tiles: Tiles, layout: Layout) -> None:
    """Every panel of a filter, each value as a rectangle of `scale` pixels (nearest neighbour)."""
    special = tiles.special[tile.filter]
    for row, column in np.ndindex(special.shape[:2]):
        y, x = tile.y + row * (layout.panel[0] + layout.seam), tile.x + column * (layout.panel[1] + layout.seam)
        panel = canvas[y : y + layout.panel[0], x : x + layout.panel[1]]
        panel[:] = _enlarge(tiles.pixels[tile.filter, row, column], layout.scale)
        if special[row, column].any():
            _hatch(panel, _enlarge(special[row, column], layout.scale))


def _enlarge(values: Pixels, scale: tuple[int, int]) -> Pixels:
    return values.repeat(scale[0], axis=0).repeat(scale[1], axis=1)


def _hatch(panel: Pixels, special: Pixels) -> None:
    """Diagonal stripes over the values that are not finite."""
    y, x = np.indices(special.shape)
    stripe = (x + y) // HATCH_WIDTH % 2
    for kind, colours in HATCHES.items():
        for parity, colour in enumerate(colours):
            panel[(special == kind) & (stripe == parity)] = colour


def _label(canvas: Pixels, placed: Sequence[Tile], layout: Layout, background: Colour) -> Pixels:
    """The filter's index under each tile, in Pillow's own bitmap font, which needs no font file and no rasteriser."""
    # Rec. 601 luma decides between black and white on the background.
    dark = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2] < 128
    image = Image.fromarray(canvas, "RGB")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default_imagefont()
    below = layout.tile[0] + frame_width(layout.gap) + 1
    for tile in placed:
        draw.text((tile.x, tile.y + below), str(tile.filter), fill=(255, 255, 255) if dark else (0, 0, 0), font=font)
    return np.asarray(image)


def _texts(layout: Layout, layer: str) -> dict[str, str]:
    return {"rows": str(layout.rows), "columns": str(layout.columns), "tile": f"{layout.tile[0]}x{layout.tile[1]}", "layer": layer}


def _tile_as_json(tile: Tile) -> dict[str, object]:
    described: dict[str, object] = {"filter": tile.filter, "row": tile.row, "column": tile.column, "x": tile.x, "y": tile.y}
    described |= {"black": tile.black, "white": tile.white, "marks": list(tile.marks)}
    if tile.nearest is not None:
        described |= {"nearest": tile.nearest, "similarity": tile.similarity}
    return described
