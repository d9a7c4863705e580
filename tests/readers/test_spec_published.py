"""Published parameters, connections and receptive fields, from layer specs through the analysis."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.graph.model import Model, ModelFacts
from service.options import Options
from service.readers.spec.entry import read_spec
from tests import networks
from tests.reports import analyzed


def report(spec: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(spec).encode()
    graph, weights = read_spec(text, Options())
    return analyzed(Model((graph,), weights, ModelFacts(None, "spec", len(text), (), ())))


def counts(spec: dict[str, Any], connections: str) -> list[tuple[str, int, int]]:
    """Name, parameters and connections of every layer that has connections."""
    layers = [layer for layer in report(spec)["layers"] if layer["connections"]]
    return [(layer["name"], layer["parameters"]["total"], layer["connections"][connections]) for layer in layers]


def fields(spec: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Receptive field, effective stride and effective padding of every layer."""
    found = {}
    for layer in report(spec)["layers"]:
        field = layer["receptive_field"]
        if field["size"]:
            assert all(len(set(field[key])) == 1 for key in ("size", "stride", "padding"))
            found[layer["name"]] = (field["size"][0], field["stride"][0], field["padding"][0])
    return found


def test_the_smallest_example() -> None:
    """Nine pixels, one 2×2 filter: 4 weights serve 16 of 36 possible connections; 9 = 2.25 × 4."""
    (layer,) = report(networks.example("shift-example"))["layers"]
    assert layer["parameters"]["weights"] == 4
    assert layer["connections"] == {"exact": 16, "padded": 16, "with_bias": 16, "dense": 36, "effective": 16}
    assert layer["sparsity"]["connection"] == pytest.approx(0.5556, abs=1e-4)
    assert layer["sharing"]["factor"] == 4
    assert layer["reduction"] == {"total": 9.0, "from_sparsity": 2.25, "from_sharing": 4.0}


def test_lenet_5() -> None:
    """LeCun, Bottou, Bengio and Haffner 1998, section II.B; the prototypes of the output layer are fixed."""
    spec = networks.example("lenet-5")
    assert counts(spec, "with_bias") == [
        ("c1", 156, 122_304),
        ("s2", 12, 5_880),
        ("c3", 1_516, 151_600),
        ("s4", 32, 2_000),
        ("c5", 48_120, 48_120),
        ("f6", 10_164, 10_164),
        ("output", 0, 840),
    ]
    summary = report(spec)["summary"]
    assert summary["parameters"]["stored"] == 60_000
    assert summary["connections"]["with_bias"] == 340_908


def test_lenet_1989() -> None:
    """LeCun et al. 1989: 9,760 parameters, 64,660 connections; taps on the constant background count, and every unit has its own bias."""
    layers = report(networks.lenet_1989())["layers"]
    weighted = [layer for layer in layers if layer["connections"]]
    totals = [layer["parameters"]["total"] for layer in weighted]
    # each biased unit has one bias, so what with_bias adds to exact is what it adds to padded
    connections = [c["padded"] + c["with_bias"] - c["exact"] for c in (layer["connections"] for layer in weighted)]
    assert totals == [1_068, 2_592, 5_790, 310] and sum(totals) == 9_760
    assert connections == [19_968, 38_592, 5_790, 310] and sum(connections) == 64_660


def test_goodfellow_figure_9_6() -> None:
    """Goodfellow, Bengio and Courville 2016: 8,003,072,000 matrix entries, 178,640 of them non-zero, 2 parameters."""
    (layer,) = report(networks.goodfellow_edges())["layers"]
    assert layer["output_shape"] == [1, 1, 280, 319]
    assert layer["parameters"]["weights"] == 2
    assert (layer["connections"]["dense"], layer["connections"]["exact"]) == (8_003_072_000, 178_640)


def test_alexnet_2012() -> None:
    """Krizhevsky, Sutskever and Hinton 2012: 60,965,224 parameters in two groups, 659,272 units with a bias."""
    summary = report(networks.example("alexnet-2012"))["summary"]
    layers = counts(networks.example("alexnet-2012"), "padded")
    units = [290_400, 186_624, 64_896, 64_896, 43_264, 4_096, 4_096, 1_000]
    assert [total for _, total, _ in layers] == [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
    assert sum(units) == 659_272 == summary["connections"]["with_bias"] - summary["connections"]["exact"]
    with_bias = [padded + biased for (_, _, padded), biased in zip(layers, units, strict=True)]
    assert with_bias[:5] == [105_705_600, 224_135_424, 149_585_280, 112_205_184, 74_803_456]
    assert sum(with_bias[5:]) == 58_631_144 and sum(with_bias) == 725_066_088
    assert summary["parameters"]["stored"] == 60_965_224


def test_har() -> None:
    """Corsi 2009: averages over 1, 5 and 22 days, so 22 connections share 3 weights."""
    (layer,) = report(networks.example("har"))["layers"]
    assert (layer["connections"]["exact"], layer["parameters"]["weights"], layer["parameters"]["biases"]) == (22, 3, 1)
    assert layer["sharing"]["factor"] == pytest.approx(7.33, abs=0.01)


# Araujo, Norris and Sim, Distill 2019: receptive field, effective stride and effective padding of TF-Slim models at 224×224.
ALEXNET_V2 = {
    "conv1": (11, 4, 0),
    "pool1": (19, 8, 0),
    "conv2": (51, 8, 16),
    "conv3": (99, 16, 32),
    "conv4": (131, 16, 48),
    "conv5": (163, 16, 64),
    "pool5": (195, 32, 64),
}
VGG_A = {
    "conv1_1": (3, 1, 1),
    "pool1": (4, 2, 1),
    "conv2_1": (8, 2, 3),
    "pool2": (10, 4, 3),
    "conv3_1": (18, 4, 7),
    "conv3_2": (26, 4, 11),
    "pool3": (30, 8, 11),
    "conv4_1": (46, 8, 19),
    "conv4_2": (62, 8, 27),
    "pool4": (70, 16, 27),
    "conv5_1": (102, 16, 43),
    "conv5_2": (134, 16, 59),
    "pool5": (150, 32, 59),
}
VGG_16 = {
    "conv1_1": (3, 1, 1),
    "pool1": (6, 2, 2),
    "conv2_1": (10, 2, 4),
    "pool2": (16, 4, 6),
    "conv3_1": (24, 4, 10),
    "conv3_2": (32, 4, 14),
    "pool3": (44, 8, 18),
    "conv4_1": (60, 8, 26),
    "conv4_2": (76, 8, 34),
    "pool4": (100, 16, 42),
    "conv5_1": (132, 16, 58),
    "conv5_2": (164, 16, 74),
    "pool5": (212, 32, 90),
}
MOBILENET_V1 = [
    *((3, 2, 0), (7, 2, 2), (11, 4, 2), (19, 4, 6), (27, 8, 6), (43, 8, 14), (59, 16, 14)),
    *((91, 16, 30), (123, 16, 46), (155, 16, 62), (187, 16, 78), (219, 16, 94), (251, 32, 94), (315, 32, 126)),
]
RESNET_V1_50 = {"block1": (35, 8, 15), "block2": (99, 16, 47), "block3": (291, 32, 143), "block4": (483, 32, 239)}


@pytest.mark.parametrize(
    ("spec", "published"),
    [
        (networks.alexnet_v2(), ALEXNET_V2),
        (networks.vgg_a(), VGG_A),
        (networks.vgg_16(), VGG_16),
        (networks.mobilenet_v1(), {f"conv_{i}": field for i, field in enumerate(MOBILENET_V1)}),
        (networks.resnet_v1_50(), RESNET_V1_50),
        # With "same" the padding depends on the input's size.
        (networks.resnet_v1_50(321), {"block4": (483, 32, 241)}),
        (networks.mobilenet_v1(321), {"conv_13": (315, 32, 157)}),
    ],
    ids=lambda value: value.get("name", ""),
)
def test_tf_slim_receptive_fields(spec: dict[str, Any], published: dict[str, tuple[int, int, int]]) -> None:
    found = fields(spec)
    assert {name: found[name] for name in published} == published


def test_resnet_v1_50_has_the_weights_of_resnet50() -> None:
    """torchvision's resnet50: 25,502,912 kernel weights, of which 2,048,000 are its classifier's."""
    assert report(networks.resnet_v1_50())["summary"]["parameters"]["weights"] == 25_502_912 - 2_048_000
