"""One pass over the values of a kernel, as they lie: what is counted, summed and kept of each block before it is forgotten.

1. What does not lie in zeros is counted at once; where a block has no zeros, nothing is asked of its single weights.
2. Patterns of zeros are looked for as long as half of the weights or more are zero.
3. Blocks fit into the cache of a core, so a block comes from memory once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from service.analysis.connections.magnitudes import Magnitudes, Sums, spread
from service.analysis.connections.twin_filters import Arrangement, Twins
from service.graph import Operator, Shape
from service.graph import operators as core
from service.graph.stored_values import BLOCK_ROWS, Block, StoredValues, Values

BLOCK_BYTES = 1 << 20
"""Bytes of a block: with |w| beside it, it fits into the caches of a core."""

_PATTERNS = ((1, 4), (2, 4), (4, 8))
"""The N:M patterns looked for: at most N of M consecutive weights of a row are not zero (Mishra et al. 2021, 2:4 of sparse tensor
cores).
"""

Mask = NDArray[np.bool_]


def trailing_axes(operator: Operator, shape: Shape) -> Shape:
    """The kernel's own axes, behind filters and channels, over which uses differ."""
    if isinstance(operator, core.Convolution | core.TransposedConvolution) and len(shape) == len(operator.kernel) + 2:
        return operator.kernel
    return ()


def count_rows(operator: Operator, shape: Shape) -> int:
    """The number of filters, or of entries of the first axis where a layer has none."""
    if isinstance(operator, core.TransposedConvolution):
        return shape[1] * operator.groups
    return shape[1] if isinstance(operator, core.Dense) else shape[0] if shape else 1


def _arrangement(operator: Operator, shape: Shape, turned: bool) -> Arrangement | None:
    """How the filters of a kernel of that shape lie; None where it has none."""
    groups = getattr(operator, "groups", 1)
    if isinstance(operator, core.Dense):
        return Arrangement(shape[1], 1, turned, shape[0])
    if isinstance(operator, core.TransposedConvolution):
        return Arrangement(shape[1] * groups, groups, False, shape[0] // groups)
    if trailing_axes(operator, shape):
        return Arrangement(shape[0], groups, True, math.prod(shape[1:]))
    return None


class KernelPass:
    """What is found out about the values of one kernel: one or several weights of one shape."""

    def __init__(self, operator: Operator, shape: Shape, weights: Sequence[StoredValues], tolerance: float) -> None:
        self._weights, self._tolerance = weights, tolerance
        self._trailing = trailing_axes(operator, shape)
        self._how = _arrangement(operator, shape, weights[0].turned)
        filters = 0 if self._how is None else self._how.filters
        self._magnitudes, self._print = Magnitudes(), xxhash.xxh3_64()
        self._twins = None if self._how is None else Twins(self._how)
        self._patterns = list(_PATTERNS) if filters else []
        self.rows = count_rows(operator, shape)
        self.nonzero = self.nonfinite = 0
        self.nonzero_per_tap = np.zeros(self._trailing, dtype=np.int64)
        self.absolute_per_tap: Sums = np.zeros(self._trailing)
        self.alive = np.zeros(filters, dtype=bool)
        for block in self._blocks():
            self._take(block)

    @property
    def fingerprint(self) -> int:
        """A number that kernels share whose weights are stored byte for byte alike."""
        return self._print.intdigest()

    @property
    def pattern(self) -> str | None:
        """The sparsest N:M pattern that all rows along the input channels keep to."""
        return f"{self._patterns[0][0]}:{self._patterns[0][1]}" if self._patterns and self.nonzero else None

    def twins(self) -> list[tuple[int, int]]:
        """Pairs (earlier, later) of living filters with equal weights on the same channels."""
        if self._twins is None or self._how is None:
            return []
        how = self._how
        return list(self._twins.found(self.alive, (part for block in self._blocks() for part in how.parts(block))))

    def _blocks(self) -> Iterator[Block]:
        for weight in self._weights:
            row = math.prod(weight.shape[1:]) * BLOCK_ROWS
            # Rows that are whole filters may be torn from their neighbours.
            multiple = 1 if self._how is not None and self._how.by_row and row > BLOCK_BYTES else BLOCK_ROWS
            yield from weight.blocks(BLOCK_BYTES, multiple)

    def _take(self, block: Block) -> None:
        self._add_to_fingerprint(block)
        exact = block if not self._tolerance or block.quantisation is None else Block(block.start, block.real())
        magnitudes = self._magnitudes.of(exact)
        sums, nonfinite = spread(exact, magnitudes, self._trailing)
        self.absolute_per_tap += sums
        self.nonfinite += nonfinite
        # What is not zero where a weight is not; one byte each where it takes a look at every weight.
        marks = (~(magnitudes <= self._tolerance)).view(np.uint8) if self._tolerance else magnitudes
        nonzero = int(np.count_nonzero(marks.view(f"u{marks.itemsize}")))  # of integers, zeros are counted faster
        self.nonzero += nonzero
        if 2 * nonzero > marks.size:
            self._patterns = []
        full = nonzero == marks.size
        if full or not self._trailing:
            self.nonzero_per_tap += nonzero // math.prod(self._trailing)
        else:
            self.nonzero_per_tap += _count_rows(marks != 0, self._trailing)
        self._take_filters(exact, None if full else marks)

    def _take_filters(self, block: Block, marks: Values | None) -> None:
        """Which filters live (all of them without `marks`), what is kept of each, and which patterns hold."""
        if self._how is None or self._twins is None:
            return
        for part in self._how.parts(block):
            self._twins.take(part)
            filters = self._how.filters_of(part)
            if marks is None:
                self.alive[filters] = True
                continue
            rows = part.block.start - block.start
            own = marks[rows : rows + len(part.block.values)]
            most = np.maximum.reduce(own.reshape(len(own), -1), axis=1 if self._how.by_row else 0)
            self.alive[filters] |= (most.reshape(filters.stop - filters.start, -1) != 0).any(axis=1)
            if self._patterns:
                self._look_for_patterns(own != 0)

    def _look_for_patterns(self, kept: Mask) -> None:
        """N:M holds along the input channels."""
        assert self._how is not None
        axis = 1 if self._how.by_row else 0
        before, length, after = math.prod(kept.shape[:axis]), kept.shape[axis], kept.shape[axis + 1 :]

        def holds(n: int, m: int) -> bool:
            groups = kept.view(np.uint8).reshape(before, length // m, m, -1) if length % m == 0 and after != (0,) else None
            return groups is not None and bool((np.add.reduce(groups, axis=2, dtype=np.uint8) <= n).all())

        self._patterns = [(n, m) for n, m in self._patterns if holds(n, m)]

    def _add_to_fingerprint(self, block: Block) -> None:
        self._print.update(_octets(block.values))
        if block.quantisation is not None:
            for each in (block.quantisation.scale, block.quantisation.zero_point):
                self._print.update(_octets(each))


def _count_rows(kept: Mask, trailing: Shape) -> NDArray[np.int64]:
    """How many weights are kept at each place of the trailing axes."""
    rows = kept.reshape(len(kept), -1).view(np.uint8)
    return np.asarray(np.add.reduce(rows, axis=0, dtype=np.uint32).reshape(-1, *trailing).sum(axis=0, dtype=np.int64))


def _octets(values: Values) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
