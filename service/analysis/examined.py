"""One layer with all that was found out about it, from which its record and its findings are made."""

from __future__ import annotations

from dataclasses import dataclass

from service.analysis.connectivity import Connectivity
from service.analysis.kernels import KernelStatistics
from service.analysis.measures import Measure, measure
from service.analysis.receptive_field import Seen, View
from service.graph import Layer, Shape

PRODUCTIVE_KINDS = {"convolution", "transposed-convolution", "locally-connected"}
"""Kinds of layers that are judged productive or not: those that combine a neighbourhood (Richter et al. 2021)."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A layer, what its tensors see, its counts and its kernel's statistics. `input` is the index of the graph input it is reported for."""

    layer: Layer
    seen: Seen
    counts: Connectivity | None
    statistics: KernelStatistics | None
    measures: tuple[Measure, ...]
    input: int | None

    @property
    def view(self) -> View | None:
        """What the layer's output sees of the input it is reported for."""
        return None if self.input is None else self.seen.output[self.input]


def needed_input(one: Examined) -> tuple[int, ...] | None:
    """The smallest input at which a layer is productive: the narrowest path's receptive field of its own input; None where not judged."""
    if one.input is None or one.layer.kind not in PRODUCTIVE_KINDS:
        return None
    view = next((views[one.input] for views in one.seen.inputs if one.input in views), None)
    if view is None or any(field.empty for field in view.fields):
        return None
    return tuple(measure(field, view.shape, 1).min_size or 1 for field in view.fields)


def unproductive(one: Examined, lengths: Shape) -> bool:
    """Whether the narrowest path's receptive field of the layer's input exceeds the input already on every axis (Richter et al. 2021)."""
    needed = needed_input(one)
    return needed is not None and all(size > length for size, length in zip(needed, lengths, strict=True))
