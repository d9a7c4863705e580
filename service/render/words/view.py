"""What the HTML documents and pages say of a report, in words and rows: pure functions of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.render.words.explain import Makers, explain, makers_of
from service.render.words.numbers import number, percent, times
from service.render.words.text import shown
from service.report.document import Finding, Layer, LayerField, ModelField, Report, Severity, Shape, Status
from service.report.quantities import QUANTITIES, all_parameters
from service.report.quantity import Theme
from service.report.sliding import SlidingWindow, sliding_window

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

MOST_ROWS = 5000
"""Rows of one layer table: what a browser still handles well."""

MOST_MESSAGES = 200
"""Messages shown of the findings of one code."""

THEMES: Mapping[Theme, str] = {
    "parameters": "Parameters",
    "shares": "What it shares",
    "skips": "What it skips",
    "sees": "How far it sees",
}
"""The groups of the derivations on the page of a layer, by theme."""

REACHES: Mapping[Status, str] = {
    "global": "sees the whole input",
    "bound": "sees at least so much",
    "unknown": "sees an unknown part of the input",
}
"""What a receptive field that is not exact says, by its status."""

ONE_WAY: Mapping[object, str] = {"forward": "a step sees those before it and itself", "reverse": "a step sees itself and those after it"}
"""What a recurrent layer sees, by its direction; along both it is the whole input."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one of the three questions: its theme (a class of the style sheet), the question, one figure, and what it means."""

    theme: str
    question: str
    figure: str
    unit: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A derivation: its theme, the column it explains (or none), what it derives, and how."""

    theme: str
    column: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the layer table, every cell as text."""

    index: int
    name: str
    kind: str
    output: str
    parameters: str
    connections: str
    shares: str
    skips: str
    sees: str
    stride: str
    findings: tuple[str, ...]
    facts: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one code, the worst first."""

    code: str
    title: str
    severity: str
    count: int
    items: tuple[tuple[str | None, int | None, str], ...]
    """Layer, its index, and the message of each of the first `MOST_MESSAGES`."""


def answers(report: Report) -> tuple[Answer, ...]:
    """What the model shares, what it skips and how far it sees, in plain words."""
    return _shares(report), _skips(report), _sees(report)


def _shares(report: Report) -> Answer:
    summary, counts = report.summary, report.summary.connections
    factor = None if summary.sharing is None else summary.sharing.factor
    if not factor or counts is None:
        return Answer("shares", "What does it share?", "–", "", (_uncounted(report),))
    weights = number(summary.parameters.weights)
    served = factor * (summary.parameters.weights or 0)
    made = number(counts.exact if counts.exact is not None and math.isclose(served, counts.exact) else round(served))
    said = [f"{made} connections are made by {weights} weights, so each weight is used {short(factor)} times on average."]
    most, used = max(((layer, _sharing(layer)) for layer in report.layers), key=lambda pair: pair[1])
    if used > 1:
        said.append(f"{shown(most.name)} shares most: each of its weights is used {short(used)} times.")
    tied = sum(len(entry.used_by) > 1 for entry in report.ledger)
    if tied:
        said.append(f"{number(tied)} stored {'tensor is' if tied == 1 else 'tensors are'} used by more than one layer.")
    return Answer("shares", "What does it share?", short(factor), "uses per weight", tuple(said))


def _sharing(layer: Layer) -> float:
    """The uses of a weight of a layer; 0 where that is not known."""
    return (layer.sharing.factor if layer.sharing is not None else None) or 0


def _skips(report: Report) -> Answer:
    counts, sparsity = report.summary.connections, report.summary.sparsity
    if counts is None or sparsity is None or sparsity.connection is None:
        return Answer("skips", "What does it skip?", "–", "", (_uncounted(report),))
    dense, exact = number(counts.dense), number(counts.exact)
    said = [f"Fully connected layers of the same units would have {dense} connections; {exact} of them exist."]
    if sparsity.weight is not None:
        counted = "" if counts.effective is None else f", which leaves {number(counts.effective)} connections that count"
        said.append(f"{percent(sparsity.weight)} of the weights are zero{counted}." if sparsity.weight else "None of the weights is zero.")
    return Answer("skips", "What does it skip?", percent(sparsity.connection), "of connections left out", tuple(said))


def _uncounted(report: Report) -> str:
    """Why there is no number of connections."""
    if all(layer.connections is None for layer in report.layers):
        return "It has no layer whose weights join units."
    if any(port.shape is None or None in port.shape for port in report.model.inputs):
        return "The number of its connections depends on the size of its input, which it leaves open: analyse it with an input shape."
    return "The number of its connections is not known."


def _sees(report: Report) -> Answer:
    question, field = "How far does it see?", report.summary.receptive_field
    if field is None:
        return Answer("sees", question, "–", "", ("No input has axes along which a receptive field could grow.",))
    unit = pixels(field.axes)
    if field.first_global_layer and field.largest and set(field.largest.size or ()) == {1}:
        return Answer("sees", question, "everything", "", tuple(_seen_by_attention(field, unit)))
    if field.largest:
        return Answer("sees", question, times(field.largest.size), unit, tuple(_seen_by_the_model(field, unit)))
    return Answer("sees", question, "everything" if field.first_global_layer else "–", "", tuple(_seen_by_the_model(field, unit)))


def _seen_by_attention(field: ModelField, unit: str) -> list[str]:
    """What a model says whose layers work place by place (a language model): what is shared over the places, and what joins them."""
    places = "all" if field.input_size is None or None in field.input_size else f"all {times(field.input_size)}"
    return [
        f"{shown(field.first_global_layer or '')} is the first layer that sees the whole input at once.",
        f"The local layers work {unit[:-1]} by {unit[:-1]}: their weights are shared over {places} {unit}.",
    ]


def _seen_by_the_model(field: ModelField, unit: str) -> list[str]:
    said, largest = [], field.largest
    if largest:
        said.append(f"One unit of {shown(largest.layer)} sees {times(largest.size)} {unit} of an input of {times(field.input_size)}.")
    if field.first_global_layer:
        said.append(f"{shown(field.first_global_layer)} is the first layer that sees the whole input at once.")
    if field.unproductive_layers:
        said.append(
            f"{number(field.unproductive_layers)} layers come after everything was seen already; "
            f"an input of at least {times(field.smallest_productive_input)} {unit} would use them."
        )
    return said


def pixels(axes: Sequence[str] | None) -> str:
    """What the receptive field is counted in: pixels of an image, positions of a sequence."""
    return "positions" if axes is not None and len(axes) == 1 else "pixels"


def rows(report: Report, start: int = 0) -> list[Row]:
    """The layer table, from one layer on; at most `MOST_ROWS` of it."""
    makers = makers_of(report)
    return [row(report, layer, makers) for layer in report.layers[start : start + MOST_ROWS]]


def row(report: Report, layer: Layer, makers: Makers | None = None) -> Row:
    """One layer as a row of the table, with its derivations."""
    derived, unit = explain(report, layer, makers), pixels(layer.receptive_field.axes if layer.receptive_field else None)
    lines = (
        Line(each.shown.theme, each.shown.cell, each.words.replace("pixels", unit), shown(derived[each.path], 400))
        for each in QUANTITIES
        if each.shown is not None and each.path in derived
    )
    field = layer.receptive_field
    return Row(
        index=layer.index,
        name=shown(layer.name),
        kind=layer.kind,
        output=times(layer.output_shape),
        parameters=_count(all_parameters(layer)),
        connections=_count(layer.connections.exact if layer.connections else None),
        shares=_factor(layer.sharing.factor if layer.sharing else None),
        skips=percent(layer.sparsity.connection if layer.sparsity else None),
        sees=seen(field),
        stride=times(field.stride if field else None),
        findings=layer.findings,
        facts=" · ".join(facts(layer)),
        lines=tuple(lines),
    )


def seen(field: LayerField | None) -> str:
    """The size of a receptive field, or its status where it has none."""
    return "–" if field is None else times(field.size) if field.size else field.status


def short(value: float) -> str:
    """A number to four significant digits, for a sentence; the derivation has the rest."""
    return number(float(f"{value:.4g}")) if value < 1000 else f"{value:,.0f}"


def _factor(value: float | None) -> str:
    """A ratio in a column: two decimals, so that points stand below each other."""
    return "–" if value is None else f"{value:,.2f}"


def _count(value: float | None) -> str:
    return "–" if value is None else number(value)


def facts(layer: Layer) -> list[str]:
    """What is known of a layer besides the columns of the table: geometry, shapes, and how it sees."""
    window = sliding_window(layer)
    said = geometry(window) if window else []
    if window and window.groups > 1:
        said.append(f"{number(window.groups)} groups")
    if layer.input_shape:
        said.append(f"input {times(layer.input_shape)}")
    zeros = layer.sparsity.weight if layer.sparsity else None
    if zeros is not None:
        said.append(f"{percent(zeros) if zeros else 'none'} of its weights are zero")
    if layer.parameters.tied_to:
        said.append(f"weights shared with {shown(', '.join(layer.parameters.tied_to[:8]), 200)}")
    direction = layer.attributes.get("direction")
    if isinstance(direction, str) and direction in ONE_WAY:
        said.append(ONE_WAY[direction])
    return said + _seen(layer.receptive_field)


def geometry(window: SlidingWindow) -> list[str]:
    """Kernel, stride, dilation and padding of a window."""
    sides = (("kernel", window.kernel), ("stride", window.strides), ("dilation", window.dilations))
    return [*(f"{word} {times(lengths)}" for word, lengths in sides), f"padding {padding(window.pads)}"]


def _seen(field: LayerField | None) -> list[str]:
    if field is None:
        return []
    said = []
    if field.size and field.min_size != field.size:
        said.append(f"narrowest path {times(field.min_size)}")
    width = field.effective.width95 if field.effective else None
    if width:
        said.append(f"95 % of the influence within {times([None if value is None else round(value, 1) for value in width])}")
    if field.density is not None and field.density < 1:
        said.append(f"{percent(field.density)} of its box is read")
    if field.coverage and field.size:
        said.append("covers " + " × ".join("–" if share is None else f"{100 * share:.1f} %" for share in field.coverage) + " of the input")
    if field.status in REACHES:
        because = f", because of {shown(field.because)}" if field.because else ""
        said.append(REACHES[field.status] + because)
    return said


def padding(pads: Sequence[Shape]) -> str:
    """Padding of every axis: one size where both ends are alike, else both."""
    before, after = (times([pad[end] for pad in pads]) for end in (0, 1))
    return before if before == after else f"{before} before and {after} after"


def finding_groups(findings: Sequence[Finding], layers: Sequence[Layer]) -> list[Group]:
    """Findings by code, the worst codes first, in the order of the layers."""
    index = {layer.name: layer.index for layer in layers}
    grouped: dict[tuple[int, str], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault((SEVERITIES.index(finding.severity), finding.code), []).append(finding)
    return [
        Group(
            code,
            code.replace("-", " ").capitalize(),
            SEVERITIES[severity],
            len(found),
            tuple((f.layer and shown(f.layer), index.get(f.layer or ""), shown(f.message, 500)) for f in found[:MOST_MESSAGES]),
        )
        for (severity, code), found in sorted(grouped.items(), key=lambda item: item[0])
    ]


def kinds(report: Report) -> list[tuple[str, str, str, str]]:
    """Layers, parameters and connections of every kind of layer."""
    return [
        (kind, number(entry.layers), _count(entry.parameters), _count((entry.connections.exact if entry.connections else None) or None))
        for kind, entry in report.summary.by_kind.items()
    ]


def about(report: Report) -> list[tuple[str, str]]:
    """Where the report comes from: format, size, producer, inputs, outputs."""
    model, summary = report.model, report.summary
    said = [("format", "ONNX" if model.format == "onnx" else "layer spec"), ("size", f"{number(model.size_bytes)} bytes")]
    if model.producer:
        said.append(("made by", shown(model.producer)))
    for word, ports in (("input", model.inputs), ("output", model.outputs)):
        for port in ports[:8]:
            shape = "of unknown shape" if port.shape is None else times(port.shape)
            said.append((word, f"{shown(port.name)}: {shape} {port.dtype or ''}".strip()))
    said.append(("layers", number(summary.layers)))
    said.append(("parameters", _count(summary.parameters.stored)))
    said.append(("connections", _count(summary.connections.exact if summary.connections else None)))
    return said
