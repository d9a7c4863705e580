"""What a job's process draws from a model's weights: the filter grid, deeper filters in pixels, and the field of one unit.

Every task takes the files and options of an analysis (as JSON data) and what the client chose.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.kernels import tap_weights
from service.analysis.field.effective import TapWeights
from service.analysis.field.unit import unit_field
from service.analysis.filters.hierarchy import Projection, Projector, convolutions
from service.analysis.filters.layer import LayerKernel, find_filters
from service.analysis.filters.measurements import LayerFilters, measure_filters
from service.analysis.filters.summary import describe_filters
from service.faults import Refused
from service.graph.model import Model
from service.options import Options
from service.render.figures.overlay import draw_overlay
from service.render.grid.grid import Grid, GridOptions, draw_grid
from service.render.tables import write_csv
from service.report.identity import read_options
from service.report.plain import read_report
from service.work.analysis import Files, read_file
from service.work.made import CSV, PNG, Made, made_json

MOST_FILTERS = 256
"""Filters of one layer that are projected at the most; of a wider layer, those of the largest norm."""

PAGE_FILTERS, PAGE_STRONGEST, PAGE_DEPTH = 64, 8, 3
"""What the picture of the hierarchy in a document shows: so many filters, channels followed back, and the depth at the most."""

Chosen = Mapping[str, Any]
JsonOptions = Mapping[str, Any]
Form = Literal["json", "csv"]


def filters_png(files: Files, options: JsonOptions, chosen: Chosen) -> Made:
    """The weight grid of a convolution as a PNG, and the response headers that say its rows, columns and tile size."""
    return _made(_grid(files, options, chosen))


def filters_map(files: Files, options: JsonOptions, chosen: Chosen) -> Made:
    """The JSON twin of `filters_png`: which filter is at which pixel."""
    return made_json(_grid(files, options, chosen).describe())


def filter_measurements(files: Files, options: JsonOptions, layer: str | None, form: Form) -> Made:
    """The measurements of every filter of a convolution, with what they add up to (JSON) or as a table (CSV)."""
    read = read_options(options)
    kernel = _kernel(files, read, layer)
    described = describe_filters(_measured(kernel, read), kernel.layer)
    return Made(write_csv(described["filters"]), CSV) if form == "csv" else made_json(described)


def hierarchy_png(files: Files, options: JsonOptions, depth: int, strongest: int, chosen: Chosen, most_filters: int = MOST_FILTERS) -> Made:
    """The filters of the depth-th convolution (from 1) in pixels, as weighted sums of those below it."""
    read = read_options(options)
    picked = _picked(read, chosen)
    projection = projected(read_file(files, read), depth, strongest, most_filters)
    grid = _drawn(projection.pixels, picked, 1, projection.layer)
    filters = ",".join(map(str, projection.filters))
    return _made(grid, {"Receptive-Filters": filters if len(filters) < 2000 else f"{len(projection.filters)} filters"})


def overlay_png(files: Files, options: JsonOptions, layer: str, unit: Sequence[int] | None, image: bytes | None = None) -> Made:
    """A unit's field drawn on an image (or on a neutral ground), weighed by |w| where all weights can be read."""
    read = read_options(options)
    model = read_file(files, read)
    graph = model.graphs[0]
    taps = _tap_weights(model, layer) if read.read_weights != "none" else {}
    field = unit_field(graph, layer, unit, taps or None)
    headers = {"Receptive-Unit": ",".join(map(str, field.unit)), "Receptive-Origin": ",".join(map(str, field.origin))}
    return Made(draw_overlay(field, image), PNG, headers)


def page_pictures(files: Files, options: JsonOptions, report: bytes) -> Made:
    """The pictures for the HTML document of a report, given as JSON text: PNGs in base64 by name, the filter grid and the hierarchy at the
    depth of the report's curve that is still small. One that cannot be drawn is left out."""
    document = read_report(report)
    depths = [row.depth for row in document.hierarchy][:PAGE_DEPTH]
    wanted: dict[str, Callable[[], Made]] = {}
    if document.first_layers:
        wanted["filters"] = lambda: filters_png(files, options, {})
    if len(depths) > 1:
        wanted["hierarchy"] = lambda: hierarchy_png(files, options, depths[-1], PAGE_STRONGEST, {}, PAGE_FILTERS)
    pictures = {}
    for name, draw in wanted.items():
        try:
            pictures[name] = base64.b64encode(draw().content).decode()
        except Refused:
            continue
    return made_json(pictures)


def _tap_weights(model: Model, last: str) -> dict[str, TapWeights]:
    """What each tap weighs, of the layers up to the last one: nothing after it is on the way to the image."""
    taps = {}
    for layer in model.graphs[0].layers:
        weights = tap_weights(layer, model.weights)
        if weights is not None:
            taps[layer.name] = weights
        if layer.name == last:
            break
    return taps


def projected(model: Model, depth: int, strongest: int, most_filters: int = MOST_FILTERS) -> Projection:
    """The filters of the depth-th convolution in pixels; Refused where there is no such convolution or it cannot be drawn."""
    graph = model.graphs[0]
    found = convolutions(graph)
    if not 1 <= depth <= len(found):
        raise Refused("invalid", "no-such-depth", f"The model has {len(found)} convolutions on its input; depth {depth} is none of them.")
    layer = found[depth - 1]
    projector = Projector(graph, model.weights, strongest)
    projection = projector.project(layer, projector.strongest(layer, most_filters))
    if projection is None:
        raise Refused("invalid", "no-filters", f"The weights on the way from {layer.name} to the input cannot be read.")
    return projection


def _kernel(files: Files, options: Options, layer: str | None) -> LayerKernel:
    model = read_file(files, options)
    return find_filters(model.graphs[0], model.weights, layer)


def _grid(files: Files, options: JsonOptions, chosen: Chosen) -> Grid:
    read = read_options(options)
    chosen = dict(chosen)
    layer = chosen.pop("layer", None)
    picked = _picked(read, chosen)
    kernel = _kernel(files, read, layer)
    return _drawn(kernel.values, picked, kernel.groups, kernel.layer, _measured(kernel, read))


def _picked(options: Options, chosen: Chosen) -> GridOptions:
    return GridOptions(**{"channel_order": options.channel_order, **chosen})


def _drawn(values: NDArray[np.floating], options: GridOptions, groups: int, layer: str, measured: LayerFilters | None = None) -> Grid:
    return draw_grid(values, options, groups=groups, layer=layer, measured=measured)


def _made(grid: Grid, more: Mapping[str, str] | None = None) -> Made:
    """A grid as a PNG, with headers that say where each tile is."""
    headers = {
        "Receptive-Rows": str(grid.rows),
        "Receptive-Columns": str(grid.columns),
        "Receptive-Tile": f"{grid.tile[0]}x{grid.tile[1]}",
        "Receptive-Gap": str(grid.gap),
    }
    return Made(grid.png, PNG, {**headers, **(more or {})})


def _measured(kernel: LayerKernel, options: Options) -> LayerFilters:
    return measure_filters(kernel.values, groups=kernel.groups, channel_order=options.channel_order, tolerance=options.zero_tolerance)
