"""The report as a type: everything that is found out about a model, as every format and picture reads it.

Names are those of schema `receptive.report/1`; docs/ defines every number under the same name. A field that may be None depends on a length
that the model leaves open, or on values that were not read. A field with a default came later: reports that were stored before lack it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

SCHEMA = "receptive.report/1"

Kind = Literal[
    "convolution",
    "transposed-convolution",
    "locally-connected",
    "dense",
    "recurrent",
    "embedding",
    "normalization",
    "activation",
    "pooling",
    "resampling",
    "global",
    "attention",
    "reshape",
    "other",
]
Severity = Literal["info", "warning", "error"]
Status = Literal["exact", "global", "bound", "unknown"]
Role = Literal["weight", "bias", "other"]

KINDS: tuple[Kind, ...] = get_args(Kind)

WIDTH95 = 2 * 1.959963984540054
"""The width that holds 95 % of a Gaussian's mass, in standard deviations."""

Shape = tuple[int | None, ...]
"""Lengths of axes; None for one that is open."""
PerAxis = tuple[float | None, ...]
"""A number for each axis; None where it is not defined or not known."""


def about(meaning: str = "", unit: str = "") -> dict[str, str]:
    """The metadata of a field: what it means, and what it is counted or measured in."""
    return {"meaning": meaning, "unit": unit}


@dataclass(frozen=True, slots=True)
class Analyzer:
    """What made the report."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model."""

    name: str
    dtype: str | None
    shape: Shape | None = field(metadata=about("With the batch axis; null where symbolic."))


@dataclass(frozen=True, slots=True)
class Model:
    """The model that was analysed."""

    name: str | None
    format: Literal["onnx", "spec"]
    digest: str = field(metadata=about("`sha256:` and the digest of the model's bytes."))
    structure_digest: str = field(metadata=about("The same for models of one structure, whatever their names and weights."))
    size_bytes: int = field(metadata=about(unit="bytes"))
    producer: str | None
    ir_version: int | None
    opsets: Mapping[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    bytes_fetched: int | None = field(
        default=None, metadata=about("What was fetched of a model that lies elsewhere; null for one that was sent.", "bytes")
    )


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The options that the analysis was made with."""

    name: str | None
    input_shapes: Mapping[str, tuple[int, ...]]
    read_weights: str = field(metadata=about("`auto` was settled as `all` or `first`."))
    zero_tolerance: float | None
    channel_order: str
    external_missing: str
    edits: tuple[Mapping[str, object], ...] = field(
        default=(), metadata=about("Of a variant: what was changed in the network, as it was asked for.")
    )
    resized: Mapping[str, tuple[int, ...]] = field(
        default_factory=dict, metadata=about("Of a variant: shapes in the place of those that the model states; -1 leaves an axis.")
    )


@dataclass(frozen=True, slots=True)
class TotalParameters:
    """Parameters of the model."""

    stored: int | None = field(metadata=about("Each stored tensor once.", "parameters"))
    referenced: int | None = field(metadata=about("At every use.", "parameters"))
    weights: int | None = field(metadata=about(unit="parameters"))
    biases: int | None = field(metadata=about(unit="parameters"))
    other: int | None = field(metadata=about(unit="parameters"))


@dataclass(frozen=True, slots=True)
class Connections:
    """Pairs of an input unit and an output unit that a kernel weight joins."""

    exact: int | None = field(metadata=about("Taps on padding join nothing.", "connections"))
    padded: int | None = field(metadata=about("Taps on padding counted too, as MAC counters do.", "connections"))
    with_bias: int | None = field(metadata=about("Exact, and one per biased output unit.", "connections"))
    dense: int | None = field(metadata=about("Input units times output units.", "connections"))
    effective: int | None = field(metadata=about("Exact, with a weight that is not zero; null where values were not read.", "connections"))


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Shares of what is absent."""

    connection: float | None = field(metadata=about("1 − exact/dense.", "share"))
    weight: float | None = field(metadata=about("Share of weights equal to zero; null where values were not read.", "share"))
    effective: float | None = field(metadata=about("1 − effective/dense.", "share"))


@dataclass(frozen=True, slots=True)
class TotalSharing:
    """How often a weight is used."""

    factor: float | None = field(metadata=about("Exact connections per weight.", "uses per weight"))


@dataclass(frozen=True, slots=True)
class Sharing(TotalSharing):
    """How often a weight is used, and where."""

    positions: int | None = field(metadata=about("Places at which the kernel is applied.", "positions"))


@dataclass(frozen=True, slots=True)
class Reduction:
    """How many times fewer weights than a dense layer: total = from_sparsity × from_sharing."""

    total: float | None = field(metadata=about("Dense connections per weight.", "times"))
    from_sparsity: float | None = field(metadata=about("Dense per exact connections.", "times"))
    from_sharing: float | None = field(metadata=about("Exact connections per weight.", "times"))


@dataclass(frozen=True, slots=True)
class KindTotal:
    """The layers of one kind together."""

    layers: int | None
    parameters: int | None = field(metadata=about(unit="parameters"))
    connections: Connections | None


@dataclass(frozen=True, slots=True)
class LargestField:
    """The largest receptive field of local paths, and the layer that has it."""

    layer: str
    size: PerAxis | None = field(metadata=about("Pixels.", "pixels"))
    stride: PerAxis | None = field(metadata=about("Pixels per unit.", "pixels per unit"))
    padding: PerAxis | None = field(metadata=about("Pixels.", "pixels"))


@dataclass(frozen=True, slots=True)
class ModelField:
    """How far the model sees."""

    input: str | None
    axes: tuple[str, ...]
    input_size: PerAxis | None = field(metadata=about("Pixels of the input.", "pixels"))
    largest: LargestField | None
    first_global_layer: str | None
    unproductive_layers: int | None
    smallest_productive_input: PerAxis | None = field(metadata=about("The smallest input at which every layer is productive.", "pixels"))


@dataclass(frozen=True, slots=True)
class Summary:
    """The model as a whole."""

    nodes: int
    layers: int
    parameters: TotalParameters
    connections: Connections | None
    sparsity: Sparsity | None
    sharing: TotalSharing | None
    reduction: Reduction | None
    by_kind: Mapping[Kind, KindTotal]
    receptive_field: ModelField | None


@dataclass(frozen=True, slots=True)
class Units:
    """Units per sample."""

    in_: int | None
    out: int | None


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a layer."""

    weights: int | None
    biases: int | None
    total: int | None
    other: int | None
    shape: Shape | None = field(metadata=about("Of the kernel as it is stored."))
    dtype: str | None
    tied_to: tuple[str, ...] = field(metadata=about("Layers that use the same stored tensors."))


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the mean and the most."""

    min: float | None
    mean: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Values:
    """What the values of a layer's kernel show."""

    nonzero: int | None = field(metadata=about("Weights other than zero, those that are not finite among them.", "weights"))
    zero: int | None = field(metadata=about("Weights equal to zero, or within `zero_tolerance` of it.", "weights"))
    not_finite: int | None = field(metadata=about("Weights that are infinite or not a number.", "weights"))
    dead_filters: tuple[int, ...] = field(metadata=about("Filters without a weight other than zero; 256 at the most."))
    duplicate_filters: tuple[tuple[int, ...], ...] = field(
        metadata=about("Pairs (earlier, later) of filters with equal weights on the same channels; 256 at the most.")
    )
    pattern: str | None = field(
        metadata=about("The sparsest of 1:4, 2:4 and 4:8 that holds along the input channels (Mishra et al. 2021).")
    )


@dataclass(frozen=True, slots=True)
class EffectiveField:
    """The Gaussian estimate of the effective receptive field (Luo et al. 2016)."""

    sigma: PerAxis | None = field(metadata=about("Standard deviation in pixels.", "pixels"))
    width95: PerAxis | None = field(metadata=about("The width that holds 95 % of the influence, in pixels.", "pixels"))
    source: Literal["uniform", "weights"]


@dataclass(frozen=True, slots=True)
class LayerField:
    """The receptive field of a layer (Araujo et al. 2019), in pixels of one input."""

    input: str
    axes: tuple[str, ...]
    size: PerAxis | None = field(
        metadata=about("Over local paths; null where the status is `global` or `unknown` and no local path is left.", "pixels")
    )
    min_size: PerAxis | None = field(metadata=about("Over the smallest path.", "pixels"))
    stride: PerAxis | None = field(metadata=about("Pixels per unit.", "pixels per unit"))
    padding: PerAxis | None = field(metadata=about("Pixels that the first unit sees before the input begins.", "pixels"))
    coverage: PerAxis | None = field(metadata=about("Share of the input that the best-placed unit sees.", "share"))
    density: float | None = field(metadata=about("Pixels really read per pixel of the box.", "share"))
    effective: EffectiveField | None
    phases: tuple[tuple[int, ...] | None, ...] | None = field(
        metadata=about("Sizes over an inner period of units, per axis: after upsampling, neighbouring units differ.", "pixels")
    )
    status: Status
    because: str | None = field(metadata=about("The node that caused a status other than `exact`."))
    needed_input: PerAxis | None = field(metadata=about("The smallest input at which the layer is productive.", "pixels"))
    unproductive: bool | None = field(metadata=about("The smallest path to its input sees more than the input (Richter et al. 2021)."))


@dataclass(frozen=True, slots=True)
class AxisTaps:
    """How a window meets one axis: its taps are counted once, by the analysis, and derivations read them here."""

    places: int | None = field(metadata=about("Places of the window along the axis.", "places"))
    real: int | None = field(metadata=about("Pairs of a place and a tap that fall on a real unit, not on padding.", "taps"))
    least: int | None = field(metadata=about("The fewest real taps of one place.", "taps"))
    most: int | None = field(metadata=about("The most real taps of one place.", "taps"))
    fewest_uses: int | None = field(metadata=about("The fewest places at which one tap is real.", "places"))
    most_uses: int | None = field(metadata=about("The most places at which one tap is real.", "places"))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. The objects of connections are null for kinds without weights."""

    index: int
    name: str
    op: str = field(metadata=about("The operator as the model's author wrote it."))
    kind: Kind
    inputs: tuple[str, ...] = field(metadata=about("Tensors."))
    outputs: tuple[str, ...] = field(metadata=about("Tensors."))
    input_shape: Shape | None = field(metadata=about("Of the first input, with the batch axis."))
    output_shape: Shape | None = field(metadata=about("Of the first output, with the batch axis."))
    attributes: Mapping[str, object] = field(metadata=about("Geometry such as kernel, strides, dilations, pads, groups."))
    units: Units | None
    parameters: Parameters
    connections: Connections | None
    fan_in: Spread | None
    uses: Spread | None
    sparsity: Sparsity | None
    sharing: Sharing | None
    reduction: Reduction | None
    values: Values | None
    receptive_field: LayerField | None
    findings: tuple[str, ...] = field(metadata=about("Codes of findings about this layer."))
    taps: tuple[AxisTaps, ...] | None = field(
        default=None, metadata=about("How the kernel meets every axis; null for kinds whose kernel does not slide.")
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth knowing."""

    code: str
    severity: Severity
    layer: str | None
    message: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """A convolution that reads an input, or a dense layer that reads an image, whose filters can be drawn."""

    layer: str
    filters: int
    kernel: tuple[int, ...]
    channels: int
    reads: str = field(metadata=about("The input."))


@dataclass(frozen=True, slots=True)
class Depth:
    """The filters of one convolution in pixels, as weighted sums of those below."""

    depth: int = field(metadata=about("From 1."))
    layer: str
    filters: int = field(metadata=about("How many were drawn: those of the largest norm."))
    colour_share: float | None = field(metadata=about("Share of the energy that lies off the grey axis.", "share"))


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a stored tensor."""

    layer: str
    role: Role
    uses: float | None = field(metadata=about("The mean number of connections that one of its scalars serves in a sample.", "connections"))


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A stored tensor and its uses."""

    tensor: str
    shape: Shape | None = field(metadata=about("As it is stored."))
    dtype: str
    count: int
    used_by: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The report on a model. As the analysis leaves it, it has no address: id, dates, digest and links are empty."""

    id: str = field(metadata=about("`sha256-` and the digest of the model, the options and the analyser's version."))
    schema: str = field(metadata=about("`receptive.report/1`"))
    created_at: str
    analyzer: Analyzer
    model: Model
    options: ReportOptions
    summary: Summary
    layers: tuple[Layer, ...]
    findings: tuple[Finding, ...]
    first_layers: tuple[FirstLayer, ...]
    hierarchy: tuple[Depth, ...] = field(metadata=about("Colour against depth."))
    ledger: tuple[StoredTensor, ...] = field(metadata=about("Every stored tensor: who uses it, and how often."))
    links: Mapping[str, str]
