"""What a job's process does for the command line: the stored report of a model that lies in a folder of the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from service.options import Options
from service.report.identity import Digest, Question
from service.work.document import make_report


def report_document(path: str, options: Options, externals: Mapping[str, str]) -> bytes:
    """The report as JSON text, with the address that the service gives to the same question."""
    question = Question(_digest(path), {name: _digest(place) for name, place in externals.items()}, options)
    return make_report("service.work.analysis:analyze_file", path, question, externals).document


def _digest(path: str) -> Digest:
    with Path(path).open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest())
