"""What a job's process does for the command line: models that lie in a folder of the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from service.readers.externals import named_externals
from service.report.identity import Digest, Question, question_document, read_options
from service.sources.local import CHUNK_BYTES
from service.sources.places import Place, opened
from service.work.analysis import Files
from service.work.document import make_report
from service.work.made import Made, made_json


def report_document(files: Files, options: Mapping[str, object], created_at: str) -> Made:
    """Analyse a model: the report as JSON, with the address that the service gives to the same question."""
    externals = {name: _digest(place) for name, place in files.items() if name}
    question = Question.of_digests(_digest(files[""]), externals, read_options(options))
    return make_report(files, question_document(question), created_at)


def named_files(files: Files) -> Made:
    """List the files of external data that a model names: a JSON list."""
    return made_json(named_externals(files[""]))


def _digest(place: Place) -> Digest:
    source, digest = opened(place), hashlib.sha256()
    for offset in range(0, source.size, CHUNK_BYTES):
        digest.update(source.read(offset, min(CHUNK_BYTES, source.size - offset)))
    return Digest(digest.hexdigest())
