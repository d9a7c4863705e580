"""The time, as it is written into reports and rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now(seconds_ago: float = 0.0) -> str:
    """The time, or that so many seconds ago, as RFC 3339 in UTC with microseconds, so that text order is time order."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
