"""What comes in and goes out of watched models and their versions."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.api.features.schemas import REPORT_ID, Budgets, BudgetSchema, OptionsQuerySchema
from service.report.quantities import is_flat
from service.store.watched import Verdict

NAME = r"[^\x00-\x1f\x7f/]{1,200}\Z"
"""Names of models and versions: no slash, because they stand in addresses, and nothing that cannot be seen."""

RESERVED = ("latest", "baseline", ".", "..")
"""What no version may be called: addresses that move, and what clients resolve in a path before they send it."""

MAX_VERSIONS = 1000
"""Versions of one model that are shown, the newest."""

NEWEST, OLDEST = f"At most {MAX_VERSIONS}, newest first.", f"The newest {MAX_VERSIONS}, oldest first."
_NUMBERS: dict[str, Any] = {"keys": fields.String(), "values": fields.Float()}


def check_name(text: str) -> None:
    """ValidationError where a model cannot be called so."""
    validate.Regexp(NAME, error="Not a name: 1 to 200 characters, no slash and no control character.")(text)
    if text in (".", ".."):
        raise ValidationError(f"{text} is not a name.")


def check_version(text: str) -> None:
    """ValidationError where a version cannot be called so."""
    check_name(text)
    if text in RESERVED:
        raise ValidationError(f"{text} is not a version: it means one of the others.")


class CreateQuerySchema(OptionsQuerySchema):
    """The options of an analysis, and what it is called."""

    model = fields.String(validate=check_name, metadata={"description": "The watched model that it is a version of.", "example": "resnet"})
    version = fields.String(validate=check_version, metadata={"description": "Which version of it.", "example": "7"})

    @validates_schema
    def _both(self, data: dict[str, Any], **_: Any) -> None:
        if ("model" in data) != ("version" in data):
            raise ValidationError("Give both, model and version, or neither.", "version" if "model" in data else "model")


class ModelVersionRequestSchema(Schema):
    """Which analysis a version is."""

    analysis = fields.String(required=True, validate=validate.Regexp(REPORT_ID))


class ModelVersionSchema(Schema):
    """A version of a watched model."""

    version = fields.String(required=True)
    analysis = fields.String(required=True, metadata={"description": "The id of its report."})
    created_at = fields.String(required=True, metadata={"format": "date-time", "description": "When it was asked for."})
    verdict = fields.String(
        required=True,
        validate=validate.OneOf(get_args(Verdict)),
        metadata={"description": "Whether the budgets of the model hold. `none`: there are none; `unknown`: it cannot be worked out."},
    )
    base = fields.String(required=True, allow_none=True, metadata={"description": "The version that it was held against."})
    budgets = fields.List(fields.Nested(BudgetSchema), required=True, metadata={"description": "Each budget as it was judged."})
    metrics = fields.Dict(**_NUMBERS, required=True, metadata={"description": "The flat numbers."})
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class WatchedModelSchema(Schema):
    """A watched model, with the numbers of its newest version."""

    name = fields.String(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    baseline = fields.String(required=True, allow_none=True, metadata={"description": "The version that others are held against."})
    budgets = fields.Dict(keys=fields.String(), required=True, metadata={"description": "Limits by the name of the budget."})
    version_count = fields.Integer(required=True)
    latest = fields.Nested(ModelVersionSchema, required=True, allow_none=True)
    verdict = fields.String(required=True, metadata={"description": "Of the newest version."})
    metrics = fields.Dict(**_NUMBERS, required=True, metadata={"description": "Of the newest version."})
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class WatchedModelDetailSchema(WatchedModelSchema):
    """A watched model with its versions."""

    versions = fields.List(fields.Nested(ModelVersionSchema), required=True, metadata={"description": NEWEST})


class ModelsQuerySchema(Schema):
    """Which watched models to list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(validate=validate.Length(1, 200), metadata={"description": "The name after which the list goes on."})


class ModelListSchema(Schema):
    """Part of the list of watched models, by name."""

    items = fields.List(fields.Nested(WatchedModelSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class ModelChangeSchema(Schema):
    """What is held against what, and what must hold."""

    baseline = fields.String(allow_none=True, metadata={"description": "A version; null for the version before each."})
    budgets = Budgets(metadata={"description": "Limits by the name of the budget, in the place of those there were."})


class HistorySchema(Schema):
    """The flat numbers of a model against its versions."""

    model = fields.String(required=True)
    baseline = fields.String(required=True, allow_none=True)
    items = fields.List(fields.Nested(ModelVersionSchema), required=True, metadata={"description": OLDEST})


class Metrics(fields.String):
    """Names of flat numbers: receptive.parameters,receptive.layers."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        names = str(super()._deserialize(value, *arguments, **options)).split(",")
        unknown = [name for name in names if not is_flat(name)]
        if unknown:
            raise ValidationError(f"There is no flat number {unknown[0][:100]}.")
        return list(dict.fromkeys(names))


class HistoryQuerySchema(Schema):
    """Which numbers to draw."""

    metric = Metrics(
        load_default=list,
        validate=validate.Length(max=100),
        metadata={"description": "Flat numbers by name, with commas between them. Default: all.", "example": "receptive.parameters"},
    )
