"""Which pixels the kernel of a first layer reads, when it does not slide over the image as it is.

A dense layer reads an image that was flattened, reshaped or cut into patches; a Focus stem slides over an image whose neighbouring pixels
were put into channels (space to depth). The image's units are numbered, and the numbers go through every operator that only moves units;
the numbers that one unit of the layer reads say where in the picture each of its weights belongs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.graph import Node, Shape
from service.graph import operators as core

Numbers = NDArray[np.int64]
"""For every unit of a tensor the number of the image's unit that it is; -1 for padding."""

MAX_PIXELS = 1 << 22
"""Units of a tensor that are followed."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The picture of a filter: its shape (channels, height, width), and for every weight of a filter its place in it, row by row."""

    shape: Shape
    places: Numbers


@dataclass(frozen=True, slots=True)
class Image:
    """An input that is an image: its shape, its height's and width's axes, and the axis of its channels (None where it has none)."""

    shape: Shape
    spatial: tuple[int, int]
    channel: int | None

    def numbered(self) -> Numbers:
        """Its units, numbered."""
        return np.arange(math.prod(self.shape), dtype=np.int64).reshape(self.shape)

    def tile(self, numbers: Numbers) -> Tile | None:
        """The picture of a filter whose weights read these units; None where they do not fill at least half of a box of one sample."""
        flat = numbers.ravel()
        if not flat.size or flat.min() < 0:
            return None
        places = np.unravel_index(flat, self.shape)
        axes = [axis for axis in (self.channel, *self.spatial) if axis is not None]
        others = [axis for axis in range(len(self.shape)) if axis not in axes]
        if any((places[axis] != places[axis][0]).any() for axis in others):
            return None
        first = [int(places[axis].min()) for axis in axes]
        lengths = [int(places[axis].max()) - low + 1 for axis, low in zip(axes, first, strict=True)]
        inside = np.ravel_multi_index([places[axis] - low for axis, low in zip(axes, first, strict=True)], lengths)
        if len(np.unique(inside)) < flat.size or 2 * flat.size < math.prod(lengths):
            return None
        return Tile((*([1] if self.channel is None else []), *lengths), np.asarray(inside, dtype=np.int64))


def moved(node: Node, seen: Mapping[str, Numbers], shapes: Sequence[Shape | None]) -> Numbers | None:
    """The numbers of a node's only output of this shape, where it does nothing but move units of its inputs; else None."""
    operands = [seen.get(name) for name in node.inputs]
    if len(shapes) != 1 or shapes[0] is None or math.prod(shapes[0]) > MAX_PIXELS:
        return None
    found = _moved(node.operator, operands)
    return found if found is not None and found.shape == shapes[0] else None


def _moved(operator: core.Operator, operands: Sequence[Numbers | None]) -> Numbers | None:
    known = [operand for operand in operands if operand is not None]
    if not known:
        return None
    first = known[0]
    match operator:
        case core.Reshaping():
            return first.reshape(operator.shape)
        case core.Transposing():
            return first.transpose(operator.order)
        case core.Slicing():
            return first[_slice(operator)]
        case core.Taking():
            return np.take(first, operator.indices, axis=operator.axis)
        case core.Concatenation() if len(known) == len(operands):
            return np.concatenate(known, axis=operator.axis)
        case core.Padding() if operator.mode == "constant" and all(side >= 0 for pad in operator.pads for side in pad):
            return np.pad(first, operator.pads, constant_values=-1)
        case core.Elementwise() | core.BatchNormalization() | core.Mixing() if len(known) == 1:
            return first
    return None


def _slice(operator: core.Slicing) -> tuple[slice, ...]:
    stop = operator.start + operator.step * operator.length
    kept = slice(operator.start, None if stop < 0 else stop, operator.step)
    return (*[slice(None)] * operator.axis, kept)


def dense_tile(image: Image, numbers: Numbers) -> Tile | None:
    """The picture of a unit of a dense layer at the middle one of its positions."""
    positions = numbers.reshape(-1, numbers.shape[-1]) if numbers.ndim else numbers.reshape(1, 1)
    return image.tile(positions[len(positions) // 2]) if len(positions) else None


def window_tile(image: Image, operator: core.Convolution, numbers: Numbers, places: Shape) -> Tile | None:
    """The picture of a filter at the middle place of a convolution whose channels hold neighbouring pixels; None where they do not."""
    channels = 1 if image.channel is None else image.shape[image.channel]
    if operator.groups != 1 or operator.table is not None or numbers.shape[1] == channels:
        return None
    read = numbers[0]
    axes = zip(places, operator.kernel, operator.strides, operator.dilations, operator.pads, strict=True)
    for axis, (count, kernel, stride, dilation, (before, _)) in enumerate(axes, start=1):
        taps = count // 2 * stride - before + np.arange(kernel) * dilation
        if taps.min() < 0 or taps.max() >= read.shape[axis]:
            return None
        read = np.take(read, taps, axis=axis)
    return image.tile(read)
