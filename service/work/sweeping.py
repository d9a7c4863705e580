"""What a job's process does to judge a stored report at other sizes of the input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from service.report.sweep import sweep


def sweep_document(document: bytes, sizes: Sequence[int]) -> dict[str, Any]:
    """The verdicts on a report, given as JSON text, at those sizes. Refused where the model reads no image."""
    return sweep(json.loads(document), sizes)
