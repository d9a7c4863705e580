"""The first layers: convolutions that read an input, and dense layers that read an image, with the pictures of their filters.

1. A convolution reads an input where no other weight layer lies between; casts, transposes, normalisation and quantisation may.
2. A dense layer reads an image where it is one: an input with a height and a width that was flattened, reshaped or cut into patches, in
   between nothing but what moves units or changes each by itself. A plain vector of features is no image.
3. The fixed transforms of a spectrogram are no learned layers: the first layer is found behind them, unless there is nothing behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.analysis.connections.connectivity import weight_node
from service.analysis.field.axes import Layout, Layouts, layouts
from service.analysis.filters.front_ends import is_front_end
from service.analysis.filters.pixels import MAX_PIXELS, Image, Numbers, Tile, dense_tile, moved, window_tile
from service.graph import Graph, Layer, Shape, WeightReader
from service.graph import operators as core

MAX_NUMBERS = 1 << 25
"""Units of all tensors together that are followed: those of 200 tensors of an image of 224 × 224."""

LEAST_SIDE = 8
"""An input of two axes beside the batch is an image where both are equal and at least so long."""


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """A layer, the input that it reads, and how its weights lie in the picture of a filter (None: as they are stored)."""

    layer: Layer
    reads: str
    tile: Tile | None = None


def first_layers(graph: Graph, weights: WeightReader | None = None, known: Layouts | None = None) -> list[FirstLayer]:
    """The first layers of a graph, whose inputs' axes are `known` where they were found out before.

    Without `weights` a stored transform is not told from a learned layer.
    """
    seeker = _Seeker(graph, weights, layouts(graph) if known is None else known)
    for layer in graph.layers:
        seeker.take(layer)
    return seeker.found or seeker.transforms


class _Seeker:
    """What reaches each tensor of the inputs as they are, layer by layer."""

    def __init__(self, graph: Graph, weights: WeightReader | None, known: Layouts) -> None:
        self.graph, self.weights = graph, weights
        self.found: list[FirstLayer] = []
        self.transforms: list[FirstLayer] = []
        self._raw: dict[str, str | None] = {tensor.name: tensor.name for tensor in graph.inputs}
        self._images = images(graph, known)
        self._numbers: dict[str, Numbers] = {name: image.numbered() for name, image in self._images.items()}
        self._left = MAX_NUMBERS

    def take(self, layer: Layer) -> None:
        """The next layer."""
        sources = [self._raw[name] for name in layer.inputs if name in self._raw]
        if not sources:
            return
        source = sources[0] if None not in sources else None
        node = weight_node(layer)
        if source is not None and node is not None:
            source = self._weighed(layer, source)
        elif node is not None:
            source = None
        self._raw.update(dict.fromkeys(layer.outputs, source))
        if source is not None and node is None:
            self._follow(layer)

    def _weighed(self, layer: Layer, source: str) -> str | None:
        """Judge a weight layer on an input; the input again where the layer is a fixed transform of it."""
        convolution = any(isinstance(node.operator, core.Convolution) for node in layer.nodes)
        if source not in self._images and is_front_end(layer, self.weights):
            if convolution:
                self.transforms.append(FirstLayer(layer, source))
            return source
        self._follow(layer)
        tile = self._tile(layer, source)
        if convolution or tile is not None:
            self.found.append(FirstLayer(layer, source, tile))
        return None

    def _follow(self, layer: Layer) -> None:
        """Number the tensors of a layer as far as it only moves the units of an image."""
        for node in layer.nodes:
            numbers = moved(node, self._numbers, [self._shape(name) for name in node.outputs]) if self._left > 0 else None
            if numbers is not None:
                self._left -= numbers.size
                self._numbers[node.outputs[0]] = numbers

    def _shape(self, name: str) -> Shape | None:
        tensor = self.graph.tensors.get(name)
        return None if tensor is None else tensor.shape

    def _tile(self, layer: Layer, source: str) -> Tile | None:
        node, image = weight_node(layer), self._images.get(source)
        numbers = None if node is None else self._numbers.get(node.inputs[0])
        if node is None or image is None or numbers is None or len(layer.kernel) != 1:
            return None
        if isinstance(node.operator, core.Dense) and node.operator.ties is None:
            return dense_tile(image, numbers)
        places = self._shape(node.outputs[0])
        if isinstance(node.operator, core.Convolution) and places is not None:
            return window_tile(image, node.operator, numbers, places[2:])
        return None


def images(graph: Graph, known: Layouts) -> dict[str, Image]:
    """The inputs that are images of a size that can be followed."""
    found = {}
    for index, tensor in enumerate(graph.inputs):
        shape = tensor.shape
        image = None if shape is None or index not in known else _image(shape, known[index])
        units = 1
        for length in shape or ():
            units *= length
        if image is not None and 0 < units <= MAX_PIXELS:
            found[tensor.name] = image
    return found


def _image(shape: Shape, layout: Layout) -> Image | None:
    """An input of two spatial axes and at most one of channels; or of two equal axes beside the batch."""
    if len(layout.spatial) == 2:
        others: Sequence[int] = [axis for axis in range(len(shape)) if axis not in layout.spatial and axis != layout.batch]
        if len(others) <= 1:
            return Image(shape, (layout.spatial[0], layout.spatial[1]), others[0] if others else None)
    if len(shape) == 3 and shape[1] == shape[2] >= LEAST_SIDE and layout.batch == 0:
        return Image(shape, (1, 2), None)
    return None
