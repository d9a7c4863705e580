"""Support: the pixels that one unit reads, as a union of products. The rules of `dependence`, walked backwards from the unit.

A window reads a product: some rows times some columns. So along a chain of layers the support stays one product, an array of positions for
each axis, whatever the size of the image. Where paths meet it becomes a union: a 1×7 beside a 7×1 are two products, of which the 7×7 box
has 13 pixels. A product that lies in another one is dropped, and two that differ along one axis only become one.

1. Positions may lie beyond the border: the input is taken to go on. None along an axis stands for all of its units.
2. A reshape that splits or merges what is reached lists it unit by unit, and puts it together again as products.
3. Only local paths are followed, as by `influence`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.dependence import Accumulate, Block, Expand, Mix, Place, Reshape, Slide, Statistics, Step, Transpose, Widen
from service.analysis.field.influence import Ended, backwards, ways_back
from service.analysis.field.intervals import TooLarge
from service.analysis.field.reshaping import segments
from service.analysis.field.taps import NOTHING, Integers
from service.graph import Graph, Node, Shape

Product = tuple[Integers | None, ...]
"""Along each axis of a tensor, the ascending positions that are read; None: all units alike."""

MAX_PRODUCTS = 64
"""Products of one tensor that are followed at the most."""

MAX_LISTED = 1 << 18
"""Units that a reshape lists at the most, and positions along one axis."""


@dataclass(slots=True)
class Allowance:
    """How many more steps may be walked backwards, each for one product, or products compared."""

    left: int

    def spend(self, steps: int) -> None:
        """Take some steps; TooLarge where fewer are left."""
        if steps > self.left:
            raise TooLarge(f"{steps} steps")
        self.left -= steps


Way = tuple[int, str, tuple[tuple[Step, Shape], ...]]
"""Back from an output of a node (its number) to an input (its name): the steps, each with the shape of the tensor it is applied to."""


class Support:
    """Follows units back to one input of a graph. TooLarge where that is too much.

    `ended` may still grow, but for nodes that were walked through it is complete.
    """

    def __init__(self, graph: Graph, source: str, ended: Ended) -> None:
        self._graph, self._source, self._ended = graph, source, ended
        self._known: dict[str, list[Way]] = {}

    def read(self, position: int, unit: Sequence[int | None], allowance: Allowance) -> list[Product]:
        """The units of the input that one unit of the first output of the layer at `position` reads by local paths.

        `unit` is None along an axis of which all units are meant.
        """
        start: Product = tuple(None if place is None else np.array([place]) for place in unit)
        reached: dict[str, list[Product]] = {self._graph.layers[position].outputs[0]: [start]}
        for layer in reversed(self._graph.layers[: position + 1]):
            for node in reversed(layer.nodes):
                targets = {index: reached.pop(name) for index, name in enumerate(node.outputs) if name in reached}
                for index, name, steps in self._ways(node) if targets else ():
                    parts = _followed(targets.get(index, []), steps, allowance)
                    if parts:
                        reached[name] = united([*reached.get(name, ()), *parts], allowance)
        return reached.get(self._source, [])

    def _ways(self, node: Node) -> list[Way]:
        if node.outputs[0] not in self._known:
            ways = ways_back(self._graph, node, range(len(node.outputs)), self._ended)
            self._known[node.outputs[0]] = [(index, name, tuple(backwards(path, shape))) for index, name, shape, path in ways]
        return self._known[node.outputs[0]]


def _followed(parts: list[Product], steps: Sequence[tuple[Step, Shape]], allowance: Allowance) -> list[Product]:
    """The products that are read where some are reached behind the steps of a path."""
    for step, before in steps:
        allowance.spend(len(parts))
        parts = [origin for part in parts for origin in _back(part, step, before)]
    return parts


def united(parts: Sequence[Product], allowance: Allowance) -> list[Product]:
    """The same union by fewer products: none lies in another one, no two differ along one axis only. TooLarge where too many are left."""
    kept = list(parts[:1])
    for part in parts[1:]:
        position = 0
        allowance.spend(len(kept))
        while position < len(kept):
            merged = _merged(kept[position], part)
            if merged is None:
                position += 1
            else:
                part = merged
                del kept[position]
                position = 0
        kept.append(part)
        if len(kept) > MAX_PRODUCTS:
            raise TooLarge(f"more than {MAX_PRODUCTS} products")
    return kept


def _merged(one: Product, two: Product) -> Product | None:
    """The union of two products where it is a product itself."""
    differ = [axis for axis, (a, b) in enumerate(zip(one, two, strict=True)) if not (_within(a, b) and _within(b, a))]
    if all(_within(two[axis], one[axis]) for axis in differ):
        return one
    if all(_within(one[axis], two[axis]) for axis in differ):
        return two
    if len(differ) != 1:
        return None
    a, b = one[differ[0]], two[differ[0]]
    assert a is not None and b is not None
    return (*one[: differ[0]], _distinct(np.concatenate([a, b])), *one[differ[0] + 1 :])


def _within(some: Integers | None, others: Integers | None) -> bool:
    """Whether all positions are among others. All units alike may be listed on the other side, which is not looked into."""
    if others is None or some is others:
        return True
    if some is None or len(some) > len(others) or some[0] < others[0] or some[-1] > others[-1]:
        return False
    return len(others) == others[-1] - others[0] + 1 or bool((others[np.searchsorted(others, some)] == some).all())


def _distinct(positions: Integers) -> Integers:
    """The positions in ascending order, each once."""
    first, last = int(positions.min()), int(positions.max())
    if last - first > 16 * positions.size + 1024:
        return np.unique(positions)
    held = np.zeros(last - first + 1, dtype=bool)
    held[positions - first] = True
    return np.flatnonzero(held) + first


def _back(part: Product, step: Step, shape: Shape) -> Iterator[Product]:
    """The products that are read in a tensor of `shape` where `part` is reached behind a step."""
    match step:
        case Slide(axis, _, _, _):
            read = _slid(part[axis], step, shape[axis])
            if read is None or len(read):
                yield _with(part, axis, read)
        case Mix(axis, length, groups):
            read = _mixed(part[axis], shape[axis] // groups, length, groups)
            if read is None or len(read):
                yield _with(part, axis, read)
        case Reshape(result):
            yield from _reshaped(part, shape, result)
        case Transpose(order):
            yield tuple(part[axis] for axis in np.argsort(order))
        case Expand(result):
            lead = len(result) - len(shape)
            yield tuple(None if old == 1 != new else held for old, new, held in zip(shape, result[lead:], part[lead:], strict=True))
        case Place(axis, start):
            held = part[axis]
            read = None if held is None else held[(held >= start) & (held < start + shape[axis])] - start
            if read is None or len(read):
                yield _with(part, axis, read)
        case Block(blocked):
            yield from _unblocked(part, np.broadcast_to(blocked, shape))
        case Statistics():
            for each in step.mixtures(shape):
                part = _with(part, each.axis, None if part[each.axis] is None else _mixed(part[each.axis], each.length, each.length, 1))
            if all(read is None or len(read) for read in part):
                yield part
        case Accumulate():
            read = _accumulated(part[step.axis], step, shape[step.axis])
            if len(read):
                yield _with(part, step.axis, read)
        case Widen():
            return


def _with(part: Product, axis: int, read: Integers | None) -> Product:
    return (*part[:axis], read, *part[axis + 1 :])


def _real(units: Integers, length: int) -> Integers:
    """Without what lies beyond the units of an axis that does not go on beyond its border, such as channels."""
    return units if not len(units) or (units[0] >= 0 and units[-1] < length) else units[(units >= 0) & (units < length)]


def _slid(held: Integers | None, step: Slide, length: int) -> Integers | None:
    """The positions read by some units of an axis through its taps."""
    if step.length > MAX_LISTED:
        raise TooLarge(f"{step.length} units")
    units = np.arange(step.length) if held is None else held if step.taps.step is not None else _real(held, step.length)
    taps = step.taps.read_by(units)
    read: Integers = taps[taps != NOTHING]
    if not read.size:
        return read
    if read.size > MAX_LISTED:
        raise TooLarge(f"{read.size} positions")
    read = _distinct(read)
    everything = held is None and len(read) == length and read[0] == 0 and read[-1] == length - 1
    return None if everything else read


def _mixed(held: Integers | None, per_group: int, length: int, groups: int) -> Integers | None:
    """The units of the groups that some units of an axis belong to."""
    if held is None:
        return None
    held = _real(held, length)
    if groups == 1:
        return None if len(held) else held
    read = _distinct(held // (length // groups)) if len(held) else held
    if len(read) * per_group > MAX_LISTED:
        raise TooLarge(f"{len(read) * per_group} units")
    return (read[:, None] * per_group + np.arange(per_group)).reshape(-1)


def _unblocked(part: Product, blocked: NDArray[np.bool_]) -> list[Product]:
    """The units of a product that are not blocked, as products."""
    shape = blocked.shape
    held = [np.arange(length) if units is None else _real(units, length) for units, length in zip(part, shape, strict=True)]
    if math.prod(len(units) for units in held) > MAX_LISTED or blocked.size > MAX_LISTED:
        raise TooLarge(f"{blocked.size} units")
    if not blocked[np.ix_(*held)].any():
        return [part]
    grid = np.zeros(shape, dtype=bool)
    grid[np.ix_(*held)] = True
    grid &= ~blocked
    return _as_products(grid) if grid.any() else []


def _accumulated(held: Integers | None, step: Accumulate, length: int) -> Integers:
    """The units before some units of an axis, or after them."""
    held = np.arange(length) if held is None else _real(held, length)
    if not len(held):
        return held
    past = int(step.exclusive)
    return np.arange(held[0] + past, length) if step.reverse else np.arange(held[-1] + 1 - past)


def _reshaped(part: Product, shape: Shape, result: Shape) -> Iterator[Product]:
    """The products that hold the same units under another shape."""
    if 0 in shape:
        return
    found: list[Product] = [()]
    axis = 0
    for old, new in segments(shape, result):
        held = part[axis : axis + len(new)]
        ways = [held] if old == new else _resegmented(held, old, new)
        found = [(*before, *way) for before in found for way in ways]
        if len(found) > MAX_PRODUCTS:
            raise TooLarge(f"more than {MAX_PRODUCTS} products")
        axis += len(new)
    yield from found


def _resegmented(held: Product, old: Shape, new: Shape) -> list[Product]:
    """The products under the shape `old` of units that are a product under the shape `new`."""
    if all(units is None for units in held):
        return [(None,) * len(old)]
    long = [axis for axis, length in enumerate(new) if length > 1]
    if len(long) == 1 and [n for n in old if n > 1] == [new[long[0]]]:
        # One axis among axes of one unit stays what it was, beyond its border too.
        return [tuple(None if length == 1 else held[long[0]] for length in old)]
    if math.prod(old) > MAX_LISTED:
        raise TooLarge(f"{math.prod(old)} units")
    grid = np.zeros(new, dtype=bool)
    grid[np.ix_(*(np.arange(length) if units is None else _real(units, length) for units, length in zip(held, new, strict=True)))] = True
    return _as_products(grid.reshape(old)) if grid.any() else []


def _as_products(grid: NDArray[np.bool_]) -> list[Product]:
    """Products that hold exactly the units that are set in a grid: places of the first axis with equal rests are put together."""
    if grid.ndim == 0:
        return [()]
    length = grid.shape[0]
    if grid.ndim == 1:
        return [(None if grid.all() else np.flatnonzero(grid),)]
    rests = np.packbits(grid.reshape(length, -1), axis=1)
    alike: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(rests.any(1)).tolist():
        alike.setdefault(rests[place].tobytes(), []).append(place)
        if len(alike) > MAX_PRODUCTS:
            raise TooLarge(f"more than {MAX_PRODUCTS} products")
    return [
        (None if len(places) == length else np.array(places), *way) for places in alike.values() for way in _as_products(grid[places[0]])
    ]


def pixels(parts: Sequence[Product], shape: Shape, axes: Sequence[int]) -> tuple[int, tuple[Integers, ...]]:
    """The number of pixels in a union of products over some axes of an input of `shape`, and the positions read along each of these.

    Along an axis, positions that lie in the same products are counted together: no image is filled in.
    """
    alike: Counter[int] = Counter({(1 << len(parts)) - 1: 1})
    along = []
    for axis in axes:
        held = [np.arange(shape[axis]) if (read := part[axis]) is None else read for part in parts]
        positions = _distinct(np.concatenate(held))
        along.append(positions)
        members = np.zeros(len(positions), dtype=np.uint64)
        for number, own in enumerate(held):
            members[np.searchsorted(positions, own)] |= np.uint64(1 << number)
        kinds, sizes = np.unique(members, return_counts=True)
        grown: Counter[int] = Counter()
        for kind, size in zip(kinds.tolist(), sizes.tolist(), strict=True):
            for other, count in alike.items():
                if kind & other:
                    grown[kind & other] += size * count
        alike = grown
    return alike.total(), tuple(along)
