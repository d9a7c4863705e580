"""What a job's process does to compare two stored reports: the alignment takes quadratic time on reports that are made to be slow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.report.comparison import compare
from service.work.made import Made, made_json


def compare_documents(base: bytes, head: bytes, budgets: Mapping[str, Any]) -> Made:
    """Compare two reports, given as JSON text: a JSON document. Refused `invalid-budget` where a budget makes no sense."""
    return made_json(compare(json.loads(base), json.loads(head), budgets))
