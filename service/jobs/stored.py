"""The report to keep, of what a job's process made."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from service.jobs.message import BrokenAnalysisError
from service.report.identity import Identity, Question, links, options_document
from service.report.quantities import PREFIX
from service.store.interfaces import Job, StoredReport
from service.work.made import Made

ENTRY = "Receptive-Entry"
"""The header with what a list shows of a report: this is read, and not the report itself, which may be large."""

ELSEWHERE = "sources"
"""In an entry: the identities of the files of a report that are not kept, by name ("" for the model)."""

BESIDE = "Receptive-Beside"
"""The header with what is kept beside a report."""

_KINDS: dict[str, tuple[type, ...]] = {
    "name": (str, type(None)),
    "format": (str,),
    "size_bytes": (int,),
    "layers": (int,),
    "parameters": (int,),
    "metrics": (dict,),
    "structure_digest": (str,),
}


def stored_report(made: Made, job: Job, question: Question) -> StoredReport:
    """The answer to a job's question, as it is kept. BrokenAnalysisError where its header does not say what it must."""
    entry = _entry(made.headers.get(ENTRY, ""))
    digest = question.model.key
    created_at = job.created_at
    elsewhere = {name: str(identity) for name, identity in question.elsewhere.items()}
    return StoredReport(
        project=job.project,
        id=question.id,
        created_at=created_at,
        name=entry["name"],
        digest=digest,
        entry={
            "id": question.id,
            "created_at": created_at,
            "name": entry["name"],
            "format": entry["format"],
            "digest": digest,
            "size_bytes": entry["size_bytes"],
            "layers": entry["layers"],
            "parameters": entry["parameters"],
            "metrics": entry["metrics"],
            "structure_digest": entry["structure_digest"],
            "links": links(question.id),
            **({ELSEWHERE: elsewhere} if elsewhere else {}),
        },
        etag=hashlib.sha256(made.content).hexdigest(),
        options=options_document(question.options),
        blobs=question.blobs,
        size_bytes=len(made.content),
        model_bytes=entry["size_bytes"] if question.blobs else 0,
    )


def beside_of(made: Made) -> str:
    """What is kept beside a report, as its process gave it."""
    return made.headers.get(BESIDE, "{}")


def identities(report: StoredReport) -> dict[str, Identity]:
    """The identities of the files of a report, by name ("" for the model)."""
    elsewhere: dict[str, str] = report.entry.get(ELSEWHERE, {})
    kept = {name: Identity.of_digest(digest) for name, digest in report.blobs.items()}
    return {**kept, **{name: Identity.parsed(text) for name, text in elsewhere.items()}}


def _entry(text: str) -> dict[str, Any]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key, ...), kinds) for key, kinds in _KINDS.items()):
        raise BrokenAnalysisError(f"expected an entry with {', '.join(_KINDS)}; got {text[:200]!r}")
    metrics: dict[str, object] = entry["metrics"]
    if not all(name.startswith(PREFIX) and type(value) in (int, float) for name, value in metrics.items()):
        raise BrokenAnalysisError(f"expected metrics of names that begin with {PREFIX} and of numbers; got {text[:200]!r}")
    return entry
