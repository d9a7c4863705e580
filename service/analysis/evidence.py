"""One layer with all that was found out about it, from which its record and its findings are made."""

from __future__ import annotations

from dataclasses import dataclass

from service.analysis.connections.connectivity import Connectivity
from service.analysis.connections.kernels import KernelStatistics
from service.analysis.field.published import Measure, measured
from service.analysis.field.receptive_field import Seen, View
from service.graph import Layer, Shape

PRODUCTIVE_KINDS = {"convolution", "transposed-convolution", "locally-connected"}
"""Kinds of layers that are judged productive or not: those that combine a neighbourhood (Richter et al. 2021)."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A layer, what its tensors see, its counts and its kernel's statistics.

    `input` is the index of the graph input it is reported for, `lengths` are that input's spatial axes. `needed` is the smallest input at
    which the layer is productive: the narrowest path's receptive field of its own input; None where that is not judged. `open`: a length of
    that input is a stand-in, so that nothing can be said of how much of it is seen.
    """

    layer: Layer
    seen: Seen
    counts: Connectivity | None
    statistics: KernelStatistics | None
    input: int | None
    lengths: Shape
    measures: tuple[Measure, ...]
    needed: tuple[int, ...] | None
    open: bool = False

    @property
    def view(self) -> View | None:
        """What the layer's output sees of the input it is reported for."""
        return None if self.input is None else self.seen.output[self.input]

    @property
    def unit(self) -> str:
        """What the receptive field is counted in: positions of a sequence, pixels of an image."""
        return "positions" if len(self.lengths) == 1 else "pixels"

    @property
    def unproductive(self) -> bool | None:
        """Whether the narrowest path sees more than the whole input already before this layer, on every axis (Richter et al. 2021).

        None where the size of the input is open.
        """
        return (
            None
            if self.open
            else self.needed is not None and all(size > length for size, length in zip(self.needed, self.lengths, strict=True))
        )


def needed_input(seen: Seen, index: int | None, lengths: Shape) -> tuple[int, ...] | None:
    """The narrowest path's receptive field of a layer's own input, by which it is judged (Richter et al. 2021); None where it is not."""
    if index is None or seen.layer.kind not in PRODUCTIVE_KINDS:
        return None
    view = next((views[index] for views in seen.inputs if index in views), None)
    if view is None or any(field.empty for field in view.fields):
        return None
    return tuple(each.min_size or 1 for each in measured(view.fields, view.shape, lengths))
