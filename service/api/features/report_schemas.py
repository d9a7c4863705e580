"""The report as it goes over HTTP: the schemas of its types. Every number's meaning is the definition of the same name in docs/."""

from __future__ import annotations

from functools import cache
from typing import Any

from marshmallow import Schema, fields, validate

from service.report.document import KindTotal, Layer, Report
from service.report.forms import Form, members

Field = fields.Field[Any]

_SCALARS: dict[type, type[Field]] = {str: fields.String, int: fields.Integer, float: fields.Float, bool: fields.Boolean}
_NAMES = {KindTotal.__name__: "Kind"}
"""The names of schemas that are not those of their types."""
_FORMATS = {"created_at": "date-time"}


@cache
def schema_of(record: type) -> type[Schema]:
    """The schema of a dataclass: a field for each of its fields, described by what it means."""
    made = {}
    for each in members(record):
        metadata = {"description": each.meaning} if each.meaning else {}
        metadata |= {"format": _FORMATS[each.name]} if each.name in _FORMATS else {}
        made[each.name] = _field(each.form, required=each.required, data_key=each.key, metadata=metadata)
    name = _NAMES.get(record.__name__, record.__name__)
    return type(f"{name}Schema", (Schema,), {"__doc__": record.__doc__, **made})


def _field(form: Form, **options: Any) -> Field:
    """The field of a value of that form."""
    options["allow_none"] = form.nullable
    if form.array is not None:
        return fields.List(_field(form.array), **options)
    if form.mapping is not None and form.keys is not None:
        values = None if form.mapping.is_open else _field(form.mapping)
        return fields.Dict(_field(form.keys), values, **options)
    if form.record is not None:
        return fields.Nested(schema_of(form.record), **options)
    if form.scalar is None:
        return fields.Raw(**options)
    choices = validate.OneOf(form.choices) if form.choices else None
    return _SCALARS[form.scalar](validate=choices, **options)


ReportSchema = schema_of(Report)
LayerSchema = schema_of(Layer)


class ExplainedLayerSchema(LayerSchema):  # type: ignore[misc, valid-type]
    """One layer, and the line that derives each of its numbers."""

    explain = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "By the path of the number.", "example": {"parameters.total": "(5·5·1 + 1)·6 = 156"}},
    )
