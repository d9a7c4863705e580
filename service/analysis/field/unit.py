"""What one unit of a layer sees: its box, the pixels in it that are read, and how much each of them counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.analysis.field.axes import spatial_axes
from service.analysis.field.effective import TapWeights
from service.analysis.field.influence import Ended, influence
from service.analysis.field.published import inner_units
from service.analysis.field.receptive_field import View, walk
from service.faults import Refused
from service.graph import Graph


@dataclass(frozen=True, slots=True)
class UnitField:
    """The field of one unit on an image: entry (0, …) of `influence` is the pixel `origin`, which may lie before the border.

    `unit` is its place along the image's axes, `lengths` the size of the image. Influence sums to one; a pixel without any is not read.
    """

    layer: str
    input: str
    unit: tuple[int, ...]
    lengths: tuple[int, ...]
    origin: tuple[int, ...]
    influence: NDArray[np.float64]


def unit_field(
    graph: Graph, layer: str, place: Sequence[int] | None = None, tap_weights: Mapping[str, TapWeights] | None = None
) -> UnitField:
    """The field of the unit of a layer at a place (its middle by default), with every path counted, or weighed by |w|.

    Refused where there is none; TooLarge where it is too large to be followed.
    """
    axes = spatial_axes(graph)
    ended: dict[int, Ended] = {}
    for position, seen in enumerate(walk(graph, axes, tap_weights, ended)):
        if seen.layer.name != layer:
            continue
        index = next((i for i, view in sorted(seen.output.items()) if not all(f.empty for f in view.fields)), None)
        if index is None:
            break
        unit, at = _placed(seen.output[index], place)
        source = graph.inputs[index]
        part = influence(graph, position, unit, source.name, ended[index], tap_weights)
        if part is None:
            break
        others = tuple(axis for axis in range(part.counts.ndim) if axis not in axes[index])
        counts = part.counts.sum(axis=others)
        origin = tuple(part.origin[axis] or 0 for axis in axes[index])
        lengths = tuple((source.shape or ())[axis] for axis in axes[index])
        return UnitField(layer, source.name, at, lengths, origin, counts / counts.sum())
    raise Refused("invalid", "no-field", f"{layer} has no local receptive field there")


def _placed(view: View, place: Sequence[int] | None) -> tuple[list[int | None], tuple[int, ...]]:
    """The unit at a place along the image's axes: in the tensor's coordinates, and along those axes."""
    if 0 in view.shape:
        raise Refused("invalid", "no-field", "the layer has no units")
    units, _ = inner_units(view.fields, view.shape)
    unit = units[0]
    moving = [next((axis for axis, step in enumerate(f.steps) if step not in (0, None)), None) for f in view.fields]
    if place is not None:
        if len(place) != len(moving) or any(axis is None for axis in moving):
            raise Refused("invalid", "no-field", f"a place along {len(moving)} axes is needed")
        for axis, coordinate in zip(moving, place, strict=True):
            if axis is None or not 0 <= coordinate < view.shape[axis]:
                raise Refused("invalid", "no-field", f"the layer has the shape {view.shape}; there is no unit {tuple(place)}")
            unit[axis] = coordinate
    return unit, tuple((unit[axis] or 0) if axis is not None else 0 for axis in moving)
