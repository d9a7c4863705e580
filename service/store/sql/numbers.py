"""The numbers of reports in columns, and what a fleet is summed up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "receptive."
PLAIN = ("parameters", "sharing_factor", "connection_sparsity", "weight_sparsity", "output_is_global", "unproductive_layers")
"""Columns that hold the flat number of their name."""
COVERAGE = "receptive_field_coverage"


def numbers_row(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a report's flat numbers; None where there is no such number, or none that a database can hold."""
    row: dict[str, Any] = {name: _finite(metrics.get(PREFIX + name)) for name in PLAIN}
    along = [_finite(value) for name, value in metrics.items() if name.startswith(f"{PREFIX}{COVERAGE}.")]
    known = [value for value in along if value is not None]
    return {**row, COVERAGE: min(known, default=None)}


def _finite(value: int | float | None) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:
        return None
