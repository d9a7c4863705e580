"""Two reports side by side: their layers aligned by structure, what changed, and whether budgets hold.

1. Layers are aligned in topological order by what they are (operator, geometry, parameter shapes), as a longest common subsequence.
2. Between aligned layers, those of one name, then those of one kind, are taken as changed; what is left was added or removed.
3. A budget compares one number of the head (or its change from the base) with a limit; the verdict is that all hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from service.faults import Refused, pointer_to, refused_at

Record = dict[str, Any]
Report = Mapping[str, Any]

METRICS = (
    "output_shape",
    "parameters.total",
    "parameters.other",
    "connections.exact",
    "connections.dense",
    "connections.effective",
    "sparsity.connection",
    "sparsity.weight",
    "sharing.factor",
    "receptive_field.size",
    "receptive_field.min_size",
    "receptive_field.stride",
    "receptive_field.status",
)
"""The numbers of a layer that are compared, by their path in its record."""

SUMMARY_METRICS = (
    "layers",
    "parameters.stored",
    "parameters.weights",
    "connections.exact",
    "connections.padded",
    "connections.dense",
    "connections.effective",
    "sparsity.connection",
    "sparsity.weight",
    "sharing.factor",
    "reduction.total",
    "receptive_field.largest.size",
    "receptive_field.first_global_layer",
    "receptive_field.unproductive_layers",
)
"""The numbers of a model that are compared, by their path in the summary."""


def dig(record: Any, path: str) -> Any:
    """The value at a dotted path; None where something on the way is missing."""
    for key in path.split("."):
        record = record.get(key) if isinstance(record, Mapping) else None
    return record


def compare(base: Report, head: Report, budgets: Mapping[str, Any] | None = None) -> Record:
    """The difference of two reports and the verdict of the budgets. Refused `invalid-budget` where a budget makes no sense."""
    pairs = list(align(base["layers"], head["layers"]))
    layers = [_difference(before, after) for before, after in pairs]
    new, gone = _findings(base, head, pairs)
    record: Record = {
        "base": _named(base),
        "head": _named(head),
        "summary": _changes(base["summary"], head["summary"], SUMMARY_METRICS),
        "layers": layers,
        "counts": {status: sum(layer["status"] == status for layer in layers) for status in ("same", "changed", "added", "removed")},
        "output": {"base": _output(base), "head": _output(head)},
        "findings": {"new": new, "gone": gone},
    }
    record["budgets"] = [_judged(name, limit, base, head, record) for name, limit in (budgets or {}).items()]
    record["verdict"] = "none" if not budgets else "pass" if all(b["passed"] for b in record["budgets"]) else "fail"
    return record


def align(base: Sequence[Report], head: Sequence[Report]) -> Iterator[tuple[Report | None, Report | None]]:
    """Pairs of layers of both reports in topological order; None on the side where a layer is missing."""
    matcher = SequenceMatcher(None, [_structure(layer) for layer in base], [_structure(layer) for layer in head], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(base[i:j], head[k:m], strict=True)
        else:
            yield from _loose(base[i:j], head[k:m])


def _structure(layer: Report) -> str:
    """What a layer is, apart from its name and from what surrounds it."""
    return json.dumps([layer["op"], layer["kind"], layer["attributes"], layer["parameters"]["shape"]], sort_keys=True)


def _loose(base: Sequence[Report], head: Sequence[Report]) -> Iterator[tuple[Report | None, Report | None]]:
    """Layers between aligned ones: of one name, then of one kind in order, else alone."""
    left = list(head)
    for before in base:
        partner = next((layer for layer in left if layer["name"] == before["name"]), None)
        partner = partner or next((layer for layer in left if (layer["kind"], layer["op"]) == (before["kind"], before["op"])), None)
        if partner is None:
            yield before, None
            continue
        # What stands before the partner came in between.
        for added in left[: left.index(partner)]:
            yield None, added
        left = left[left.index(partner) + 1 :]
        yield before, partner
    for added in left:
        yield None, added


def _difference(before: Report | None, after: Report | None) -> Record:
    if before is None or after is None:
        only = before if after is None else after
        assert only is not None
        return {
            "status": "removed" if after is None else "added",
            "base": before and before["name"],
            "head": after and after["name"],
            "op": only["op"],
            "kind": only["kind"],
            "changes": {path: {"base": dig(before, path), "head": dig(after, path)} for path in METRICS if dig(only, path) is not None},
        }
    changes = _changes(before, after, METRICS)
    return {
        "status": "changed" if changes or _structure(before) != _structure(after) else "same",
        "base": before["name"],
        "head": after["name"],
        "op": after["op"],
        "kind": after["kind"],
        "changes": changes,
    }


def _changes(before: Report, after: Report, metrics: Sequence[str]) -> Record:
    changes = {}
    for path in metrics:
        old, new = dig(before, path), dig(after, path)
        if old != new:
            changes[path] = {"base": old, "head": new, "change": relative(old, new)}
    return changes


def relative(old: Any, new: Any) -> float | None:
    """The change as a share of the old number; None where there is no such thing."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    return (new - old) / abs(old) if numbers and old else None


def _named(report: Report) -> Record:
    return {"id": report.get("id"), "name": report["model"]["name"], "digest": report["model"]["digest"]}


def _output(report: Report) -> Record | None:
    """The receptive field of the last layer that has one."""
    last = next((layer for layer in reversed(report["layers"]) if layer["receptive_field"]), None)
    if last is None:
        return None
    field = last["receptive_field"]
    return {"layer": last["name"], **{key: field[key] for key in ("size", "min_size", "stride", "padding", "status", "because")}}


def _findings(base: Report, head: Report, pairs: Sequence[tuple[Report | None, Report | None]]) -> tuple[list[Record], list[Record]]:
    """Findings that only one side has, layers being the same where they are aligned."""
    names = {before["name"]: after["name"] for before, after in pairs if before is not None and after is not None}
    # Each finding of the base under the name that its layer has in the head.
    old = [(finding["code"], names.get(finding["layer"], finding["layer"])) for finding in base["findings"]]
    new = [(finding["code"], finding["layer"]) for finding in head["findings"]]
    known, kept = set(old), set(new)
    appeared = [dict(finding) for finding, key in zip(head["findings"], new, strict=True) if key not in known]
    vanished = [dict(finding) for finding, key in zip(base["findings"], old, strict=True) if key not in kept]
    return appeared, vanished


Measure = Callable[[Report, Report, Report], Any]


def _of_head(path: str) -> Measure:
    return lambda base, head, record: dig(head["summary"], path)


def _change_of(path: str) -> Measure:
    return lambda base, head, record: relative(dig(base["summary"], path), dig(head["summary"], path))


def _field(base: Report, head: Report, record: Report) -> int | None:
    """The smaller side of the largest local receptive field; a model with a global layer sees everything."""
    sizes = dig(head["summary"], "receptive_field.largest.size")
    return min(sizes) if sizes else None


def _new_findings(base: Report, head: Report, record: Report) -> list[str]:
    return sorted({finding["code"] for finding in record["findings"]["new"]})


BUDGETS: dict[str, tuple[str, Measure]] = {
    "max_parameters": ("at most", _of_head("parameters.stored")),
    "max_parameters_change": ("at most", _change_of("parameters.stored")),
    "max_connections": ("at most", _of_head("connections.exact")),
    "max_connections_change": ("at most", _change_of("connections.exact")),
    "max_effective_connections": ("at most", _of_head("connections.effective")),
    "max_layers": ("at most", _of_head("layers")),
    "max_unproductive_layers": ("at most", _of_head("receptive_field.unproductive_layers")),
    "min_receptive_field": ("at least", _field),
    "min_sharing_factor": ("at least", _of_head("sharing.factor")),
    "min_connection_sparsity": ("at least", _of_head("sparsity.connection")),
    "min_weight_sparsity": ("at least", _of_head("sparsity.weight")),
    "no_new_findings": ("none of", _new_findings),
}
"""Every budget: how its limit is meant, and the number it limits (counts; changes as a share of the base; sizes in pixels).

`no_new_findings` takes true (no new finding at all) or a list of finding codes that must not appear.
"""


def _judged(name: str, limit: Any, base: Report, head: Report, record: Report) -> Record:
    if name not in BUDGETS:
        raise _invalid_budget(name, f"is no budget; there are {', '.join(BUDGETS)}")
    sense, measure = BUDGETS[name]
    value = measure(base, head, record)
    if sense == "none of":
        if not isinstance(limit, bool) and not (isinstance(limit, list) and all(isinstance(code, str) for code in limit)):
            raise _invalid_budget(name, "takes true, false or a list of finding codes")
        value = value if limit is True else [code for code in value if limit and code in limit]
        return {"budget": name, "limit": limit, "value": value, "passed": not value}
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit != limit or abs(limit) == float("inf"):
        raise _invalid_budget(name, "takes a number")
    held = value is not None and (value <= limit if sense == "at most" else value >= limit)
    return {"budget": name, "limit": limit, "value": value, "passed": held}


def _invalid_budget(name: str, reason: str) -> Refused:
    return refused_at(pointer_to("budgets", name), "invalid-budget", f"{name} {reason}")
