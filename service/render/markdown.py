"""Reports and comparisons as Markdown (GitHub's dialect): for a pull request and for a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.render.numbers import number
from service.render.text import shown

Record = Mapping[str, Any]

MOST_LAYERS = 200
"""Rows of the layer table; a longer one ends with a line that says how many follow."""

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()#+!|~$^"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def safe(text: object) -> str:
    """Text from a model as Markdown text: markup escaped, line breaks, control and reordering characters made visible."""
    # An entity keeps @names and links from becoming mentions.
    return shown(text).translate(_SPECIAL).replace("@", "&#64;").replace("://", "&#58;//")


def percent(share: float | None) -> str:
    """A share as a percentage with three decimals."""
    return "–" if share is None else f"{100 * share:.3f} %"


def times(values: Sequence[Any] | None) -> str:
    """Sizes along the axes, "7×7"."""
    return "–" if not values else "×".join("–" if value is None else number(value) for value in values)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    aligned = ["---" if i == 0 else "---:" for i in range(len(head))]
    return [f"| {' | '.join(line)} |" for line in (head, aligned, *rows)]


def report_markdown(report: Record) -> bytes:
    """The report: what the model shares, skips and sees, its findings first, and a row for every layer."""
    summary, model = report["summary"], report["model"]
    lines = [f"## {safe(model['name'] or 'Model')}: what it shares, skips and sees", "", *_summary_lines(summary), ""]
    if report["findings"]:
        lines += ["### Findings", "", *_finding_lines(report["findings"]), ""]
    layers = report["layers"][:MOST_LAYERS]
    head = (
        "layer",
        "kind",
        "output",
        "parameters",
        "connections",
        "shares: uses per weight",
        "skips: connections",
        "sees: pixels",
        "stride",
    )
    lines += ["### Layers", "", *_table(head, [_layer_row(layer) for layer in layers])]
    if len(report["layers"]) > MOST_LAYERS:
        lines += ["", f"… and {len(report['layers']) - MOST_LAYERS} more layers."]
    lines += ["", f"<sub>Receptive {safe(report.get('analyzer', {}).get('version', ''))}, model {safe(model['digest'])}</sub>", ""]
    return "\n".join(lines).encode()


def _summary_lines(summary: Record) -> list[str]:
    connections, parameters, field = summary["connections"], summary["parameters"], summary["receptive_field"]
    rows = [
        ("layers", number(summary["layers"])),
        ("parameters (each stored tensor once)", number(parameters["stored"])),
        ("connections (exact)", number(connections["exact"])),
        ("connections of a dense network", number(connections["dense"])),
        ("connections left out (sparsity)", percent(summary["sparsity"]["connection"])),
        ("weights equal to zero", percent(summary["sparsity"]["weight"])),
        ("uses of each weight (sharing)", number(summary["sharing"]["factor"])),
    ]
    if field is not None:
        largest = field["largest"]
        rows.append(("input, pixels", times(field["input_size"])))
        rows.append(("largest receptive field, pixels", f"{times(largest['size'])} at {safe(largest['layer'])}" if largest else "–"))
        rows.append(("first layer that sees everything", safe(field["first_global_layer"] or "none")))
        rows.append(("unproductive layers", number(field["unproductive_layers"])))
    return _table(("", "value"), [(safe(name), value) for name, value in rows])


_MARKS = {"error": "🛑", "warning": "⚠️", "info": "ℹ️"}


def _finding_lines(findings: Sequence[Record]) -> list[str]:
    worst = sorted(findings, key=lambda finding: ("error", "warning", "info").index(finding["severity"]))
    lines = [f"* {_MARKS[f['severity']]} `{f['code']}` {safe(f['layer'] or 'model')}: {safe(f['message'])}" for f in worst[:50]]
    return lines + ([f"* … and {len(worst) - 50} more findings"] if len(worst) > 50 else [])


def _layer_row(layer: Record) -> tuple[str, ...]:
    field, connections = layer["receptive_field"], layer["connections"]
    return (
        safe(layer["name"]),
        layer["kind"],
        times(layer["output_shape"]),
        number(layer["parameters"]["total"] + layer["parameters"]["other"]),
        "–" if connections is None else number(connections["exact"]),
        "–" if connections is None or layer["sharing"]["factor"] is None else number(layer["sharing"]["factor"]),
        "–" if connections is None else percent(layer["sparsity"]["connection"]),
        "–" if field is None else times(field["size"]) if field["size"] else field["status"],
        "–" if field is None else times(field["stride"]),
    )


_VERDICTS = {"pass": "✅ all budgets hold", "fail": "❌ a budget is broken", "none": "no budgets were set"}


def comparison_markdown(comparison: Record) -> bytes:
    """A comparison for a pull request: the verdict, the budgets, what changed in the model, and the layers that did."""
    names = [safe(comparison[side]["name"] or comparison[side]["digest"]) for side in ("base", "head")]
    counts = comparison["counts"]
    lines = [f"## {names[0]} → {names[1]}: {_VERDICTS[comparison['verdict']]}", ""]
    if comparison["budgets"]:
        rows = [("✅" if b["passed"] else "❌", f"`{b['budget']}`", _shown(b["limit"]), _shown(b["value"])) for b in comparison["budgets"]]
        lines += [*_table(("", "budget", "limit", "value"), rows), ""]
    if comparison["summary"]:
        lines += [*_table(("model", "base", "head", "change"), [_change(path, c) for path, c in comparison["summary"].items()]), ""]
    lines.append(f"{counts['same']} layers the same, {counts['changed']} changed, {counts['added']} added, {counts['removed']} removed.")
    changed = [
        (safe(layer["head"] or layer["base"]), layer["status"], *_change(path, change))
        for layer in comparison["layers"]
        if layer["status"] != "same"
        for path, change in layer["changes"].items()
    ]
    if changed:
        lines += ["", "<details><summary>Layers</summary>", ""]
        lines += _table(("layer", "status", "number", "base", "head", "change"), changed[: 4 * MOST_LAYERS])
        lines += ["", "</details>"]
    if comparison["findings"]["new"]:
        lines += ["", "### New findings", "", *_finding_lines(comparison["findings"]["new"])]
    return ("\n".join(lines) + "\n").encode()


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return (
            times(value) if all(isinstance(entry, int | float) for entry in value) and value else safe(", ".join(map(str, value)) or "none")
        )
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return number(value) if isinstance(value, int | float) else safe(value)


def _change(path: str, change: Record) -> tuple[str, str, str, str]:
    share = change.get("change")
    return safe(path), _shown(change["base"]), _shown(change["head"]), "" if share is None else f"{100 * share:+.2f} %"
