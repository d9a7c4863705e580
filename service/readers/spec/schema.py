"""The marshmallow schema of the whole spec, and its errors as JSON pointers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, validates_schema

from service.faults import Detail, Refused
from service.limits import MAX_LAYERS
from service.readers.spec.fields import MAX_RANK, REQUIRED, JsonSchema, ListOf, Name, Strict, Text, Whole
from service.readers.spec.layers import TYPES
from service.readers.spec.record import COMMON
from service.suggestions import did_you_mean

MAX_ERRORS = 100
MAX_POINTER_TOKEN = 300
NO_FIELD = "unknown-field: there is no such field here"
_MESSAGES = {"unknown": NO_FIELD, "type": "not-an-object: must be an object"}


class SpecSchema(Schema):
    """A JSON object without unknown fields; for one that is misspelt the message says what was probably meant."""

    error_messages = _MESSAGES

    def handle_error(self, error: ValidationError, data: object, **_: object) -> None:
        """Add the nearest field to the messages about unknown ones."""
        if isinstance(error.messages, dict):
            for name, messages in error.messages.items():
                if messages == [NO_FIELD]:
                    error.messages[name] = [NO_FIELD + did_you_mean(name, self.fields)]


SCHEMAS: Mapping[str, Schema] = {name: SpecSchema.from_dict({**COMMON, **kind.fields}, name=name)() for name, kind in TYPES.items()}


class AnyLayer(Strict):
    """An object whose `type` names the record of its other fields."""

    def _deserialize(self, value: object, *_: object, **__: object) -> object:
        if not isinstance(value, dict):
            raise ValidationError("not-an-object: must be an object")
        if "type" not in value:
            raise ValidationError({"type": [REQUIRED]})
        name = value["type"]
        schema = SCHEMAS.get(name) if isinstance(name, str) else None
        if schema is None:
            listed = f"unknown-type: there is no such type; there are {', '.join(SCHEMAS)}"
            raise ValidationError({"type": [listed + did_you_mean(name, SCHEMAS)]})
        layer: dict[str, object] = schema.load(value)
        TYPES[name].check(layer)
        return layer

    def json_schema(self) -> JsonSchema:
        """An object with a type."""
        return {"type": "object", "required": ["type"]}


class Layers(ListOf):
    """The layers, at most 10,000 of them after every `repeat`, which are counted before any is made."""

    def _deserialize(self, value: object, *_: object, **__: object) -> tuple[object, ...]:
        if isinstance(value, list) and len(value) > MAX_LAYERS:
            raise ValidationError(f"too-many-layers: a spec may have {MAX_LAYERS:,} layers, this one has {len(value):,}")
        layers = super()._deserialize(value)
        total = 0
        for index, layer in enumerate(layers):
            total += layer["repeat"]
            if total > MAX_LAYERS:
                message = f"too-many-layers: a spec may have {MAX_LAYERS:,} layers, counting every repeat"
                raise ValidationError({index: {"repeat": [message]}})
        return layers


INPUT: Mapping[str, Strict] = {
    "name": Name(load_default="input"),
    "description": Text(),
    "shape": ListOf(Whole(allow_none=True), maximum=MAX_RANK, required=True),
}
"""An input: its shape is without the batch, and a null length is open."""
_INPUT = SpecSchema.from_dict(dict(INPUT), name="input")()


class InputObject(Strict):
    """One input as an object."""

    def __init__(self, named: bool, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.named = named

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if self.named and isinstance(value, dict) and "name" not in value:
            raise ValidationError({"name": [REQUIRED]})
        return _INPUT.load(value)

    def json_schema(self) -> JsonSchema:
        """An object with a shape."""
        return {"type": "object", "required": ["shape"]}


DOCUMENT: Mapping[str, Strict] = {
    "$schema": Text(),
    "receptive": Whole(1, 1, required=True),
    "name": Name(),
    "description": Text(),
    "input": InputObject(named=False),
    "inputs": ListOf(InputObject(named=True), maximum=100),
    "outputs": ListOf(Name(), maximum=MAX_LAYERS),
    "layers": Layers(AnyLayer(), required=True, maximum=MAX_LAYERS),
}
"""The whole spec. `$schema` is for editors."""


class _Document(SpecSchema.from_dict(dict(DOCUMENT), name="document")):  # type: ignore[misc]
    """The whole spec, with one input or a list of them."""

    @validates_schema
    def _one_of(self, data: Mapping[str, object], **_: object) -> None:
        if ("input" in data) == ("inputs" in data):
            raise ValidationError({"inputs": ["required: exactly one of input and inputs is required"]})


_DOCUMENT = _Document()


def load_document(value: Any) -> dict[str, Any]:
    """The fields of a spec with their defaults; Refused `invalid-spec` with every wrong place otherwise."""
    try:
        document: dict[str, object] = _DOCUMENT.load(value)
    except ValidationError as error:
        raise invalid_spec(details(error.messages)) from error
    return document


def invalid_spec(errors: Iterable[Detail]) -> Refused:
    """The Refused for wrong places in a spec: the first hundred of them."""
    found = [detail for _, detail in zip(range(MAX_ERRORS), errors, strict=False)]
    more = "" if len(found) == 1 else f" (and {len(found) - 1} more)"
    return Refused("invalid", "invalid-spec", f"{found[0].pointer or 'the document'}: {found[0].detail}{more}", found)


def details(messages: Any, pointer: str = "") -> Iterator[Detail]:
    """Marshmallow's nested messages as JSON pointers, each with its code."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from details(inner, pointer if key == "_schema" else f"{pointer}/{escape(str(key))}")
    else:
        for message in [messages] if isinstance(messages, str) else messages:
            code, _, text = message.partition(": ")
            yield Detail(pointer, text, code)


def escape(token: str) -> str:
    """A reference token of a JSON pointer (RFC 6901), cut to a bounded length."""
    return token[:MAX_POINTER_TOKEN].replace("~", "~0").replace("/", "~1")
