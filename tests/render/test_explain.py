"""Derivations: every line, evaluated, gives the report's own number."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.render.explain import explain, number
from tests import networks
from tests.reports import report_of


def dig(record: Any, path: str) -> Any:
    for key in path.split("."):
        record = record[key]
    return record


def evaluated(text: str) -> float:
    """The value of a sum or product written with · × ( ) + - /, words and thousands separators aside."""
    plain = re.sub(r"[A-Za-z]+", "", text.replace(",", "")).replace("·", "*").replace("×", "*")
    return float(eval(re.sub(r"\s+", " ", plain), {"__builtins__": {}}))


def test_lenet_as_its_paper_writes_it() -> None:
    """LeCun et al. 1998: C1 has 6(25 + 1) parameters and 122,304 connections."""
    report = report_of(networks.example("lenet-5"))
    lines = explain(report, report["layers"][0])
    assert lines["connections.with_bias"] == "(5·5·1 + 1)·6·28·28 = 122,304"
    assert lines["parameters.total"] == "(5·5·1 + 1)·6 = 156"


@pytest.mark.parametrize("name", ["shift-example", "lenet-5", "alexnet-2012", "har"])
def test_every_line_gives_its_number(name: str) -> None:
    report = report_of(networks.example(name))
    checked = 0
    for layer in report["layers"]:
        for path, line in explain(report, layer).items():
            if path.startswith("receptive_field"):
                continue
            value = dig(layer, path)
            *terms, result = line.split(" = ")
            assert result == number(value), (layer["name"], path)
            assert evaluated(terms[0]) == pytest.approx(value, rel=1e-5), (layer["name"], path, line)
            checked += 1
    assert checked >= 10


def test_the_receptive_field_grows_by_the_rule_of_araujo() -> None:
    """Araujo et al. 2019, equation 2: size = size of the input + (k - 1)·stride of the input."""
    report = report_of(networks.vgg_16())
    lines = {layer["name"]: explain(report, layer)["receptive_field.size"] for layer in report["layers"]}
    assert lines["conv5_1"] == "100 + (3 - 1)·16 = 132"


def test_a_dilated_layer_names_its_dilation() -> None:
    report = report_of(networks.spec_of([1, 32, 32], networks.conv("a", 1, 3), networks.conv("b", 1, 3, dilation=4)))
    assert explain(report, report["layers"][1])["receptive_field.size"] == "3 + (3 - 1)·4·1 = 11"


def test_layer_of_unknown_size_is_explained_as_far_as_it_goes() -> None:
    """Sizes and counts are null where a model leaves an axis open."""
    report = report_of(networks.example("lenet-5"))
    layer = report["layers"][0]
    unknown = {**layer, "input_shape": [1, 1, None, None], "output_shape": [1, 6, None, None]}
    unknown["connections"] = dict.fromkeys(layer["connections"])
    unknown["units"] = {"in": None, "out": None}
    lines = explain(report, unknown)
    assert lines["parameters.total"] == "(5·5·1 + 1)·6 = 156"
    assert "connections.exact" not in lines
