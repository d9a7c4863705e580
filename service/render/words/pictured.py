"""What is said of the pictures of filters: whether there are any, and a sentence that reads the grid."""

from __future__ import annotations

from service.render.words.numbers import counted, number, percent, times
from service.render.words.text import shown
from service.report.document import Depth, FirstLayer, Report

CHANCE = 2 / 3
"""The colour share of filters of independent random channels."""


def drawable(report: Report) -> tuple[FirstLayer, ...]:
    """The first layers whose filters can be drawn: their values were read, or could be of a model that stores them."""
    known = {layer.name for layer in report.layers if layer.values is not None}
    options = report.options
    stored = report.model.format == "onnx" and options.read_weights == "none" and options.external_missing == "error"
    return tuple(first for first in report.first_layers if first.layer in known or stored)


def read_grid(report: Report, first: FirstLayer) -> list[str]:
    """What there is to see in the grid of a first layer."""
    weights = times((*first.kernel, first.channels))
    said = [f"{counted(first.filters, 'filter')} of {weights} weights read the input {shown(first.reads)}."]
    layer = next((layer for layer in report.layers if layer.name == first.layer), None)
    dead = len(layer.values.dead_filters) if layer is not None and layer.values is not None else 0
    if dead:
        said.append(f"{number(dead)} of them {'is' if dead == 1 else 'are'} all zeros.")
    colours = [row for row in report.hierarchy if row.colour_share is not None]
    if colours and colours[0].layer == first.layer:
        said += _colour(colours)
    return said


def _colour(colours: list[Depth]) -> list[str]:
    """How much the filters look at colour, and whether that changes with depth."""
    first, last = colours[0], colours[-1]
    share = first.colour_share or 0
    looks = "they mostly read brightness" if share < CHANCE / 2 else "they read colour too" if share < CHANCE else "they mostly read colour"
    said = [f"{percent(share)} of the energy of the strongest ones is colour: {looks}."]
    if last.depth > first.depth and last.colour_share is not None:
        word = "more" if last.colour_share > share else "less"
        said.append(f"At {shown(last.layer)}, convolution {last.depth}, it is {percent(last.colour_share)}, {word} than at the first.")
    return said
