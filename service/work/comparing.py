"""What a job's process does to compare two stored reports: the alignment takes quadratic time on reports that are made to be slow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.report.comparison import compare


def compare_documents(base: bytes, head: bytes, budgets: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison of two reports, given as JSON text. Refused where a budget makes no sense."""
    return compare(json.loads(base), json.loads(head), budgets)
