"""What a job's process does to compare two stored reports: it reads both, which takes longer than their alignment."""

from __future__ import annotations

from collections.abc import Mapping

from service.report.comparison import compare
from service.report.plain import plain_object, read_report
from service.work.collection import no_collection
from service.work.made import Made, made_json


def compare_documents(base: bytes, head: bytes, budgets: Mapping[str, object]) -> Made:
    """Compare two reports, given as JSON text: a JSON document. Refused `invalid-budget` where a budget makes no sense."""
    with no_collection():
        return made_json(plain_object(compare(read_report(base), read_report(head), budgets)))
