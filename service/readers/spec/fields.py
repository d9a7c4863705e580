"""The kinds of field of a layer spec: strict, bounded, and with a stable code in front of every message.

A message is written "code: what is wrong", and `service.readers.spec.schema.details` takes the two apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields

LARGEST = 2**31 - 1
"""The largest length, kernel, stride, padding and number of filters."""
MAX_RANK = 8
MAX_NAME = 256
MAX_TEXT = 10_000
MAX_LAG = 10**6
REQUIRED = "required: this field is required"
_MESSAGES: dict[str, str | list[object] | dict[object, object]] = {"required": REQUIRED, "null": "null: null has no meaning here"}


JsonSchema = dict[str, Any]


class Strict(fields.Field[Any]):
    """A field that takes a JSON value as it is, without conversion."""

    default_error_messages = _MESSAGES

    def json_schema(self) -> JsonSchema:
        """What the field takes, in JSON Schema 2020-12; it may take less than that says."""
        raise NotImplementedError


class Whole(Strict):
    """An integer within bounds: not true, not 3.0, not "3"."""

    def __init__(self, minimum: int = 1, maximum: int = LARGEST, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.minimum, self.maximum = minimum, maximum

    def _deserialize(self, value: object, *_: object, **__: object) -> int:
        if isinstance(value, float) and math.isinf(value):
            raise ValidationError(f"out-of-range: must be {self.minimum} to {self.maximum:,}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("not-an-integer: must be an integer")
        if not self.minimum <= value <= self.maximum:
            raise ValidationError(f"out-of-range: must be {self.minimum} to {self.maximum:,}")
        return value

    def json_schema(self) -> JsonSchema:
        """An integer within bounds, or null where that is allowed."""
        return {"type": ["integer", "null"] if self.allow_none else "integer", "minimum": self.minimum, "maximum": self.maximum}


class Positive(Strict):
    """A finite number above zero."""

    def _deserialize(self, value: object, *_: object, **__: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValidationError("not-a-number: must be a number")
        if not 0 < value <= LARGEST:
            raise ValidationError(f"out-of-range: must be above 0 and at most {LARGEST:,}")
        return value

    def json_schema(self) -> JsonSchema:
        """A number above zero."""
        return {"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST}


class Flag(Strict):
    """true or false."""

    def _deserialize(self, value: object, *_: object, **__: object) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("not-a-boolean: must be true or false")
        return value

    def json_schema(self) -> JsonSchema:
        """A boolean."""
        return {"type": "boolean"}


class FlagOr(Strict):
    """true, false, or one of a few words."""

    def __init__(self, *words: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.words = words

    def _deserialize(self, value: object, *_: object, **__: object) -> bool | str:
        if isinstance(value, bool) or (isinstance(value, str) and value in self.words):
            return value
        raise ValidationError(f"unknown-value: must be true, false or one of {', '.join(self.words)}")

    def json_schema(self) -> JsonSchema:
        """A boolean or a word."""
        return {"enum": [True, False, *self.words]}


class Text(Strict):
    """Free text of bounded length."""

    def _deserialize(self, value: object, *_: object, **__: object) -> str:
        if not isinstance(value, str):
            raise ValidationError("not-a-string: must be a string")
        if len(value) > MAX_TEXT:
            raise ValidationError(f"out-of-range: must have at most {MAX_TEXT:,} characters")
        return value

    def json_schema(self) -> JsonSchema:
        """A string of bounded length."""
        return {"type": "string", "maxLength": MAX_TEXT}


class Name(Strict):
    """The name of an input or a layer: 1 to 256 printable characters."""

    def _deserialize(self, value: object, *_: object, **__: object) -> str:
        if not isinstance(value, str):
            raise ValidationError("not-a-string: must be a string")
        if not 0 < len(value) <= MAX_NAME or not value.isprintable():
            raise ValidationError(f"bad-name: must be 1 to {MAX_NAME} printable characters")
        return value

    def json_schema(self) -> JsonSchema:
        """A string of bounded length; that it is printable is not said."""
        return {"type": "string", "minLength": 1, "maxLength": MAX_NAME}


class Choice(Strict):
    """One of a few words."""

    def __init__(self, choices: Iterable[str], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.choices = tuple(choices)

    def _deserialize(self, value: object, *_: object, **__: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise ValidationError(f"unknown-value: must be one of {', '.join(self.choices)}")
        return value

    def json_schema(self) -> JsonSchema:
        """One of the words."""
        return {"enum": list(self.choices)}


class ListOf(Strict):
    """A JSON array of bounded length; the value is a tuple."""

    def __init__(self, inner: Strict, minimum: int = 1, maximum: int = LARGEST, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.inner, self.minimum, self.maximum = inner, minimum, maximum

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValidationError("not-a-list: must be a list")
        if not self.minimum <= len(value) <= self.maximum:
            raise ValidationError(f"wrong-length: must have {self.minimum} to {self.maximum:,} entries, not {len(value):,}")
        result, errors = [], {}
        for index, entry in enumerate(value):
            try:
                result.append(self.inner.deserialize(entry))
            except ValidationError as error:
                errors[index] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(result)

    def json_schema(self) -> JsonSchema:
        """An array of bounded length."""
        return {"type": "array", "items": self.inner.json_schema(), "minItems": self.minimum, "maxItems": self.maximum}


class PerAxis(Strict):
    """One value for every spatial axis, or a list with one for each."""

    def __init__(self, inner: Strict, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.inner, self.several = inner, ListOf(inner, maximum=MAX_RANK)

    def _deserialize(self, value: object, *_: object, **__: object) -> object:
        return (self.several if isinstance(value, list) else self.inner).deserialize(value)

    def json_schema(self) -> JsonSchema:
        """One value, or an array of them."""
        return {"anyOf": [self.inner.json_schema(), self.several.json_schema()]}


class Amounts(Strict):
    """What to add or take away before and after: a number, a list per axis, or a list of [before, after]; or one of `words`."""

    def __init__(self, words: Iterable[str] = (), **keywords: Any) -> None:
        super().__init__(**keywords)
        self.words = tuple(words)
        self.pair = ListOf(Whole(0), minimum=2, maximum=2)

    def _deserialize(self, value: object, *_: object, **__: object) -> object:
        if isinstance(value, str) and self.words:
            return Choice(self.words).deserialize(value)
        if isinstance(value, list):
            pairs = any(isinstance(entry, list) for entry in value)
            return ListOf(self.pair if pairs else Whole(0), maximum=MAX_RANK).deserialize(value)
        return Whole(0).deserialize(value)

    def json_schema(self) -> JsonSchema:
        """A number, numbers, pairs of numbers or a word."""
        words = [{"enum": list(self.words)}] if self.words else []
        several = [ListOf(inner, maximum=MAX_RANK).json_schema() for inner in (Whole(0), self.pair)]
        return {"anyOf": [Whole(0).json_schema(), *several, *words]}


class Numbers(Strict):
    """Nested lists of numbers. Their shape depends on the layer, so they are checked when it is known."""

    def _deserialize(self, value: object, *_: object, **__: object) -> list[object]:
        if not isinstance(value, list):
            raise ValidationError("not-a-list: must be nested lists of numbers")
        return value

    def json_schema(self) -> JsonSchema:
        """An array; how deep it is depends on the layer."""
        return {"type": "array"}


class Ties(Strict):
    """The groups of inputs that share one weight: a list of lists of indices, or {"lags": [...]} (1 … l₁, l₁+1 … l₂, and so on)."""

    def _deserialize(self, value: object, *_: object, **__: object) -> tuple[tuple[int, ...], ...]:
        if isinstance(value, Mapping):
            return self._lags(value)
        groups: tuple[tuple[int, ...], ...] = ListOf(ListOf(Whole(0))).deserialize(value)
        return groups

    def _lags(self, value: Mapping[str, object]) -> tuple[tuple[int, ...], ...]:
        unknown = {key: ["unknown-field: there is no such field here"] for key in value if key != "lags"}
        if unknown or "lags" not in value:
            raise ValidationError(unknown or {"lags": [REQUIRED]})
        try:
            lags: tuple[int, ...] = ListOf(Whole(maximum=MAX_LAG)).deserialize(value["lags"])
        except ValidationError as error:
            raise ValidationError({"lags": error.messages}) from error
        if any(a >= b for a, b in itertools.pairwise(lags)):
            raise ValidationError({"lags": ["not-increasing: the lags must increase"]})
        starts = (0, *lags[:-1])
        return tuple(tuple(range(start, lag)) for start, lag in zip(starts, lags, strict=True))

    def json_schema(self) -> JsonSchema:
        """Arrays of indices, or an object with lags."""
        lags = {"lags": ListOf(Whole(maximum=MAX_LAG)).json_schema()}
        groups = ListOf(ListOf(Whole(0))).json_schema()
        return {"anyOf": [groups, {"type": "object", "properties": lags, "required": ["lags"], "additionalProperties": False}]}
