"""What the values of kernels say: zeros, dead and duplicate filters, structured sparsity, and how |w| spreads over the taps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.connectivity import weight_node
from service.analysis.connections.kernel_pass import KernelPass, trailing_axes
from service.analysis.field.effective import TapWeights
from service.graph import Layer, Operator, WeightReader

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KernelStatistics:
    """One kernel's values. A filter is the weights of one output channel or unit of a convolution or a dense layer.

    `rows` is the number of filters, or of entries of the first axis where a layer has none (an embedding). `nonzero_per_tap` and
    `absolute_per_tap` sum over filters and channels and keep the kernel's trailing axes; `nonfinite` counts NaN and infinities, which are
    not zero; `duplicate_filters` are pairs (earlier, later) with equal weights on the same channels; `pattern` is the sparsest N:M pattern
    that all rows along the input channels keep to; `fingerprint` is shared by kernels that are stored byte for byte alike.
    """

    nonzero: int
    nonfinite: int
    nonzero_per_tap: NDArray[np.int64]
    absolute_per_tap: Values
    rows: int
    dead_filters: tuple[int, ...]
    duplicate_filters: tuple[tuple[int, int], ...]
    pattern: str | None
    fingerprint: int

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
    passed = KernelPass(operator, layer.kernel[0].shape, [weights.stored(weight) for weight in layer.kernel], tolerance)
    return KernelStatistics(
        nonzero=passed.nonzero,
        nonfinite=passed.nonfinite,
        nonzero_per_tap=passed.nonzero_per_tap,
        absolute_per_tap=passed.absolute_per_tap,
        rows=passed.rows,
        dead_filters=tuple(int(i) for i in np.flatnonzero(~passed.alive)),
        duplicate_filters=tuple(passed.twins()),
        pattern=passed.pattern,
        fingerprint=passed.fingerprint,
    )


def tap_weights(layer: Layer, weights: WeightReader) -> TapWeights | None:
    """What `kernel_statistics` says of the taps, for whoever needs nothing else of the values; None where there are not several."""
    operator = _readable(layer, weights)
    if operator is None:
        return None
    shape = layer.kernel[0].shape
    trailing = trailing_axes(operator, shape)
    if math.prod(trailing) == 1:
        return None
    passed = KernelPass(operator, shape, [weights.stored(weight) for weight in layer.kernel], 0.0)
    return _spread(passed.absolute_per_tap, passed.rows)


def _readable(layer: Layer, weights: WeightReader) -> Operator | None:
    """The operator of a layer whose kernel can be read."""
    node = weight_node(layer)
    readable = node is not None and layer.kernel and all(weights.readable(weight) for weight in layer.kernel)
    return node.operator if node is not None and readable else None


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
