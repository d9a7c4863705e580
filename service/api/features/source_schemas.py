"""What comes in and goes out of models that lie elsewhere."""

from __future__ import annotations

from marshmallow import fields, validate

from service.api.features.schemas import OptionsSchema, Schema
from service.sources.address import MAX_ADDRESS_LENGTH


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
