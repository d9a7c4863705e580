"""Parameters: how many scalars a layer uses, which stored tensors these are, and which of them several layers share.

1. A weight that is stored as it is read is one stored tensor. One that is cut, gathered or computed from others goes back to these.
2. Of several tensors that a weight is computed from, the largest that have as many scalars as the weight play its role (the kernel of a
   weight normalisation); those left over are parameters outside the connections (its gains). Single numbers there are no parameters.
3. A table outside the connections counts whole, even where only some of its rows are read.
4. Layers that read parts of one tensor which have no scalar in common share nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.analysis.connections.connectivity import Connectivity
from service.graph import Graph, Layer, Source, Weight
from service.report import document
from service.report.document import Role, StoredTensor


@dataclass(frozen=True, slots=True)
class Use:
    """One stored tensor, as a layer uses it: `count` are the scalars of it that the layer uses."""

    role: Role
    source: Source
    count: int


def uses(layer: Layer) -> Iterator[Use]:
    """The stored tensors that a layer uses, weight by weight."""
    groups: Sequence[tuple[Role, Sequence[Weight]]] = (("weight", layer.kernel), ("bias", layer.bias), ("other", layer.other))
    for role, weights in groups:
        for weight in weights:
            yield from _shares(role, weight)


def _shares(role: Role, weight: Weight) -> Iterator[Use]:
    """The tensors behind one weight, the largest first."""
    missing = weight.count
    for source in sorted(weight.sources, key=lambda source: -source.count):
        if role == "other":
            yield Use(role, source, source.count)
        elif missing > 0:
            yield Use(role, source, min(missing, source.count))
            missing -= source.count
        elif source.count > 1:
            yield Use("other", source, source.count)


def used(layer: Layer) -> Counter[Role]:
    """How many scalars a layer uses in each role; weights that are computed of nothing stored are counted as they are read."""
    counts: Counter[Role] = Counter({"weight": 0, "bias": 0, "other": 0})
    counts["weight"] = sum(weight.count for weight in layer.kernel)
    counts["bias"] = sum(weight.count for weight in layer.bias)
    counts["other"] = sum(use.count for use in uses(layer) if use.role == "other")
    return counts


def stored(graph: Graph) -> Counter[Role]:
    """How many stored scalars the layers use, each counted once, in the role in which it is used first."""
    first: dict[str, Use] = {}
    for layer in graph.layers:
        for use in uses(layer):
            first.setdefault(use.source.name, use)
    counts: Counter[Role] = Counter({"weight": 0, "bias": 0, "other": 0})
    for use in first.values():
        counts[use.role] += use.source.count
    return counts


@dataclass(frozen=True, slots=True)
class Tie:
    """Layers that use the same scalars of one stored tensor, and whether all of them use these as their bias."""

    tensor: str
    layers: tuple[str, ...]
    biases: bool


MAX_REGIONS = 64
"""Different parts of one stored tensor that are told apart."""


def ties(graph: Graph) -> list[Tie]:
    """The stored tensors that several layers use. Layers whose parts of a tensor overlap, or overlap by way of others, form one tie."""
    users: dict[str, list[tuple[str, Use]]] = {}
    for layer in graph.layers:
        for use in uses(layer):
            users.setdefault(use.source.name, []).append((layer.name, use))
    found = []
    for tensor, each in users.items():
        if len({name for name, _ in each}) > 1:
            for group in _overlapping(each):
                names = tuple(dict.fromkeys(name for name, _ in group))
                if len(names) > 1:
                    found.append(Tie(tensor, names, all(use.role == "bias" for _, use in group)))
    return found


def _overlapping(users: Sequence[tuple[str, Use]]) -> list[list[tuple[str, Use]]]:
    """The users of a tensor in groups that have no scalar in common."""
    parts = {use.source.region: use.source for _, use in users}
    if None in parts or len(parts) > MAX_REGIONS:
        return [list(users)]
    clusters: list[list[Source]] = []
    for part in parts.values():
        touched = [cluster for cluster in clusters if any(part.overlaps(other) for other in cluster)]
        joined = [part, *(one for cluster in touched for one in cluster)]
        clusters = [*(cluster for cluster in clusters if cluster not in touched), joined]
    number = {part.region: index for index, cluster in enumerate(clusters) for part in cluster}
    groups: list[list[tuple[str, Use]]] = [[] for _ in clusters]
    for user in users:
        groups[number[user[1].source.region]].append(user)
    return groups


def ledger(graph: Graph, counts: Mapping[str, Connectivity | None]) -> tuple[StoredTensor, ...]:
    """The sharing ledger: every stored tensor, which layers use it as what, and how often each of its scalars is used there.

    `uses` is the mean number of connections that one scalar serves in a sample; None for parameters outside the connections.
    """
    tensors = {weight.stored: (tuple(weight.shape), weight.dtype, weight.count) for weight in graph.stored}
    users: dict[str, list[document.Use]] = {}
    for layer in graph.layers:
        found = counts.get(layer.name)
        for use in uses(layer):
            source = use.source
            mean = found.uses[1] if use.role == "weight" and found is not None else None
            tensors.setdefault(source.name, ((source.count,), source.dtype, source.count))
            users.setdefault(source.name, []).append(document.Use(layer.name, use.role, mean))
    return tuple(StoredTensor(name, *facts, tuple(users.get(name, ()))) for name, facts in tensors.items())
