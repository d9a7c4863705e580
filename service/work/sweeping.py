"""What a job's process does to judge a stored report at other sizes of the input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from service.faults import Refused
from service.report.sweep import NoImage, sweep


def sweep_document(document: bytes, sizes: Sequence[int]) -> dict[str, Any]:
    """The verdicts on a report, given as JSON text, at those sizes. Refused where the model reads no image."""
    try:
        return sweep(json.loads(document), sizes)
    except NoImage as error:
        raise Refused("invalid", "no-field", str(error)) from error
