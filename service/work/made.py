"""What a task makes: content, its media type, and headers that say more about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json"
TEXT = "text/plain"
PNG = "image/png"
SVG = "image/svg+xml"
HTML = "text/html; charset=utf-8"
CSV = "text/csv; charset=utf-8; header=present"


@dataclass(frozen=True, slots=True)
class Made:
    """The result of every task, which crosses processes and machines as bytes and JSON."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def made_json(value: object) -> Made:
    """A JSON document in as few bytes as it takes. ValueError where `value` holds a number that JSON cannot say."""
    return Made(json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), JSON)
