"""Which convolution's filters are meant, and their weights as one array of filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.connectivity import weight_node
from service.analysis.filters.measurements import check_kernel
from service.analysis.ties import first_layers
from service.faults import refused_at
from service.graph import Graph, Layer, WeightReader
from service.graph import operators as core


@dataclass(frozen=True, slots=True)
class LayerKernel:
    """The weights of a convolution: `values` (filters, channels of a group, *kernel), whichever way round the layer stores them."""

    layer: str
    values: NDArray[np.floating]
    groups: int


def find_filters(graph: Graph, weights: WeightReader, wanted: str | None = None) -> LayerKernel:
    """The filters of the layer `wanted` (its index or name), by default of the first convolution that reads an input.

    Raises Refused: `no-filters` where no convolution reads an input, where the layer is none, where its values are not in the model or
    cannot be read; `layer-not-found`; `kernel-too-large` before anything is read.
    """
    layer = _first(graph) if wanted is None else _wanted(graph, wanted)
    node = weight_node(layer)
    operator = None if node is None else node.operator
    if not isinstance(operator, core.Convolution | core.TransposedConvolution):
        raise refused_at(layer.name, "no-filters", f"Layer {layer.name!r} is no convolution.")
    if len(layer.kernel) != 1 or not weights.readable(layer.kernel[0]):
        raise refused_at(layer.name, "no-filters", f"The weights of layer {layer.name!r} are not stored in the model.")
    (weight,) = layer.kernel
    groups = operator.groups
    if isinstance(operator, core.Convolution):
        check_kernel(weight.shape, groups)
        return LayerKernel(layer.name, weights.array(weight), groups)
    channels, filters, *size = weight.shape
    if groups < 1 or channels % groups:
        raise refused_at(layer.name, "no-filters", f"{channels} channels do not divide into {groups} groups.")
    check_kernel((filters * groups, channels // groups, *size), groups)
    by_group = weights.array(weight).reshape(groups, channels // groups, filters, *size)
    return LayerKernel(layer.name, by_group.swapaxes(1, 2).reshape(groups * filters, channels // groups, *size), groups)


def _first(graph: Graph) -> Layer:
    found = [layer for layer, _ in first_layers(graph)]
    if not found:
        raise refused_at("", "no-filters", "No convolution reads an input of the model.")
    # A convolution whose kernel is computed from the input has no filters to show.
    return next((layer for layer in found if layer.kernel), found[0])


def _wanted(graph: Graph, wanted: str) -> Layer:
    """The layer of that index in the report, else of that name."""
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and int(wanted) < len(graph.layers):
        return graph.layers[int(wanted)]
    for layer in graph.layers:
        if layer.name == wanted:
            return layer
    raise refused_at("", "layer-not-found", f"The model has no layer {wanted[:200]!r}.")
