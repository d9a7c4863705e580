"""The JSON Schema of the layer spec: it takes what the reader takes, and what it refuses the reader refuses too."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from inspect import isfunction, signature
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.faults import Refused
from service.options import Options
from service.readers.spec.entry import read_spec
from service.readers.spec.json_schema import FILE, layer_spec_schema
from service.readers.spec.layers import TYPES
from service.readers.spec.schema import DOCUMENT
from tests import networks
from tests.readers.test_spec_mutations import EVERY_TYPE

Json = dict[str, Any]
SIMPLE = {"add", "subtract", "average", "maximum", "minimum", "flatten", "dropout"}
EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.json"))
VALIDATOR = Draft202012Validator(layer_spec_schema())
WRONG: tuple[Any, ...] = (None, True, -1, 2.5, 2**31, "", "x" * 300, [], [[1]], [1, "a"], {"lags": []})


def complaints(document: Any) -> list[str]:
    """The JSON pointers at which the schema finds the document wrong."""
    return ["".join(f"/{key}" for key in error.absolute_path) for error in VALIDATOR.iter_errors(document)]


def refused(document: Any) -> list[str]:
    try:
        read_spec(json.dumps(document).encode(), Options())
    except Refused as error:
        return [detail.pointer for detail in error.errors] or [""]
    return []


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(layer_spec_schema())


def test_the_file_that_is_served_is_that_of_the_table() -> None:
    assert json.loads(FILE.read_text()) == layer_spec_schema(), "python -m service.readers.spec.json_schema"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    assert complaints(json.loads(path.read_text())) == []


BUILT = [make for make in vars(networks).values() if isfunction(make) and not signature(make).parameters]


@pytest.mark.parametrize("make", BUILT, ids=lambda make: make.__name__)
def test_every_network_of_the_tests_is_valid(make: Callable[[], Json]) -> None:
    assert complaints(make()) == []


def test_a_document_of_every_type_is_valid() -> None:
    assert complaints(EVERY_TYPE) == refused(EVERY_TYPE) == []
    assert TYPES.keys() - {layer["type"] for layer in EVERY_TYPE["layers"]} <= SIMPLE


def changed(document: Json) -> Iterator[Json]:
    """The document with one field of one layer given another value, removed, or misspelt."""
    for index, layer in enumerate(document["layers"]):
        for field in layer:
            for value in WRONG:
                yield _with(document, index, {**layer, field: value})
            yield _with(document, index, {key: value for key, value in layer.items() if key != field})
            yield _with(document, index, {f"{key}_" if key == field else key: value for key, value in layer.items()})


def _with(document: Json, index: int, layer: Json) -> Json:
    result = copy.copy(document)
    result["layers"] = [*document["layers"][:index], layer, *document["layers"][index + 1 :]]
    return result


@pytest.mark.parametrize("index", range(len(EVERY_TYPE["layers"])))
def test_what_the_schema_refuses_the_reader_refuses(index: int) -> None:
    """Each layer alone, so that an error elsewhere is no excuse."""
    one = {**EVERY_TYPE, "layers": [EVERY_TYPE["layers"][index]]}
    wrong = [document for document in changed(one) if complaints(document)]
    assert len(wrong) > 8
    assert [document for document in wrong if not refused(document)] == []


def test_so_it_does_with_the_document_around_the_layers() -> None:
    small = {"receptive": 1, "input": {"shape": [3]}, "layers": [{"type": "flatten"}]}
    documents = [{**small, field: value} for field in (*DOCUMENT, "no_field") for value in WRONG]
    wrong = [document for document in documents if complaints(document)]
    assert len(wrong) > 50
    assert [document for document in wrong if not refused(document)] == []


def test_it_says_which_place_is_wrong() -> None:
    document = {"receptive": 1, "input": {"shape": [3, 8, 8]}, "layers": [{"type": "conv", "filters": 0, "kernel": [3, "3"]}]}
    assert {"/layers/0/filters"} <= set(complaints(document))
    assert complaints({**document, "layers": [{"type": "convolution"}]}) == ["/layers/0/type"]


def test_an_editor_may_be_pointed_to_it() -> None:
    """`$schema` names the schema in the document itself, as editors look for it."""
    document = json.loads(EXAMPLES[0].read_text())
    assert refused({"$schema": "https://example.com/v1/schemas/layer-spec.json", **document}) == []
