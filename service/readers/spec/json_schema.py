"""The layer spec as a JSON Schema, for editors and generators; `python -m service.readers.spec.json_schema` writes it to a file.

It takes every document that the reader takes. What depends on shapes and on other layers only the reader finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from service.readers.spec.fields import JsonSchema, Strict
from service.readers.spec.layers import TYPES
from service.readers.spec.record import COMMON, LayerType
from service.readers.spec.schema import DOCUMENT, INPUT

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = Path(__file__).resolve().parents[2] / "api" / "schemas" / "layer-spec.json"
"""Where the interface takes it from, which loads no reader."""


def layer_spec_schema() -> JsonSchema:
    """The JSON Schema of a layer spec, with a definition for each type of layer."""
    document = _object(DOCUMENT)
    # The layers are told apart by their type, so that an editor says what is wrong with one and not with forty types.
    document["properties"]["layers"] |= {"items": {"$ref": "#/$defs/layer"}}
    document["properties"]["input"] = {"$ref": "#/$defs/input"}
    document["properties"]["inputs"]["items"] = {"allOf": [{"$ref": "#/$defs/input"}, {"required": ["name"]}]}
    return {
        "$schema": DIALECT,
        "title": "Receptive layer spec",
        "description": "A network without a model file: its inputs and its layers.",
        **document,
        "oneOf": [{"required": ["input"]}, {"required": ["inputs"]}],
        "$defs": {"input": _object(INPUT), "layer": _any_layer(), **{name: _layer(name, kind) for name, kind in TYPES.items()}},
    }


def _any_layer() -> JsonSchema:
    cases = [{"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": {"$ref": f"#/$defs/{name}"}} for name in TYPES]
    return {"type": "object", "required": ["type"], "properties": {"type": {"enum": list(TYPES)}}, "allOf": cases}


def _layer(name: str, kind: LayerType) -> JsonSchema:
    """One type of layer, with the bounds on its inputs where it names them."""
    schema = _object({**COMMON, **kind.fields})
    schema["properties"]["type"] = {"const": name}
    schema["properties"]["inputs"] |= {"minItems": kind.inputs[0], "maxItems": kind.inputs[1]}
    if kind.joins:
        schema["required"].append("inputs")
    if kind.one_of:
        schema["oneOf"] = [{"required": [field]} for field in kind.one_of]
    return {"description": kind.about, **schema}


def _object(fields: Mapping[str, Strict]) -> JsonSchema:
    return {
        "type": "object",
        "properties": {name: _property(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }


def _property(field: Strict) -> JsonSchema:
    """What a field takes, and what it is where it is left out."""
    stated = isinstance(field.load_default, str | int | float)
    return {**field.json_schema(), **({"default": field.load_default} if stated else {})}


def main() -> None:
    """Write the schema to the file that the interface serves."""
    FILE.write_text(json.dumps(layer_spec_schema(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
