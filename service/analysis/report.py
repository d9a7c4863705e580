"""Builds the report (service.report.document): everything that was found out about a model.

It is built once for each graph of the model (see `Model`); facts on which the graphs do not agree depend on an unknown length and become
None (see `agreement`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.analysis.agreement import agreed
from service.analysis.batch import common_batch
from service.analysis.connections.connectivity import connectivity, weight_node
from service.analysis.connections.copies import equal_kernels
from service.analysis.connections.kernels import KernelStatistics, chosen, kernel_statistics
from service.analysis.evidence import Examined, needed_input
from service.analysis.field.axes import SpatialAxes, axis_names, layouts, spatial_of
from service.analysis.field.published import Measure, measured
from service.analysis.field.receptive_field import Seen, walk, without_places
from service.analysis.filters.first_layers import FirstLayer, first_layers
from service.analysis.filters.hierarchy import colour_by_depth
from service.analysis.findings import findings_of
from service.analysis.padding import absorb_padding
from service.analysis.parameters import Tie, ledger, stored, ties, used
from service.analysis.records import attributes, connections, receptive_field, sum_connections, taps, total_ratios, values
from service.graph import Graph, Layer, Shape, WeightReader
from service.graph import operators as core
from service.graph.model import Model, ModelFacts, Port
from service.report import document as report


@dataclass(frozen=True, slots=True)
class Reading:
    """Whose weights are read (`all`, `first`, `none`: who takes options in settles `auto` by the size of the file), and what is zero."""

    mode: str = "all"
    zero_tolerance: float = 0.0


def analyze(model: Model, reading: Reading | None = None) -> report.Report:
    """The report of a model, without what only the service knows (id, time, digest, links)."""
    reading = reading or Reading()
    found = agreed(report.Report, [_GraphReport(graph, model.weights, reading).made(model.facts) for graph in model.graphs])
    return replace(found, summary=replace(found.summary, layers=len(found.layers)))


def _model(facts: ModelFacts, name: str) -> report.Model:
    def ports(declared: Sequence[Port]) -> tuple[report.Port, ...]:
        return tuple(report.Port(each.name, each.dtype, each.shape) for each in declared)

    return report.Model(
        name=facts.name or name,
        format=facts.format,
        digest="",
        structure_digest="",
        size_bytes=facts.size_bytes,
        producer=facts.producer,
        ir_version=facts.ir_version,
        opsets=dict(facts.opsets),
        inputs=ports(facts.inputs),
        outputs=ports(facts.outputs),
    )


MOST_PARTNERS = 64
"""Layers that `tied_to` names at the most for each stored tensor; the ledger names all, and the report's size stays proportional to the
model's.
"""


def _partners(ties: Sequence[Tie]) -> dict[str, set[str]]:
    """By the name of a layer, those that use the same scalars."""
    partners: dict[str, set[str]] = {}
    for tie in ties:
        for name in tie.layers:
            partners.setdefault(name, set()).update(tie.layers[:MOST_PARTNERS])
    return partners


MAX_KEPT = 1 << 24
"""Entries of the tables of fields that are kept until the findings are made."""


class _GraphReport:
    """The report of one graph."""

    def __init__(self, graph: Graph, weights: WeightReader, reading: Reading) -> None:
        self.graph, self.weights, self.reading = absorb_padding(graph), weights, reading
        graph = self.graph
        self.layouts = layouts(graph)
        self.axes: SpatialAxes = spatial_of(self.layouts)
        self.batch = common_batch(graph, self.layouts)
        self.first = first_layers(graph, None if reading.mode == "none" else weights, self.layouts)
        self.ties = ties(graph)
        self.partners = _partners(self.ties)

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor, batch included."""
        tensor = self.graph.tensors.get(name)
        return None if tensor is None else tensor.shape

    def made(self, facts: ModelFacts) -> report.Report:
        """The report of this graph of a model."""
        statistics = self._statistics()
        tap_weights = {name: taps for name, known in statistics.items() if (taps := known.tap_weights()) is not None}
        examined = self._examine_all(walk(self.graph, self.axes, tap_weights), statistics)
        findings = findings_of(self.graph, self.layouts, examined, self.ties, equal_kernels(self.graph.layers, statistics, self.weights))
        codes: dict[str, list[str]] = {}
        for finding in findings:
            if finding.layer is not None and finding.code not in codes.setdefault(finding.layer, []):
                codes[finding.layer].append(finding.code)
        layers = tuple(self._layer(index, one, codes.get(one.layer.name, [])) for index, one in enumerate(examined))
        return report.Report(
            id="",
            schema=report.SCHEMA,
            created_at="",
            analyzer=report.Analyzer("", ""),
            model=_model(facts, self.graph.name),
            options=report.ReportOptions(None, {}, self.reading.mode, self.reading.zero_tolerance, "rgb", "error"),
            summary=self._summary(examined, layers),
            layers=layers,
            findings=tuple(findings),
            first_layers=tuple(self._first_layer(first) for first in self.first),
            hierarchy=() if self.reading.mode == "none" else colour_by_depth(self.graph, self.weights),
            ledger=ledger(self.graph, {one.layer.name: one.counts for one in examined}),
            links={},
        )

    def _statistics(self) -> dict[str, KernelStatistics]:
        layers = {layer.name: layer for layer in self.graph.layers if layer.kernel}
        names = chosen(layers, (first.layer.name for first in self.first), self.reading.mode)
        known: dict[tuple[str, ...], KernelStatistics | None] = {}
        result = {}
        for name in names:
            key = tuple(f"{weight.stored} {weight.shape}" for weight in layers[name].kernel)
            if key not in known:
                known[key] = kernel_statistics(layers[name], self.weights, self.reading.zero_tolerance)
            statistics = known[key]
            if statistics is not None:
                result[name] = statistics
        return result

    def _examine_all(self, seen_layers: Iterable[Seen], statistics: Mapping[str, KernelStatistics]) -> list[Examined]:
        """Every layer as findings and records need it; tables of fields are kept as long as they are few."""
        examined, left = [], MAX_KEPT
        for seen in seen_layers:
            one = self._examined(seen, statistics)
            left -= sum(field.bounds.size for view in seen.output.values() for field in view.fields)
            examined.append(one if left >= 0 else replace(one, seen=without_places(seen)))
        return examined

    def _examined(self, seen: Seen, statistics: Mapping[str, KernelStatistics]) -> Examined:
        index = min(seen.output, default=None)
        found: tuple[Measure, ...] = ()
        lengths: Shape = ()
        stood_in: tuple[bool, ...] = ()
        if index is not None:
            view, lengths, stood_in = seen.output[index], self._lengths(index), self._open_axes(index)
            shares = [not is_open or field.reach == "global" for field, is_open in zip(view.fields, stood_in, strict=True)]
            # A share of a length that is open is no share, whatever stand-ins agree on.
            found = tuple(
                each if known else replace(each, coverage=None)
                for each, known in zip(measured(view.fields, view.shape, lengths), shares, strict=True)
            )
        counts = connectivity(seen.layer, self.shape, self.batch)
        known = statistics.get(seen.layer.name)
        return Examined(seen.layer, seen, counts, known, index, lengths, found, needed_input(seen, index, lengths), any(stood_in))

    def _open_axes(self, index: int) -> tuple[bool, ...]:
        """Which of the spatial axes of an input have stand-in lengths."""
        name = self.graph.inputs[index].name
        return tuple((name, axis) in self.graph.symbolic for axis in self.axes[index])

    def _lengths(self, index: int) -> Shape:
        shape = self.graph.inputs[index].shape or ()
        return tuple(shape[axis] for axis in self.axes[index])

    def _first_layer(self, first: FirstLayer) -> report.FirstLayer:
        node = weight_node(first.layer)
        shape = () if node is None else self.shape(node.outputs[0]) or ()
        if first.tile is not None:
            filters = shape[1] if node is not None and isinstance(node.operator, core.Convolution) else shape[-1]
            return report.FirstLayer(first.layer.name, filters, first.tile.shape[1:], first.tile.shape[0], first.reads)
        assert node is not None and isinstance(node.operator, core.Convolution)
        channels = (self.shape(node.inputs[0]) or (0, 0))[1] // node.operator.groups
        return report.FirstLayer(first.layer.name, node.operator.filters, tuple(node.operator.kernel), channels, first.reads)

    # -- one layer ---------------------------------------------------------------------------------------------------

    def _layer(self, index: int, one: Examined, codes: Sequence[str]) -> report.Layer:
        layer, counts, found = one.layer, one.counts, connections(one)
        shapes = [self.shape(names[0]) if names else None for names in (layer.inputs, layer.outputs)]
        units = [None if shape is None else _per_sample(math.prod(shape), self.batch) for shape in shapes]
        return report.Layer(
            index=index,
            name=layer.name,
            op=layer.op,
            kind=layer.kind,
            inputs=tuple(layer.inputs),
            outputs=tuple(layer.outputs),
            input_shape=shapes[0],
            output_shape=shapes[1],
            attributes=attributes(layer),
            units=report.Units(*units) if counts is None else report.Units(counts.units_in, counts.units_out),
            parameters=self._parameters(layer),
            connections=found.connections,
            fan_in=found.fan_in,
            uses=found.uses,
            sparsity=found.sparsity,
            sharing=found.sharing,
            reduction=found.reduction,
            values=values(one),
            receptive_field=None if one.input is None else receptive_field(one, self.graph.inputs[one.input].name),
            findings=tuple(codes),
            taps=taps(one),
        )

    def _parameters(self, layer: Layer) -> report.Parameters:
        counts = used(layer)
        weights = (*layer.kernel, *layer.bias, *layer.other)
        return report.Parameters(
            weights=counts["weight"],
            biases=counts["bias"],
            total=counts["weight"] + counts["bias"],
            other=counts["other"],
            shape=tuple(layer.kernel[0].shape) if layer.kernel else None,
            dtype=weights[0].dtype if weights else None,
            tied_to=tuple(sorted(self.partners.get(layer.name, set()) - {layer.name})),
        )

    # -- the summary -------------------------------------------------------------------------------------------------

    def _summary(self, examined: Sequence[Examined], layers: Sequence[report.Layer]) -> report.Summary:
        parameters = _total_parameters(self.graph)
        connected = sum_connections(layers)
        ratios = total_ratios(layers, connected, parameters.weights or 0)
        by_kind = {}
        for kind in sorted({layer.kind for layer in layers}):
            group = [layer for layer in layers if layer.kind == kind]
            stated = sum((layer.parameters.total or 0) + (layer.parameters.other or 0) for layer in group)
            by_kind[kind] = report.KindTotal(len(group), stated, sum_connections(group))
        return report.Summary(
            nodes=sum(len(one.layer.nodes) for one in examined),
            layers=len(layers),
            parameters=parameters,
            connections=connected,
            sparsity=ratios.sparsity,
            sharing=report.TotalSharing(ratios.factor),
            reduction=ratios.reduction,
            by_kind=by_kind,
            receptive_field=self._field_summary(examined, layers),
        )

    def _field_summary(self, examined: Sequence[Examined], layers: Sequence[report.Layer]) -> report.ModelField | None:
        index = min(self.axes, default=None)
        if index is None:
            return None
        lengths, source = self._lengths(index), self.graph.inputs[index].name
        smallest = [1] * len(lengths)
        seeing = [one for one in examined if one.input == index]
        for one in seeing:
            if one.needed is not None:
                smallest = [max(a, b) for a, b in zip(smallest, one.needed, strict=True)]
        return report.ModelField(
            input=source,
            axes=axis_names(len(lengths)),
            input_size=tuple(lengths),
            largest=_largest(index, examined, layers),
            first_global_layer=next(
                (one.layer.name for one in seeing if one.view and any(field.reach == "global" for field in one.view.fields)), None
            ),
            unproductive_layers=None if any(one.open for one in seeing) else sum(bool(one.unproductive) for one in seeing),
            smallest_productive_input=tuple(smallest),
        )


def _total_parameters(graph: Graph) -> report.TotalParameters:
    """The parameters of all layers: each stored tensor once, and at every use."""
    distinct = stored(graph)
    referenced = sum(used(layer).total() for layer in graph.layers)
    return report.TotalParameters(distinct.total(), referenced, distinct["weight"], distinct["bias"], distinct["other"])


def _largest(index: int, examined: Sequence[Examined], layers: Sequence[report.Layer]) -> report.LargestField | None:
    """The first of the layers whose local paths see the most of an input; scores of attention see two places of it, not a field."""
    most, best = 0.0, None
    for one, layer in zip(examined, layers, strict=True):
        field = layer.receptive_field
        if one.input != index or field is None or field.size is None or any(measure.scores for measure in one.measures):
            continue
        extent = math.prod(size for size in field.size if size is not None)
        if None not in field.size and (best is None or extent > most):
            most, best = extent, report.LargestField(layer.name, field.size, field.stride, field.padding)
    return best


def _per_sample(units: int, batch: int) -> int:
    return units // batch if units % batch == 0 else units
