"""What comes in and goes out over HTTP, apart from the report (see report_schemas)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from service.options import Options

LARGEST_AXIS = 2**31 - 1
MOST_AXES = 16
MOST_INPUTS = 64

AXIS = fields.Integer(strict=True, validate=validate.Range(1, LARGEST_AXIS))


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


class InputShapes(fields.Dict):
    """Shapes by input name; in a query string as JSON text."""

    def __init__(self, **options: Any) -> None:
        shape = fields.List(AXIS, validate=validate.Length(1, MOST_AXES))
        super().__init__(keys=fields.String(validate=validate.Length(max=1000)), values=shape, **options)

    def deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        """The shapes that `value` says."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValidationError('Not JSON such as {"input": [1, 3, 224, 224]}.') from None
        if isinstance(value, Mapping) and len(value) > MOST_INPUTS:
            raise ValidationError(f"More than {MOST_INPUTS} inputs.")
        return super().deserialize(value, *arguments, **options)


class InputShape(fields.String):
    """The shape of a model's only input: 1,3,224,224."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        text = super()._deserialize(value, *arguments, **options)
        axes = str(text).split(",")
        valid = len(axes) <= MOST_AXES and all(axis.isascii() and axis.isdigit() and len(axis) <= 10 for axis in axes)
        shape = tuple(int(axis) for axis in axes) if valid else ()
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
        validate=validate.OneOf(("auto", "first", "all", "none")),
        metadata={
            "description": "Which weights' values are read. `auto` (the default): all up to a configured size, else the first layer's."
        },
    )
    zero_tolerance = fields.Float(
        validate=validate.Range(min=0), metadata={"description": "A weight up to this absolute value counts as zero. Default 0."}
    )
    channel_order = fields.String(validate=validate.OneOf(("rgb", "bgr")), metadata={"description": "Default `rgb`."})
    external_missing = fields.String(
        validate=validate.OneOf(("error", "ignore")),
        metadata={"description": "What to do where a file of external data was not sent. Default `error`."},
    )


class OptionsQuerySchema(OptionsSchema):
    """The options of an analysis in a query string."""

    input_shape = InputShape(metadata={"description": "The shape of the only input.", "example": "1,3,224,224"})

    @post_load
    def _one_shape(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "input_shape" in data:
            if "input_shapes" in data:
                raise ValidationError("Give input_shape or input_shapes, not both.", "input_shape")
            data["input_shapes"] = {"": data.pop("input_shape")}
        return data


def make_options(chosen: Mapping[str, Any], size_bytes: int, auto_read_bytes: int) -> Options:
    """The options of an analysis; `auto` is settled here, so that an answer does not change with the configuration."""
    options = Options(**{**chosen, "input_shapes": {name: tuple(shape) for name, shape in chosen.get("input_shapes", {}).items()}})
    if options.read_weights != "auto":
        return options
    settled: Any = "all" if size_bytes <= auto_read_bytes else "first"
    return Options(**{**chosen, "input_shapes": options.input_shapes, "read_weights": settled})


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
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class ListSchema(Schema):
    """Part of the list of analyses, newest first."""

    items = fields.List(fields.Nested(EntrySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class JobSchema(Schema):
    """An analysis under way."""

    id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(("queued", "running", "done", "failed", "cancelled")))
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    updated_at = fields.String(required=True, metadata={"format": "date-time"})
    problem = fields.Dict(
        allow_none=True, required=True, metadata={"description": "Why it failed: a problem document without its request."}
    )
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class LayersQuerySchema(Schema):
    """Which layers to show."""

    kind = fields.String(validate=validate.Length(1, 50))
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 10000))
    cursor = fields.Integer(load_default=0, validate=validate.Range(0), metadata={"description": "The index of the first layer to show."})


class GridQuerySchema(Schema):
    """How to draw the weight grid."""

    layer = fields.String(
        validate=validate.Length(1, 1000), metadata={"description": "Index or name. Default: the first convolution that reads the image."}
    )
    columns = fields.Integer(validate=validate.Range(1, 4096), metadata={"description": "Default: near square."})
    scale = fields.Integer(
        validate=validate.Range(1, 256), metadata={"description": "Integer enlargement. Default: a tile is at least 32 pixels."}
    )
    gap = fields.Integer(validate=validate.Range(0, 64), metadata={"description": "Pixels between tiles."})
    normalize = fields.String(validate=validate.OneOf(("filter", "layer", "symmetric")), metadata={"description": "Default `filter`."})
    channels = fields.String(
        validate=validate.Regexp(r"(rgb|mean|each|\d{1,6},\d{1,6},\d{1,6})\Z"),
        metadata={"description": "`rgb`, `mean`, `each`, or three channels such as `0,2,1`."},
    )


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
