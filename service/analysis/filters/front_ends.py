"""Fixed transforms in front of a network for sounds: Fourier bases and mel filter banks, whether computed or stored as weights.

1. A kernel that is computed of nothing stored (MelWeightMatrix, a basis made of constants) is no learned filter.
2. A Fourier basis: the spectrum of filter k peaks at frequency k, of cosines and of sines, whatever the window.
3. A filter bank on a spectrum: filters without negative weights, each on one run of neighbouring frequencies, with rising centres.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from service.analysis.connections.connectivity import weight_node
from service.graph import Layer, WeightReader
from service.graph import operators as core

Matrix = NDArray[np.float64]

MAX_ENTRIES = 1 << 22
"""Weights of a kernel that are looked at: a Fourier basis of 2,048 samples."""
LEAST_FILTERS = 8
"""Fewer filters than these are not taken for a transform."""
_AGREEING = 0.9


def is_front_end(layer: Layer, weights: WeightReader | None) -> bool:
    """Whether the kernel of a layer is a fixed transform of a signal."""
    if not layer.kernel:
        return False
    if all(not weight.sources for weight in layer.kernel):
        return True
    matrix = None if weights is None else _filters(layer, weights)
    return matrix is not None and (is_fourier_basis(matrix) or is_filter_bank(matrix))


def _filters(layer: Layer, weights: WeightReader) -> Matrix | None:
    """The kernel as (filters, samples or frequencies), where it reads one channel of a signal or a spectrum."""
    node, weight = weight_node(layer), layer.kernel[0]
    if node is None or len(layer.kernel) != 1 or math.prod(weight.shape) > MAX_ENTRIES or not weights.readable(weight):
        return None
    if isinstance(node.operator, core.Dense):
        return np.asarray(weights.array(weight), dtype=np.float64).T
    if isinstance(node.operator, core.Convolution) and len(node.operator.kernel) == 1:
        values = np.asarray(weights.array(weight), dtype=np.float64)
        return values[:, :, 0] if values.shape[2] == 1 else values[:, 0] if values.shape[1] == 1 else None
    return None


def is_fourier_basis(matrix: Matrix) -> bool:
    """Whether filter k of (filters, samples) is a wave of k periods: cosines, sines, or both, one after the other or in turn."""
    filters, samples = matrix.shape
    bins = samples // 2 + 1
    if filters < LEAST_FILTERS or samples < 2 * LEAST_FILTERS or not np.isfinite(matrix).all():
        return False
    peaks = np.abs(np.fft.rfft(matrix, axis=1)).argmax(axis=1)
    orders = [np.arange(filters)]
    if filters % 2 == 0:
        orders += [np.arange(filters) % (filters // 2), np.arange(filters) // 2]
    # Frequencies beyond the middle are those before it, backwards.
    folded = (np.minimum(order % samples, -order % samples) for order in orders)
    return any(order.max() <= bins and (peaks == order).mean() >= _AGREEING for order in folded)


def is_filter_bank(matrix: Matrix) -> bool:
    """Whether (filters, frequencies) are overlapping bands of rising frequency."""
    filters, frequencies = matrix.shape
    used = matrix > 0
    if not LEAST_FILTERS <= filters < frequencies or not np.isfinite(matrix).all() or (matrix < 0).any():
        return False
    alive = used.any(axis=1)
    first, count = used.argmax(axis=1), used.sum(axis=1)
    last = frequencies - used[:, ::-1].argmax(axis=1)
    centres = (first + last)[alive]
    narrow = count[alive].mean() < frequencies / 3
    return bool(alive.mean() >= _AGREEING and narrow and (last - first == count)[alive].all() and (np.diff(centres) >= 0).all())
