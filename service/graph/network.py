"""The graph that every reader ends in: layers of core operators over tensors, and references to their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from service.graph.operators import Operator, Shape

Kind = Literal[
    "convolution",
    "transposed-convolution",
    "locally-connected",
    "dense",
    "recurrent",
    "embedding",
    "normalization",
    "activation",
    "pooling",
    "resampling",
    "global",
    "attention",
    "reshape",
    "other",
]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that flows between nodes. `shape` includes the batch axis; None where not even the rank is known."""

    name: str
    shape: Shape | None
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Weight:
    """A set of independent scalars stored once in the model, as one layer reads it.

    `stored` is the tensor's own name after aliases were followed, so that two layers tied to one tensor have the same;
    `shape` is the layout in which the layer's operator wants it: (filters, channels of a group, *kernel) for a convolution,
    (channels, filters of a group, *kernel) for a transposed one, (inputs, units) for a dense layer. `count` is the number of independent
    scalars stored, `dtype` their stored type.
    """

    stored: str
    shape: Shape
    count: int
    dtype: str


BLOCK_ROWS = 8
"""Values are read in multiples of so many rows, so that no group of four or eight neighbours is torn apart."""


class WeightReader(Protocol):
    """Reads the values of weights from where the model keeps them."""

    def readable(self, weight: Weight) -> bool:
        """Whether the values are there and of a known type."""

    def array(self, weight: Weight) -> np.ndarray:
        """The values as float in `weight.shape`, dequantised."""

    def blocks(self, weight: Weight) -> Iterator[np.ndarray]:
        """The values in consecutive pieces along the first axis of `weight.shape`, each but the last a multiple of BLOCK_ROWS rows."""


def block_rows(size: int, row: int) -> int:
    """How many rows of `row` bytes a piece of about `size` bytes has: a multiple of BLOCK_ROWS."""
    return max(1, size // max(1, row * BLOCK_ROWS)) * BLOCK_ROWS


@dataclass(frozen=True, slots=True)
class Node:
    """One core operator between named tensors. Several nodes may make up one layer."""

    operator: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of the model as its author wrote it: `op` is its name there, `nodes` its meaning in the core vocabulary.

    At most one node is a weight operator (convolution, dense …); `kernel` and `bias` are its weights, `other` are
    parameters outside the connections (the scales of a normalisation, the slopes of a PReLU), `statistics` what was measured and not
    trained (the running mean and variance of a batch normalisation).
    """

    name: str
    op: str
    kind: Kind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    kernel: tuple[Weight, ...] = ()
    bias: tuple[Weight, ...] = ()
    other: tuple[Weight, ...] = ()
    statistics: tuple[Weight, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A network in topological order.

    `symbolic` names the input axes (tensor, axis) whose length is a stand-in; `stored` is every stored tensor, used or not;
    `notes` are (code, layer, message) that the reader wants in the report.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor]
    stored: tuple[Weight, ...] = ()
    symbolic: frozenset[tuple[str, int]] = frozenset()
    notes: tuple[tuple[str, str | None, str], ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
