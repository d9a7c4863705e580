"""A model as a reader leaves it: the network, where its weights are read, and what the file says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from service.graph.network import Graph, WeightReader


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as the model declares it; None where an axis (or the whole shape) is symbolic or unset."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the file says about itself. Its digest is known to whoever keeps it, and is not computed again from all of its bytes."""

    name: str | None
    format: Literal["onnx", "spec"]
    size_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    producer: str | None = None
    ir_version: int | None = None
    opsets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """One model, read once, or, where axes of its inputs are symbolic, once for each of several stand-in lengths.

    A fact that differs between the graphs depends on an unknown length and is not a fact.
    """

    graphs: tuple[Graph, ...]
    weights: WeightReader
    facts: ModelFacts
