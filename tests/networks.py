"""Published networks as layer specs, for any test that needs one. Each function says where the network is described.

`example` reads one of the specs in examples/; the others are built here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Spec = dict[str, Any]
Layer = dict[str, Any]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def example(name: str) -> Spec:
    """One of the specs in examples/: shift-example, lenet-5, alexnet-2012, har."""
    spec: Spec = json.loads((EXAMPLES / f"{name}.json").read_text())
    return spec


def spec_of(shape: list[int | None], *layers: Layer, name: str = "network") -> Spec:
    """A spec with one input, called "input"."""
    return {"receptive": 1, "name": name, "input": {"shape": shape}, "layers": list(layers)}


def conv(name: str, filters: int, kernel: int | list[int], stride: int | list[int] = 1, padding: Any = "same", **more: Any) -> Layer:
    """A convolution, padded to the same length unless said otherwise."""
    return {"name": name, "type": "conv", "filters": filters, "kernel": kernel, "stride": stride, "padding": padding, **more}


def pool(name: str, kernel: int, stride: int, padding: Any = "valid", **more: Any) -> Layer:
    """A maximum over windows."""
    return {"name": name, "type": "pool", "kernel": kernel, "stride": stride, "padding": padding, **more}


def lenet_1989() -> Spec:
    """LeCun et al. 1989, *Backpropagation Applied to Handwritten Zip Code Recognition*: 9,760 parameters and 64,660 connections.

    Which 8 of the 12 maps a map of H2 reads follows "a scheme that will not be described here"; any table has the same counts.
    """
    table = [[(filter_ + step) % 12 for step in range(8)] for filter_ in range(12)]
    return spec_of(
        [1, 16, 16],
        conv("h1", 12, 5, 2, 2, bias="untied"),
        conv("h2", 12, 5, 2, 2, bias="untied", connection_table=[sorted(row) for row in table]),
        {"name": "flat", "type": "flatten"},
        {"name": "h3", "type": "dense", "units": 30},
        {"name": "output", "type": "dense", "units": 10},
        name="lenet-1989",
    )


def goodfellow_edges() -> Spec:
    """Goodfellow, Bengio and Courville 2016, figure 9.6: each pixel minus its left neighbour, 320 columns by 280 rows to 319 by 280."""
    return spec_of([1, 280, 320], conv("edges", 1, [1, 2], 1, 0, bias=False), name="edges")


def alexnet_v2(size: int = 224) -> Spec:
    """TF-Slim alexnet_v2 (Krizhevsky 2014, *One weird trick for parallelizing convolutional neural networks*)."""
    return spec_of(
        [3, size, size],
        conv("conv1", 64, 11, 4, "valid"),
        pool("pool1", 3, 2),
        conv("conv2", 192, 5),
        pool("pool2", 3, 2),
        conv("conv3", 384, 3),
        conv("conv4", 384, 3),
        conv("conv5", 256, 3),
        pool("pool5", 3, 2),
        conv("fc6", 4096, 5, 1, "valid"),
        conv("fc7", 4096, 1),
        conv("fc8", 1000, 1),
        name="alexnet_v2",
    )


def vgg_a(size: int = 224) -> Spec:
    """TF-Slim vgg_a (Simonyan and Zisserman 2014, column A): layers conv1_1, pool1, conv2_1, …, pool5."""
    return _vgg("vgg_a", size, (1, 1, 2, 2, 2))


def vgg_16(size: int = 224) -> Spec:
    """TF-Slim vgg_16 (Simonyan and Zisserman 2014, column D): layers conv1_1, conv1_2, pool1, …, pool5."""
    return _vgg("vgg_16", size, (2, 2, 3, 3, 3))


def _vgg(name: str, size: int, depths: tuple[int, ...]) -> Spec:
    layers = []
    for block, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), start=1):
        layers += [conv(f"conv{block}_{number}", filters, 3) for number in range(1, depth + 1)]
        layers.append(pool(f"pool{block}", 2, 2))
    head = [conv("fc6", 4096, 7, 1, "valid"), conv("fc7", 4096, 1), conv("fc8", 1000, 1)]
    return spec_of([3, size, size], *layers, *head, name=name)


def mobilenet_v1(size: int = 224) -> Spec:
    """TF-Slim mobilenet_v1 (Howard et al. 2017): conv_0, then conv_1 … conv_13, each `conv_n/depthwise` and `conv_n`."""
    layers = [conv("conv_0", 32, 3, 2, bias=False)]
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for number, (filters, stride) in enumerate(blocks, start=1):
        depthwise = {"type": "depthwise_conv", "kernel": 3, "stride": stride, "padding": "same", "bias": False}
        layers += [{"name": f"conv_{number}/depthwise", **depthwise}, conv(f"conv_{number}", filters, 1, bias=False)]
    return spec_of([3, size, size], *layers, name="mobilenet_v1")


def resnet_v1_50(size: int = 224) -> Spec:
    """TF-Slim resnet_v1_50 (He et al. 2015), with the stride in the last unit of a block; `block1` … `block4` are the blocks' outputs.

    Strided 3×3 and 7×7 convolutions pad explicitly on both sides (slim's conv2d_same), everything else with "same".
    """
    layers = [conv("conv1", 64, 7, 2, 3, bias=False), pool("pool1", 3, 2, "same")]
    channels = 64
    for block, (depth, units, last) in enumerate([(64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1)], start=1):
        for unit in range(1, units + 1):
            name = f"block{block}" if unit == units else f"block{block}/unit_{unit}"
            layers += _bottleneck(name, layers[-1]["name"], channels, depth, last if unit == units else 1)
            channels = 4 * depth
    return spec_of([3, size, size], *layers, name="resnet_v1_50")


def _bottleneck(name: str, before: str, channels: int, depth: int, stride: int) -> list[Layer]:
    if channels == 4 * depth:
        shortcut = pool(f"{name}/shortcut", 1, stride) if stride > 1 else None
    else:
        shortcut = conv(f"{name}/shortcut", 4 * depth, 1, stride, bias=False)
    return [
        *([] if shortcut is None else [{**shortcut, "inputs": [before]}]),
        conv(f"{name}/conv1", depth, 1, bias=False, inputs=[before]),
        conv(f"{name}/conv2", depth, 3, stride, 1 if stride > 1 else "same", bias=False),
        conv(f"{name}/conv3", 4 * depth, 1, bias=False),
        {"name": f"{name}/add", "type": "add", "inputs": [before if shortcut is None else f"{name}/shortcut", f"{name}/conv3"]},
        {"name": name, "type": "activation", "function": "relu"},
    ]
