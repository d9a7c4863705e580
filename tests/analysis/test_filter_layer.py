"""The layer whose filters are meant, found in small graphs, and its weights the right way round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.analysis.filters.layer import find_filters
from service.analysis.filters.measurements import MAX_WEIGHTS
from service.faults import Refused
from service.graph import Graph, Layer, Node, Tensor, Weight
from service.graph import operators as core
from service.graph.stored_values import StoredValues, in_memory


class Stored:
    """Weights in memory, by name."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self.arrays = arrays

    def readable(self, weight: Weight) -> bool:
        return weight.stored in self.arrays

    def array(self, weight: Weight) -> np.ndarray:
        return self.arrays[weight.stored]

    def stored(self, weight: Weight) -> StoredValues:
        return in_memory(self.array(weight))


def window(size: int) -> dict[str, Any]:
    return {"kernel": (size, size), "strides": (1, 1), "dilations": (1, 1), "pads": ((0, 0), (0, 0))}


def layer(name: str, operator: core.Operator, before: str, *shape: int) -> Layer:
    kernel = (Weight(f"{name}.w", shape, int(np.prod(shape)), "float32"),) if shape else ()
    return Layer(name, "Op", "other", (before,), (name,), (Node(operator, (before,), (name,)),), kernel=kernel)


def network(*layers: Layer, image: tuple[int, ...] = (1, 3, 8, 8)) -> Graph:
    tensors = {"image": Tensor("image", image)}
    for one in layers:
        (node,) = one.nodes
        (shape,) = node.operator.shapes(*(tensors[name].shape or () for name in node.inputs))
        tensors[node.outputs[0]] = Tensor(node.outputs[0], shape)
    return Graph("test", (tensors["image"],), (layers[-1].outputs[0],), layers, tensors)


FIRST = layer("stem", core.Convolution(**window(3), filters=4), "cast", 4, 3, 3, 3)
CAST = layer("cast", core.Elementwise("cast"), "image")
SECOND = layer("second", core.Convolution(**window(1), filters=2, groups=2), "stem", 2, 2, 1, 1)
GRAPH = network(CAST, FIRST, SECOND)


def test_by_default_the_convolution_that_reads_the_image_through_a_cast() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    found = find_filters(GRAPH, Stored(**{"stem.w": values}))
    assert (found.layer, found.groups) == ("stem", 1)
    assert np.array_equal(found.values, values)


@pytest.mark.parametrize("wanted", ["2", "second"])
def test_any_layer_by_index_or_name(wanted: str) -> None:
    found = find_filters(GRAPH, Stored(**{"second.w": np.ones((2, 2, 1, 1))}), wanted)
    assert (found.layer, found.groups, found.values.shape) == ("second", 2, (2, 2, 1, 1))


def test_a_transposed_convolution_is_turned_into_filters_by_group() -> None:
    """Stored as (channels, filters of a group, *kernel): filter g·m + f reads the channels of group g."""
    values = np.arange(6 * 2 * 2 * 2, dtype=np.float64).reshape(6, 2, 2, 2)
    transposed = core.TransposedConvolution(**window(2), filters=4, groups=2)
    found = find_filters(network(layer("up", transposed, "image", 6, 2, 2, 2), image=(1, 6, 8, 8)), Stored(**{"up.w": values}), "up")
    assert found.values.shape == (4, 3, 2, 2)
    for group in range(2):
        for filter_index in range(2):
            assert np.array_equal(found.values[2 * group + filter_index], values[3 * group : 3 * group + 3, filter_index])


@pytest.mark.parametrize(
    ("graph", "wanted", "code"),
    [
        (network(CAST), None, "no-filters"),
        (GRAPH, "0", "no-filters"),
        (GRAPH, None, "no-filters"),  # without values
        (GRAPH, "3", "layer-not-found"),
        (GRAPH, "fc", "layer-not-found"),
        (GRAPH, "²", "layer-not-found"),
    ],
)
def test_a_layer_without_filters_is_refused(graph: Graph, wanted: str | None, code: str) -> None:
    with pytest.raises(Refused) as caught:
        find_filters(graph, Stored(), wanted)
    assert caught.value.code == code


def test_a_kernel_that_is_too_large_is_not_read() -> None:
    class Unread(Stored):
        def readable(self, weight: Weight) -> bool:
            return True

    huge = layer("huge", core.Convolution(**window(1), filters=MAX_WEIGHTS + 1), "image", MAX_WEIGHTS + 1, 1, 1, 1)
    with pytest.raises(Refused) as caught:
        find_filters(network(huge), Unread())
    assert caught.value.code == "kernel-too-large"
