"""The graph that every reader ends in: layers of core operators over tensors, and references to their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from service.graph.operators import Operator, Shape
from service.graph.stored_values import StoredValues

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


Region = tuple[tuple[int, int], ...]
"""Along every axis of a stored tensor the first index that is read and the one behind the last."""


@dataclass(frozen=True, slots=True)
class Source:
    """A stored tensor behind a weight: `count` is the number of all its scalars, `region` the part that is read (None: any of it)."""

    name: str
    count: int
    dtype: str
    region: Region | None = None

    def united(self, other: Source) -> Source:
        """The same tensor, read where either is read."""
        if self.region is None or other.region is None or len(self.region) != len(other.region):
            return replace(self, region=None)
        return replace(self, region=tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(self.region, other.region, strict=True)))

    def overlaps(self, other: Source) -> bool:
        """Whether some scalar is read by both."""
        if self.name != other.name:
            return False
        if self.region is None or other.region is None or len(self.region) != len(other.region):
            return True
        return all(a < d and c < b for (a, b), (c, d) in zip(self.region, other.region, strict=True))


@dataclass(frozen=True, slots=True)
class Weight:
    """A set of independent scalars, as one layer reads it.

    `stored` is the tensor's own name after aliases were followed, so that two layers tied to one tensor have the same;
    `shape` is the layout in which the layer's operator wants it: (filters, channels of a group, *kernel) for a convolution,
    (channels, filters of a group, *kernel) for a transposed one, (inputs, units) for a dense layer. `count` is the number of independent
    scalars, `dtype` their stored type. `made_of` are the stored tensors that a weight is cut, gathered or computed from; None for one that
    is stored itself, () for one that is computed of nothing stored.
    """

    stored: str
    shape: Shape
    count: int
    dtype: str
    made_of: tuple[Source, ...] | None = field(default=None, compare=False)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The stored tensors behind the weight."""
        return (Source(self.stored, self.count, self.dtype),) if self.made_of is None else self.made_of


class WeightReader(Protocol):
    """Reads the values of weights from where the model keeps them."""

    def readable(self, weight: Weight) -> bool:
        """Whether the values are there and of a known type."""

    def array(self, weight: Weight) -> np.ndarray:
        """The values as float in `weight.shape`, dequantised."""

    def stored(self, weight: Weight) -> StoredValues:
        """The values as they lie, for whoever goes through all of them."""


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
    `notes` are (code, layer, message) that the reader wants in the report; `batched` says that the leading axis of every input is its
    batch, as a layer spec has it: nothing is to be found out then.
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
    batched: bool = False
