"""What a page shows of a variant while its reader types: the measures, and a few numbers of every layer."""

from __future__ import annotations

from dataclasses import dataclass

from service.report.document import Layer, PerAxis, Report, Shape
from service.report.proposals import Measures, measure


@dataclass(frozen=True, slots=True)
class PreviewLayer:
    """A layer of a variant: what it gives, how far it sees, and what it costs. `field` is that of local paths."""

    name: str
    output_shape: Shape | None
    field: PerAxis | None
    status: str | None
    unproductive: bool
    parameters: int | None
    connections: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A variant that is not kept."""

    measures: Measures
    layers: tuple[PreviewLayer, ...]


def preview(report: Report) -> Preview:
    """What is shown of a report."""
    return Preview(measure(report), tuple(map(_layer, report.layers)))


def _layer(layer: Layer) -> PreviewLayer:
    field, parts = layer.receptive_field, (layer.parameters.total, layer.parameters.other)
    return PreviewLayer(
        name=layer.name,
        output_shape=layer.output_shape,
        field=None if field is None else field.size,
        status=None if field is None else field.status,
        unproductive=field is not None and bool(field.unproductive),
        parameters=sum(part or 0 for part in parts),
        connections=None if layer.connections is None else layer.connections.exact,
    )
