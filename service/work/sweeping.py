"""What a job's process does to judge a stored report at other sizes of the input."""

from __future__ import annotations

import json
from collections.abc import Sequence

from service.report.sweep import sweep
from service.work.made import Made, made_json


def sweep_document(report: bytes, sizes: Sequence[int]) -> Made:
    """Judge a report, given as JSON text, at those sizes: a JSON document. Refused `no-field` where the model reads no image."""
    return made_json(sweep(json.loads(report), sizes))
