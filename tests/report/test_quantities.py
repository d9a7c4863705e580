"""The catalogue of numbers: every number stands where it says, and is shown wherever it says; there is no second list of them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from service.render.figures.badge import METRICS, endpoint
from service.render.tables import LayerTable
from service.render.words.difference import BUDGET_FIELDS, value, words_of
from service.render.words.explain import explain
from service.render.words.view import row
from service.render.words.worksheet import worksheet
from service.report.comparison import compare
from service.report.document import Connections, Layer, Report
from service.report.forms import members
from service.report.quantities import LIMITS, QUANTITIES, compared, flat_numbers
from service.report.quantity import Quantity
from tests import networks
from tests.reports import document_of

LENET = document_of(networks.example("lenet-5"))
IDS = [quantity.path for quantity in QUANTITIES]
OF_LAYERS = [quantity for quantity in QUANTITIES if "layer" in quantity.scopes]
OF_MODELS = [quantity for quantity in QUANTITIES if "model" in quantity.scopes]


def test_no_number_stands_twice() -> None:
    for kind in ("path", "column", "flat", "question"):
        names = Counter(getattr(quantity, kind) for quantity in QUANTITIES if getattr(quantity, kind))
        assert [name for name, times in names.items() if times > 1] == [], kind


@pytest.mark.parametrize("quantity", QUANTITIES, ids=IDS)
def test_a_number_stands_where_it_says_and_says_what_it_is(quantity: Quantity) -> None:
    assert quantity.scopes and quantity.name and quantity.described.endswith(".")
    assert quantity.member is not None or quantity.meaning
    for layer in LENET.layers if "layer" in quantity.scopes else ():
        quantity.of_layer(layer)
    if "model" in quantity.scopes:
        quantity.of_model(LENET)


@pytest.mark.parametrize("path", ["connections.many", "layers.0", "weights"])
def test_a_path_that_leads_nowhere_is_an_error(path: str) -> None:
    with pytest.raises(ValueError, match="has no field"):
        _ = Quantity(path, "nothing", ("layer",)).member


@pytest.mark.parametrize("quantity", [quantity for quantity in OF_LAYERS if quantity.column], ids=lambda each: each.column)
def test_every_number_with_a_column_is_in_the_layer_table(quantity: Quantity) -> None:
    columns = LayerTable.of(LENET).columns
    assert [column for column in columns if column == quantity.column or column.startswith(f"{quantity.column}_")]


@pytest.mark.parametrize("quantity", OF_LAYERS, ids=lambda each: each.path)
def test_a_number_of_a_layer_is_shown_somewhere(quantity: Quantity) -> None:
    assert quantity.column or quantity.shown or quantity.compared


@pytest.mark.parametrize("quantity", OF_MODELS, ids=lambda each: each.path)
def test_a_number_of_a_model_is_shown_somewhere(quantity: Quantity) -> None:
    assert quantity.flat or quantity.compared or quantity.badge or quantity.limits


def test_every_compared_number_is_in_a_comparison() -> None:
    """Each side has a layer that the other lacks, so each of its numbers that is known is told."""
    (only,) = (layer for layer in compare(document_of(SMALL), document_of(LARGER)).layers if layer.status == "added")
    assert list(only.changes) == [each.path for each in compared("layer") if each.of_layer(document_of(LARGER).layers[1]) is not None]
    changed = compare(document_of(SMALL), document_of(LARGER)).summary
    for quantity in compared("model"):
        differs = quantity.of_model(document_of(SMALL)) != quantity.of_model(document_of(LARGER))
        assert (quantity.path in changed) is differs
        assert words_of(quantity.path) == quantity.words != ""


SMALL = networks.spec_of([1, 16, 16], networks.conv("a", 4, 3))
LARGER = networks.spec_of([1, 16, 16], networks.conv("a", 4, 3), networks.conv("b", 2, 5))


def test_every_derivation_that_is_shown_is_of_a_number_that_is_derived() -> None:
    derived = {path for layer in LENET.layers for path in explain(LENET, layer)}
    shown = {quantity.path for quantity in QUANTITIES if quantity.shown}
    assert derived - shown <= {"uses.mean", "reduction.from_sparsity", "reduction.from_sharing"}
    labels = {line.label for layer in LENET.layers for line in row(LENET, layer).lines}
    assert labels <= {quantity.words for quantity in QUANTITIES if quantity.shown}


def test_a_worksheet_asks_what_the_catalogue_asks() -> None:
    asked = {question.text for exercise in worksheet(LENET) for question in exercise.questions}
    assert asked == {quantity.question.format(pixels="pixels") for quantity in QUANTITIES if quantity.question}


def test_every_badge_and_every_budget_is_of_a_number() -> None:
    assert set(METRICS) == {quantity.badge.metric for quantity in QUANTITIES if quantity.badge}
    assert all(endpoint(LENET, metric).message for metric in METRICS)
    assert [field.name for field in BUDGET_FIELDS if field.unit != "yes"] == list(LIMITS)
    assert all(name.startswith(("max_", "min_")) for name in LIMITS)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=IDS)
def test_a_value_is_written_by_its_format(quantity: Quantity) -> None:
    written = {"share": "50.0 %", "count": "0.5", "ratio": "0.5", "sizes": "0.5", "text": "0.5"}
    assert value(quantity.path, 0.5) == written[quantity.format]


def test_there_is_no_second_table_of_numbers() -> None:
    """Outside the catalogue no table names more than a few of the numbers by their paths."""
    paths = {quantity.path for quantity in QUANTITIES if "." in quantity.path}
    tables = []
    for file in sorted((Path(__file__).resolve().parents[2] / "service").rglob("*.py")):
        if file.name == "quantities.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            entries = [*(node.keys if isinstance(node, ast.Dict) else ()), *(node.elts if isinstance(node, ast.Tuple | ast.List) else ())]
            named = [entry.value for entry in entries if isinstance(entry, ast.Constant) and entry.value in paths]
            if len(named) > 2:
                tables.append(f"{file.name}:{node.lineno} {named}")
    assert tables == []


# -- the flat numbers ----------------------------------------------------------------------------------------------


def test_the_flat_numbers_of_lenet_5() -> None:
    """LeCun et al. 1998: 60,000 parameters; 340,908 connections with the 8,084 to biases; a unit of C5 sees the whole 32×32 input."""
    numbers = flat_numbers(LENET)
    assert numbers["receptive.parameters"] == 60_000 == numbers["receptive.weights"] + numbers["receptive.biases"]
    assert numbers["receptive.connections"] == 340_908 - 8_084
    assert (numbers["receptive.receptive_field.height"], numbers["receptive.receptive_field_coverage.width"]) == (32, 1)
    assert (numbers["receptive.layers"], numbers["receptive.output_is_global"], numbers["receptive.findings.error"]) == (12, 0, 0)


NAMES = re.compile(
    r"receptive\.(layers|parameters|weights|biases|connections(_padded|_dense)?|(connection|weight|effective)_sparsity|sharing_factor|reduction"
    r"|receptive_field(_stride|_coverage)?\.[a-z0-9]+|output_is_global|unproductive_layers|findings\.(error|warning|info)|size_bytes)"
)


@pytest.mark.parametrize("name", ["lenet-5", "alexnet-2012", "har", "shift-example"])
def test_flat_numbers_are_numbers_under_frozen_names(name: str) -> None:
    numbers = flat_numbers(document_of(networks.example(name)))
    assert [key for key in numbers if not NAMES.fullmatch(key)] == []
    assert [value for value in numbers.values() if isinstance(value, bool) or not isinstance(value, int | float)] == []


def test_a_number_that_does_not_exist_is_left_out() -> None:
    """No weights were read, so no share of them is known to be zero; a model without an image has no receptive field."""
    assert "receptive.weight_sparsity" not in flat_numbers(LENET)
    pruned = document_of(networks.spec_of([1, 5, 5], networks.conv("c", 1, 2, weights=[[[[1, 0], [0, 2]]]])))
    assert flat_numbers(pruned)["receptive.weight_sparsity"] == 0.5
    unknown = replace(LENET, summary=replace(LENET.summary, connections=Connections(None, None, None, None, None), receptive_field=None))
    assert not {"receptive.connections", "receptive.unproductive_layers"} & set(flat_numbers(unknown))


def test_of_a_global_output_the_largest_local_field_counts() -> None:
    """By hand: two 3×3 convolutions see 5 pixels at stride 1; then a global pool sees everything."""
    spec = networks.spec_of(
        [1, 20, 30], networks.conv("a", 2, 3), networks.conv("b", 2, 3), {"name": "pool", "type": "global_pool", "mode": "avg"}
    )
    report = document_of(spec)
    numbers = flat_numbers(report)
    assert numbers["receptive.output_is_global"] == 1
    assert (numbers["receptive.receptive_field.height"], numbers["receptive.receptive_field.width"]) == (5, 5)
    assert (numbers["receptive.receptive_field_stride.height"], numbers["receptive.receptive_field_coverage.width"]) == (1, 5 / 30)


def test_members_of_a_report_that_are_numbers_are_in_the_catalogue() -> None:
    """Counts and ratios of a layer's objects; the rest are parts of other numbers."""
    parts = {"connections", "sparsity", "sharing", "units", "fan_in"}
    for part in members(Layer):
        if part.name in parts and part.form.record is not None:
            missing = {f"{part.key}.{each.key}" for each in members(part.form.record)} - set(IDS)
            assert missing == set(), part.name
    assert isinstance(LENET, Report)
