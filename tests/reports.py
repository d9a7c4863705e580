"""Reports of layer specs, for any test that needs one."""

from __future__ import annotations

import json
from typing import Any

from service.analysis import Reading, analyze
from service.graph import Graph, WeightReader
from service.graph.model import Model, ModelFacts
from service.options import Options
from service.readers.spec.entry import read_spec
from service.report import document
from service.report.plain import of_plain, plain_object

Report = dict[str, Any]


def graph_of(spec: dict[str, Any]) -> tuple[Graph, WeightReader]:
    """The graph of a layer spec, and the values it states."""
    return read_spec(json.dumps(spec).encode(), Options())


def report_of(spec: dict[str, Any], reading: Reading | None = None) -> Report:
    """The report of a layer spec, with a digest such as the store gives it."""
    graph, weights = graph_of(spec)
    return analyzed(Model((graph,), weights, ModelFacts(None, "spec", 1, (), ())), reading)


def analyzed(model: Model, reading: Reading | None = None) -> Report:
    """The report of a model as JSON says it, with a digest such as the store gives it."""
    report: Report = plain_object(analyze(model, reading))
    report["model"]["digest"] = "sha256:" + "0" * 64
    return report


def document_of(spec: dict[str, Any], reading: Reading | None = None) -> document.Report:
    """The report of a layer spec as its type."""
    return of_plain(document.Report, report_of(spec, reading))


def layer_of(report: Report, name: str) -> Report:
    """One layer of a report by its name."""
    found: Report = next(layer for layer in report["layers"] if layer["name"] == name)
    return found
