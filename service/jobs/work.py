"""What a job's process does: reads a model and analyses it, or draws it. Nothing here knows of HTTP or of the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.options import Options


def analyze_file(path: str, options: Options, externals: Mapping[str, str]) -> dict[str, Any]:
    """The report of the model at `path` (external data files by their bare name in `externals`) without its address and dates."""
    from service.analysis import analyze
    from service.readers.model import read_model

    model = read_model(Path(path), options, {name: Path(place) for name, place in externals.items()})
    return analyze(model)


def filters_png(path: str, options: Options, externals: Mapping[str, str], grid_options: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The weight grid of a convolution as a PNG, and the response headers that say its rows, columns and tile size."""
    from service.readers.model import read_model
    from service.render.grid import draw_grid

    model = read_model(Path(path), options, {name: Path(place) for name, place in externals.items()})
    return draw_grid(model, grid_options)
