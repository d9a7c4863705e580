"""What the reader knows of one type of layer, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marshmallow import ValidationError

from service.graph.network import Kind
from service.limits import MAX_LAYERS
from service.readers.spec.draft import Rule
from service.readers.spec.fields import ListOf, Name, Strict, Text, Whole


@dataclass(frozen=True, slots=True)
class LayerType:
    """One type of layer: what it does, its kind in the report, its own fields, and the rule that lowers it to core operators.

    It takes `inputs` (fewest, most) tensors, and exactly one of the fields `one_of`.
    """

    about: str
    kind: Kind
    rule: Rule
    fields: Mapping[str, Strict] = field(default_factory=dict)
    inputs: tuple[int, int] = (1, 1)
    one_of: tuple[str, ...] = ()

    @property
    def joins(self) -> bool:
        """Whether it takes two inputs or more, and not one."""
        return self.inputs[0] > 1

    def check(self, fields: Mapping[str, object]) -> None:
        """ValidationError unless exactly one of `one_of` is there."""
        if self.one_of and sum(name in fields for name in self.one_of) != 1:
            message = f"required: exactly one of {' and '.join(self.one_of)} is required"
            raise ValidationError({self.one_of[0]: [message]})


JOINS = (2, MAX_LAYERS)
"""The inputs of a layer that joins several tensors."""

COMMON: Mapping[str, Strict] = {
    "type": Text(required=True),
    "name": Name(),
    "description": Text(),
    "inputs": ListOf(Name(), maximum=MAX_LAYERS),
    "repeat": Whole(load_default=1),
    "share_with": Name(),
}
"""What every layer may carry."""
