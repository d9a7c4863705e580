"""The values of kernels, in one streamed pass: zeros, dead and duplicate filters, structured sparsity, and how |w| spreads over the taps.

Blocks of a few MiB along the first axis are read and forgotten, so memory does not grow with the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.connectivity import weight_node
from service.analysis.field.effective import TapWeights
from service.graph import Layer, Operator, Shape, WeightReader
from service.graph import operators as core

Values = NDArray[np.float64]

_PATTERNS = ((1, 4), (2, 4), (4, 8))
"""The N:M patterns looked for: at most N of M consecutive weights of a row are not zero (Mishra et al. 2021, 2:4 of sparse tensor
cores).
"""


@dataclass(frozen=True, slots=True)
class KernelStatistics:
    """One kernel's values. A filter is the weights of one output channel or unit of a convolution or a dense layer.

    `rows` is the number of filters, or of entries of the first axis where a layer has none (an embedding). `nonzero_per_tap` and
    `absolute_per_tap` sum over filters and channels and keep the kernel's trailing axes; `nonfinite` counts NaN and infinities, which are
    not zero; `duplicate_filters` are pairs (earlier, later) with equal weights on the same channels; `pattern` is the sparsest N:M pattern
    that all rows along the input channels keep to; `sum_of_bits` is that of equal values in any order.
    """

    nonzero: int
    nonfinite: int
    nonzero_per_tap: NDArray[np.int64]
    absolute_per_tap: Values
    rows: int
    dead_filters: tuple[int, ...]
    duplicate_filters: tuple[tuple[int, int], ...]
    pattern: str | None
    sum_of_bits: int

    def tap_weights(self) -> TapWeights | None:
        """How the absolute weight spreads over the taps of each kernel axis; None where all weights are zero."""
        return _spread(self.absolute_per_tap, self.rows)


def _spread(absolute_per_tap: Values, rows: int) -> TapWeights | None:
    total = float(absolute_per_tap.sum())
    if not math.isfinite(total) or total <= 0:
        return None
    axes = range(absolute_per_tap.ndim)
    shares = tuple(absolute_per_tap.sum(axis=tuple(a for a in axes if a != axis)) / total for axis in axes)
    return TapWeights(shares, total / max(rows, 1))


def kernel_statistics(layer: Layer, weights: WeightReader, tolerance: float) -> KernelStatistics | None:
    """The statistics of a layer's kernel; None where it has none or its values cannot be read. |w| <= tolerance counts as zero."""
    operator = _readable(layer, weights)
    if operator is None:
        return None
    passed = _Pass(operator, layer.kernel[0].shape, tolerance)
    for weight in layer.kernel:
        passed.take(weight.shape, weights.blocks(weight))
    return passed.finished()


def tap_weights(layer: Layer, weights: WeightReader) -> TapWeights | None:
    """What `kernel_statistics` says of the taps, for whoever needs nothing else of the values; None where there are not several."""
    operator = _readable(layer, weights)
    if operator is None:
        return None
    shape = layer.kernel[0].shape
    trailing = _trailing(operator, shape)
    if math.prod(trailing) == 1:
        return None
    absolute = sum((_absolute(block, trailing) for weight in layer.kernel for block in weights.blocks(weight)), np.zeros(trailing))
    return _spread(absolute, _rows(operator, shape))


def _readable(layer: Layer, weights: WeightReader) -> Operator | None:
    """The operator of a layer whose kernel can be read."""
    node = weight_node(layer)
    readable = node is not None and layer.kernel and all(weights.readable(weight) for weight in layer.kernel)
    return node.operator if node is not None and readable else None


def _trailing(operator: Operator, shape: Shape) -> Shape:
    """The kernel's own axes, behind filters and channels, over which uses differ."""
    if isinstance(operator, core.Convolution | core.TransposedConvolution) and len(shape) == len(operator.kernel) + 2:
        return operator.kernel
    return ()


def _rows(operator: Operator, shape: Shape) -> int:
    """The number of filters, or of entries of the first axis where a layer has none."""
    if isinstance(operator, core.TransposedConvolution):
        return shape[1] * operator.groups
    return shape[1] if isinstance(operator, core.Dense) else shape[0] if shape else 1


def _absolute(block: NDArray[np.generic], trailing: Shape) -> Values:
    """Σ |w| over all but the kernel's own axes; values that are not finite count for nothing."""
    lead = tuple(range(block.ndim - len(trailing)))
    return np.asarray(np.where(np.isfinite(block), np.abs(block), 0.0).sum(axis=lead), dtype=np.float64)


class _Part(NamedTuple):
    """Some filters' weights on some channels: `values` has the shape (filters, channels, *kernel)."""

    first_filter: int
    first_channel: int
    values: NDArray[np.generic]


class _Pass:
    """Sums over the blocks of the kernel of one operator."""

    def __init__(self, operator: Operator, shape: Shape, tolerance: float) -> None:
        self._tolerance = tolerance
        self._nonzero = self._nonfinite = 0
        self._trailing = _trailing(operator, shape)
        self._nonzero_per_tap = np.zeros(self._trailing, dtype=np.int64)
        self._absolute_per_tap = np.zeros(self._trailing, dtype=np.float64)
        self._channels_first = isinstance(operator, core.TransposedConvolution | core.Dense)
        self._groups = getattr(operator, "groups", 1)
        self._rows = _rows(operator, shape)
        filters = self._rows if self._trailing or self._channels_first else 0
        self._alive = np.zeros(filters, dtype=bool)
        self._prints = np.zeros(filters, dtype=np.uint64)
        self._patterns = dict.fromkeys(_PATTERNS, filters > 0)
        self._sum_of_bits = 0

    def take(self, shape: Shape, blocks: Iterable[NDArray[np.generic]]) -> None:
        """Adds the blocks of one weight of that shape."""
        row = 0
        for block in blocks:
            for part in self._parts(block, row, shape[0] // self._groups if shape else 1):
                self._add(part)
            row += len(block)

    def _parts(self, block: NDArray[np.generic], row: int, per_group: int) -> Iterator[_Part]:
        """The rows of a block, the first of which is `row`, filter by filter: a row is a filter, or a channel of a group's filters."""
        if not self._channels_first:
            yield _Part(row, 0, block if len(self._alive) else block[np.newaxis])
            return
        filters = block.shape[1]
        start = 0
        while start < len(block):
            group, channel = divmod(row + start, per_group)
            stop = min(len(block), start + per_group - channel)
            yield _Part(group * filters, channel, block[start:stop].swapaxes(0, 1))
            start = stop

    def _add(self, part: _Part) -> None:
        values = part.values
        finite = np.isfinite(values)
        kept = (np.abs(values) > self._tolerance) | ~finite
        self._nonzero += int(kept.sum())
        self._nonfinite += int((~finite).sum())
        bits = value_bits(values)
        self._sum_of_bits += int(bits.sum(dtype=np.uint64))
        lead = tuple(range(values.ndim - len(self._trailing)))
        self._nonzero_per_tap += kept.sum(axis=lead)
        self._absolute_per_tap += _absolute(values, self._trailing)
        if len(self._alive):
            filters = slice(part.first_filter, part.first_filter + len(values))
            self._alive[filters] |= kept.reshape(len(values), -1).any(axis=1)
            self._prints[filters] += _fingerprints(bits, part.first_channel * math.prod(values.shape[2:]))
            self._look_for_patterns(kept)

    def _look_for_patterns(self, kept: NDArray[np.bool_]) -> None:
        """N:M holds along the input channels."""
        for n, m in _PATTERNS:
            if self._patterns[n, m]:
                rows = np.moveaxis(kept, 1, -1)
                self._patterns[n, m] = rows.shape[-1] % m == 0 and bool((rows.reshape(-1, m).sum(axis=1) <= n).all())

    def finished(self) -> KernelStatistics:
        """The sums as statistics."""
        return KernelStatistics(
            nonzero=self._nonzero,
            nonfinite=self._nonfinite,
            nonzero_per_tap=self._nonzero_per_tap,
            absolute_per_tap=self._absolute_per_tap,
            rows=self._rows,
            dead_filters=tuple(int(i) for i in np.flatnonzero(~self._alive)),
            duplicate_filters=tuple(self._twins()),
            pattern=next((f"{n}:{m}" for (n, m), held in self._patterns.items() if held and self._nonzero), None),
            sum_of_bits=self._sum_of_bits & 0xFFFFFFFFFFFFFFFF,
        )

    def _twins(self) -> Iterator[tuple[int, int]]:
        """Pairs of living filters of one group with equal fingerprints."""
        per_group = max(len(self._alive) // self._groups, 1)
        first: dict[tuple[int, int], int] = {}
        for index in np.flatnonzero(self._alive):
            earlier = first.setdefault((int(index) // per_group, int(self._prints[index])), int(index))
            if earlier != index:
                yield earlier, int(index)


def value_bits(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    """A number for each value, the same for equal values of any floating type; of (filters, channels, *kernel), one row for each filter."""
    # Adding zero makes −0 the same as 0. The low bits of a float64 that was a float32 are zeros, so the high ones are folded onto them.
    bits = (values.reshape(len(values), -1).astype(np.float64) + 0.0).view(np.uint64)
    bits ^= bits >> np.uint64(32)
    return bits


def _fingerprints(bits: NDArray[np.uint64], first_place: int) -> NDArray[np.uint64]:
    """For each filter, a number that equal weights share: Σ of a weight's bits times a factor of its place.

    Sums over parts of a filter are the fingerprint of the whole, whatever the parts; different filters agree by chance about once in 2^34
    pairs at the worst.
    """
    places = np.arange(bits.shape[1], dtype=np.uint64) + np.uint64(first_place)
    return bits @ factors(places)


def factors(places: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A random odd factor for each place, the same in every run: SplitMix64 (Steele, Lea and Flood 2014)."""
    state = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31)) | np.uint64(1)


def effective_connections(exact_tap_uses: NDArray[np.int64], statistics: KernelStatistics) -> int | None:
    """Connections whose weight is not zero, Σ over taps of uses(tap)·nonzeros(tap): exact at borders too.

    None where the kernel has no layout that its uses could be told apart by.
    """
    if exact_tap_uses.ndim == 0:
        return int(exact_tap_uses) * statistics.nonzero
    if exact_tap_uses.shape != statistics.nonzero_per_tap.shape:
        return None
    return sum(int(uses) * int(n) for uses, n in zip(exact_tap_uses.flat, statistics.nonzero_per_tap.flat, strict=True))


def chosen(layers: Mapping[str, Layer], first: Iterable[str], mode: str) -> list[str]:
    """The layers whose kernels are read: `none`, those of the `first` layers, or all."""
    if mode == "none":
        return []
    return [name for name in first if name in layers] if mode == "first" else list(layers)
