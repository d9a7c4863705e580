"""The report: everything that was found out about a model, as plain data that every format and picture is a pure function of.

Names, units and shapes are those of schema `receptive.report/1`. The report is built once for each graph of the model (see `Model`); facts
on which the graphs do not agree depend on an unknown length and become null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.analysis.connections.connectivity import connectivity, weight_node
from service.analysis.connections.kernels import KernelStatistics, chosen, kernel_statistics
from service.analysis.evidence import Examined, needed_input
from service.analysis.field.axes import SpatialAxes, axis_names, layouts, spatial_of
from service.analysis.field.published import Measure, measured
from service.analysis.field.receptive_field import Seen, walk
from service.analysis.filters.hierarchy import colour_by_depth
from service.analysis.findings import findings_of
from service.analysis.records import Record, attributes, connections, receptive_field, total, values
from service.analysis.ties import common_batch, first_layers, ledger, tied
from service.graph import Graph, Layer, Shape, Weight, WeightReader
from service.graph import operators as core
from service.graph.model import Model, ModelFacts, Port


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model's weights are read: the mode of the options, the size in bytes up to which `auto` reads all, and the zero tolerance."""

    mode: str = "auto"
    auto_bytes: int = 1 << 30
    zero_tolerance: float = 0.0


def analyze(model: Model, reading: Reading | None = None) -> Record:
    """The report of a model, without what only the service knows (id, time, links)."""
    reading = reading or Reading()
    reports = [_GraphReport(graph, model.weights, reading).record() for graph in model.graphs]
    agreed: Record = _agreed(reports)
    return {"model": _model(model.facts, agreed.pop("name")), **agreed}


def _agreed(facts: Sequence[Any]) -> Any:
    """What all facts agree on: null where they differ."""
    first = facts[0]
    if all(value == first for value in facts[1:]):
        return first
    if all(isinstance(value, dict) and value.keys() == first.keys() for value in facts):
        return {key: _agreed([value[key] for value in facts]) for key in first}
    if all(isinstance(value, list) and len(value) == len(first) for value in facts):
        return [_agreed(entries) for entries in zip(*facts, strict=True)]
    if all(isinstance(value, list) for value in facts):
        return [entry for entry in first if all(entry in value for value in facts[1:])]
    return None


def _model(facts: ModelFacts, name: str) -> Record:
    def port(p: Port) -> Record:
        return {"name": p.name, "dtype": p.dtype, "shape": None if p.shape is None else list(p.shape)}

    return {
        "name": facts.name or name,
        "format": facts.format,
        "size_bytes": facts.size_bytes,
        "producer": facts.producer,
        "ir_version": facts.ir_version,
        "opsets": dict(facts.opsets),
        "inputs": [port(p) for p in facts.inputs],
        "outputs": [port(p) for p in facts.outputs],
    }


MOST_PARTNERS = 64
"""Layers that `tied_to` names at the most for each stored tensor; the ledger names all, and the report's size stays proportional to the
model's.
"""


class _GraphReport:
    """The report of one graph."""

    def __init__(self, graph: Graph, weights: WeightReader, reading: Reading) -> None:
        self.graph, self.weights, self.reading = graph, weights, reading
        self.layouts = layouts(graph)
        self.axes: SpatialAxes = spatial_of(self.layouts)
        self.batch = common_batch(graph, self.layouts)
        self.first = first_layers(graph)
        self.ties = tied(graph)

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor, batch included."""
        tensor = self.graph.tensors.get(name)
        return None if tensor is None else tensor.shape

    def record(self) -> Record:
        """The report as plain data."""
        statistics = self._statistics()
        tap_weights = {name: taps for name, known in statistics.items() if (taps := known.tap_weights()) is not None}
        examined = [self._examined(seen, statistics) for seen in walk(self.graph, self.axes, tap_weights)]
        findings = findings_of(self.graph, self.layouts, examined, self.ties)
        codes: dict[str, list[str]] = {}
        for finding in findings:
            if finding.layer is not None and finding.code not in codes.setdefault(finding.layer, []):
                codes[finding.layer].append(finding.code)
        layers = [self._layer(index, one, codes.get(one.layer.name, [])) for index, one in enumerate(examined)]
        return {
            "name": self.graph.name,
            "summary": self._summary(examined, layers),
            "layers": layers,
            "findings": [finding.record() for finding in findings],
            "first_layers": [self._first_layer(layer, source) for layer, source in self.first],
            "hierarchy": [] if self.reading.mode == "none" else colour_by_depth(self.graph, self.weights),
            "ledger": ledger(self.graph, {one.layer.name: one.counts for one in examined}),
        }

    def _statistics(self) -> dict[str, KernelStatistics]:
        layers = {layer.name: layer for layer in self.graph.layers if layer.kernel}
        names = chosen(layers, (layer.name for layer, _ in self.first), self.reading.mode, self.reading.auto_bytes)
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

    def _examined(self, seen: Seen, statistics: Mapping[str, KernelStatistics]) -> Examined:
        index = min(seen.output, default=None)
        found: tuple[Measure, ...] = ()
        lengths: Shape = ()
        if index is not None:
            view, lengths = seen.output[index], self._lengths(index)
            found = measured(view.fields, view.shape, lengths)
        counts = connectivity(seen.layer, self.shape, self.batch)
        known = statistics.get(seen.layer.name)
        return Examined(seen.layer, seen, counts, known, index, lengths, found, needed_input(seen, index, lengths))

    def _lengths(self, index: int) -> Shape:
        shape = self.graph.inputs[index].shape or ()
        return tuple(shape[axis] for axis in self.axes[index])

    def _first_layer(self, layer: Layer, source: str) -> Record:
        node = weight_node(layer)
        assert node is not None and isinstance(node.operator, core.Convolution)
        shape = self.shape(node.inputs[0]) or (0, 0)
        return {
            "layer": layer.name,
            "filters": node.operator.filters,
            "kernel": list(node.operator.kernel),
            "channels": shape[1] // node.operator.groups,
            "reads": source,
        }

    # -- one layer ---------------------------------------------------------------------------------------------------

    def _layer(self, index: int, one: Examined, codes: list[str]) -> Record:
        layer, counts = one.layer, one.counts
        shapes = [self.shape(names[0]) if names else None for names in (layer.inputs, layer.outputs)]
        units = [None if shape is None else _per_sample(math.prod(shape), self.batch) for shape in shapes]
        if counts is not None:
            units = [counts.units_in, counts.units_out]
        return {
            "index": index,
            "name": layer.name,
            "op": layer.op,
            "kind": layer.kind,
            "inputs": list(layer.inputs),
            "outputs": list(layer.outputs),
            "input_shape": None if shapes[0] is None else list(shapes[0]),
            "output_shape": None if shapes[1] is None else list(shapes[1]),
            "attributes": attributes(layer),
            "units": {"in": units[0], "out": units[1]},
            "parameters": self._parameters(layer),
            **connections(one),
            "values": values(one),
            "receptive_field": None if one.input is None else receptive_field(one, self.graph.inputs[one.input].name),
            "findings": codes,
        }

    def _parameters(self, layer: Layer) -> Record:
        weights, biases, other = (sum(w.count for w in group) for group in (layer.kernel, layer.bias, layer.other))
        stored = (*layer.kernel, *layer.bias, *layer.other)
        partners = sorted({name for weight in stored for name in self.ties.get(weight.stored, ())[:MOST_PARTNERS]} - {layer.name})
        return {
            "weights": weights,
            "biases": biases,
            "total": weights + biases,
            "other": other,
            "shape": list(layer.kernel[0].shape) if layer.kernel else None,
            "dtype": stored[0].dtype if stored else None,
            "tied_to": partners,
        }

    # -- the summary -------------------------------------------------------------------------------------------------

    def _summary(self, examined: Sequence[Examined], layers: Sequence[Record]) -> Record:
        stored: dict[str, tuple[str, Weight]] = {}
        referenced: Counter[str] = Counter()
        for one in examined:
            for role in ("kernel", "bias", "other"):
                for weight in getattr(one.layer, role):
                    stored.setdefault(weight.stored, (role, weight))
                    referenced[role] += weight.count
        distinct = Counter({role: 0 for role in ("kernel", "bias", "other")})
        for role, weight in stored.values():
            distinct[role] += weight.count
        by_kind = {}
        for kind in sorted({layer["kind"] for layer in layers}):
            group = [layer for layer in layers if layer["kind"] == kind]
            parameters = sum(layer["parameters"]["total"] + layer["parameters"]["other"] for layer in group)
            by_kind[kind] = {"layers": len(group), "parameters": parameters, "connections": total(group)["connections"]}
        return {
            "nodes": sum(len(one.layer.nodes) for one in examined),
            "layers": len(layers),
            "parameters": {
                "stored": distinct.total(),
                "referenced": referenced.total(),
                "weights": distinct["kernel"],
                "biases": distinct["bias"],
                "other": distinct["other"],
            },
            **total(layers, distinct["kernel"]),
            "by_kind": by_kind,
            "receptive_field": self._field_summary(examined, layers),
        }

    def _field_summary(self, examined: Sequence[Examined], layers: Sequence[Record]) -> Record | None:
        index = min(self.axes, default=None)
        if index is None:
            return None
        lengths = self._lengths(index)
        local = [
            (one, layer)
            for one, layer in zip(examined, layers, strict=True)
            if one.input == index and layer["receptive_field"]["size"] and None not in layer["receptive_field"]["size"]
        ]
        largest = max(local, key=lambda pair: math.prod(pair[1]["receptive_field"]["size"]), default=None)
        fields = [layer["receptive_field"] for layer in layers if layer["receptive_field"]]
        smallest = [1] * len(lengths)
        for one in examined:
            if one.input == index and one.needed is not None:
                smallest = [max(a, b) for a, b in zip(smallest, one.needed, strict=True)]
        return {
            "input": self.graph.inputs[index].name,
            "axes": list(axis_names(len(lengths))),
            "input_size": list(lengths),
            "largest": None
            if largest is None
            else {"layer": largest[1]["name"], **{key: largest[1]["receptive_field"][key] for key in ("size", "stride", "padding")}},
            "first_global_layer": next(
                (one.layer.name for one in examined if one.view and any(f.reach == "global" for f in one.view.fields)), None
            ),
            "unproductive_layers": sum(bool(field["unproductive"]) for field in fields),
            "smallest_productive_input": smallest,
        }


def _per_sample(units: int, batch: int) -> int:
    return units // batch if units % batch == 0 else units
