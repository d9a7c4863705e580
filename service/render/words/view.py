"""What the HTML documents and pages say of a report, in words and rows: pure functions of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.render.words.explain import Makers, explain, makers_of
from service.render.words.numbers import counted, number, percent, times
from service.render.words.text import shown
from service.report.document import Finding, Layer, LayerField, Report, ReportOptions, Severity, Shape, Status
from service.report.quantities import QUANTITIES, all_parameters, as_published
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
    zeros, weights = layer.sparsity.weight if layer.sparsity else None, layer.parameters.weights
    if zeros is not None and weights:
        said.append(f"{zero_weights(zeros, weights)} zero")
    if layer.parameters.tied_to:
        said.append(f"weights shared with {shown(', '.join(layer.parameters.tied_to[:8]), 200)}")
    direction = layer.attributes.get("direction")
    if isinstance(direction, str) and direction in ONE_WAY:
        said.append(ONE_WAY[direction])
    return said + _seen(layer.receptive_field)


def zero_weights(share: float, weights: int) -> str:
    """How many weights are zero, as the beginning of a sentence: a share that is nearly nothing would say nothing."""
    count = round(share * weights)
    if count in (0, weights):
        return f"{'none' if not count else 'all'} of the {counted(weights, 'weight')} {'is' if not count else 'are'}"
    return f"{number(count)} of {counted(weights, 'weight')} ({percent(share)}) {'is' if count == 1 else 'are'}"


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
        said.append(f"{percent(field.density)} of the field actually read")
    if field.coverage and field.size:
        said.append("covers " + " × ".join(percent(share) for share in field.coverage) + " of the input")
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
    """Layers, parameters and connections of every kind of layer, and of all together; where tensors are shared, what is stored of them."""
    summary = report.summary
    rows: list[tuple[str, str, str, str]] = []
    for kind, total in summary.by_kind.items():
        made = total.connections.exact if total.connections else None
        rows.append((kind, _count(total.layers), _count(total.parameters), _count(made or None)))
    every, stored = summary.parameters.referenced, summary.parameters.stored
    rows.append(("all layers", number(summary.layers), _count(every), _count(summary.connections.exact if summary.connections else None)))
    if every != stored and stored is not None:
        rows.append(("each stored tensor once", "", number(stored), ""))
    return rows


def about(report: Report) -> list[tuple[str, str]]:
    """Where the report comes from: format, size, producer, inputs, outputs, what was counted, and the options that it was made with."""
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
    published = as_published(report)
    if published is not None:
        said.append(("connections, padding and biases counted", number(published)))
    return said + _options(report.options)


_READ = {"all": "weights: all", "first": "weights: those of the first layer", "none": "weights: none"}


def _options(options: ReportOptions) -> list[tuple[str, str]]:
    """The options of the analysis, those that have their usual value left out."""
    said = [_READ.get(options.read_weights, options.read_weights)]
    said += [f"shape of {shown(name) if name else 'the input'}: {times(shape)}" for name, shape in options.input_shapes.items()]
    if options.channel_order != "rgb":
        said.append(f"channel order: {options.channel_order}")
    if options.zero_tolerance:
        said.append(f"zero up to {number(options.zero_tolerance)}")
    if options.external_missing != "error":
        said.append("missing external data ignored")
    return [("read with", "; ".join(said))]
