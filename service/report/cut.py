"""The bound of a report: what a report of too many bytes leaves out, so that a small model cannot fill the store or a reader's memory.

1. The totals are those of the whole model, whatever is left out.
2. Lists end early: layers, findings (errors are kept first, then warnings), stored tensors, depths and first layers, each with its share
   of the bytes; what one does not need is the layers'.
3. A finding of the code `report-cut` says of each list how much of it is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TypeVar

from service.faults import Refused
from service.report.document import Finding, Report
from service.report.plain import as_plain, write_report

MAX_REPORT_BYTES = 32 * 1024 * 1024

SHARES = {"findings": 0.25, "ledger": 0.25, "hierarchy": 0.1, "first_layers": 0.1}
"""What each list may take of the bytes that are left beside what stands once."""

MESSAGE_BYTES = 2000
T = TypeVar("T")

SEVERITIES = ("error", "warning", "info")


def written_within(report: Report, max_bytes: int) -> tuple[Report, bytes]:
    """The report, and its text of so many bytes at the most; where it has more, what is left of it. Refused `report-too-large` where even
    what stands once has more."""
    text = write_report(report)
    if len(text) <= max_bytes:
        return report, text
    shown = _cut(report, max_bytes)
    text = write_report(shown)
    if len(text) > max_bytes:
        raise Refused(
            "limit", "report-too-large", f"The report would have {len(text)} bytes without its layers; at most {max_bytes} are kept."
        )
    return shown, text


def _cut(report: Report, max_bytes: int) -> Report:
    bare = replace(report, layers=(), findings=(), ledger=(), hierarchy=(), first_layers=())
    left = max(max_bytes - len(write_report(bare)) - MESSAGE_BYTES, 0)
    by_severity = sorted(report.findings, key=lambda each: SEVERITIES.index(each.severity))
    findings = _fitting(by_severity, left * SHARES["findings"])
    kept = {
        "findings": len(findings[0]),
        **{name: len(_fitting(getattr(report, name), left * SHARES[name])[0]) for name in ("ledger", "hierarchy", "first_layers")},
    }
    others = findings[1] + sum(_size(getattr(report, name)[: kept[name]]) for name in ("ledger", "hierarchy", "first_layers"))
    layers = _fitting(report.layers, left - others)[0]
    counts = {"layers": len(layers), **kept}
    said = {name: [count, len(getattr(report, name))] for name, count in counts.items() if count < len(getattr(report, name))}
    lists = ", ".join(f"{shown} of {total} {name.replace('_', ' ')}" for name, (shown, total) in said.items())
    message = f"The report would be longer than {max_bytes} bytes, so it lists {lists}. The totals are those of the whole model."
    cut = Finding("report-cut", "warning", None, message, said)
    return replace(
        bare,
        layers=tuple(layers),
        findings=(cut, *findings[0]),
        ledger=report.ledger[: kept["ledger"]],
        hierarchy=report.hierarchy[: kept["hierarchy"]],
        first_layers=report.first_layers[: kept["first_layers"]],
    )


def _fitting(entries: Sequence[T], most_bytes: float) -> tuple[list[T], int]:
    """The first entries that together take at most so many bytes as JSON, and how many they take."""
    kept: list[T] = []
    taken = 0
    for entry, total in zip(entries, accumulate(_size([each]) for each in entries), strict=True):
        if total > most_bytes:
            break
        kept.append(entry)
        taken = total
    return kept, taken


def _size(entries: Sequence[object]) -> int:
    return sum(len(json.dumps(as_plain(entry), separators=(",", ":"))) + 1 for entry in entries)
