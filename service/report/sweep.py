"""Receptive-field verdicts against the size of the input: at which sizes do all layers still have something new to see?

A layer that combines a neighbourhood is productive where the narrowest path's receptive field of its own input is smaller than the image
along some axis (Richter et al. 2021, *(Input) Size Matters for CNN Classifiers*). Sizes are those of square inputs; the geometry is that
of the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.faults import Refused
from service.report.document import LargestField, PerAxis, Report

MOST_NAMED = 200
"""Names of unproductive layers that a size lists at the most; the count is exact."""


@dataclass(frozen=True, slots=True)
class SizeVerdict:
    """What one size of the input means for the model."""

    size: int
    unproductive: int
    unproductive_layers: tuple[str, ...]
    productive_share: float | None
    coverage: PerAxis | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Receptive fields against the size of the input."""

    input: str | None
    axes: tuple[str, ...]
    input_size: PerAxis | None
    layers: int
    smallest_productive: float | None
    sizes: tuple[SizeVerdict, ...]


def sweep(report: Report, sizes: Sequence[int]) -> Sweep:
    """For each size in pixels: the unproductive layers, the share of the others, and how much of the input the largest field spans.

    Raises Refused where the model has no input with spatial axes.
    """
    summary = report.summary.receptive_field
    if summary is None:
        raise Refused("invalid", "no-field", "The model has no input with spatial axes.")
    needed = dict(_needed(report, summary.input))
    return Sweep(
        input=summary.input,
        axes=summary.axes,
        input_size=summary.input_size,
        layers=len(needed),
        smallest_productive=max(needed.values(), default=None),
        sizes=tuple(_judged(size, needed, summary.largest) for size in sizes),
    )


def _needed(report: Report, source: str | None) -> list[tuple[str, float]]:
    """The layers that are judged and the smallest square input at which each is productive: along one axis is enough."""
    found = []
    for layer in report.layers:
        field = layer.receptive_field
        if field is None or field.input != source or not field.needed_input:
            continue
        sizes = [size for size in field.needed_input if size is not None]
        if len(sizes) == len(field.needed_input):
            found.append((layer.name, min(sizes)))
    return found


def _judged(size: int, needed: Mapping[str, float], largest: LargestField | None) -> SizeVerdict:
    unproductive = [name for name, smallest in needed.items() if smallest > size]
    coverage = None
    if largest is not None and largest.size is not None:
        coverage = tuple(None if span is None else min(span, size) / size for span in largest.size)
    return SizeVerdict(
        size=size,
        unproductive=len(unproductive),
        unproductive_layers=tuple(unproductive[:MOST_NAMED]),
        productive_share=1 - len(unproductive) / len(needed) if needed else None,
        coverage=coverage,
        verdict=_verdict(size, len(unproductive), len(needed), coverage),
    )


def _verdict(size: int, unproductive: int, layers: int, coverage: Sequence[float | None] | None) -> str:
    if not layers:
        return "No layer combines a neighbourhood of the image."
    if unproductive:
        return f"{unproductive} of {layers} convolution layers come after a single unit sees all {size} pixels and add no new context."
    spans = [share for share in coverage or () if share is not None]
    if spans and min(spans) < 1:
        return f"Every layer is productive; the largest receptive field spans {min(spans):.0%} of the input."
    return "Every layer is productive."
