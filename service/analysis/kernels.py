"""The values of kernels, in one streamed pass: zeros, dead and duplicate filters, structured sparsity, and how |w| spreads over the taps.

Blocks of a few MiB along the first axis are read and forgotten, so memory does not grow with the model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.connectivity import weight_node
from service.analysis.effective import TapWeights
from service.graph import Layer, Weight, WeightReader
from service.graph import operators as core

Values = NDArray[np.float64]

_PATTERNS = ((1, 4), (2, 4), (4, 8))
"""The N:M patterns looked for: at most N of M consecutive weights of a row are not zero (Mishra et al. 2021, 2:4 of sparse tensor
cores).
"""


@dataclass(frozen=True, slots=True)
class KernelStatistics:
    """One kernel's values. A filter is the weights of one output channel or unit.

    `nonzero_per_tap` and `absolute_per_tap` sum over filters and channels and keep the kernel's trailing axes; `nonfinite` counts NaN and
    infinities; `pattern` is the sparsest N:M pattern that all rows along the input channels keep to.
    """

    count: int
    nonzero: int
    nonfinite: int
    nonzero_per_tap: NDArray[np.int64]
    absolute_per_tap: Values
    filters: int
    dead_filters: tuple[int, ...]
    duplicate_filters: tuple[tuple[int, int], ...]
    pattern: str | None
    digest: str

    def tap_weights(self) -> TapWeights | None:
        """How the absolute weight spreads over the taps of each kernel axis; None where all weights are zero."""
        total = float(self.absolute_per_tap.sum())
        if not math.isfinite(total) or total <= 0:
            return None
        axes = range(self.absolute_per_tap.ndim)
        shares = tuple(self.absolute_per_tap.sum(axis=tuple(a for a in axes if a != axis)) / total for axis in axes)
        return TapWeights(shares, total / max(self.filters, 1))


def kernel_statistics(layer: Layer, weights: WeightReader, tolerance: float) -> KernelStatistics | None:
    """The statistics of a layer's kernel; None where it has none or its values cannot be read. |w| <= tolerance counts as zero."""
    node = weight_node(layer)
    if node is None or not layer.kernel or not all(weights.readable(weight) for weight in layer.kernel):
        return None
    trailing = _trailing(node.operator, layer.kernel[0])
    passed = _Pass(trailing, _filter_axis(node.operator), tolerance)
    for weight in layer.kernel:
        passed.take(weight, weights.blocks(weight))
    return passed.finished()


def _trailing(operator: object, weight: Weight) -> tuple[int, ...]:
    """The kernel's own axes, behind filters and channels, over which uses differ."""
    if isinstance(operator, core.Convolution | core.TransposedConvolution) and len(weight.shape) == len(operator.kernel) + 2:
        return operator.kernel
    return ()


def _filter_axis(operator: object) -> int:
    return 1 if isinstance(operator, core.Dense | core.TransposedConvolution) else 0


class _Pass:
    """Sums over the blocks of a kernel."""

    def __init__(self, trailing: tuple[int, ...], filter_axis: int, tolerance: float) -> None:
        self._trailing, self._filter_axis, self._tolerance = trailing, filter_axis, tolerance
        self._count = self._nonzero = self._nonfinite = self._filters = 0
        self._nonzero_per_tap = np.zeros(trailing, dtype=np.int64)
        self._absolute_per_tap = np.zeros(trailing, dtype=np.float64)
        self._alive: list[NDArray[np.bool_]] = []
        self._filter_digests: list[bytes] = []
        self._patterns = dict.fromkeys(_PATTERNS, True)
        self._digest = hashlib.blake2b(digest_size=16)

    def take(self, weight: Weight, blocks: Iterable[Values]) -> None:
        """Adds the blocks of one weight."""
        self._digest.update(repr(weight.shape).encode())
        alive: list[NDArray[np.bool_]] = []
        for block in blocks:
            kept = np.abs(block) > self._tolerance
            finite = np.isfinite(block)
            self._digest.update(np.ascontiguousarray(block).data)
            self._count += block.size
            self._nonzero += int((kept | ~finite).sum())
            self._nonfinite += int((~finite).sum())
            lead = tuple(range(block.ndim - len(self._trailing)))
            self._nonzero_per_tap += (kept | ~finite).sum(axis=lead)
            self._absolute_per_tap += np.where(finite, np.abs(block), 0.0).sum(axis=lead)
            alive.append(self._living(kept | ~finite))
            self._look_for_patterns(kept)
            if self._filter_axis == 0:
                self._filter_digests += [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in np.ascontiguousarray(block)]
        if alive:
            merged = np.concatenate(alive) if self._filter_axis == 0 else np.logical_or.reduce(alive)
            self._alive.append(merged)
            self._filters += len(merged)

    def _living(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """For every filter of a block, whether it has a weight other than zero."""
        axis = min(self._filter_axis, kept.ndim - 1)
        return np.asarray(kept.any(axis=tuple(a for a in range(kept.ndim) if a != axis)))

    def _look_for_patterns(self, kept: NDArray[np.bool_]) -> None:
        """N:M holds along the input channels: axis 1 of a convolution, axis 0 of a dense layer."""
        axis = min(1 - self._filter_axis, kept.ndim - 1)
        rows = np.moveaxis(kept, axis, -1)
        for n, m in _PATTERNS:
            if self._patterns[n, m]:
                self._patterns[n, m] = rows.shape[-1] % m == 0 and bool((rows.reshape(-1, m).sum(axis=1) <= n).all())

    def finished(self) -> KernelStatistics:
        """The sums as statistics."""
        alive = np.concatenate(self._alive) if self._alive else np.zeros(0, dtype=bool)
        first: dict[bytes, int] = {}
        twins = []
        for index, digest in enumerate(self._filter_digests):
            if alive[index] and first.setdefault(digest, index) != index:
                twins.append((first[digest], index))
        pattern = next((f"{n}:{m}" for (n, m), held in self._patterns.items() if held and self._nonzero), None)
        return KernelStatistics(
            count=self._count,
            nonzero=self._nonzero,
            nonfinite=self._nonfinite,
            nonzero_per_tap=self._nonzero_per_tap,
            absolute_per_tap=self._absolute_per_tap,
            filters=self._filters,
            dead_filters=tuple(int(i) for i in np.flatnonzero(~alive)),
            duplicate_filters=tuple(twins),
            pattern=pattern,
            digest=self._digest.hexdigest(),
        )


def effective_connections(exact_tap_uses: NDArray[np.int64], statistics: KernelStatistics) -> int | None:
    """Connections whose weight is not zero, Σ over taps of uses(tap)·nonzeros(tap): exact at borders too.

    None where the kernel has no layout that its uses could be told apart by.
    """
    if exact_tap_uses.ndim == 0:
        return int(exact_tap_uses) * statistics.nonzero
    if exact_tap_uses.shape != statistics.nonzero_per_tap.shape:
        return None
    return sum(int(uses) * int(n) for uses, n in zip(exact_tap_uses.flat, statistics.nonzero_per_tap.flat, strict=True))


def chosen(layers: Mapping[str, Layer], first: Iterable[str], mode: str, most_bytes: int) -> list[str]:
    """The layers whose kernels `read_weights` asks for: `auto` means all up to a size in bytes, else the first layers'."""
    if mode == "none":
        return []
    total = sum(weight.count for layer in layers.values() for weight in layer.kernel) * 4
    everything = mode == "all" or (mode == "auto" and total <= most_bytes)
    return list(layers) if everything else [name for name in first if name in layers]
