"""What comes in of variants and proposals."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from service.api.features.schemas import InputShapes
from service.edits import read_edits


class EditSchema(Schema):
    """What is to be changed in one layer: its geometry is set, or it is removed."""

    layer = fields.Raw(required=True, metadata={"description": "The layer's name, or its index; -1 is the last.", "example": "conv1"})
    set = fields.Dict(
        keys=fields.String(),
        metadata={
            "description": "`kernel`, `stride`, `dilation`: a number, or a list with one for each spatial axis. `padding`: that too, "
            "a list of [before, after], or `valid`, `same`, `same_lower`, `causal`.",
            "example": {"stride": 1, "padding": "same"},
        },
    )
    remove = fields.Boolean(metadata={"description": "Leave the layer out; what it reads takes the place of what it gives."})


class Edits(fields.List[Any]):
    """A list of edits; service.edits reads it, and says where one is wrong."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        return read_edits(value)


class VariantRequestSchema(Schema):
    """What is to be changed in a network."""

    edits = Edits(fields.Nested(EditSchema), load_default=tuple)
    input_shapes = InputShapes(
        load_default=dict,
        metadata={
            "description": "By input name (an empty one for the only input), in the place of what the model states: the whole shape, the "
            "shape without the batch, or the lengths of the spatial axes.",
            "example": {"": [96, 96]},
        },
    )


class GoalQuerySchema(Schema):
    """What a network is to reach."""

    goal = fields.String(
        required=True,
        validate=validate.Length(1, 100),
        metadata={
            "description": "`cover-input`: the output's local field reaches the input. `productive`: no unproductive layers. `aligned`: no "
            "misaligned joins. `ungridded`: no layer with gaps in its field. `fewer-connections=0.5`: half of the connections, at most.",
            "example": "productive",
        },
    )
