"""Where everything of a weight grid stands, in pixels: enlargement, columns, groups, gaps and label bands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.faults import pointer_to, refused_at
from service.render.grid.options import GridOptions

# Bounds on the picture, whatever the model: 8 Mi pixels (24 MiB of RGB) and as many tiles as can be told apart on them.
MAX_PIXELS = 1 << 23
MAX_TILES = 8192

MIN_TILE = 32
# A default enlargement keeps square pixels while the longer side of a panel stays within this many pixels.
MAX_DEFAULT_SIDE = 256
SEAM = 1
# Between tiles by default: room for two marks and a free pixel, and more where the seams inside a tile have to be told from the gaps.
GAP = 5
GAP_OF_PANELS = 9
MARK = 2
# Figure 3 of Krizhevsky et al. 2012 is 16 columns by 6 rows, its two groups of 48 one above the other.
GROUPED_ASPECT = 16 / 6
# A character of Pillow's bitmap font is 11 pixels high and 6 wide; a free row above and below keeps it off the frames.
CHARACTER = (11, 6)
LABEL_BAND = CHARACTER[0] + 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The geometry of a grid; lengths in pixels, pairs are (vertical, horizontal).

    A panel is one enlarged image; a tile is all panels of a filter with a seam of one pixel between them; tiles stand `pitch` apart.
    `places` holds for each filter in drawing order its (row, column), `corners` its tile's upper left pixel; `group_rows` the (first row,
    rows) of each block of rows.
    """

    rows: int
    columns: int
    scale: tuple[int, int]
    panel: tuple[int, int]
    tile: tuple[int, int]
    seam: int
    gap: int
    pitch: tuple[int, int]
    size: tuple[int, int]
    places: tuple[tuple[int, int], ...]
    corners: tuple[tuple[int, int], ...]
    group_rows: tuple[tuple[int, int], ...]


def smallest_divisor(count: int, at_least: float) -> int:
    """The smallest divisor of `count` that is not below `at_least`; `count` itself where there is none."""
    return next((divisor for divisor in range(1, count + 1) if count % divisor == 0 and divisor >= at_least), count)


def blocks_of(filters: int, groups: int) -> int:
    """Into how many blocks of rows a grid falls: the groups, where each has at least as many filters as there are groups."""
    return groups if 1 < groups <= filters // groups else 1


def frame_width(gap: int) -> int:
    """The width of a mark around a tile: it lies in the gap, and two of them leave part of it free; a gap of one or two is all frame."""
    return min(gap, MARK, max(1, (gap - 1) // 2))


def lay_out(filters: int, panels: tuple[int, int], values: tuple[int, int], groups: int, options: GridOptions) -> Layout:
    """The layout of `filters` tiles of `panels` (rows, columns) panels of `values` (height, width) values.

    A default enlargement is reduced until the picture fits MAX_PIXELS; Refused where it does not fit at scale 1, where an enlargement
    that was asked for does not fit, or where there are more than MAX_TILES panels.
    """
    if filters * panels[0] * panels[1] > MAX_TILES:
        detail = f"{filters} filters of {panels[0] * panels[1]} panels each are more than {MAX_TILES} panels; channels=mean shows fewer"
        raise refused_at(pointer_to("channels"), "grid-too-large", detail)
    asked = options.scale
    scale = (asked, asked) if asked else default_scale(*values)
    while True:
        layout = _lay_out(filters, panels, values, groups, options, scale)
        if layout.size[0] * layout.size[1] <= MAX_PIXELS:
            return layout
        if asked or scale == (1, 1):
            detail = f"a grid of {layout.size[1]}×{layout.size[0]} pixels is larger than {MAX_PIXELS} pixels"
            raise refused_at(pointer_to("scale") if asked else "", "grid-too-large", detail)
        scale = (max(1, scale[0] * 3 // 4), max(1, scale[1] * 3 // 4))


def default_scale(height: int, width: int) -> tuple[int, int]:
    """The enlargement at which a panel is at least MIN_TILE pixels on either side.

    Pixels stay square while the longer side stays within MAX_DEFAULT_SIDE; a longer strip (a 1-D filter above all) is drawn at the square
    scale that fits, and widened along its thin side alone.
    """
    square = min(math.ceil(MIN_TILE / min(height, width)), max(1, MAX_DEFAULT_SIDE // max(height, width)))
    return max(square, math.ceil(MIN_TILE / height)), max(square, math.ceil(MIN_TILE / width))


def _lay_out(
    filters: int, panels: tuple[int, int], values: tuple[int, int], groups: int, options: GridOptions, scale: tuple[int, int]
) -> Layout:
    gap = options.gap if options.gap is not None else GAP if panels == (1, 1) else GAP_OF_PANELS
    seam = min(SEAM, gap)
    panel = (values[0] * scale[0], values[1] * scale[1])
    tile = (panels[0] * (panel[0] + seam) - seam, panels[1] * (panel[1] + seam) - seam)
    band = LABEL_BAND if options.labels else 0
    # A label never runs into its neighbour: where a tile is narrower than its label, the tiles move apart.
    label_width = CHARACTER[1] * len(str(filters - 1)) + 1 if options.labels else 0
    pitch = (tile[0] + band + gap, max(tile[1], label_width) + gap)
    blocks = blocks_of(filters, groups)
    in_block = filters // blocks
    columns = min(options.columns or _default_columns(filters, blocks, (tile[0] + gap, tile[1] + gap)), in_block)
    block_rows = math.ceil(in_block / columns)
    places = [(block * block_rows + at // columns, at % columns) for block in range(blocks) for at in range(in_block)]
    # Between groups the gap is three times as wide.
    tops = [gap + row * pitch[0] + (row // block_rows) * 2 * gap for row in range(blocks * block_rows)]
    height = tops[-1] + pitch[0]
    return Layout(
        rows=blocks * block_rows,
        columns=columns,
        scale=scale,
        panel=panel,
        tile=tile,
        seam=seam,
        gap=gap,
        pitch=pitch,
        size=(height, gap + columns * pitch[1]),
        places=tuple(places),
        corners=tuple((tops[row], gap + column * pitch[1]) for row, column in places),
        group_rows=tuple((block * block_rows, block_rows) for block in range(blocks)),
    )


def _default_columns(filters: int, blocks: int, tile: tuple[int, int]) -> int:
    """Columns that make the picture near square, or the shape of AlexNet's figure where groups stand one above the other.

    Labels are left out of account, so that they do not move the filters. A divisor is preferred, because then the last row is full,
    unless it would make the picture half as wide again as that.
    """
    aspect = GROUPED_ASPECT if blocks > 1 else 1.0
    wanted = max(1.0, math.sqrt(filters * aspect * tile[0] / tile[1]))
    # 16.0 may come out as 16.000000000000004, which no divisor 16 reaches.
    divisor = smallest_divisor(filters // blocks, wanted - 1e-9)
    return divisor if divisor <= 1.5 * wanted else math.ceil(wanted - 1e-9)
