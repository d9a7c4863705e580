"""The catalogue of numbers: what each is called, what it is counted in, where it stands in a report, and where it is shown.

CSV columns, comparisons, budgets, the page's derivations, worksheets, badges and the flat numbers for dashboards are all read from here, so
that a new number is one entry. An entry's `path` is where the number stands: in a layer's record, in the summary, or in both alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from service.report.document import Layer, LayerField, Report, Severity
from service.report.quantity import Badge, Limit, Quantity, Scope, Shown, Value

# -- numbers that stand nowhere ------------------------------------------------------------------------------------


def all_parameters(layer: Layer) -> int | None:
    """Weights, biases and all other parameters of a layer, such as those of a normalisation."""
    total, other = layer.parameters.total, layer.parameters.other
    return None if total is None or other is None else total + other


def output_field(report: Report) -> LayerField | None:
    """The receptive field of the last layer that has one."""
    return next((layer.receptive_field for layer in reversed(report.layers) if layer.receptive_field is not None), None)


def as_published(report: Report) -> int | None:
    """The connections as papers and counters of operations have them, with taps on padding and one more for each biased unit.

    None where that is the exact number, or not known.
    """
    counts = report.summary.connections
    if counts is None or counts.exact is None or counts.padded is None or counts.with_bias is None:
        return None
    total = counts.padded + counts.with_bias - counts.exact
    return total if total != counts.exact else None


def _local_field(report: Report) -> LayerField | None:
    """The receptive field of the output; the largest local one where the output sees everything."""
    field = output_field(report)
    summary = report.summary.receptive_field
    if field is None or field.status != "global" or summary is None or summary.largest is None:
        return field
    return next((layer.receptive_field for layer in report.layers if layer.name == summary.largest.layer), None)


def _of_local_field(name: Literal["size", "stride", "coverage"]) -> Callable[[Report], Value]:
    def of_report(report: Report) -> Value:
        field = _local_field(report)
        return None if field is None else cast(Value, getattr(field, name))

    return of_report


def _output_is_global(report: Report) -> int | None:
    field = output_field(report)
    return None if field is None else int(field.status == "global")


def _findings_of(*severities: Severity) -> Callable[[Report], Value]:
    return lambda report: sum(finding.severity in severities for finding in report.findings)


# -- the catalogue -------------------------------------------------------------------------------------------------

_LAYER: tuple[Scope, ...] = ("layer",)
_MODEL: tuple[Scope, ...] = ("model",)
_BOTH: tuple[Scope, ...] = ("layer", "model")

WHAT_IT_IS = (
    Quantity("index", "index", _LAYER, column="index"),
    Quantity("name", "name", _LAYER, "text", column="name"),
    Quantity("op", "operator", _LAYER, "text", column="op"),
    Quantity("kind", "kind", _LAYER, "text", column="kind"),
    Quantity("input_shape", "input", _LAYER, "sizes", column="input_shape"),
    Quantity("output_shape", "output", _LAYER, "sizes", column="output_shape", compared=_LAYER),
    Quantity("units.in", "units of the input", _LAYER, column="units_in"),
    Quantity("units.out", "units of the output", _LAYER, column="units_out"),
    Quantity("layers", "layers", _MODEL, flat="layers", compared=_MODEL, limits=(Limit("max_layers", "layers, at most"),)),
    Quantity(
        "size_bytes",
        "size of the file, bytes",
        _MODEL,
        flat="size_bytes",
        from_report=lambda report: report.model.size_bytes,
        meaning="Bytes of the model's file.",
    ),
)

PARAMETERS = (
    Quantity(
        "parameters.stored",
        "parameters (each stored tensor once)",
        _MODEL,
        flat="parameters",
        compared=_MODEL,
        badge=Badge("parameters", "parameters"),
        limits=(
            Limit("max_parameters", "parameters, at most"),
            Limit("max_parameters_change", "parameters may grow by", "%", change=True),
        ),
    ),
    Quantity("parameters.weights", "weights", _BOTH, column="weights", flat="weights", compared=_MODEL, shown=Shown("parameters")),
    Quantity("parameters.biases", "biases", _BOTH, column="biases", flat="biases"),
    Quantity(
        "parameters.total",
        "weights and biases",
        _LAYER,
        compared=_LAYER,
        shown=Shown("parameters", "p"),
        question="How many parameters does it have, biases among them?",
    ),
    Quantity("parameters.other", "other parameters", _LAYER, column="other_parameters", compared=_LAYER, shown=Shown("parameters", "p")),
    Quantity(
        "parameters",
        "parameters",
        _LAYER,
        column="parameters",
        from_layer=all_parameters,
        meaning="Weights, biases and all others, such as those of a normalisation.",
    ),
    Quantity("parameters.dtype", "element type", _LAYER, "text", column="dtype"),
    Quantity("parameters.tied_to", "shared with", _LAYER, "text", column="tied_to"),
)

CONNECTIONS = (
    Quantity(
        "connections.exact",
        "connections",
        _BOTH,
        column="connections_exact",
        flat="connections",
        compared=_BOTH,
        shown=Shown("skips", "c"),
        question="How many connections does it have? A tap that falls on padding joins nothing.",
        badge=Badge("connections", "connections"),
        limits=(
            Limit("max_connections", "connections, at most"),
            Limit("max_connections_change", "connections may grow by", "%", change=True),
        ),
    ),
    Quantity(
        "connections.padded",
        "connections including padding",
        _BOTH,
        column="connections_padded",
        flat="connections_padded",
        compared=_MODEL,
        shown=Shown("skips"),
    ),
    Quantity("connections.with_bias", "connections including biases", _LAYER, column="connections_with_bias", shown=Shown("skips")),
    Quantity(
        "connections.dense",
        "connections if dense",
        _BOTH,
        column="connections_dense",
        flat="connections_dense",
        compared=_BOTH,
        shown=Shown("skips"),
        question="How many would it have if every input unit were joined to every output unit?",
    ),
    Quantity(
        "connections.effective",
        "connections by weights other than zero",
        _BOTH,
        column="connections_effective",
        compared=_BOTH,
        shown=Shown("skips"),
        limits=(Limit("max_effective_connections", "connections by weights other than zero, at most"),),
    ),
    Quantity("fan_in.min", "smallest fan-in", _LAYER, column="fan_in_min", shown=Shown("skips")),
    Quantity("fan_in.mean", "mean fan-in", _LAYER, "ratio", column="fan_in_mean", shown=Shown("skips")),
    Quantity("fan_in.max", "largest fan-in", _LAYER, column="fan_in_max", shown=Shown("skips")),
)

SPARSITY_AND_SHARING = (
    Quantity("sharing.positions", "kernel positions", _LAYER, column="sharing_positions", shown=Shown("shares")),
    Quantity(
        "sharing.factor",
        "uses per weight",
        _BOTH,
        "ratio",
        column="sharing_factor",
        flat="sharing_factor",
        compared=_BOTH,
        shown=Shown("shares", "s"),
        question="How often is each weight used, on average?",
        badge=Badge("sharing", "uses per weight"),
        limits=(Limit("min_sharing_factor", "uses per weight, at least"),),
    ),
    Quantity(
        "sparsity.connection",
        "connections left out",
        _BOTH,
        "share",
        column="connection_sparsity",
        flat="connection_sparsity",
        compared=_BOTH,
        shown=Shown("skips", "k"),
        question="Which share of the possible connections is left out?",
        badge=Badge("sparsity", "connections left out"),
        limits=(Limit("min_connection_sparsity", "connections left out, at least", "%"),),
    ),
    Quantity(
        "sparsity.weight",
        "weights equal to zero",
        _BOTH,
        "share",
        column="weight_sparsity",
        flat="weight_sparsity",
        compared=_BOTH,
        shown=Shown("skips"),
        badge=Badge("weight-sparsity", "weights at zero"),
        limits=(Limit("min_weight_sparsity", "weights equal to zero, at least", "%"),),
    ),
    Quantity(
        "sparsity.effective",
        "connections left out or at zero",
        _BOTH,
        "share",
        column="effective_sparsity",
        flat="effective_sparsity",
        shown=Shown("skips"),
    ),
    Quantity("uses.min", "fewest uses of a weight", _LAYER, shown=Shown("shares")),
    Quantity("uses.mean", "mean uses of a weight", _LAYER, "ratio", column="uses_mean"),
    Quantity("uses.max", "most uses of a weight", _LAYER, shown=Shown("shares")),
    Quantity(
        "reduction.total",
        "times fewer weights than dense",
        _BOTH,
        "ratio",
        column="reduction_total",
        flat="reduction",
        compared=_MODEL,
        shown=Shown("shares"),
    ),
    Quantity("values.nonzero", "weights other than zero", _LAYER, column="nonzero_weights"),
    Quantity("values.pattern", "pattern of the zeros", _LAYER, "text", column="sparsity_pattern"),
)

RECEPTIVE_FIELD = (
    Quantity(
        "receptive_field.largest.size",
        "largest receptive field",
        _MODEL,
        "sizes",
        compared=_MODEL,
        badge=Badge("receptive-field", "receptive field"),
        limits=(Limit("min_receptive_field", "largest receptive field, at least", "pixels"),),
    ),
    Quantity("receptive_field.first_global_layer", "first layer that sees everything", _MODEL, "text", compared=_MODEL),
    Quantity(
        "receptive_field.unproductive_layers",
        "unproductive layers",
        _MODEL,
        flat="unproductive_layers",
        compared=_MODEL,
        limits=(Limit("max_unproductive_layers", "unproductive layers, at most"),),
    ),
    Quantity(
        "receptive_field.size",
        "receptive field",
        _LAYER,
        "sizes",
        column="receptive_field",
        compared=_LAYER,
        shown=Shown("sees", "r"),
        question="How many {pixels} of the model's input does one of its units see, along each axis?",
    ),
    Quantity(
        "receptive_field.min_size",
        "receptive field of the narrowest path",
        _LAYER,
        "sizes",
        column="receptive_field_min",
        compared=_LAYER,
        shown=Shown("sees"),
    ),
    Quantity(
        "receptive_field.stride",
        "stride in the input",
        _LAYER,
        "sizes",
        column="receptive_field_stride",
        compared=_LAYER,
        shown=Shown("sees", "t"),
    ),
    Quantity(
        "receptive_field.padding",
        "first unit begins before the input",
        _LAYER,
        "sizes",
        column="receptive_field_padding",
        shown=Shown("sees"),
    ),
    Quantity(
        "receptive_field.coverage", "share of the input in sight", _LAYER, "share", column="receptive_field_coverage", shown=Shown("sees")
    ),
    Quantity(
        "receptive_field.density",
        "fraction of the field actually read",
        _LAYER,
        "share",
        column="receptive_field_density",
        shown=Shown("sees"),
    ),
    Quantity("receptive_field.effective.sigma", "effective field, standard deviation", _LAYER, "sizes", shown=Shown("sees")),
    Quantity(
        "receptive_field.effective.width95",
        "width of 95 % of the influence",
        _LAYER,
        "sizes",
        column="receptive_field_width95",
        shown=Shown("sees"),
    ),
    Quantity("receptive_field.status", "how it sees", _LAYER, "text", column="receptive_field_status", compared=_LAYER),
    Quantity("receptive_field.because", "because of", _LAYER, "text", column="receptive_field_because"),
    Quantity("receptive_field.unproductive", "unproductive", _LAYER, "text", column="unproductive"),
    Quantity(
        "output.size",
        "receptive field of the output",
        _MODEL,
        "sizes",
        flat="receptive_field",
        from_report=_of_local_field("size"),
        meaning="Pixels; of the largest local field where the output sees everything.",
    ),
    Quantity(
        "output.stride",
        "stride of the output",
        _MODEL,
        "sizes",
        flat="receptive_field_stride",
        from_report=_of_local_field("stride"),
        meaning="Pixels per unit; of the largest local field where the output sees everything.",
    ),
    Quantity(
        "output.coverage",
        "share of the input that the output sees",
        _MODEL,
        "share",
        flat="receptive_field_coverage",
        from_report=_of_local_field("coverage"),
        meaning="Of the largest local field where the output sees everything.",
    ),
    Quantity(
        "output.is_global",
        "the output sees everything",
        _MODEL,
        flat="output_is_global",
        from_report=_output_is_global,
        meaning="1 where the output sees the whole input, else 0.",
    ),
)

FINDINGS = (
    Quantity("findings", "findings", _LAYER, "text", column="findings"),
    *(
        Quantity(
            f"findings.{severity}", f"findings: {severity}", _MODEL, flat=f"findings.{severity}", from_report=_findings_of(severity),
            meaning=f"Findings of the severity {severity}.",
        )
        for severity in ("error", "warning", "info")
    ),
    Quantity(
        "findings.worse_than_info", "warnings", _MODEL, badge=Badge("findings", "warnings"), from_report=_findings_of("error", "warning"),
        meaning="Findings that are more than information.",
    ),
)  # fmt: skip

QUANTITIES: tuple[Quantity, ...] = (*WHAT_IT_IS, *PARAMETERS, *CONNECTIONS, *SPARSITY_AND_SHARING, *RECEPTIVE_FIELD, *FINDINGS)

BY_PATH = {quantity.path: quantity for quantity in QUANTITIES}
LIMITS: dict[str, tuple[Limit, Quantity]] = {limit.name: (limit, each) for each in QUANTITIES for limit in each.limits}
"""Every budget on a number, with the number that it limits."""


def compared(scope: Scope) -> tuple[Quantity, ...]:
    """The numbers of a layer, or of a model, that are compared."""
    return tuple(quantity for quantity in QUANTITIES if scope in quantity.compared)


# -- the flat numbers ----------------------------------------------------------------------------------------------

PREFIX = "receptive."


def flat_numbers(report: Report) -> dict[str, int | float]:
    """Plain numbers under frozen names, as trackers and dashboards take them; a number that does not exist is left out.

    A number with axes has one entry for each, its name ending in the name of the axis.
    """
    field = _local_field(report)
    numbers: dict[str, int | float] = {}
    for quantity in QUANTITIES:
        if not quantity.flat:
            continue
        value, name = quantity.of_model(report), f"{PREFIX}{quantity.flat}"
        if isinstance(value, tuple):
            axes = field.axes if field is not None else ()
            numbers |= {f"{name}.{axis}": each for axis, each in zip(axes, value, strict=False) if isinstance(each, int | float)}
        elif isinstance(value, int | float):
            numbers[name] = value
    return numbers


def is_flat(name: str) -> bool:
    """Whether that is the name of a flat number, or of one along some axis."""
    flat = {f"{PREFIX}{quantity.flat}" for quantity in QUANTITIES if quantity.flat}
    return name in flat or name.rpartition(".")[0] in flat
