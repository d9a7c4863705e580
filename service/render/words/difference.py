"""What the HTML documents and pages say of a comparison, in words and rows: a pure function of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.render.words import view
from service.render.words.numbers import number, percent, times
from service.render.words.text import shown

Record = Mapping[str, Any]

VERDICTS = {"pass": "All budgets hold", "fail": "A budget is broken", "none": "No budgets were set"}
MOST_LAYERS = 2000

NAMES = {
    "layers": "layers",
    "parameters.stored": "parameters (each stored tensor once)",
    "parameters.weights": "weights",
    "parameters.total": "parameters",
    "parameters.other": "other parameters",
    "connections.exact": "connections",
    "connections.padded": "connections, with padding",
    "connections.dense": "connections if dense",
    "connections.effective": "connections by weights other than zero",
    "sparsity.connection": "connections left out",
    "sparsity.weight": "weights equal to zero",
    "sharing.factor": "uses per weight",
    "reduction.total": "times fewer weights than dense",
    "receptive_field.largest.size": "largest receptive field, pixels",
    "receptive_field.first_global_layer": "first layer that sees everything",
    "receptive_field.unproductive_layers": "unproductive layers",
    "receptive_field.size": "receptive field, pixels",
    "receptive_field.min_size": "receptive field of the narrowest path, pixels",
    "receptive_field.stride": "stride, pixels",
    "receptive_field.status": "how it sees",
    "output_shape": "output",
}
"""The compared numbers in words, with their units."""


@dataclass(frozen=True, slots=True)
class BudgetField:
    """A budget as a form asks for it: its name in the comparison, what it limits, and the unit of the limit ("yes": it is set or not)."""

    name: str
    label: str
    unit: str


BUDGET_FIELDS = (
    BudgetField("max_parameters", "parameters, at most", ""),
    BudgetField("max_parameters_change", "parameters may grow by", "%"),
    BudgetField("max_connections", "connections, at most", ""),
    BudgetField("max_connections_change", "connections may grow by", "%"),
    BudgetField("max_effective_connections", "connections by weights other than zero, at most", ""),
    BudgetField("max_layers", "layers, at most", ""),
    BudgetField("max_unproductive_layers", "unproductive layers, at most", ""),
    BudgetField("min_receptive_field", "largest receptive field, at least", "pixels"),
    BudgetField("min_sharing_factor", "uses per weight, at least", ""),
    BudgetField("min_connection_sparsity", "connections left out, at least", "%"),
    BudgetField("min_weight_sparsity", "weights equal to zero, at least", "%"),
    BudgetField("no_new_findings", "no new findings", "yes"),
)
"""Every budget of service.analysis.comparison."""


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
    counts: Record
    layers: tuple[ChangedLayer, ...]
    left_out: int
    new: tuple[view.Group, ...]
    gone: tuple[view.Group, ...]


def difference(comparison: Record) -> Difference:
    """A comparison (service.report.comparison.compare) in words and rows."""
    changed = [layer for layer in comparison["layers"] if layer["status"] != "same"]
    base, head = (shown(comparison[side]["name"] or comparison[side]["digest"]) for side in ("base", "head"))
    return Difference(
        base=base,
        head=head,
        columns=(base, head) if base != head else ("before", "after"),
        verdict=comparison["verdict"],
        verdict_text=VERDICTS[comparison["verdict"]] if changed or comparison["budgets"] or comparison["summary"] else "Nothing differs",
        budgets=tuple(_budget(budget) for budget in comparison["budgets"]),
        summary=_changes(comparison["summary"]),
        output=_output(comparison["output"]),
        counts=comparison["counts"],
        layers=tuple(_layer(layer) for layer in changed[:MOST_LAYERS]),
        left_out=max(len(changed) - MOST_LAYERS, 0),
        new=tuple(view.finding_groups(comparison["findings"]["new"], ())),
        gone=tuple(view.finding_groups(comparison["findings"]["gone"], ())),
    )


def _layer(layer: Record) -> ChangedLayer:
    base, head = (None if layer[side] is None else shown(layer[side]) for side in ("base", "head"))
    name = f"{base} → {head}" if base and head and base != head else head or base
    if base and head:
        return ChangedLayer(str(name), layer["status"], layer["kind"], _changes(layer["changes"]), "")
    side = "head" if head else "base"
    numbers = ((NAMES.get(path, path), change[side], path) for path, change in layer["changes"].items())
    only = ", ".join(f"{word} {value(path, given)}" for word, given, path in numbers if given not in (None, 0))
    return ChangedLayer(str(name), layer["status"], layer["kind"], (), only)


def _budget(budget: Record) -> Budget:
    field = next(field for field in BUDGET_FIELDS if field.name == budget["budget"])
    limit, reached = (_limited(field.unit, budget[key]) for key in ("limit", "value"))
    return Budget(field.name, field.label, limit, "not known" if budget["value"] is None else reached, budget["passed"])


def _limited(unit: str, given: Any) -> str:
    """A limit, or the number that it limits, in the unit of the budget."""
    if unit == "%" and given is not None:
        return f"{number(float(f'{100 * given:.6g}'))} %"
    return f"{value('', given)} {unit}" if unit == "pixels" else value("", given)


def _changes(changes: Record) -> tuple[Change, ...]:
    return tuple(
        Change(NAMES.get(path, path), value(path, change["base"]), value(path, change["head"]), _change(path, change))
        for path, change in changes.items()
    )


def _change(path: str, change: Record) -> str:
    """How much a number changed: a share in percentage points, any other as a share of the number before."""
    base, head, share = change["base"], change["head"], change.get("change")
    if path.startswith("sparsity."):
        return "" if base is None or head is None else f"{100 * (head - base):+.3f} points"
    if share is None:
        return ""
    return f"{100 * share:+.2f} %" if abs(share) < 10 else f"× {number(float(f'{share + 1:.4g}'))}"


def _output(output: Record) -> tuple[Change, ...]:
    """What one unit of each model's last layer with a receptive field sees; nothing of what neither side has."""
    sides = [output["base"] or {}, output["head"] or {}]
    rows = [
        ("last layer with a receptive field", *(value("layer", side.get("layer")) for side in sides)),
        (NAMES["receptive_field.size"], *(_sees(side) for side in sides)),
        (NAMES["receptive_field.stride"], *(value("stride", side.get("stride")) for side in sides)),
        ("because of", *(value("because", side.get("because")) for side in sides)),
    ]
    return tuple(Change(word, base, head, "") for word, base, head in rows if (base, head) != ("–", "–"))


def _sees(side: Record) -> str:
    """The size of a field, or what is known instead."""
    whole = {"global": "the whole input", "unknown": "not known"}.get(side.get("status", ""), "–")
    if not side.get("size"):
        return whole
    return times(side["size"]) + (f", and {whole} on some path" if side["status"] == "global" else "")


def value(path: str, given: Any) -> str:
    """A compared value as text: sizes as 3×3, shares as percentages."""
    if given is None:
        return "–"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list):
        numbers = given and all(entry is None or isinstance(entry, int | float) for entry in given)
        return times(given) if numbers else shown(", ".join(map(str, given)) or "none", 300)
    if isinstance(given, int | float):
        return percent(given) if path.startswith("sparsity.") else number(given)
    return shown(given)
