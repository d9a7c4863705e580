"""Which layer's filters are meant, and their weights as one array of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.connectivity import weight_node
from service.analysis.filters.first_layers import FirstLayer, first_layers
from service.analysis.filters.measurements import check_kernel
from service.analysis.filters.pixels import Tile
from service.faults import refused_at
from service.graph import Graph, Layer, Weight, WeightReader
from service.graph import operators as core


@dataclass(frozen=True, slots=True)
class LayerKernel:
    """The weights of a layer as pictures: `values` (filters, channels of a group, *kernel), whichever way round the layer stores them."""

    layer: str
    values: NDArray[np.floating]
    groups: int


def find_filters(graph: Graph, weights: WeightReader, wanted: str | None = None) -> LayerKernel:
    """The filters of the layer `wanted` (its index or name), by default of the first layer that reads an input.

    Raises Refused: `no-filters` where no first layer reads an input, where the layer is neither a convolution nor a first layer, where its
    values are not in the model or cannot be read; `layer-not-found`; `kernel-too-large` before anything is read.
    """
    first = first_layers(graph, weights)
    layer = _first(first) if wanted is None else _wanted(graph, wanted)
    tile = next((one.tile for one in first if one.layer is layer), None)
    node = weight_node(layer)
    operator = None if node is None else node.operator
    if tile is None and not isinstance(operator, core.Convolution | core.TransposedConvolution):
        raise refused_at(layer.name, "no-filters", f"Layer {layer.name!r} is neither a convolution nor a dense layer on an image.")
    if len(layer.kernel) != 1 or not weights.readable(layer.kernel[0]):
        raise refused_at(layer.name, "no-filters", f"The weights of layer {layer.name!r} are not stored in the model.")
    (weight,) = layer.kernel
    if tile is not None:
        return LayerKernel(layer.name, _tiled(weight, weights, tile, turned=isinstance(operator, core.Dense)), 1)
    if isinstance(operator, core.TransposedConvolution):
        return _turned(layer.name, weight, weights, operator.groups)
    groups = operator.groups if isinstance(operator, core.Convolution) else 1
    check_kernel(weight.shape, groups)
    return LayerKernel(layer.name, weights.array(weight), groups)


def _turned(name: str, weight: Weight, weights: WeightReader, groups: int) -> LayerKernel:
    """The filters of a transposed convolution, stored as (channels, filters of a group, *kernel)."""
    channels, filters, *size = weight.shape
    if groups < 1 or channels % groups:
        raise refused_at(name, "no-filters", f"{channels} channels do not divide into {groups} groups.")
    check_kernel((filters * groups, channels // groups, *size), groups)
    by_group = weights.array(weight).reshape(groups, channels // groups, filters, *size)
    return LayerKernel(name, by_group.swapaxes(1, 2).reshape(groups * filters, channels // groups, *size), groups)


def _tiled(weight: Weight, weights: WeightReader, tile: Tile, turned: bool) -> NDArray[np.floating]:
    """The weights where they lie in the picture; pixels that a filter does not read are 0. `turned`: stored as (inputs, units)."""
    filters = weight.shape[1] if turned else weight.shape[0]
    check_kernel((filters, *tile.shape), 1)
    values = weights.array(weight)
    pictures = np.zeros((filters, math.prod(tile.shape)), dtype=values.dtype)
    pictures[:, tile.places] = values.T if turned else values.reshape(filters, -1)
    return pictures.reshape(filters, *tile.shape)


def _first(found: Sequence[FirstLayer]) -> Layer:
    if not found:
        raise refused_at("", "no-filters", "No convolution, and no dense layer on an image, reads an input of the model.")
    # A layer whose kernel is computed from the input has no filters to show.
    return next((one.layer for one in found if one.layer.kernel), found[0].layer)


def _wanted(graph: Graph, wanted: str) -> Layer:
    """The layer of that index in the report, else of that name."""
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and int(wanted) < len(graph.layers):
        return graph.layers[int(wanted)]
    for layer in graph.layers:
        if layer.name == wanted:
            return layer
    raise refused_at("", "layer-not-found", f"The model has no layer {wanted[:200]!r}.")
