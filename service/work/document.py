"""The stored report: what the analysis found, with its address, its dates and its links."""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from service.clock import now
from service.report.identity import ANALYZER, Question, options_document
from service.store.interfaces import StoredReport

SCHEMA = "receptive.report/1"


def make_report(analysis: str, path: str, question: Question, externals: Mapping[str, str]) -> StoredReport:
    """The report that the function named `analysis` makes of the model at `path`. It is written as JSON here, in the job's process, because
    a large one would keep the server's other threads waiting."""
    return complete(pkgutil.resolve_name(analysis)(path, question.options, externals), question)


def complete(core: Mapping[str, Any], question: Question) -> StoredReport:
    """The report to keep. Raises ValueError where the analysis gave something that JSON cannot say."""
    created_at = now()
    model = core["model"]
    document = {
        "id": question.id,
        "schema": SCHEMA,
        "created_at": created_at,
        "analyzer": ANALYZER,
        "model": {
            **model,
            "name": question.options.name or model["name"],
            "digest": f"sha256:{question.model}",
            "structure_digest": structure_digest(core["layers"]),
        },
        "options": options_document(question.options),
        **{key: value for key, value in core.items() if key != "model"},
        "links": links(question.id),
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
    return StoredReport(
        id=question.id,
        created_at=created_at,
        name=document["model"]["name"],
        digest=document["model"]["digest"],
        entry=_entry(document),
        document=text,
        etag=hashlib.sha256(text).hexdigest(),
        options=document["options"],
        blobs={"": question.model, **question.externals},
    )


def structure_digest(layers: Sequence[Mapping[str, Any]]) -> str:
    """The digest of the operators, their geometry, the shapes of their weights and how they are joined: equal for two models that differ in
    names, values or the size of the input only."""
    tensors: dict[str, int] = {}
    structure = []
    for layer in layers:
        inputs = [tensors.setdefault(name, len(tensors)) for name in layer["inputs"]]
        outputs = [tensors.setdefault(name, len(tensors)) for name in layer["outputs"]]
        structure.append([layer["op"], layer["kind"], layer["attributes"], layer["parameters"]["shape"], inputs, outputs])
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


def _entry(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a list of reports shows of one."""
    model, summary = document["model"], document["summary"]
    return {
        "id": document["id"],
        "created_at": document["created_at"],
        "name": model["name"],
        "format": model["format"],
        "digest": model["digest"],
        "size_bytes": model["size_bytes"],
        "layers": summary["layers"],
        "parameters": summary["parameters"]["stored"],
        "links": document["links"],
    }
