"""Whole models as torchvision publishes them, against its tables; the really pruned SqueezeNet against its paper's file.

The files are what the PyTorch exporter wrote: it folds a batch normalisation into the convolution before it, whose bias then stands for the
scale and the shift that torchvision counts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from service.options import Options
from service.report.plain import plain_object
from service.work.analysis import analyze_file
from tests.networks import conv, pool, spec_of
from tests.reports import report_of

Report = dict[str, Any]


@cache
def report(folder: Path, name: str) -> Report:
    places = (folder / "exported" / f"{name}.onnx", folder / "exported" / "graphonly" / f"{name}.onnx")
    path = next(place for place in places if place.exists())
    return plain_object(analyze_file({"": str(path)}, Options(external_missing="ignore", read_weights="none")))


# torchvision at 224×224, kernel weights only: weights, padded (the published GMACs to all digits), exact, dense, sparsity in %, sharing.
WHOLE = {
    "alexnet": (61_090_496, 714_188_480, 657_918_720, 42_516_369_408, 98.453, 10.8),
    "vgg16": (138_344_128, 15_470_264_320, 14_969_824_000, 16_707_122_790_400, 99.910, 108.2),
    "resnet50": (25_502_912, 4_089_184_256, 3_948_251_904, 2_596_938_399_744, 99.848, 154.8),
    "mobilenet_v2": (3_469_760, 300_774_272, 299_676_304, 1_439_456_790_528, 99.979, 86.4),
}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_whole_models(corpus: Path, name: str) -> None:
    summary = report(corpus, name)["summary"]
    counts = summary["connections"]
    found = (summary["parameters"]["weights"], counts["padded"], counts["exact"], counts["dense"])
    assert found == WHOLE[name][:4]
    assert 100 * summary["sparsity"]["connection"] == pytest.approx(WHOLE[name][4], abs=5e-4)
    assert summary["sharing"]["factor"] == pytest.approx(WHOLE[name][5], abs=0.05)


# torchvision's model pages: number of parameters.
PARAMETERS = {
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "squeezenet1_1": 1_235_496,
    "densenet121": 7_978_856,
    "googlenet": 6_624_904,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "shufflenet_v2_x1_0": 2_278_604,
}
PLAIN = {"alexnet", "vgg16", "squeezenet1_1"}
"""Networks without batch normalisation."""


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters(corpus: Path, name: str) -> None:
    total = 0
    for layer in report(corpus, name)["layers"]:
        parameters = layer["parameters"]
        folded = layer["kind"] == "convolution" and name not in PLAIN and not unnormalised(layer)
        total += parameters["weights"] + parameters["biases"] * (2 if folded else 1) + parameters["other"]
    assert total == PARAMETERS[name]


def test_what_an_exporter_stores(corpus: Path) -> None:
    """A fresh ResNet-50: the parameters without its 53,120 of batch normalisation, and for each width one vector of zeros, the folded bias.

    The published 25,511,976 were stored by an exporter that wrote two such vectors for each width.
    """
    found = report(corpus, "resnet50")
    biases = [entry for entry in found["ledger"] if len(entry["used_by"]) > 1 and entry["used_by"][0]["role"] == "bias"]
    assert [entry["shape"] for entry in biases] == [[64], [256], [128], [512], [1024], [2048]]
    once = sum(entry["count"] for entry in biases)
    assert found["summary"]["parameters"]["stored"] == PARAMETERS["resnet50"] - 53_120 + once
    assert found["summary"]["parameters"]["stored"] + once == 25_511_976


def unnormalised(layer: Report) -> bool:
    """The convolutions of squeeze-and-excitation have a bias and no batch normalisation."""
    return "/fc1/" in layer["name"] or "/fc2/" in layer["name"]


def test_vgg11() -> None:
    """torchvision: 132,863,336 parameters (configuration A of Simonyan and Zisserman 2015)."""
    layers = []
    for block, (filters, count) in enumerate([(64, 1), (128, 1), (256, 2), (512, 2), (512, 2)]):
        layers += [conv(f"conv{block}_{i}", filters, 3) for i in range(count)] + [pool(f"pool{block}", 2, 2)]
    dense = [{"name": f"fc{i}", "type": "dense", "units": units} for i, units in enumerate((4096, 4096, 1000))]
    found = report_of(spec_of([3, 224, 224], *layers, {"name": "flat", "type": "flatten"}, *dense))
    assert found["summary"]["parameters"]["stored"] == 132_863_336


# Measured on torchvision's models: size/stride/padding (PyTorch's padding is symmetric, TF-Slim's is not).
FIELDS = {
    "alexnet": {"/features/features.12/MaxPool": (195, 32, 66)},
    "vgg16": {"/features/features.30/MaxPool": (212, 32, 90)},
    "resnet18": {
        "/layer1/layer1.1/Add": (43, 4, 21),
        "/layer2/layer2.1/Add": (99, 8, 49),
        "/layer3/layer3.1/Add": (211, 16, 105),
        "/layer4/layer4.1/Add": (435, 32, 217),
    },
    "resnet50": {
        "/layer1/layer1.2/Add": (35, 4, 17),
        "/layer2/layer2.3/Add": (91, 8, 45),
        "/layer3/layer3.5/Add": (267, 16, 133),
        "/layer4/layer4.2/Add": (427, 32, 213),
    },
    "mobilenet_v2": {"/features/features.18/features.18.2/Clip": (491, 32, 245)},
    "squeezenet1_1": {"/features/features.12/Concat": (207, 16, 88)},
}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_receptive_fields(corpus: Path, name: str) -> None:
    layers = {layer["name"]: layer["receptive_field"] for layer in report(corpus, name)["layers"]}
    for layer, numbers in FIELDS[name].items():
        field = layers[layer]
        assert (field["size"], field["stride"], field["padding"]) == tuple([n, n] for n in numbers), layer


def test_the_pruned_squeezenet(corpus: Path) -> None:
    """Han et al. 2016, Deep Compression: 415,921 of its 1,244,448 weights are not zero; every layer keeps its own share."""
    path = corpus / "models" / "squeezenet1_0_deepcompressed_pruned.onnx"
    found = plain_object(analyze_file({"": str(path)}, Options(read_weights="all", channel_order="bgr")))
    kept = {layer["name"]: layer["values"]["nonzero"] for layer in found["layers"] if layer["parameters"]["weights"]}
    assert len(kept) == 26
    assert sum(kept.values()) == 415_921
    assert found["summary"]["parameters"]["weights"] == 1_244_448
    assert all(0 < kept[layer["name"]] < layer["parameters"]["weights"] for layer in found["layers"] if layer["name"] in kept)
