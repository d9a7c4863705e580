"""The report against published tables, each number with its source."""

from __future__ import annotations

import pytest

from tests import networks
from tests.reports import layer_of, report_of


def test_the_smallest_example() -> None:
    """Design section 1: a 3×3 image and one 2×2 filter."""
    layer = report_of(networks.example("shift-example"))["layers"][0]
    assert layer["parameters"]["weights"] == 4
    assert (layer["connections"]["exact"], layer["connections"]["dense"]) == (16, 36)
    assert layer["sparsity"]["connection"] == pytest.approx(0.5556, abs=5e-5)
    assert layer["sharing"]["factor"] == 4
    assert layer["reduction"] == {"total": 9.0, "from_sparsity": 2.25, "from_sharing": 4.0}


LENET5 = {
    "c1": (156, 122_304),
    "s2": (12, 5_880),
    "c3": (1_516, 151_600),
    "s4": (32, 2_000),
    "c5": (48_120, 48_120),
    "f6": (10_164, 10_164),
    "output": (0, 840),
}


def test_lenet_5() -> None:
    """LeCun, Bottou, Bengio and Haffner 1998, section II.B: parameters and connections, a bias counting as a connection."""
    report = report_of(networks.example("lenet-5"))
    found = {name: layer_of(report, name) for name in LENET5}
    assert {name: (layer["parameters"]["total"], layer["connections"]["with_bias"]) for name, layer in found.items()} == LENET5
    assert report["summary"]["parameters"]["stored"] == 60_000
    assert report["summary"]["connections"]["with_bias"] == 340_908


ALEXNET = {
    "conv1": (34_944, 105_705_600),
    "conv2": (307_456, 224_135_424),
    "conv3": (885_120, 149_585_280),
    "conv4": (663_936, 112_205_184),
    "conv5": (442_624, 74_803_456),
    "fc6": (37_752_832, 37_752_832),
    "fc7": (16_781_312, 16_781_312),
    "fc8": (4_097_000, 4_097_000),
}


def test_alexnet() -> None:
    """Krizhevsky, Sutskever and Hinton 2012, 227×227 with two groups: connections with bias, padding included."""
    report = report_of(networks.example("alexnet-2012"))
    totals = {}
    for name in ALEXNET:
        layer = layer_of(report, name)
        biased = layer["connections"]["with_bias"] - layer["connections"]["exact"]
        totals[name] = (layer["parameters"]["total"], layer["connections"]["padded"] + biased)
    assert totals == ALEXNET
    assert sum(connections for _, connections in totals.values()) == 725_066_088
    assert report["summary"]["parameters"]["stored"] == 60_965_224


def test_har() -> None:
    """Corsi 2009 as a tied dense layer: 22 lags share 3 weights, and one bias."""
    layer = report_of(networks.example("har"))["layers"][0]
    assert (layer["connections"]["exact"], layer["parameters"]["weights"], layer["parameters"]["biases"]) == (22, 3, 1)
    assert layer["sharing"]["factor"] == pytest.approx(7.33, abs=5e-3)


def test_edge_detector() -> None:
    """Goodfellow, Bengio and Courville 2016, figure 9.6: a 2-tap kernel over a 320×280 image."""
    spec = networks.spec_of([1, 280, 320], networks.conv("edges", 1, [1, 2], padding=0, bias=False))
    layer = report_of(spec)["layers"][0]
    assert layer["output_shape"] == [1, 1, 280, 319]
    assert (layer["connections"]["dense"], layer["connections"]["exact"]) == (8_003_072_000, 178_640)
    assert layer["parameters"]["total"] == 2


def published(text: str) -> dict[str, tuple[int, int, int]]:
    """ "name size/stride/padding" pairs, as the tables of Araujo et al. print them."""
    rows = (entry.split() for entry in text.split(","))
    return {name: tuple(map(int, numbers.split("/"))) for name, numbers in rows}  # type: ignore[misc]


ARAUJO = {
    "alexnet_v2": "conv1 11/4/0, pool1 19/8/0, conv2 51/8/16, conv3 99/16/32, conv4 131/16/48, conv5 163/16/64, pool5 195/32/64",
    "vgg_a": "conv1_1 3/1/1, pool1 4/2/1, conv2_1 8/2/3, pool2 10/4/3, conv3_1 18/4/7, conv3_2 26/4/11, pool3 30/8/11, conv4_1 46/8/19, "
    "conv4_2 62/8/27, pool4 70/16/27, conv5_1 102/16/43, conv5_2 134/16/59, pool5 150/32/59",
    "vgg_16": "conv1_1 3/1/1, pool1 6/2/2, conv2_1 10/2/4, pool2 16/4/6, conv3_1 24/4/10, conv3_2 32/4/14, pool3 44/8/18, conv4_1 60/8/26, "
    "conv4_2 76/8/34, pool4 100/16/42, conv5_1 132/16/58, conv5_2 164/16/74, pool5 212/32/90",
    "mobilenet_v1": "conv_0 3/2/0, conv_1 7/2/2, conv_2 11/4/2, conv_3 19/4/6, conv_4 27/8/6, conv_5 43/8/14, conv_6 59/16/14, "
    "conv_7 91/16/30, conv_8 123/16/46, conv_9 155/16/62, conv_10 187/16/78, conv_11 219/16/94, conv_12 251/32/94, conv_13 315/32/126",
    "resnet_v1_50": "block1 35/8/15, block2 99/16/47, block3 291/32/143, block4 483/32/239",
}


@pytest.mark.parametrize("network", sorted(ARAUJO))
def test_receptive_fields_of_tf_slim(network: str) -> None:
    """Araujo, Norris and Sim, Distill 2019: size/stride/padding of the TF-Slim models at 224×224 with SAME padding."""
    report = report_of(getattr(networks, network)())
    for name, numbers in published(ARAUJO[network]).items():
        field = layer_of(report, name)["receptive_field"]
        assert (field["size"], field["stride"], field["padding"]) == tuple([n, n] for n in numbers), name
        assert field["status"] == "exact"


def test_channels_that_hold_neighbouring_places() -> None:
    """Space-to-depth is a convolution of kernel 2 and stride 2 as to where its units lie; depth-to-space halves the stride."""
    focus = report_of(networks.spec_of([4, 8, 8], {"name": "s", "type": "space_to_depth", "block": 2}, networks.conv("c", 4, 3)))
    fields = [layer["receptive_field"] for layer in focus["layers"]]
    assert [(f["size"], f["stride"], f["padding"]) for f in fields] == [([1, 1], [2, 2], [0, 0]), ([6, 6], [2, 2], [2, 2])]
    shuffle = report_of(networks.spec_of([16, 8, 8], {"name": "d", "type": "depth_to_space", "block": 2}, networks.conv("c", 4, 3)))
    fields = [layer["receptive_field"] for layer in shuffle["layers"]]
    assert [f["axes"] for f in fields] == [["height", "width"]] * 2
    assert [(f["size"], f["stride"], f["padding"]) for f in fields] == [([1, 1], [0.5, 0.5], [0, 0]), ([2, 2], [0.5, 0.5], [1, 1])]
