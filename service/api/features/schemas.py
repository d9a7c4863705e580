"""What comes in and goes out over HTTP, apart from the report (see report_schemas)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import marshmallow
from marshmallow import ValidationError, fields, post_load, validate

from service.faults import Refused
from service.options import LARGEST_AXIS, MOST_AXES, ChannelOrder, ExternalMissing, Options, ReadWeights, settled, whole_numbers
from service.render.figures.badge import METRICS, VERDICT
from service.render.figures.connectivity_svg import View
from service.render.grid.options import MAX_COLUMNS, MAX_GAP, MAX_SCALE, Colormap, GridOptions, Normalize, Sort
from service.report.document import KINDS
from service.store.interfaces import State
from service.suggestions import did_you_mean

MOST_INPUTS = 64
MOST_SIZES = 64
REPORT_ID = r"sha256-[0-9a-f]{8,64}\Z"

AXIS = fields.Integer(strict=True, validate=validate.Range(1, LARGEST_AXIS))


class Schema(marshmallow.Schema):
    """A schema that says which field a misspelt one may have been meant to be."""

    def handle_error(self, error: ValidationError, data: object, **_: object) -> None:
        """Adds to each message about an unknown field what it may have been."""
        if not isinstance(error.messages, dict):
            return
        for name, messages in error.messages.items():
            if messages == [self.error_messages["unknown"]]:
                ending = did_you_mean(name, self.load_fields) or f"; {self._expected()}"
                error.messages[name] = [f"Unknown field {str(name)[:100]!r}{ending}"]

    def _expected(self) -> str:
        return f"expected {', '.join(self.load_fields)}." if self.load_fields else "none was expected."


class ErrorSchema(Schema):
    """One thing that is wrong with the input."""

    pointer = fields.String(required=True, metadata={"description": "JSON pointer to the place, or the name of a node."})
    detail = fields.String(required=True)
    code = fields.String(required=True)


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable and kebab-case."})
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(ErrorSchema))


def _parsed(value: object, example: str) -> object:
    """What JSON text says, as a query string carries it; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValidationError(f"Not JSON such as {example}.") from None


class InputShapes(fields.Dict):
    """Shapes by input name; in a query string as JSON text."""

    def __init__(self, **options: Any) -> None:
        shape = fields.List(AXIS, validate=validate.Length(1, MOST_AXES))
        super().__init__(keys=fields.String(validate=validate.Length(max=1000)), values=shape, **options)

    def deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        """The shapes that `value` says."""
        value = _parsed(value, '{"input": [1, 3, 224, 224]}')
        if isinstance(value, Mapping) and len(value) > MOST_INPUTS:
            raise ValidationError(f"More than {MOST_INPUTS} inputs.")
        return super().deserialize(value, *arguments, **options)


class InputShape(fields.String):
    """The shape of a model's only input: 1,3,224,224."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        text = super()._deserialize(value, *arguments, **options)
        shape = tuple(whole_numbers(str(text)))
        if not shape or not all(1 <= axis <= LARGEST_AXIS for axis in shape):
            raise ValidationError("Not a shape such as 1,3,224,224.")
        return shape


class OptionsSchema(Schema):
    """The options of an analysis."""

    name = fields.String(validate=validate.Length(1, 200), metadata={"description": "A label."})
    input_shapes = InputShapes(
        metadata={
            "description": "Fixes symbolic axes, by input name. As JSON text in a query string.",
            "example": '{"input": [1, 3, 224, 224]}',
        }
    )
    read_weights = fields.String(
        validate=validate.OneOf(get_args(ReadWeights)),
        metadata={
            "description": "Which weights' values are read. `auto` (the default): all up to a configured size, else the first layer's."
        },
    )
    zero_tolerance = fields.Float(
        validate=validate.Range(min=0), metadata={"description": "A weight up to this absolute value counts as zero. Default 0."}
    )
    channel_order = fields.String(validate=validate.OneOf(get_args(ChannelOrder)), metadata={"description": "Default `rgb`."})
    external_missing = fields.String(
        validate=validate.OneOf(get_args(ExternalMissing)),
        metadata={"description": "What to do where a file of external data was not sent. Default `error`."},
    )


class OptionsQuerySchema(OptionsSchema):
    """The options of an analysis in a query string."""

    input_shape = InputShape(metadata={"description": "The shape of the only input.", "example": "1,3,224,224"})

    @post_load
    def _one_shape(self, data: dict[str, object], **_: object) -> dict[str, object]:
        if "input_shape" in data:
            if "input_shapes" in data:
                raise ValidationError("Give input_shape or input_shapes, not both.", "input_shape")
            data["input_shapes"] = {"": data.pop("input_shape")}
        return data


def make_options(chosen: Mapping[str, Any], size_bytes: int, auto_read_bytes: int) -> Options:
    """The options of an analysis of files of that size."""
    options = Options(**{**chosen, "input_shapes": {name: tuple(shape) for name, shape in chosen.get("input_shapes", {}).items()}})
    return settled(options, size_bytes, auto_read_bytes)


class ListQuerySchema(Schema):
    """Which analyses to list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(validate=validate.Length(1, 500))
    name = fields.String(validate=validate.Length(1, 200))
    digest = fields.String(
        validate=validate.Regexp(r"(sha256:)?[0-9a-f]{64}\Z"), metadata={"description": "Of the model's bytes: `sha256:` and 64 digits."}
    )


class EntrySchema(Schema):
    """An analysis in a list."""

    id = fields.String(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    name = fields.String(required=True, allow_none=True)
    format = fields.String(required=True)
    digest = fields.String(required=True)
    size_bytes = fields.Integer(required=True)
    layers = fields.Integer(required=True)
    parameters = fields.Integer(required=True)
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Float(),
        metadata={"description": "The flat numbers; analyses that were stored before they were kept lack them."},
    )
    structure_digest = fields.String(metadata={"description": "The same for models of one structure; older analyses lack it."})
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    sources = fields.Dict(metadata={"description": "Of a model that lies elsewhere: where its files are, by name, and their versions."})


class ListSchema(Schema):
    """Part of the list of analyses, newest first."""

    items = fields.List(fields.Nested(EntrySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class JobSchema(Schema):
    """An analysis under way."""

    id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(get_args(State)))
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    updated_at = fields.String(required=True, metadata={"format": "date-time"})
    problem = fields.Dict(
        allow_none=True, required=True, metadata={"description": "Why it failed: a problem document without its request."}
    )
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class LayersQuerySchema(Schema):
    """Which layers to show."""

    kind = fields.String(validate=validate.OneOf(KINDS))
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 10000))
    cursor = fields.Integer(load_default=0, validate=validate.Range(0), metadata={"description": "The index of the first layer to show."})


class FilterLayerQuerySchema(Schema):
    """Which convolution's filters are meant."""

    layer = fields.String(
        validate=validate.Length(1, 1000), metadata={"description": "Index or name. Default: the first convolution that reads the image."}
    )


class GridSchema(Schema):
    """How to draw a grid of filters."""

    columns = fields.Integer(validate=validate.Range(1, MAX_COLUMNS), metadata={"description": "Default: near square."})
    scale = fields.Integer(
        validate=validate.Range(1, MAX_SCALE), metadata={"description": "Integer enlargement. Default: a tile is at least 32 pixels."}
    )
    gap = fields.Integer(validate=validate.Range(0, MAX_GAP), metadata={"description": "Pixels between tiles."})
    normalize = fields.String(validate=validate.OneOf(get_args(Normalize)), metadata={"description": "Default `filter`."})
    channels = fields.String(
        validate=validate.Regexp(r"(rgb|mean|each|\d{1,6},\d{1,6},\d{1,6})\Z"),
        metadata={"description": "`rgb`, `mean`, `each`, or three channels such as `0,2,1`."},
    )
    colormap = fields.String(
        validate=validate.OneOf(get_args(Colormap)), metadata={"description": "Of tiles that show a single channel. Default `grey`."}
    )
    sort = fields.String(validate=validate.OneOf(get_args(Sort)), metadata={"description": "Default `index`."})
    labels = fields.Boolean(metadata={"description": "Writes each filter's index below its tile."})
    background = fields.String(validate=validate.Length(1, 100), metadata={"description": "A CSS colour. Default `#ffffff`."})

    @post_load
    def _checked(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        try:
            GridOptions(**{key: data[key] for key in GridSchema._declared_fields if key in data})
        except Refused as error:
            raise ValidationError(error.detail, error.errors[0].pointer.removeprefix("/")) from None
        return data


class GridQuerySchema(GridSchema, FilterLayerQuerySchema):
    """How to draw the weight grid of a convolution."""


class HierarchyQuerySchema(GridSchema):
    """How to draw the filters of a deeper convolution."""

    strongest = fields.Integer(
        load_default=16, validate=validate.Range(1, 256), metadata={"description": "How many channels are followed back at every layer."}
    )


class ConnectivityQuerySchema(Schema):
    """How to draw the connections of a layer."""

    view = fields.String(load_default="graph", validate=validate.OneOf(get_args(View)))
    animate = fields.Boolean(load_default=False, metadata={"description": "The filter slides, and its connections light up."})


class UnitOf(fields.String):
    """A place along the axes of the image: 3,4 is row 3 and column 4."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        text = str(super()._deserialize(value, *arguments, **options))
        places = whole_numbers(text)
        if not places:
            raise ValidationError("Not a place such as 3,4.")
        return places


class OverlayQuerySchema(Schema):
    """Whose receptive field to draw."""

    layer = fields.String(
        validate=validate.Length(1, 1000),
        metadata={"description": "Index or name. Default: the layer with the largest receptive field of local paths."},
    )
    unit = UnitOf(metadata={"description": "The unit's row and column. Default: the middle.", "example": "3,4"})


class Budgets(fields.Dict):
    """Limits by the name of the budget; in a query string as JSON text."""

    def __init__(self, **options: Any) -> None:
        name = fields.String(validate=validate.Length(max=100))
        super().__init__(keys=name, values=fields.Raw(), load_default=dict, validate=validate.Length(max=100), **options)

    def deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        """The budgets that `value` says."""
        return super().deserialize(_parsed(value, '{"max_parameters": 1000000}'), *arguments, **options)


class BadgeQuerySchema(Schema):
    """Which number a badge shows, or what budgets it judges."""

    metric = fields.String(load_default="receptive-field", validate=validate.OneOf((*METRICS, VERDICT)))
    budgets = Budgets(
        metadata={"description": "Of `verdict`: limits by the name of the budget. As JSON text.", "example": '{"max_parameters": 1000000}'}
    )
    base = fields.String(
        validate=validate.Regexp(REPORT_ID),
        metadata={"description": "Of `verdict`: the analysis from which changes are measured. Default: the same, so that nothing changed."},
    )


class Sizes(fields.String):
    """Sizes of a square input in pixels: 96,128,224."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        text = str(super()._deserialize(value, *arguments, **options))
        if text.count(",") >= MOST_SIZES:
            raise ValidationError(f"More than {MOST_SIZES} sizes.")
        sizes = set(whole_numbers(text, MOST_SIZES, digits=6))
        if not sizes or 0 in sizes:
            raise ValidationError("Not sizes from 1 to 999999 such as 96,128,224.")
        return sorted(sizes)


class SweepQuerySchema(Schema):
    """Which sizes of the input to judge."""

    sizes = Sizes(
        load_default=lambda: [32, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024],
        metadata={"description": f"Pixels along every axis, up to {MOST_SIZES} of them. Default: usual ones.", "example": "96,128,224"},
    )


class SizeVerdictSchema(Schema):
    """What one size of the input means for the model."""

    size = fields.Integer(required=True, metadata={"description": "Pixels along every axis."})
    unproductive = fields.Integer(required=True, metadata={"description": "Layers whose narrowest path sees the whole input before them."})
    unproductive_layers = fields.List(
        fields.String(), required=True, metadata={"description": "Their names, in topological order; the first 200."}
    )
    productive_share = fields.Float(
        required=True, allow_none=True, metadata={"description": "Share of the convolution layers; null if there are none."}
    )
    coverage = fields.List(
        fields.Float(allow_none=True),
        required=True,
        allow_none=True,
        metadata={"description": "Share of the input that the largest receptive field of local paths spans, per axis."},
    )
    verdict = fields.String(required=True)


class SweepSchema(Schema):
    """Receptive fields against the size of the input."""

    input = fields.String(required=True)
    axes = fields.List(fields.String(), required=True)
    input_size = fields.List(fields.Integer(allow_none=True), required=True, metadata={"description": "Of the analysed model."})
    layers = fields.Integer(required=True, metadata={"description": "Convolution layers that are judged."})
    smallest_productive = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The smallest size at which every layer is productive."}
    )
    sizes = fields.List(fields.Nested(SizeVerdictSchema), required=True)


class ComparisonRequestSchema(Schema):
    """Which analyses to compare, and what must hold."""

    base = fields.String(required=True, validate=validate.Regexp(REPORT_ID))
    head = fields.String(required=True, validate=validate.Regexp(REPORT_ID))
    budgets = Budgets(
        metadata={"description": "Limits by the name of the budget.", "example": {"max_parameters": 1000000, "no_new_findings": True}}
    )


class BudgetSchema(Schema):
    """A budget and whether it holds."""

    budget = fields.String(required=True)
    limit = fields.Raw(required=True)
    value = fields.Raw(required=True, allow_none=True)
    passed = fields.Boolean(required=True)


class ComparisonSchema(Schema):
    """The difference of two reports, and the verdict of the budgets."""

    base = fields.Dict(keys=fields.String(), required=True)
    head = fields.Dict(keys=fields.String(), required=True)
    summary = fields.Dict(keys=fields.String(), required=True, metadata={"description": "Numbers that changed: `base`, `head`, `change`."})
    layers = fields.List(fields.Dict(keys=fields.String()), required=True, metadata={"description": "Aligned by structure."})
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    output = fields.Dict(keys=fields.String(), required=True)
    findings = fields.Dict(keys=fields.String(), required=True, metadata={"description": "`new` and `gone`."})
    budgets = fields.List(fields.Nested(BudgetSchema), required=True)
    verdict = fields.String(required=True, validate=validate.OneOf(("pass", "fail", "none")))


class HealthSchema(Schema):
    """Whether the service is well, and each thing it needs."""

    status = fields.String(required=True, validate=validate.OneOf(("ok", "unavailable")))
    checks = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class VersionSchema(Schema):
    """What runs here."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    python = fields.String(required=True)
    onnx = fields.String(required=True)
