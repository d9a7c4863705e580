"""What the types of the report look like as JSON: the one reading of type hints that conversion, agreement and schemas go by."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Hint = object
"""A type hint: a class, or what subscripting makes of one."""


@dataclass(frozen=True, slots=True)
class Form:
    """What JSON says of a value: a scalar of the class `scalar` (one of `choices`, where there are any), an `array` or a `mapping` of
    values, an object with the fields of `record`, or, where none of these is set, anything.
    """

    nullable: bool = False
    scalar: type | None = None
    choices: tuple[str, ...] = ()
    array: Form | None = None
    mapping: Form | None = None
    keys: Form | None = None
    record: type | None = None

    @property
    def is_open(self) -> bool:
        """Whether any JSON will do."""
        return self.scalar is None and self.array is None and self.mapping is None and self.record is None


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a record: its name, its key in JSON (`in_` is "in"), its form, its default if any, its meaning and its unit."""

    name: str
    key: str
    form: Form
    required: bool
    default: object
    meaning: str
    unit: str


def members(record: type) -> tuple[Member, ...]:
    """The fields of a dataclass, in their order."""
    if record not in _MEMBERS:
        _MEMBERS[record] = _members(record)
    return _MEMBERS[record]


_MEMBERS: dict[type, tuple[Member, ...]] = {}


def _members(record: Any) -> tuple[Member, ...]:
    hints = get_type_hints(record)
    found = []
    for each in fields(record):
        default = each.default if each.default_factory is MISSING else each.default_factory()
        meaning, unit = (str(each.metadata.get(key, "")) for key in ("meaning", "unit"))
        found.append(Member(each.name, each.name.rstrip("_"), form_of(hints[each.name]), default is MISSING, default, meaning, unit))
    return tuple(found)


def form_of(hint: Hint, nullable: bool = False) -> Form:
    """The form of values of a type. TypeError where the report has no such values."""
    origin: Any = get_origin(hint)
    arguments = get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not types.NoneType)
        return form_of(inner, nullable=True)
    if origin is tuple:
        return Form(nullable, array=form_of(arguments[0]))
    if origin is Mapping:
        return Form(nullable, mapping=form_of(arguments[1]), keys=form_of(arguments[0]))
    if origin is Literal:
        return Form(nullable, scalar=str, choices=arguments)
    if is_dataclass(hint) and isinstance(hint, type):
        return Form(nullable, record=hint)
    if hint in (str, int, float, bool):
        return Form(nullable, scalar=hint)
    if hint is object:
        return Form(nullable=True)
    raise TypeError(f"got {hint}, expected a dataclass, a tuple, a Mapping, a Literal, str, int, float, bool or object")
