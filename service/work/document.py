"""The stored report: what the analysis found, with its address, its dates and its links."""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.clock import now
from service.report.document import Analyzer, Layer, Report, ReportOptions
from service.report.identity import ANALYZER, Question, options_document
from service.report.plain import of_plain, write_report
from service.store.interfaces import StoredReport


def make_report(analysis: str, path: str, question: Question, externals: Mapping[str, str]) -> StoredReport:
    """The report that the function named `analysis` makes of the model at `path`. It is written as JSON here, in the job's process, because
    a large one would keep the server's other threads waiting."""
    return complete(pkgutil.resolve_name(analysis)(path, question.options, externals), question)


def complete(found: Report, question: Question) -> StoredReport:
    """The report to keep. Raises ValueError where the analysis gave something that JSON cannot say."""
    model = replace(
        found.model,
        name=question.options.name or found.model.name,
        digest=f"sha256:{question.model}",
        structure_digest=structure_digest(found.layers),
    )
    report = replace(
        found,
        id=question.id,
        created_at=now(),
        analyzer=of_plain(Analyzer, ANALYZER),
        model=model,
        options=of_plain(ReportOptions, options_document(question.options)),
        links=links(question.id),
    )
    text = write_report(report)
    return StoredReport(
        id=report.id,
        created_at=report.created_at,
        name=model.name,
        digest=model.digest,
        entry=_entry(report),
        document=text,
        etag=hashlib.sha256(text).hexdigest(),
        options=options_document(question.options),
        blobs={"": question.model, **question.externals},
    )


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


def links(report_id: str) -> dict[str, str]:
    """Where to go from a report, as paths below the service's root."""
    base = f"/v1/analyses/{report_id}"
    return {
        "self": base,
        "json": f"{base}.json",
        "html": f"{base}.html",
        "markdown": f"{base}.md",
        "csv": f"{base}.csv",
        "layers": f"{base}/layers",
        "filters": f"{base}/filters.png",
        "receptive_field": f"{base}/receptive-field.svg",
        "badge": f"{base}/badge.svg",
    }


def _entry(report: Report) -> dict[str, Any]:
    """What a list of reports shows of one."""
    return {
        "id": report.id,
        "created_at": report.created_at,
        "name": report.model.name,
        "format": report.model.format,
        "digest": report.model.digest,
        "size_bytes": report.model.size_bytes,
        "layers": report.summary.layers,
        "parameters": report.summary.parameters.stored,
        "links": report.links,
    }
