"""What comes in and goes out of models that lie elsewhere."""

from __future__ import annotations

from typing import get_args

from marshmallow import fields, validate

from service.api.features.schemas import OptionsSchema, Schema
from service.api.watched.model_schemas import check_name
from service.sources.address import MAX_ADDRESS_LENGTH
from service.store.batches import BatchState
from service.store.interfaces import State


class SourceSchema(Schema):
    """A model that lies elsewhere."""

    source = fields.String(
        required=True,
        validate=validate.Length(1, MAX_ADDRESS_LENGTH),
        metadata={
            "description": "An object (`s3://…`, `gs://…`, `az://…`), an address of HTTPS, or a registered model (`models:/name/version`).",
            "example": "s3://models/net.onnx",
        },
    )
    options = fields.Nested(OptionsSchema)


MAX_SOURCES = 10_000
"""Addresses that one batch names; a folder or a registry is one, however many models it has."""


class BatchRequestSchema(Schema):
    """Models that lie elsewhere."""

    sources = fields.List(
        fields.String(validate=validate.Length(1, MAX_ADDRESS_LENGTH)),
        required=True,
        validate=validate.Length(1, MAX_SOURCES),
        metadata={
            "description": "Models; what ends in `/` is a folder of a bucket, `models:/` the whole registry.",
            "example": ["s3://models/"],
        },
    )
    options = fields.Nested(OptionsSchema, load_default=dict)
    model = fields.String(
        validate=check_name,
        metadata={"description": "The watched model whose versions they are, called by their file or by the registry."},
    )


class BatchItemsQuerySchema(Schema):
    """Which items to show."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    cursor = fields.Integer(load_default=0, validate=validate.Range(0), metadata={"description": "The number of the first item to show."})
    state = fields.String(validate=validate.OneOf(get_args(State)))


class BatchSchema(Schema):
    """Many models that are analysed one after the other."""

    id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(get_args(BatchState)))
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    updated_at = fields.String(required=True, metadata={"format": "date-time"})
    model = fields.String(required=True, allow_none=True)
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Items by state, and in `total`."},
    )
    listed = fields.Boolean(required=True, metadata={"description": "Whether all folders were listed to their end."})
    problems = fields.List(fields.Dict(), required=True, metadata={"description": "Folders that could not be listed (`source`)."})
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class BatchItemSchema(Schema):
    """One model of a batch."""

    number = fields.Integer(required=True)
    source = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(get_args(State)))
    analysis = fields.String(required=True, allow_none=True, metadata={"description": "The id of its report."})
    problem = fields.Dict(required=True, allow_none=True, metadata={"description": "Why it failed."})


class BatchItemsSchema(Schema):
    """Part of the models of a batch."""

    items = fields.List(fields.Nested(BatchItemSchema), required=True)
    next_cursor = fields.Integer(required=True, allow_none=True)
