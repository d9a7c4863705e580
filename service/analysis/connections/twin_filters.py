"""Twin filters: filters of one group with equal weights on the same channels.

1. While a kernel is read, a few values of every filter are kept. Filters that differ in one of them are no twins.
2. The others, if there are any, are read once more, and are twins where fingerprints of all their values agree (xxHash, 128 bits).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from service.analysis.connections.places import factors
from service.graph.stored_values import Block, Quantisation, Values

SAMPLES = 8
"""Values of each filter that are kept."""


class Part(NamedTuple):
    """Consecutive filters on consecutive channels: of a block, the rows or columns that hold their weights."""

    first_filter: int
    first_channel: int
    block: Block


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How filters lie: `by_row`, one after the other, or channel by channel; in `groups`, each filter with `length` rows or values."""

    filters: int
    groups: int
    by_row: bool
    length: int

    def parts(self, block: Block) -> Iterator[Part]:
        """A block, group by group where its rows are channels."""
        if self.by_row:
            yield Part(block.start, 0, block)
            return
        start, stop = block.start, block.start + len(block.values)
        while start < stop:
            group, channel = divmod(start, self.length)
            end = min(stop, start + self.length - channel)
            yield Part(group * block.values.shape[1], channel, _rows(block, start - block.start, end - block.start))
            start = end

    def filters_of(self, part: Part) -> slice:
        """The filters of a part."""
        count = part.block.values.shape[0 if self.by_row else 1]
        return slice(part.first_filter, part.first_filter + count)

    def group(self, filters: NDArray[np.int64]) -> NDArray[np.int64]:
        """The groups of filters."""
        return np.asarray(filters // max(self.filters // self.groups, 1))


def _rows(block: Block, start: int, stop: int) -> Block:
    """Some rows of a block."""
    quantisation = block.quantisation
    if (start, stop) == (0, len(block.values)):
        return block
    if quantisation is not None:
        together = len(block.values) // quantisation.grid[0]
        if start % together or stop % together:
            return Block(block.start + start, block.real()[start:stop])
        quantisation = quantisation.rows(start // together, stop // together)
    return Block(block.start + start, block.values[start:stop], quantisation)


class Twins:
    """Finds the twins among the filters of one kernel."""

    def __init__(self, arrangement: Arrangement) -> None:
        self._how = arrangement
        self._samples = np.zeros((arrangement.filters, SAMPLES))
        self._places = np.linspace(0, max(arrangement.length - 1, 0), SAMPLES).astype(np.int64)

    def take(self, part: Part) -> None:
        """Keep some values of the filters of a part."""
        filters = self._how.filters_of(part)
        if self._how.by_row:
            self._samples[filters] = _picked(part.block, self._places)
            return
        stop = part.first_channel + len(part.block.values)
        for number, channel in enumerate(self._places):
            if part.first_channel <= channel < stop:
                row = _rows(part.block, channel - part.first_channel, channel - part.first_channel + 1).real()
                self._samples[filters, number] = row.reshape(row.shape[1], -1)[:, number % (row.size // row.shape[1])]

    def found(self, alive: NDArray[np.bool_], parts: Iterable[Part]) -> Iterator[tuple[int, int]]:
        """Pairs (earlier, later) of living twins; the parts of the kernel are read where there may be any."""
        candidates = self._candidates(np.flatnonzero(alive))
        if not len(candidates):
            return
        prints = self._fingerprints(candidates, parts)
        first: dict[tuple[int, bytes], int] = {}
        for index, group in zip(candidates, self._how.group(candidates), strict=True):
            earlier = first.setdefault((int(group), prints[index].digest()), int(index))
            if earlier != index:
                yield earlier, int(index)

    def _candidates(self, filters: NDArray[np.int64]) -> NDArray[np.int64]:
        """The filters whose kept values are those of another one in their group, in order."""
        bits = (self._samples[filters] + 0.0).view(np.uint64)  # −0 becomes 0
        keys = bits @ factors(np.arange(SAMPLES, dtype=np.uint64)) + factors(self._how.group(filters).astype(np.uint64))
        _, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
        return np.asarray(filters[counts[where] > 1])

    def _fingerprints(self, candidates: NDArray[np.int64], parts: Iterable[Part]) -> dict[np.int64, xxhash.xxh3_128]:
        prints = {index: xxhash.xxh3_128() for index in candidates}
        for part in parts:
            filters = self._how.filters_of(part)
            chosen = candidates[np.searchsorted(candidates, filters.start) : np.searchsorted(candidates, filters.stop)]
            if len(chosen):
                for index, values in zip(chosen, self._weights(part, chosen - part.first_filter), strict=True):
                    prints[index].update(values)
        return prints

    def _weights(self, part: Part, chosen: NDArray[np.int64]) -> Values:
        """The weights of some filters of a part, (filters, values)."""
        real = part.block.real()
        picked = real[chosen] if self._how.by_row else real[:, chosen].swapaxes(0, 1)
        return np.ascontiguousarray(picked.reshape(len(chosen), -1) + 0)  # −0 becomes 0


def _picked(block: Block, places: NDArray[np.int64]) -> Values:
    """The values at some places of every row, as real numbers."""
    quantisation = block.quantisation
    if quantisation is None:
        return Block(block.start, block.values.reshape(len(block.values), -1)[:, places]).real()
    if quantisation.grid[0] != len(block.values):
        return block.real().reshape(len(block.values), -1)[:, places]
    grid = quantisation.grid
    index: tuple[slice | NDArray[np.intp], ...] = (slice(None), *np.unravel_index(places, grid[1:]))
    picked = block.values.reshape(grid)[index]
    parameters = (np.broadcast_to(each, grid)[index] for each in (quantisation.scale, quantisation.zero_point))
    return Quantisation(picked.shape, *parameters).real(picked)
