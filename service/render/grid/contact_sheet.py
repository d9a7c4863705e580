"""Many weight grids on one picture, each under its caption."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.faults import refused_at
from service.render.figures.png import encode_png
from service.render.grid.grid import Grid
from service.render.grid.layout import CHARACTER

WIDTH = 1280
MARGIN = 12
CAPTION = CHARACTER[0] + 3
LONGEST_CAPTION = 64
# 32 Mi pixels, 96 MiB of RGB.
MAX_SHEET_PIXELS = 1 << 25


def contact_sheet(grids: Sequence[Grid]) -> bytes:
    """One PNG of all `grids` at their own size, in order, on shelves of WIDTH pixels (more where a single grid is wider).

    A grid's caption is its layer's name, of which characters that the bitmap font lacks become question marks. Equal grids give equal
    bytes. Raises Refused where the sheet would have more than MAX_SHEET_PIXELS pixels.
    """
    captions = [_caption(grid.layer) for grid in grids]
    widths = [CHARACTER[1] * len(caption) for caption in captions]
    cells = [(max(grid.layout.size[1], width), grid.layout.size[0] + CAPTION) for grid, width in zip(grids, widths, strict=True)]
    corners, (width, height) = _shelve(cells)
    if width * height > MAX_SHEET_PIXELS:
        raise refused_at("", "grid-too-large", f"a contact sheet of {width}×{height} pixels is larger than {MAX_SHEET_PIXELS} pixels")
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default_imagefont()
    for grid, caption, (x, y) in zip(grids, captions, corners, strict=True):
        draw.text((x, y), caption, fill="black", font=font)
        with Image.open(io.BytesIO(grid.png)) as drawn:
            sheet.paste(drawn, (x, y + CAPTION))
    return encode_png(np.asarray(sheet), {"grids": str(len(grids))})


def _caption(layer: str) -> str:
    return layer.encode("ascii", "replace").decode("ascii")[:LONGEST_CAPTION]


def _shelve(cells: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """The upper left corner (x, y) of every cell (width, height), left to right and shelf by shelf, and the size of the sheet."""
    corners: list[tuple[int, int]] = []
    x, top, bottom, right = MARGIN, MARGIN, MARGIN, MARGIN
    for width, height in cells:
        if x > MARGIN and x + width + MARGIN > WIDTH:
            x, top = MARGIN, bottom
        corners.append((x, top))
        x += width + MARGIN
        right, bottom = max(right, x), max(bottom, top + height + MARGIN)
    return corners, (right, bottom)
