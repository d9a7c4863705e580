"""What the HTML documents and pages say of a report, in words and rows: pure functions of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.render.words.explain import explain
from service.render.words.numbers import number, percent, times
from service.render.words.text import shown
from service.report.comparison import dig

Record = Mapping[str, Any]

SEVERITIES = ("error", "warning", "info")

MOST_ROWS = 5000
"""Rows of one layer table: what a browser still handles well."""

MOST_MESSAGES = 200
"""Messages shown of the findings of one code."""

# Each derivation that is shown, by its path in the record: its theme, the column of the layer table it explains, its name in words.
# Not shown is what another line says: uses.mean is the sharing factor, and the parts of the reduction are in its total.
DERIVATIONS = {
    "parameters.weights": ("", "", "weights"),
    "parameters.total": ("", "p", "parameters"),
    "parameters.other": ("", "p", "other parameters"),
    "connections.exact": ("skips", "c", "connections"),
    "connections.padded": ("skips", "", "connections, taps on padding counted"),
    "connections.with_bias": ("skips", "", "connections, biases counted"),
    "connections.effective": ("skips", "", "connections by weights other than zero"),
    "connections.dense": ("skips", "", "connections if dense"),
    "sparsity.connection": ("skips", "k", "connections left out"),
    "sparsity.weight": ("skips", "", "weights at zero"),
    "sparsity.effective": ("skips", "", "connections left out or at zero"),
    "fan_in.min": ("skips", "", "fewest connections of a unit"),
    "fan_in.mean": ("skips", "", "connections per unit"),
    "fan_in.max": ("skips", "", "most connections of a unit"),
    "sharing.positions": ("shares", "", "places of the kernel"),
    "sharing.factor": ("shares", "s", "uses per weight"),
    "uses.min": ("shares", "", "fewest uses of a weight"),
    "uses.max": ("shares", "", "most uses of a weight"),
    "reduction.total": ("shares", "", "times fewer weights than dense"),
    "receptive_field.size": ("sees", "r", "receptive field, pixels"),
    "receptive_field.min_size": ("sees", "", "narrowest path, pixels"),
    "receptive_field.stride": ("sees", "t", "from unit to unit, pixels"),
    "receptive_field.padding": ("sees", "", "first unit begins before the input, pixels"),
    "receptive_field.coverage": ("sees", "", "share of the input in sight"),
    "receptive_field.density": ("sees", "", "share of the box that is read"),
    "receptive_field.effective.sigma": ("sees", "", "effective field, standard deviation, pixels"),
    "receptive_field.effective.width95": ("sees", "", "width of 95 % of the influence, pixels"),
}

THEMES = {"": "Parameters", "shares": "What it shares", "skips": "What it skips", "sees": "How far it sees"}
"""The groups of the derivations on the page of a layer, by theme."""

REACHES = {"global": "sees the whole input", "bound": "sees at least so much", "unknown": "sees an unknown part of the input"}
"""What a receptive field that is not exact says, by its status."""

ONE_WAY = {"forward": "a step sees those before it and itself", "reverse": "a step sees itself and those after it"}
"""What a recurrent layer sees, by its direction; along both it is the whole input."""

GEOMETRY = (("kernel", "kernel"), ("strides", "stride"), ("dilations", "dilation"))


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


def answers(report: Record) -> tuple[Answer, ...]:
    """What the model shares, what it skips and how far it sees, in plain words."""
    return _shares(report), _skips(report), _sees(report)


def _shares(report: Record) -> Answer:
    factor, weights = dig(report, "summary.sharing.factor"), dig(report, "summary.parameters.weights")
    exact = dig(report, "summary.connections.exact")
    if not factor:
        return Answer("shares", "What does it share?", "–", "", (_uncounted(report),))
    said = [f"{number(exact)} connections are made by {number(weights)} weights, so each weight is used {short(factor)} times on average."]
    most = max(report["layers"], key=lambda layer: dig(layer, "sharing.factor") or 0)
    used = most["sharing"]["factor"] if most["sharing"] else None
    if used and used > 1:
        said.append(f"{shown(most['name'])} shares most: each of its weights is used {short(used)} times.")
    tied = sum(len(entry["used_by"]) > 1 for entry in report["ledger"] or ())
    if tied:
        said.append(f"{number(tied)} stored {'tensor is' if tied == 1 else 'tensors are'} used by more than one layer.")
    return Answer("shares", "What does it share?", short(factor), "uses per weight", tuple(said))


def _skips(report: Record) -> Answer:
    left_out, dense = dig(report, "summary.sparsity.connection"), dig(report, "summary.connections.dense")
    exact, zeros = dig(report, "summary.connections.exact"), dig(report, "summary.sparsity.weight")
    if left_out is None:
        return Answer("skips", "What does it skip?", "–", "", (_uncounted(report),))
    said = [f"Fully connected layers of the same units would have {number(dense)} connections; {number(exact)} of them exist."]
    if zeros is not None:
        effective = dig(report, "summary.connections.effective")
        counted = "" if effective is None else f", which leaves {number(effective)} connections that count"
        said.append(f"{percent(zeros)} of the weights are zero{counted}." if zeros else "None of the weights is zero.")
    return Answer("skips", "What does it skip?", percent(left_out), "of connections left out", tuple(said))


def _uncounted(report: Record) -> str:
    """Why there is no number of connections."""
    if all(layer["connections"] is None for layer in report["layers"]):
        return "It has no layer whose weights join units."
    if any(port["shape"] is None or None in port["shape"] for port in report["model"]["inputs"] or ()):
        return "The number of its connections depends on the size of its input, which it leaves open: analyse it with an input shape."
    return "The number of its connections is not known."


def _sees(report: Record) -> Answer:
    field = dig(report, "summary.receptive_field")
    if not field:
        return Answer("sees", "How far does it see?", "–", "", ("No input has axes along which a receptive field could grow.",))
    said = []
    largest, unit = field["largest"], pixels(field["axes"])
    if field["first_global_layer"]:
        said.append(f"{shown(field['first_global_layer'])} is the first layer that sees the whole input at once.")
    if largest:
        said.insert(
            0, f"One unit of {shown(largest['layer'])} sees {times(largest['size'])} {unit} of an input of {times(field['input_size'])}."
        )
    if field["unproductive_layers"]:
        said.append(
            f"{number(field['unproductive_layers'])} layers come after everything was seen already; "
            f"an input of at least {times(field['smallest_productive_input'])} {unit} would use them."
        )
    figure, unit = (times(largest["size"]), unit) if largest else ("everything", "") if field["first_global_layer"] else ("–", "")
    return Answer("sees", "How far does it see?", figure, unit, tuple(said))


def pixels(axes: Sequence[str] | None) -> str:
    """What the receptive field is counted in: pixels of an image, positions of a sequence."""
    return "positions" if axes is not None and len(axes) == 1 else "pixels"


def rows(report: Record, start: int = 0) -> list[Row]:
    """The layer table, from one layer on; at most `MOST_ROWS` of it."""
    # A derivation needs the layers before; looking for them in the whole report would take quadratic time.
    makers = {output: layer for layer in report["layers"] for output in layer["outputs"]}
    layers = report["layers"][start : start + MOST_ROWS]
    return [row({**report, "layers": [makers[name] for name in layer["inputs"] if name in makers]}, layer) for layer in layers]


def row(report: Record, layer: Record) -> Row:
    """One layer as a row of the table, with its derivations, which look for the layers before it in the report."""
    derived = explain(report, layer)
    lines = (Line(*DERIVATIONS[path], shown(derived[path], 400)) for path in DERIVATIONS if path in derived)
    field = layer["receptive_field"]
    seen = None if field is None else times(field["size"]) if field["size"] else field["status"]
    return Row(
        index=layer["index"],
        name=shown(layer["name"]),
        kind=layer["kind"],
        output=times(layer["output_shape"]),
        parameters=_count(_sum(dig(layer, "parameters.total"), dig(layer, "parameters.other"))),
        connections=_count(dig(layer, "connections.exact")),
        shares=_factor(dig(layer, "sharing.factor")),
        skips=percent(dig(layer, "sparsity.connection")),
        sees=seen or "–",
        stride=times(dig(layer, "receptive_field.stride")),
        findings=tuple(layer["findings"] or ()),
        facts=" · ".join(facts(layer)),
        lines=tuple(lines),
    )


def short(value: float) -> str:
    """A number to four significant digits, for a sentence; the derivation has the rest."""
    return number(float(f"{value:.4g}")) if value < 1000 else f"{value:,.0f}"


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _factor(value: float | None) -> str:
    """A ratio in a column: two decimals, so that points stand below each other."""
    return "–" if value is None else f"{value:,.2f}"


def _count(value: float | None) -> str:
    return "–" if value is None else number(value)


def facts(layer: Record) -> list[str]:
    """What is known of a layer besides the columns of the table: geometry, shapes, and how it sees."""
    attributes = layer["attributes"] or {}
    said = [f"{word} {times(attributes[key])}" for key, word in GEOMETRY if isinstance(attributes.get(key), list)]
    if isinstance(attributes.get("pads"), list):
        said.append(f"padding {padding(attributes['pads'])}")
    if (attributes.get("groups") or 1) > 1:
        said.append(f"{number(attributes['groups'])} groups")
    if layer["input_shape"]:
        said.append(f"input {times(layer['input_shape'])}")
    zeros = dig(layer, "sparsity.weight")
    if zeros is not None:
        said.append(f"{percent(zeros) if zeros else 'none'} of its weights are zero")
    if dig(layer, "parameters.tied_to"):
        said.append(f"weights shared with {shown(', '.join(layer['parameters']['tied_to'][:8]), 200)}")
    if attributes.get("direction") in ONE_WAY:
        said.append(ONE_WAY[attributes["direction"]])
    return said + _seen(layer["receptive_field"])


def _seen(field: Record | None) -> list[str]:
    if field is None:
        return []
    said = []
    if field["size"] and field["min_size"] != field["size"]:
        said.append(f"narrowest path {times(field['min_size'])}")
    width = dig(field, "effective.width95")
    if width:
        said.append(f"95 % of the influence within {times([None if value is None else round(value, 1) for value in width])}")
    if field["density"] is not None and field["density"] < 1:
        said.append(f"{percent(field['density'])} of its box is read")
    if field["coverage"] and field["size"]:
        said.append(
            "covers " + " × ".join("–" if share is None else f"{100 * share:.1f} %" for share in field["coverage"]) + " of the input"
        )
    if field["status"] in REACHES:
        because = f", because of {shown(field['because'])}" if field["because"] else ""
        said.append(REACHES[field["status"]] + because)
    return said


def padding(pads: Sequence[Sequence[int]]) -> str:
    """Padding of every axis: one size where both ends are alike, else both."""
    before, after = (times([pad[end] for pad in pads]) for end in (0, 1))
    return before if before == after else f"{before} before and {after} after"


def finding_groups(findings: Sequence[Record], layers: Sequence[Record]) -> list[Group]:
    """Findings by code, the worst codes first, in the order of the layers."""
    index = {layer["name"]: layer["index"] for layer in layers}
    grouped: dict[tuple[int, str], list[Record]] = {}
    for finding in findings:
        grouped.setdefault((SEVERITIES.index(finding["severity"]), finding["code"]), []).append(finding)
    return [
        Group(
            code,
            code.replace("-", " ").capitalize(),
            SEVERITIES[severity],
            len(found),
            tuple((f["layer"] and shown(f["layer"]), index.get(f["layer"]), shown(f["message"], 500)) for f in found[:MOST_MESSAGES]),
        )
        for (severity, code), found in sorted(grouped.items(), key=lambda item: item[0])
    ]


def kinds(report: Record) -> list[tuple[str, str, str, str]]:
    """Layers, parameters and connections of every kind of layer."""
    return [
        (kind, number(entry["layers"]), _count(entry["parameters"]), _count(dig(entry, "connections.exact") or None))
        for kind, entry in (report["summary"]["by_kind"] or {}).items()
    ]


def about(report: Record) -> list[tuple[str, str]]:
    """Where the report comes from: format, size, producer, inputs, outputs."""
    model = report["model"]
    said = [("format", "ONNX" if model["format"] == "onnx" else "layer spec"), ("size", f"{number(model['size_bytes'])} bytes")]
    if model["producer"]:
        said.append(("made by", shown(model["producer"])))
    for word, ports in (("input", model["inputs"]), ("output", model["outputs"])):
        for port in (ports or ())[:8]:
            shape = "of unknown shape" if port["shape"] is None else times(port["shape"])
            said.append((word, f"{shown(port['name'])}: {shape} {port['dtype'] or ''}".strip()))
    said.append(("layers", number(report["summary"]["layers"])))
    said.append(("parameters", _count(dig(report, "summary.parameters.stored"))))
    said.append(("connections", _count(dig(report, "summary.connections.exact"))))
    return said
