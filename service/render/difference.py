"""What the HTML documents and pages say of a comparison, in words and rows: a pure function of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.render import view
from service.render.markdown import times
from service.render.numbers import number
from service.render.text import shown

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
    BudgetField("max_parameters", "at most so many parameters", "parameters"),
    BudgetField("max_parameters_change", "parameters grow at most by", "%"),
    BudgetField("max_connections", "at most so many connections", "connections"),
    BudgetField("max_connections_change", "connections grow at most by", "%"),
    BudgetField("max_effective_connections", "at most so many connections by weights other than zero", "connections"),
    BudgetField("max_layers", "at most so many layers", "layers"),
    BudgetField("max_unproductive_layers", "at most so many unproductive layers", "layers"),
    BudgetField("min_receptive_field", "largest receptive field at least", "pixels"),
    BudgetField("min_sharing_factor", "each weight used at least", "times"),
    BudgetField("min_connection_sparsity", "connections left out at least", "%"),
    BudgetField("min_weight_sparsity", "weights equal to zero at least", "%"),
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
    """A budget, its limit and what it limits, as text."""

    name: str
    limit: str
    value: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A comparison as an HTML document shows it."""

    base: str
    head: str
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
    """A comparison (service.analysis.comparison.compare) in words and rows."""
    changed = [layer for layer in comparison["layers"] if layer["status"] != "same"]
    base, head = (shown(comparison[side]["name"] or comparison[side]["digest"]) for side in ("base", "head"))
    return Difference(
        base=base,
        head=head,
        verdict=comparison["verdict"],
        verdict_text=VERDICTS[comparison["verdict"]],
        budgets=tuple(Budget(b["budget"], value("", b["limit"]), value("", b["value"]), b["passed"]) for b in comparison["budgets"]),
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


def _changes(changes: Record) -> tuple[Change, ...]:
    return tuple(
        Change(NAMES.get(path, path), value(path, change["base"]), value(path, change["head"]), _share(change.get("change")))
        for path, change in changes.items()
    )


def _share(share: float | None) -> str:
    if share is None:
        return ""
    return f"{100 * share:+.2f} %" if abs(share) < 10 else f"× {number(float(f'{share + 1:.4g}'))}"


def _output(output: Record) -> tuple[Change, ...]:
    """What one unit of each model's last layer with a receptive field sees."""
    base, head = output["base"] or {}, output["head"] or {}
    words = {"layer": "last layer with a receptive field", "size": NAMES["receptive_field.size"], "stride": "stride, pixels"}
    words |= {"status": "how it sees", "because": "because of"}
    return tuple(Change(word, value(key, base.get(key)), value(key, head.get(key)), "") for key, word in words.items())


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
        return f"{100 * given:.3f} %" if path.startswith("sparsity.") else number(given)
    return shown(given)
