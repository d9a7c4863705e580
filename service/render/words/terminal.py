"""Reports and comparisons as plain text for a terminal: the answers, the findings, and what changed."""

from __future__ import annotations

import io
import shutil
import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.render.words import view
from service.render.words.answers import answers
from service.render.words.difference import Change, difference
from service.render.words.text import shown
from service.report.comparison import Comparison
from service.report.document import Report

WIDTH = 100
MOST_ITEMS = 5
"""Findings of one code that are shown; the other formats have them all."""
MAX_ROWS = 200
"""Layers in the table; the other formats have them all."""
MIN_WIDTH, MIN_NAME, GAP = 60, 10, 2
"""Characters of a line, of a layer's name, and between two columns."""
MOST_LAYERS = 30
"""Changed layers that are shown."""


def report_text(report: Report) -> bytes:
    """What the model shares, skips and sees, and what was found."""
    lines = [shown(report.model.name or "Model"), ""]
    for answer in answers(report):
        lines += _wrapped(f"{answer.question} {answer.figure} {answer.unit}".rstrip(), "")
        for sentence in answer.sentences:
            lines += _wrapped(sentence, "    ")
    groups = view.finding_groups(report.findings, report.layers)
    if groups:
        lines += ["", "Findings:", *_groups(groups)]
    return _encoded([*lines, "", *_table(report)])


def _table(report: Report) -> list[str]:
    """The layers, as wide as the terminal: long names are cut, numbers never are."""
    field = report.summary.receptive_field
    rows = [view.row(report, layer, {}) for layer in report.layers[:MAX_ROWS]]
    heads = ("parameters", "uses per\nweight", "skips", f"sees,\n{view.pixels(field.axes if field else None)}")
    numbers = [(row.parameters, row.shares, row.skips, row.sees) for row in rows]
    widths = [max(len(text) for text in (*head.split("\n"), *cells)) for head, *cells in zip(heads, *numbers, strict=True)]
    names = max(width() - sum(widths) - GAP * len(widths), MIN_NAME)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column("layer", no_wrap=True)
    for head, least in zip(heads, widths, strict=True):
        table.add_column(head, justify="right", no_wrap=True, min_width=least)
    for row, cells in zip(rows, numbers, strict=True):
        table.add_row(*map(Text, (shown(row.name, names), *cells)))
    # Plain text: what goes to a file or through a pipe has no colours.
    console = Console(width=width(), color_system=None, file=io.StringIO(), force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    more = len(report.layers) - len(rows)
    return [line.rstrip() for line in captured.get().splitlines()] + ([f"… and {more:,} more layers"] if more else [])


def width() -> int:
    """Characters in a line: those of the terminal, within bounds."""
    return min(max(shutil.get_terminal_size((WIDTH, 0)).columns, MIN_WIDTH), WIDTH)


def comparison_text(comparison: Comparison) -> bytes:
    """The verdict, the budgets, what changed in the model, and the first of the layers that did."""
    said = difference(comparison)
    lines = [f"{said.base} → {said.head}: {said.verdict_text[0].lower()}{said.verdict_text[1:]}", ""]
    longest = max((len(budget.name) for budget in said.budgets), default=0)
    for budget in said.budgets:
        lines.append(f"  {'held  ' if budget.passed else 'BROKEN'}  {budget.name:<{longest}}  limit {budget.limit}, value {budget.value}")
    if said.budgets:
        lines.append("")
    lines += _changes(said.summary, "  ")
    lines += (f"  at the output, {change.name}: {change.base} → {change.head}" for change in said.output if "pixels" in change.name)
    lines.append(f"{said.counts[0].upper()}{said.counts[1:]}.")
    for layer in said.layers[:MOST_LAYERS]:
        lines.append(f"  {layer.status:<8}  {layer.name}{f': {layer.only}' if layer.only else ''}")
        lines += _changes(layer.changes, "      ")
    more = len(said.layers) + said.left_out - MOST_LAYERS
    if more > 0:
        lines.append(f"  … and {more:,} more")
    if said.new:
        lines += ["", "New findings:", *_groups(said.new)]
    return _encoded(lines)


def _changes(changes: Sequence[Change], indent: str) -> Iterator[str]:
    for change in changes:
        share = f" ({change.change})" if change.change else ""
        yield f"{indent}{change.name}: {change.base} → {change.head}{share}"


def _groups(groups: Sequence[view.Group]) -> Iterator[str]:
    for group in groups:
        yield f"  {group.severity}: {group.code} ({len(group.items)})"
        for layer, _, message in group.items[:MOST_ITEMS]:
            yield from _wrapped(f"{layer or 'model'}: {message}", "      ")
        if len(group.items) > MOST_ITEMS:
            yield f"      … and {len(group.items) - MOST_ITEMS:,} more"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, width(), initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _encoded(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
