"""What a job's process does to judge a stored report at other sizes of the input."""

from __future__ import annotations

from collections.abc import Sequence

from service.report.plain import plain_object, read_report
from service.report.sweep import sweep
from service.work.made import Made, made_json


def sweep_document(report: bytes, sizes: Sequence[int]) -> Made:
    """Judge a report, given as JSON text, at those sizes: a JSON document. Refused `no-field` where the model reads no image."""
    return made_json(plain_object(sweep(read_report(report), sizes)))
