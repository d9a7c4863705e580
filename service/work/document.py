"""The stored report: what the analysis found, with its address, its dates and its links."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.render.beside import beside
from service.report.cut import MAX_REPORT_BYTES, written_within
from service.report.document import Analyzer, Layer, Report, ReportOptions
from service.report.identity import ANALYZER, Question, links, options_document, read_question
from service.report.plain import of_plain
from service.report.quantities import flat_numbers
from service.sources.places import bytes_fetched
from service.work.analysis import Files, analyze_file
from service.work.collection import no_collection
from service.work.made import JSON, Made

ENTRY = "Receptive-Entry"
"""The header with what a list shows of a report: whoever keeps it reads this and not the report (jobs.stored)."""


BESIDE = "Receptive-Beside"
"""The header with what is kept beside a report (render.beside)."""


def make_report(files: Files, question: Mapping[str, object], created_at: str, max_bytes: int = MAX_REPORT_BYTES) -> Made:
    """Analyse a model: the report as JSON, of so many bytes at the most.

    It is written here, in the job's process, because a large one would keep the server's threads waiting.
    """
    asked = read_question(question)
    with no_collection():
        found = analyze_file(files, asked.options)
        found = replace(found, model=replace(found.model, bytes_fetched=bytes_fetched(files.values())))
        return complete(found, asked, created_at, max_bytes)


def complete(found: Report, question: Question, created_at: str, max_bytes: int = MAX_REPORT_BYTES) -> Made:
    """The report to keep, cut to so many bytes. Raises ValueError where the analysis gave something that JSON cannot say."""
    model = replace(
        found.model,
        name=question.options.name or found.model.name,
        digest=str(question.model),
        structure_digest=structure_digest(found.layers),
    )
    report = replace(
        found,
        id=question.id,
        created_at=created_at,
        analyzer=of_plain(Analyzer, ANALYZER),
        model=model,
        options=of_plain(ReportOptions, options_document(question.options)),
        links=links(question.id),
    )
    shown, text = written_within(report, max_bytes)
    return Made(text, JSON, {ENTRY: json.dumps(_entry(report)), BESIDE: beside(report, shown, text)})


def structure_digest(layers: Sequence[Layer]) -> str:
    """The digest of the operators, their geometry, the shapes of their weights and how they are joined: equal for two models that differ in
    names, values or the size of the input only."""
    tensors: dict[str, int] = {}
    structure = []
    for layer in layers:
        inputs = [tensors.setdefault(name, len(tensors)) for name in layer.inputs]
        outputs = [tensors.setdefault(name, len(tensors)) for name in layer.outputs]
        structure.append([layer.op, layer.kind, layer.attributes, layer.parameters.shape, inputs, outputs])
    return "sha256:" + hashlib.sha256(json.dumps(structure, sort_keys=True).encode()).hexdigest()


def _entry(report: Report) -> dict[str, object]:
    """What a list of reports shows of one, besides its address and its date."""
    return {
        "name": report.model.name,
        "format": report.model.format,
        "size_bytes": report.model.size_bytes,
        "layers": report.summary.layers,
        "parameters": report.summary.parameters.stored,
        "metrics": flat_numbers(report),
        "structure_digest": report.model.structure_digest,
    }
