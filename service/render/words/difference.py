"""What the HTML documents and pages say of a comparison, in words and rows: a pure function of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.render.words import view
from service.render.words.numbers import number, percent, times
from service.render.words.text import shown
from service.report import comparison as compared
from service.report.comparison import NO_NEW_FINDINGS, Comparison, Judged, LayerDifference, Output, Outputs, number_of
from service.report.quantities import BY_PATH, LIMITS

VERDICTS = {"pass": "All budgets hold", "fail": "A budget is broken", "none": "No budgets were set"}
MOST_LAYERS = 2000


@dataclass(frozen=True, slots=True)
class BudgetField:
    """A budget as a form asks for it: its name in the comparison, what it limits, and the unit of the limit ("yes": it is set or not)."""

    name: str
    label: str
    unit: str


BUDGET_FIELDS = (
    *(BudgetField(limit.name, limit.label, limit.unit) for limit, _ in LIMITS.values()),
    BudgetField(NO_NEW_FINDINGS, "no new findings", "yes"),
)
"""Every budget of a comparison."""


@dataclass(frozen=True, slots=True)
class Change:
    """A number before and after, and the change as a share of the number before."""

    name: str
    base: str
    head: str
    change: str


@dataclass(frozen=True, slots=True)
class ChangedLayer:
    """A layer that is not the same on both sides."""

    name: str
    status: str
    kind: str
    changes: tuple[Change, ...]
    only: str
    """The numbers of a layer that is on one side only."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget, what it says, its limit and what it limits, as text."""

    name: str
    label: str
    limit: str
    value: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A comparison in words and rows, all as text."""

    base: str
    head: str
    columns: tuple[str, str]
    """What the numbers of either side stand under."""
    verdict: str
    verdict_text: str
    budgets: tuple[Budget, ...]
    summary: tuple[Change, ...]
    output: tuple[Change, ...]
    counts: str
    """How many layers are unchanged, changed, added and removed, in words."""
    layers: tuple[ChangedLayer, ...]
    left_out: int
    new: tuple[view.Group, ...]
    gone: tuple[view.Group, ...]


def difference(comparison: Comparison) -> Difference:
    """A comparison (service.report.comparison.compare) in words and rows."""
    changed = [layer for layer in comparison.layers if layer.status != "same"]
    base, head = (shown(side.name or side.digest) for side in (comparison.base, comparison.head))
    differs = changed or comparison.budgets or comparison.summary
    return Difference(
        base=base,
        head=head,
        columns=(base, head) if base != head else ("before", "after"),
        verdict=comparison.verdict,
        verdict_text=VERDICTS[comparison.verdict] if differs else "Nothing differs",
        budgets=tuple(_budget(budget) for budget in comparison.budgets),
        summary=_changes(comparison.summary),
        output=_output(comparison.output),
        counts=_counts(comparison),
        layers=tuple(_layer(layer) for layer in changed[:MOST_LAYERS]),
        left_out=max(len(changed) - MOST_LAYERS, 0),
        new=tuple(view.finding_groups(comparison.findings.new, ())),
        gone=tuple(view.finding_groups(comparison.findings.gone, ())),
    )


_STANDINGS: Mapping[compared.Standing, str] = {"same": "unchanged", "changed": "changed", "added": "added", "removed": "removed"}


def _counts(comparison: Comparison) -> str:
    """13 layers unchanged, 5 changed (no budgets set)."""
    said = [f"{number(comparison.counts[standing])} {word}" for standing, word in _STANDINGS.items() if comparison.counts[standing]]
    if not said:
        return "no layers"
    count, _, word = said[0].partition(" ")
    said[0] = f"{count} {'layer' if count == '1' else 'layers'} {word}"
    return ", ".join(said) + ("" if comparison.budgets else " (no budgets set)")


def _layer(layer: LayerDifference) -> ChangedLayer:
    base, head = (None if name is None else shown(name) for name in (layer.base, layer.head))
    name = f"{base} → {head}" if base and head and base != head else head or base
    if base and head:
        return ChangedLayer(str(name), layer.status, layer.kind, _changes(layer.changes), "")
    given = ((path, change.base if head is None else change.head) for path, change in layer.changes.items())
    only = ", ".join(f"{words_of(path)} {value(path, each)}" for path, each in given if each not in (None, 0))
    return ChangedLayer(str(name), layer.status, layer.kind, (), only)


def words_of(path: str) -> str:
    """A compared number in words, with its unit."""
    return BY_PATH[path].words if path in BY_PATH else path


def _budget(budget: Judged) -> Budget:
    field = next(field for field in BUDGET_FIELDS if field.name == budget.budget)
    limit, reached = (_limited(field.unit, given) for given in (budget.limit, budget.value))
    return Budget(field.name, field.label, limit, "not known" if budget.value is None else reached, budget.passed)


def _limited(unit: str, given: object) -> str:
    """A limit, or the number that it limits, in the unit of the budget."""
    limited = number_of(given)
    if unit == "%" and limited is not None:
        return f"{number(float(f'{100 * limited:.6g}'))} %"
    return f"{value('', given)} {unit}" if unit == "pixels" else value("", given)


def _changes(changes: Mapping[str, compared.Change]) -> tuple[Change, ...]:
    return tuple(
        Change(words_of(path), value(path, change.base), value(path, change.head), _change(path, change))
        for path, change in changes.items()
    )


def _change(path: str, change: compared.Change) -> str:
    """How much a number changed: a share in percentage points, any other as a share of the number before."""
    base, head, share = number_of(change.base), number_of(change.head), change.change
    if _is_share(path):
        return "" if base is None or head is None else f"{100 * (head - base):+.3f} points"
    if share is None:
        return ""
    return f"{100 * share:+.2f} %" if abs(share) < 10 else f"× {number(float(f'{share + 1:.4g}'))}"


def _is_share(path: str) -> bool:
    return path in BY_PATH and BY_PATH[path].format == "share"


def _output(output: Outputs) -> tuple[Change, ...]:
    """What one unit of each model's last layer with a receptive field sees; nothing of what neither side has."""
    sides = (output.base, output.head)
    rows = [
        ("last layer with a receptive field", *(value("", side and side.layer) for side in sides)),
        (words_of("receptive_field.size"), *(_sees(side) for side in sides)),
        (words_of("receptive_field.stride"), *(value("", side and side.stride) for side in sides)),
        ("because of", *(value("", side and side.because) for side in sides)),
    ]
    return tuple(Change(word, base, head, "") for word, base, head in rows if (base, head) != ("–", "–"))


def _sees(side: Output | None) -> str:
    """The size of a field, or what is known instead."""
    if side is None:
        return "–"
    whole = {"global": "the whole input", "unknown": "not known"}.get(side.status, "–")
    if not side.size:
        return whole
    return times(side.size) + (f", and {whole} on some path" if side.status == "global" else "")


def value(path: str, given: object) -> str:
    """A compared value as text: sizes as 3×3, shares as percentages."""
    if given is None:
        return "–"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list | tuple):
        numbers = given and all(entry is None or isinstance(entry, int | float) for entry in given)
        return times(given) if numbers else shown(", ".join(map(str, given)) or "none", 300)
    if isinstance(given, int | float):
        return percent(given) if _is_share(path) else number(given)
    return shown(given)
