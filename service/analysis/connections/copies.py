"""Kernels that are stored twice: with equal values, as they are or with axes exchanged, under whatever operator.

1. Kernels that differ in the number of their values, of their zeros, or in the sum of |w| are no copies.
2. Kernels that are stored byte for byte alike are; one of them stands for all.
3. The others are read once more and compared by fingerprints of their values in three orders: as they lie, with the first axis behind the
   others (a matrix and its transpose), and with the first two axes exchanged (a convolution's and a transposed convolution's kernel).
   Equal fingerprints in some order are equal values: other kernels agree by chance about once in 2^64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.kernel_pass import BLOCK_BYTES
from service.analysis.connections.kernels import KernelStatistics
from service.analysis.connections.places import factors
from service.graph import Layer, Shape, Weight, WeightReader

Places = NDArray[np.uint64]

MAX_ROUNDING = 4e-6
"""The share by which sums of the same |w| may differ where they were added in another order."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Stored tensors with equal values, and for each the first layer whose kernel it is."""

    tensors: tuple[str, ...]
    layers: tuple[str, ...]


def equal_kernels(layers: Sequence[Layer], statistics: Mapping[str, KernelStatistics], weights: WeightReader) -> list[Copies]:
    """The kernels of different stored tensors whose values are equal, those of nothing but zeros left out."""
    alike: dict[tuple[int, int], dict[tuple[str, ...], _Kernel]] = {}
    for layer in layers:
        known = statistics.get(layer.name)
        tensors = tuple(source.name for weight in layer.kernel for source in weight.sources)
        if known is not None and known.nonzero and tensors:
            size = sum(math.prod(weight.shape) for weight in layer.kernel)
            kernel = _Kernel(tensors[0], layer, known.fingerprint, float(known.absolute_per_tap.sum()))
            alike.setdefault((size, known.nonzero), {}).setdefault(tensors, kernel)
    groups = (group for kernels in alike.values() for group in _close(kernels.values()) if len(group) > 1)
    found = [copies for group in groups for copies in _compared(group, weights)]
    places = {layer.name: place for place, layer in enumerate(layers)}
    return sorted(found, key=lambda copies: places[copies.layers[0]])


class _Kernel(NamedTuple):
    """A kernel by the first of its stored tensors and the first layer that has it, with what is known of its values."""

    tensor: str
    layer: Layer
    fingerprint: int
    absolute: float


def _close(kernels: Iterable[_Kernel]) -> Iterator[list[_Kernel]]:
    """Kernels in groups whose sums of |w| differ by less than what the order of the values can make of it."""
    group: list[_Kernel] = []
    for kernel in sorted(kernels, key=lambda kernel: kernel.absolute):
        if group and kernel.absolute > group[-1].absolute * (1 + MAX_ROUNDING):
            yield group
            group = []
        group.append(kernel)
    yield group


def _compared(group: Sequence[_Kernel], weights: WeightReader) -> Iterator[Copies]:
    """Those of a group of kernels with equal sums that are copies of each other; of kernels with equal fingerprints, one is read."""
    alike: dict[int, list[_Kernel]] = {}
    for kernel in group:
        alike.setdefault(kernel.fingerprint, []).append(kernel)
    classes: list[tuple[set[int], list[_Kernel]]] = []
    for kernels in alike.values():
        prints = _fingerprints(kernels[0].layer.kernel, weights) if len(alike) > 1 else set()
        equal = next((known for known in classes if known[0] & prints), None)
        if equal is None:
            classes.append((prints, list(kernels)))
        else:
            equal[0].update(prints)
            equal[1].extend(kernels)
    for _, found in classes:
        if len({kernel.tensor for kernel in found}) > 1:
            yield Copies(tuple(kernel.tensor for kernel in found), tuple(kernel.layer.name for kernel in found))


def _fingerprints(kernel: Sequence[Weight], weights: WeightReader) -> set[int]:
    """The fingerprints of a kernel in its three orders; of one of several weights, in the order in which it is stored."""
    totals = [0, 0, 0]
    for number, weight in enumerate(kernel):
        stored = weights.stored(weight)
        for block in stored.blocks(BLOCK_BYTES):
            values = block.real()
            bits = _value_bits(values).reshape(len(values), -1)
            for order, places in enumerate(_places(stored.shape, block.start, len(values))):
                totals[order] += int((bits * factors(places + np.uint64(number << 56))).sum(dtype=np.uint64))
    return {total & 0xFFFFFFFFFFFFFFFF for total in (totals if len(kernel) == 1 else totals[:1])}


def _value_bits(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    """A number for each value, the same for equal values of any floating type."""
    # Adding zero makes −0 the same as 0. The low bits of a float64 that was a float32 are zeros, so the high ones are folded onto them.
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    bits ^= bits >> np.uint64(32)
    return bits


def _places(shape: Shape, start: int, rows: int) -> Iterator[Places]:
    """For a block of rows, the place of every value in each of the three orders; the block is (rows, all other axes)."""
    first, second, rest = (*shape, 1, 1)[0], (*shape, 1, 1)[1], math.prod(shape[2:])
    row = np.arange(start, start + rows, dtype=np.uint64)[:, None]
    column = np.arange(second * rest, dtype=np.uint64)[None, :]
    yield row * np.uint64(second * rest) + column
    yield column * np.uint64(first) + row
    inner, along = column % np.uint64(max(rest, 1)), column // np.uint64(max(rest, 1))
    yield (along * np.uint64(first) + row) * np.uint64(rest) + inner
