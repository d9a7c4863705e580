"""Derivations: every line, evaluated, gives the report's own number."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from service.render.words.explain import explain
from service.render.words.numbers import number
from service.report.document import Connections, Report, Units
from service.report.plain import plain_object
from tests import networks
from tests.reports import document_of


def dig(record: Any, path: str) -> Any:
    for key in path.split("."):
        record = record.get(key) if isinstance(record, dict) else None
    return record


NUMBERS = (
    *(f"parameters.{name}" for name in ("weights", "total", "other")),
    *(f"connections.{name}" for name in ("exact", "padded", "with_bias", "dense", "effective")),
    *(f"{spread}.{end}" for spread in ("fan_in", "uses") for end in ("min", "mean", "max")),
    *(f"sparsity.{name}" for name in ("connection", "weight", "effective")),
    *(f"sharing.{name}" for name in ("positions", "factor")),
    *(f"reduction.{name}" for name in ("total", "from_sparsity", "from_sharing")),
    *(f"receptive_field.{name}" for name in ("size", "min_size", "stride", "padding", "coverage", "density")),
    *(f"receptive_field.effective.{name}" for name in ("sigma", "width95")),
)
"""Every number of a layer that is derived."""

FUNCTIONS = {"min": min, "max": max, "sqrt": math.sqrt}


def evaluated(text: str) -> float:
    """The value of an expression written with · × ( ) + - / ² √ min max, words and thousands separators aside."""
    plain = re.sub(r"(?<=\d),(?=\d)", "", text)
    for sign, operation in (("·", "*"), ("×", "*"), ("²", "**2"), ("√", "sqrt")):
        plain = plain.replace(sign, operation)
    plain = re.sub(r"[A-Za-z]+", lambda word: word[0] if word[0] in FUNCTIONS else "", plain)
    return float(eval(re.sub(r"\s+", " ", plain).strip(), {"__builtins__": {}, **FUNCTIONS}))


def check(line: str, value: Any, place: Any) -> None:
    """Every expression of a line, evaluated, is the report's number, for every axis."""
    values = value if isinstance(value, list) else [value]
    parts = line.split("; ")
    assert len(parts) == len(values) or len({number(each) for each in values}) == len(parts) == 1, place
    for part, each in zip(parts, values, strict=False):
        *terms, result = re.sub(r"^[a-z]+: ", "", part).split(" = ")
        assert result == number(each), (place, line)
        for term in filter(re.compile(r"\d").search, terms):
            assert evaluated(term) == pytest.approx(each, rel=2e-5, abs=1e-9), (place, line)


def checked(report: Report) -> tuple[set[str], set[tuple[str, str]]]:
    """The numbers whose lines were evaluated, and those of which layers have no line that can be."""
    seen, missing = set(), set()
    for layer in report.layers:
        lines, plain = explain(report, layer), plain_object(layer)
        assert set(lines) <= set(NUMBERS)
        for path in NUMBERS:
            value = dig(plain, path)
            if value is None or (path.startswith("parameters") and value == 0):
                continue
            if " = " in lines.get(path, ""):
                check(lines[path], value, (layer.name, path))
                seen.add(path)
            else:
                missing.add((layer.name, path))
    return seen, missing


def test_lenet_as_its_paper_writes_it() -> None:
    """LeCun et al. 1998: C1 has 6(25 + 1) parameters and 122,304 connections."""
    report = document_of(networks.example("lenet-5"))
    lines = explain(report, report.layers[0])
    assert lines["connections.with_bias"] == "(5·5·1 + 1)·6·28·28 = 122,304"
    assert lines["parameters.total"] == "(5·5·1 + 1)·6 = 156"


IMAGES = [
    networks.conv("padded", 8, 3, 2, 1),
    networks.conv("uneven", 8, [3, 5], [1, 2], [[0, 2], [3, 1]]),
    networks.conv("dilated", 8, 3, 1, 2, dilation=2, groups=2),
    {"name": "depthwise", "type": "depthwise_conv", "kernel": 3, "padding": "same", "multiplier": 2},
    {"name": "norm", "type": "batch_norm"},
    {"name": "relu", "type": "activation", "function": "relu"},
    networks.conv("table", 3, 2, 1, 0, connection_table=[[0, 1, 2], [3], [4, 5]]),
    {"name": "subsampled", "type": "subsample", "kernel": 2},
    {"name": "up", "type": "conv_transpose", "filters": 4, "kernel": 3, "stride": 2, "padding": 1},
    {"name": "pooled", "type": "pool", "mode": "avg", "kernel": 3, "stride": 1, "padding": 1},
    {"name": "local", "type": "local", "filters": 2, "kernel": 3, "padding": 1},
    {"name": "narrow", "type": "conv", "filters": 2, "kernel": 1, "inputs": ["local"]},
    {"name": "sum", "type": "add", "inputs": ["local", "narrow"]},
    networks.conv("wide", 2, 5, 1, 2),
    {"name": "both", "type": "concat", "inputs": ["sum", "wide"]},
    {"name": "larger", "type": "upsample", "factor": 2},
    {"name": "flat", "type": "flatten"},
    {"name": "classes", "type": "dense", "units": 5},
]
SEQUENCES = [
    {"name": "word", "type": "embedding", "vocabulary": 50, "units": 6},
    {"name": "memory", "type": "lstm", "units": 4, "bidirectional": True},
    {"name": "gates", "type": "gru", "units": 3},
    {"name": "plain", "type": "rnn", "units": 3},
    {"name": "tags", "type": "dense", "units": 5},
]
VARIETY = {
    **{name: networks.example(name) for name in ("shift-example", "lenet-5", "alexnet-2012", "har")},
    "images": networks.spec_of([4, 24, 20], *IMAGES),
    "sequences": networks.spec_of([12], *SEQUENCES),
    "pruned": networks.spec_of([1, 5, 5], networks.conv("pruned", 1, 2, 1, 1, weights=[[[[1, 0], [0, 2]]]])),
    "lenet-1989": networks.lenet_1989(),
    "mobilenet": networks.mobilenet_v1(64),
    "resnet": networks.resnet_v1_50(64),
}


@pytest.mark.parametrize("name", VARIETY)
def test_every_line_gives_its_number(name: str) -> None:
    """And every number has a line; the effective field has none where paths meet, nor has a kernel whose biases are untied."""
    seen, missing = checked(document_of(VARIETY[name]))
    assert len(seen) >= 10
    unexplained = {(layer, path) for layer, path in missing if not path.endswith("sigma")}
    assert unexplained == set()


def test_every_number_is_explained_somewhere() -> None:
    reports = [document_of(VARIETY[name]) for name in ("images", "pruned")]
    assert set().union(*(checked(report)[0] for report in reports)) == set(NUMBERS)


def test_the_receptive_field_grows_by_the_rule_of_araujo() -> None:
    """Araujo et al. 2019, equation 2: size = size of the input + (k - 1)·stride of the input."""
    report = document_of(networks.vgg_16())
    lines = {layer.name: explain(report, layer)["receptive_field.size"] for layer in report.layers}
    assert lines["conv5_1"] == "100 + (3 - 1)·16 = 132"


def test_a_dilated_layer_names_its_dilation() -> None:
    report = document_of(networks.spec_of([1, 32, 32], networks.conv("a", 1, 3), networks.conv("b", 1, 3, dilation=4)))
    assert explain(report, report.layers[1])["receptive_field.size"] == "3 + (3 - 1)·4·1 = 11"


def test_layer_of_unknown_size_is_explained_as_far_as_it_goes() -> None:
    """Sizes and counts are null where a model leaves an axis open."""
    report = document_of(networks.example("lenet-5"))
    layer = report.layers[0]
    unknown = replace(
        layer,
        input_shape=(1, 1, None, None),
        output_shape=(1, 6, None, None),
        connections=Connections(None, None, None, None, None),
        units=Units(None, None),
        taps=None,
    )
    lines = explain(report, unknown)
    assert lines["parameters.total"] == "(5·5·1 + 1)·6 = 156"
    assert "connections.exact" not in lines


def test_a_report_from_before_its_layers_carried_taps_is_explained_without_them() -> None:
    report = document_of(networks.example("lenet-5"))
    lines = explain(report, replace(report.layers[0], taps=None))
    assert lines["connections.exact"] == "784 positions·6·1·5·5 = 117,600"
