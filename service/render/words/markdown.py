"""Reports and comparisons as Markdown (GitHub's dialect): for a pull request and for a model card."""

from __future__ import annotations

from collections.abc import Sequence

from service.render.words.difference import Change, ChangedLayer, difference
from service.render.words.numbers import number, percent, times
from service.render.words.text import shown
from service.render.words.view import pixels, seen
from service.report.comparison import Comparison
from service.report.document import Finding, Layer, Report, Severity
from service.report.quantities import all_parameters, as_published

MOST_LAYERS = 200
"""Rows of the layer table; a longer one ends with a line that says how many follow."""

MOST_CHARACTERS = 60_000
"""Of a comparison: a comment on GitHub ends at 65,536."""

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()#+!|~$^"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
_LINKS = (
    # GitHub looks for mentions and addresses in the finished text, where an entity is a character again; a space of no width stays.
    ("@", "@&#8203;"),
    ("://", "&#58;//"),
    ("www.", "www&#46;"),
    ("WWW.", "WWW&#46;"),
)


def safe(text: object) -> str:
    """Text from a model as Markdown text: markup escaped, line breaks, control and reordering characters made visible."""
    return escaped(shown(text))


def escaped(text: str) -> str:
    """Visible text as Markdown text: no markup, no mention, no link."""
    plain = text.translate(_SPECIAL)
    for link, broken in _LINKS:
        plain = plain.replace(link, broken)
    return plain


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A table whose first columns are words and the others numbers, which stand to the right."""
    aligned = ["---" if i < words else "---:" for i in range(len(head))]
    return [f"| {' | '.join(line)} |" for line in (head, aligned, *rows)]


def report_markdown(report: Report) -> bytes:
    """The report: what the model shares, skips and sees, its findings first, and a row for every layer."""
    title = safe(report.model.name or "Model")
    lines = [f"## {title}: what it shares, skips and sees", "", *_summary_lines(report), ""]
    if report.findings:
        lines += ["### Findings", "", *_finding_lines(report.findings), ""]
    head = (
        "layer",
        "kind",
        "output",
        "parameters",
        "connections",
        "shares: uses per weight",
        "skips: connections",
        f"sees: {pixels(report.summary.receptive_field.axes if report.summary.receptive_field else None)}",
        "stride",
    )
    lines += ["### Layers", "", *_table(head, [_layer_row(layer) for layer in report.layers[:MOST_LAYERS]], 2)]
    if len(report.layers) > MOST_LAYERS:
        lines += ["", f"… and {number(len(report.layers) - MOST_LAYERS)} more layers."]
    lines += ["", f"<sub>Receptive {safe(report.analyzer.version)}, model {safe(report.model.digest)}</sub>", ""]
    return "\n".join(lines).encode()


def _summary_lines(report: Report) -> list[str]:
    summary, published = report.summary, as_published(report)
    counts, sparsity, field = summary.connections, summary.sparsity, summary.receptive_field
    rows = [
        ("layers", number(summary.layers)),
        ("parameters (each stored tensor once)", number(summary.parameters.stored)),
        ("connections (exact)", number(counts.exact if counts else None)),
        *([("connections, padding and biases counted", number(published))] if published is not None else []),
        ("connections of a dense network", number(counts.dense if counts else None)),
        ("possible connections that do not exist (sparsity)", percent(sparsity.connection if sparsity else None)),
        ("weights equal to zero", percent(sparsity.weight if sparsity else None)),
        ("uses of each weight (sharing)", number(summary.sharing.factor if summary.sharing else None)),
    ]
    if field is not None:
        largest, unit = field.largest, pixels(field.axes)
        rows.append((f"input, {unit}", times(field.input_size)))
        rows.append((f"largest receptive field, {unit}", f"{times(largest.size)} at {safe(largest.layer)}" if largest else "–"))
        rows.append(("first layer that sees everything", safe(field.first_global_layer or "none")))
        rows.append(("unproductive layers", number(field.unproductive_layers)))
    return _table(("", "value"), rows)


_MARKS: dict[Severity, str] = {"error": "🛑", "warning": "⚠️", "info": "ℹ️"}


def _finding_lines(findings: Sequence[Finding]) -> list[str]:
    worst = sorted(findings, key=lambda finding: list(_MARKS).index(finding.severity))
    lines = [f"* {_MARKS[f.severity]} `{f.code}` {safe(f.layer or 'model')}: {safe(f.message)}" for f in worst[:50]]
    return lines + ([f"* … and {number(len(worst) - 50)} more findings"] if len(worst) > 50 else [])


def _layer_row(layer: Layer) -> tuple[str, ...]:
    field, counts = layer.receptive_field, layer.connections
    factor = layer.sharing.factor if layer.sharing else None
    return (
        safe(layer.name),
        layer.kind,
        times(layer.output_shape),
        number(all_parameters(layer)),
        "–" if counts is None else number(counts.exact),
        "–" if factor is None else number(factor),
        percent(layer.sparsity.connection if layer.sparsity else None),
        seen(field),
        times(field.stride if field else None),
    )


_VERDICTS = {"pass": "✅ ", "fail": "❌ ", "none": ""}


def comparison_markdown(comparison: Comparison) -> bytes:
    """A comparison for a pull request: the verdict, the budgets, what changed in the model and at its output, and the layers that did."""
    said = difference(comparison)
    columns = tuple(escaped(name) for name in said.columns)
    verdict = said.verdict_text[0].lower() + said.verdict_text[1:]
    lines = [f"## {escaped(said.base)} → {escaped(said.head)}: {_VERDICTS[said.verdict]}{verdict}", ""]
    if said.budgets:
        rows = [("✅" if b.passed else "❌", f"`{b.name}`", escaped(b.limit), escaped(b.value)) for b in said.budgets]
        lines += [*_table(("", "budget", "limit", "value"), rows, 2), ""]
    if said.summary:
        lines += [*_table(("model", *columns, "change"), [_change(change) for change in said.summary]), ""]
    lines += [*_table(("at the output", *columns), [_change(change)[:3] for change in said.output]), ""]
    lines.append(f"{said.counts}.")
    for title, findings in (("New findings", comparison.findings.new), ("Findings that are gone", comparison.findings.gone)):
        if findings:
            lines += ["", f"### {title}", "", *_finding_lines(findings)]
    if said.layers:
        lines += ["", "<details><summary>Layers that differ</summary>", ""]
        lines += _layers_that_differ(said.layers, said.left_out, columns, MOST_CHARACTERS - sum(map(len, lines)))
        lines += ["", "</details>"]
    return ("\n".join(lines) + "\n").encode()


def _layers_that_differ(layers: Sequence[ChangedLayer], left_out: int, columns: Sequence[str], room: int) -> list[str]:
    """Rows of every changed layer, as many layers as there is room for."""
    rows: list[tuple[str, ...]] = []
    for place, layer in enumerate(layers):
        made = [(escaped(layer.name), layer.status, *_change(change)) for change in layer.changes]
        made = made or [(escaped(layer.name), layer.status, escaped(layer.only) or "its geometry", "", "", "")]
        room -= sum(len(cell) + 3 for row in made for cell in row)
        if room < 0:
            left_out += len(layers) - place
            break
        rows += made
    more = ["", f"… and {number(left_out)} more layers that differ."] if left_out else []
    return _table(("layer", "status", "number", *columns, "change"), rows, 3) + more


def _change(change: Change) -> tuple[str, str, str, str]:
    return change.name, escaped(change.base), escaped(change.head), change.change
