"""The report as it goes over HTTP. Every number's meaning is the definition of the same name in docs/."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

KINDS = (
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
)


def described(text: str) -> dict[str, Any]:
    """The description of a field."""
    return {"metadata": {"description": text}}


def count(text: str | None = None, *, nullable: bool = True) -> fields.Integer:
    """A field that is an exact count; null where it depends on a length that the model leaves open, unless that cannot be."""
    return fields.Integer(required=True, allow_none=nullable, **(described(text) if text else {}))


def number(text: str | None = None, *, nullable: bool = True) -> fields.Float:
    """A field that is a number; null where it is not defined or not known, unless that cannot be."""
    return fields.Float(required=True, allow_none=nullable, **(described(text) if text else {}))


def text(description: str | None = None, *, nullable: bool = False) -> fields.String:
    """A field that is text."""
    return fields.String(required=True, allow_none=nullable, **(described(description) if description else {}))


def texts(description: str | None = None) -> fields.List[Any]:
    """A field that is a list of texts."""
    return fields.List(fields.String(), required=True, **(described(description) if description else {}))


def per_axis(description: str, *, nullable: bool = True) -> fields.List[Any]:
    """A field with one number per axis; null as a whole, or for an axis, where it is not defined."""
    return fields.List(fields.Float(allow_none=True), required=True, allow_none=nullable, **described(description))


def shape(description: str) -> fields.List[Any]:
    """A field that is a shape; null for an unknown axis, or as a whole where not even the rank is known."""
    return fields.List(fields.Integer(allow_none=True), required=True, allow_none=True, **described(description))


def part(schema: type[Schema], *, nullable: bool = False) -> fields.Nested:
    """A field that is an object."""
    return fields.Nested(schema, required=True, allow_none=nullable)


class AnalyzerSchema(Schema):
    """What made the report."""

    name = text()
    version = text()


class PortSchema(Schema):
    """An input or output of the model."""

    name = text()
    dtype = text(nullable=True)
    shape = shape("With the batch axis; null where symbolic.")


class ModelSchema(Schema):
    """The model that was analysed."""

    name = text(nullable=True)
    format = fields.String(required=True, validate=validate.OneOf(("onnx", "spec")))
    digest = text("`sha256:` and the digest of the model's bytes.")
    structure_digest = text("The same for models of one structure, whatever their names and weights.")
    size_bytes = count(nullable=False)
    producer = text(nullable=True)
    ir_version = count()
    opsets = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    inputs = fields.List(fields.Nested(PortSchema), required=True)
    outputs = fields.List(fields.Nested(PortSchema), required=True)


class ReportOptionsSchema(Schema):
    """The options that the analysis was made with."""

    name = text(nullable=True)
    input_shapes = fields.Dict(keys=fields.String(), values=fields.List(fields.Integer()), required=True)
    read_weights = text("`auto` was settled as `all` or `first`.")
    zero_tolerance = number()
    channel_order = text()
    external_missing = text()


class TotalParametersSchema(Schema):
    """Parameters of the model."""

    stored = count("Each stored tensor once.")
    referenced = count("At every use.")
    weights = count()
    biases = count()
    other = count()


class ConnectionsSchema(Schema):
    """Pairs of an input unit and an output unit that a kernel weight joins."""

    exact = count("Taps on padding join nothing.")
    padded = count("Taps on padding counted too, as MAC counters do.")
    with_bias = count("Exact, and one per biased output unit.")
    dense = count("Input units times output units.")
    effective = count("Exact, with a weight that is not zero; null where values were not read.")


class SparsitySchema(Schema):
    """Shares of what is absent."""

    connection = number("1 − exact/dense.")
    weight = number("Share of weights equal to zero; null where values were not read.")
    effective = number("1 − effective/dense.")


class TotalSharingSchema(Schema):
    """How often a weight is used."""

    factor = number("Exact connections per weight.")


class SharingSchema(TotalSharingSchema):
    """How often a weight is used, and where."""

    positions = count("Places at which the kernel is applied.")


class ReductionSchema(Schema):
    """How many times fewer weights than a dense layer: total = from_sparsity × from_sharing."""

    total = number("Dense connections per weight.")
    from_sparsity = number("Dense per exact connections.")
    from_sharing = number("Exact connections per weight.")


class KindSchema(Schema):
    """The layers of one kind together."""

    layers = count()
    parameters = count()
    connections = part(ConnectionsSchema, nullable=True)


class LargestFieldSchema(Schema):
    """The largest receptive field of local paths, and the layer that has it."""

    layer = text()
    size = per_axis("Pixels.")
    stride = per_axis("Pixels per unit.")
    padding = per_axis("Pixels.")


class ModelFieldSchema(Schema):
    """How far the model sees."""

    input = text(nullable=True)
    axes = texts()
    input_size = per_axis("Pixels of the input.")
    largest = part(LargestFieldSchema, nullable=True)
    first_global_layer = text(nullable=True)
    unproductive_layers = count()
    smallest_productive_input = per_axis("The smallest input at which every layer is productive.")


class SummarySchema(Schema):
    """The model as a whole."""

    nodes = count(nullable=False)
    layers = count(nullable=False)
    parameters = part(TotalParametersSchema)
    connections = part(ConnectionsSchema, nullable=True)
    sparsity = part(SparsitySchema, nullable=True)
    sharing = part(TotalSharingSchema, nullable=True)
    reduction = part(ReductionSchema, nullable=True)
    by_kind = fields.Dict(keys=fields.String(validate=validate.OneOf(KINDS)), values=fields.Nested(KindSchema), required=True)
    receptive_field = part(ModelFieldSchema, nullable=True)


class UnitsSchema(Schema):
    """Units per sample."""

    in_ = fields.Integer(required=True, allow_none=True, data_key="in")
    out = count()


class ParametersSchema(Schema):
    """Parameters of a layer."""

    weights = count()
    biases = count()
    total = count()
    other = count()
    shape = shape("Of the kernel as it is stored.")
    dtype = text(nullable=True)
    tied_to = texts("Layers that use the same stored tensors.")


class SpreadSchema(Schema):
    """The least, the mean and the most."""

    min = number()
    mean = number()
    max = number()


class ValuesSchema(Schema):
    """What the values of a layer's kernel show."""

    nonzero = count("Weights other than zero, those that are not finite among them.")
    zero = count("Weights equal to zero, or within `zero_tolerance` of it.")
    not_finite = count("Weights that are infinite or not a number.")
    dead_filters = fields.List(fields.Integer(), required=True, **described("Filters without a weight other than zero; 256 at the most."))
    duplicate_filters = fields.List(
        fields.List(fields.Integer()),
        required=True,
        **described("Pairs (earlier, later) of filters with equal weights on the same channels; 256 at the most."),
    )
    pattern = text("The sparsest of 1:4, 2:4 and 4:8 that holds along the input channels (Mishra et al. 2021).", nullable=True)


class EffectiveFieldSchema(Schema):
    """The Gaussian estimate of the effective receptive field (Luo et al. 2016)."""

    sigma = per_axis("Standard deviation in pixels.")
    width95 = per_axis("The width that holds 95 % of the influence, in pixels.")
    source = fields.String(required=True, validate=validate.OneOf(("uniform", "weights")))


class LayerFieldSchema(Schema):
    """The receptive field of a layer (Araujo et al. 2019), in pixels of one input."""

    input = text()
    axes = texts()
    size = per_axis("Over local paths; null where the status is `global` or `unknown` and no local path is left.")
    min_size = per_axis("Over the smallest path.")
    stride = per_axis("Pixels per unit.")
    padding = per_axis("Pixels that the first unit sees before the input begins.")
    coverage = per_axis("Share of the input that the best-placed unit sees.")
    density = number("Pixels really read per pixel of the box.")
    effective = part(EffectiveFieldSchema, nullable=True)
    phases = fields.List(
        fields.List(fields.Integer(), allow_none=True),
        required=True,
        allow_none=True,
        **described("Sizes over an inner period of units, per axis: after upsampling, neighbouring units differ."),
    )
    status = fields.String(required=True, validate=validate.OneOf(("exact", "global", "bound", "unknown")))
    because = text("The node that caused a status other than `exact`.", nullable=True)
    needed_input = per_axis("The smallest input at which the layer is productive.")
    unproductive = fields.Boolean(
        required=True, allow_none=True, **described("The smallest path to its input sees more than the input (Richter et al. 2021).")
    )


class LayerSchema(Schema):
    """One layer. The objects of connections are null for kinds without weights."""

    index = count(nullable=False)
    name = text()
    op = text("The operator as the model's author wrote it.")
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    inputs = texts("Tensors.")
    outputs = texts("Tensors.")
    input_shape = shape("Of the first input, with the batch axis.")
    output_shape = shape("Of the first output, with the batch axis.")
    attributes = fields.Dict(keys=fields.String(), required=True, **described("Geometry such as kernel, strides, dilations, pads, groups."))
    units = part(UnitsSchema, nullable=True)
    parameters = part(ParametersSchema)
    connections = part(ConnectionsSchema, nullable=True)
    fan_in = part(SpreadSchema, nullable=True)
    uses = part(SpreadSchema, nullable=True)
    sparsity = part(SparsitySchema, nullable=True)
    sharing = part(SharingSchema, nullable=True)
    reduction = part(ReductionSchema, nullable=True)
    values = part(ValuesSchema, nullable=True)
    receptive_field = part(LayerFieldSchema, nullable=True)
    findings = texts("Codes of findings about this layer.")


class ExplainedLayerSchema(LayerSchema):
    """One layer, and the line that derives each of its numbers."""

    explain = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "By the path of the number.", "example": {"parameters.total": "(5·5·1 + 1)·6 = 156"}},
    )


class FindingSchema(Schema):
    """Something worth knowing."""

    code = text()
    severity = fields.String(required=True, validate=validate.OneOf(("info", "warning", "error")))
    layer = text(nullable=True)
    message = text()
    data = fields.Dict(keys=fields.String(), required=True)


class FirstLayerSchema(Schema):
    """A convolution that reads an input, whose filters can be drawn."""

    layer = text()
    filters = count(nullable=False)
    kernel = fields.List(fields.Integer(), required=True)
    channels = count(nullable=False)
    reads = text("The input.")


class DepthSchema(Schema):
    """The filters of one convolution in pixels, as weighted sums of those below."""

    depth = count("From 1.", nullable=False)
    layer = text()
    filters = count("How many were drawn: those of the largest norm.", nullable=False)
    colour_share = number("Share of the energy that lies off the grey axis.")


class UseSchema(Schema):
    """A use of a stored tensor."""

    layer = text()
    role = fields.String(required=True, validate=validate.OneOf(("weight", "bias", "other")))
    uses = number("The mean number of connections that one of its scalars serves in a sample.")


class StoredTensorSchema(Schema):
    """A stored tensor and its uses."""

    tensor = text()
    shape = shape("As it is stored.")
    dtype = text()
    count = count(nullable=False)
    used_by = fields.List(fields.Nested(UseSchema), required=True)


class ReportSchema(Schema):
    """The report on a model."""

    id = text("`sha256-` and the digest of the model, the options and the analyser's version.")
    schema = text("`receptive.report/1`")
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    analyzer = part(AnalyzerSchema)
    model = part(ModelSchema)
    options = part(ReportOptionsSchema)
    summary = part(SummarySchema)
    layers = fields.List(fields.Nested(LayerSchema), required=True)
    findings = fields.List(fields.Nested(FindingSchema), required=True)
    first_layers = fields.List(fields.Nested(FirstLayerSchema), required=True)
    hierarchy = fields.List(fields.Nested(DepthSchema), required=True, **described("Colour against depth."))
    ledger = fields.List(fields.Nested(StoredTensorSchema), required=True, **described("Every stored tensor: who uses it, and how often."))
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
