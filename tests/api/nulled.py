"""Reports with facts taken out: every value that the report's type allows to be null, set to null."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from service.analysis import analyze
from service.graph.model import Model
from service.jobs.stored import stored_report
from service.options import Options
from service.report.document import Report
from service.report.forms import Form, members
from service.report.identity import DEFAULT_PROJECT, Digest, Question
from service.store.interfaces import Job, StoredReport
from service.work.document import complete

Place = tuple[str | int, ...]

MADE = "2026-01-01T00:00:00Z"


def stored(model: Model, name: str) -> tuple[StoredReport, bytes]:
    """The report of a model as the service keeps it, under an address that follows from the name, and its text."""
    question = Question.of_digests(Digest(hashlib.sha256(name.encode()).hexdigest()), {}, Options(name=name))
    made = complete(analyze(model), question, MADE)
    job = Job("j", DEFAULT_PROJECT, question.id, "running", MADE, MADE, {})
    return stored_report(made, job, question), made.content


def places(form: Form, value: Any, at: Place = ()) -> Iterator[Place]:
    """Where a report holds something that may be null and is not."""
    if value is None:
        return
    if form.nullable and at:
        yield at
    if form.record is not None:
        for member in members(form.record):
            if member.key in value:
                yield from places(member.form, value[member.key], (*at, member.key))
    elif form.array is not None:
        for index, entry in enumerate(value):
            yield from places(form.array, entry, (*at, index))
    elif form.mapping is not None:
        for key, entry in value.items():
            yield from places(form.mapping, entry, (*at, key))


def kind_of(place: Place) -> str:
    """The place without its indices."""
    return ".".join("*" if isinstance(part, int) else part for part in place)


def nulled(document: bytes) -> Iterator[tuple[str, bytes]]:
    """For every kind of place, the report with all of its values null, and, where there are several, with the last of them null."""
    report = json.loads(document)
    kinds: dict[str, list[Place]] = {}
    for place in places(Form(record=Report), report):
        kinds.setdefault(kind_of(place), []).append(place)
    for kind, found in kinds.items():
        yield kind, _without(report, found)
        if len(found) > 1:
            yield f"{kind} (last)", _without(report, found[-1:])


def _without(report: Any, found: list[Place]) -> bytes:
    made = copy.deepcopy(report)
    for place in found:
        holder = made
        for part in place[:-1]:
            holder = holder[part]
        holder[place[-1]] = None
    return json.dumps(made).encode()


def changed(report: StoredReport, document: bytes, number: int) -> StoredReport:
    """The report with another document, under an address of its own."""
    own = "sha256-" + hashlib.sha256(f"{report.id} {number}".encode()).hexdigest()
    return replace(report, id=own, size_bytes=len(document), etag=hashlib.sha256(document).hexdigest())
