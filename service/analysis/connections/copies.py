"""Kernels that are stored twice: with equal values, as they are or with axes exchanged, under whatever operator.

1. Every kernel that was read has a sum over its values that does not depend on their order; kernels whose sums differ are no copies.
2. The others are read once more and compared by fingerprints of their values in three orders: as they lie, with the first axis behind the
   others (a matrix and its transpose), and with the first two axes exchanged (a convolution's and a transposed convolution's kernel).
   Equal fingerprints in some order are equal values: other kernels agree by chance about once in 2^64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.kernels import KernelStatistics, factors, value_bits
from service.graph import Layer, Shape, Weight, WeightReader

Places = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Copies:
    """Stored tensors with equal values, and for each the first layer whose kernel it is."""

    tensors: tuple[str, ...]
    layers: tuple[str, ...]


def equal_kernels(layers: Sequence[Layer], statistics: Mapping[str, KernelStatistics], weights: WeightReader) -> list[Copies]:
    """The kernels of different stored tensors whose values are equal, those of nothing but zeros left out."""
    alike: dict[tuple[int, int, int], dict[tuple[str, ...], Layer]] = {}
    for layer in layers:
        known = statistics.get(layer.name)
        tensors = tuple(source.name for weight in layer.kernel for source in weight.sources)
        if known is not None and known.nonzero and tensors:
            size = sum(math.prod(weight.shape) for weight in layer.kernel)
            alike.setdefault((size, known.nonzero, known.sum_of_bits), {}).setdefault(tensors, layer)
    return [copies for group in alike.values() if len(group) > 1 for copies in _compared(group, weights)]


def _compared(group: Mapping[tuple[str, ...], Layer], weights: WeightReader) -> Iterator[Copies]:
    """Those of a group of kernels with equal sums that are copies of each other."""
    classes: list[tuple[set[int], list[tuple[str, str]]]] = []
    for tensors, layer in group.items():
        prints = _fingerprints(layer.kernel, weights)
        entry = (tensors[0], layer.name)
        equal = next((known for known in classes if known[0] & prints), None)
        if equal is None:
            classes.append((prints, [entry]))
        else:
            equal[0].update(prints)
            equal[1].append(entry)
    for _, entries in classes:
        if len({tensor for tensor, _ in entries}) > 1:
            yield Copies(tuple(tensor for tensor, _ in entries), tuple(name for _, name in entries))


def _fingerprints(kernel: Sequence[Weight], weights: WeightReader) -> set[int]:
    """The fingerprints of a kernel in its three orders; of one of several weights, in the order in which it is stored."""
    totals = [0, 0, 0]
    for number, weight in enumerate(kernel):
        start = 0
        for block in weights.blocks(weight):
            bits = value_bits(block).reshape(len(block), -1)
            for order, places in enumerate(_places(weight.shape, start, len(block))):
                totals[order] += int((bits * factors(places + np.uint64(number << 56))).sum(dtype=np.uint64))
            start += len(block)
    return {total & 0xFFFFFFFFFFFFFFFF for total in (totals if len(kernel) == 1 else totals[:1])}


def _places(shape: Shape, start: int, rows: int) -> Iterator[Places]:
    """For a block of rows, the place of every value in each of the three orders; the block is (rows, all other axes)."""
    first, second, rest = (*shape, 1, 1)[0], (*shape, 1, 1)[1], math.prod(shape[2:])
    row = np.arange(start, start + rows, dtype=np.uint64)[:, None]
    column = np.arange(second * rest, dtype=np.uint64)[None, :]
    yield row * np.uint64(second * rest) + column
    yield column * np.uint64(first) + row
    inner, along = column % np.uint64(max(rest, 1)), column // np.uint64(max(rest, 1))
    yield (along * np.uint64(first) + row) * np.uint64(rest) + inner
