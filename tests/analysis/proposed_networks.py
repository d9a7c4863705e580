"""ResNet-18 and VGG-16 as layer specs for images of any size, for tests of what is proposed for them."""

from __future__ import annotations

from typing import Any

from tests.networks import Layer, Spec, conv, pool, spec_of


def resnet_18(size: int) -> Spec:
    """He et al. 2016, table 1, as torchvision has it, without its normalisations: 11,679,912 parameters."""
    layers: list[Layer] = [conv("stem", 64, 7, 2, 3, bias=False), _relu("stem_relu"), pool("stem_pool", 3, 2, 1)]
    last = "stem_pool"
    for stage, filters in enumerate((64, 128, 256, 512), start=1):
        for block in (1, 2):
            last = _block(layers, f"s{stage}b{block}", last, filters, 2 if stage > 1 and block == 1 else 1)
    layers += [{"name": "gap", "type": "global_pool"}, {"name": "flat", "type": "flatten"}, {"name": "fc", "type": "dense", "units": 1000}]
    return spec_of([3, size, size], *layers, name=f"resnet-18 at {size}")


def _block(layers: list[Layer], name: str, last: str, filters: int, stride: int) -> str:
    short = last
    layers += [
        conv(f"{name}_1", filters, 3, stride, 1, bias=False, inputs=[last]),
        _relu(f"{name}_r"),
        conv(f"{name}_2", filters, 3, 1, 1, bias=False),
    ]
    if stride > 1:
        layers.append(conv(f"{name}_short", filters, 1, stride, 0, bias=False, inputs=[last]))
        short = f"{name}_short"
    layers += [{"name": f"{name}_add", "type": "add", "inputs": [f"{name}_2", short]}, _relu(f"{name}_out")]
    return f"{name}_out"


def _relu(name: str) -> Layer:
    return {"name": name, "type": "activation", "function": "relu"}


def vgg_16(size: int) -> Spec:
    """Simonyan and Zisserman 2015, configuration D: 138,357,544 parameters at 224 pixels."""
    layers: list[dict[str, Any]] = []
    for stage, (filters, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        layers += [conv(f"conv{stage}_{number}", filters, 3, 1, 1) for number in range(1, count + 1)]
        layers.append(pool(f"pool{stage}", 2, 2))
    dense = [{"name": f"fc{6 + index}", "type": "dense", "units": units} for index, units in enumerate((4096, 4096, 1000))]
    return spec_of([3, size, size], *layers, {"name": "flat", "type": "flatten"}, *dense, name=f"vgg-16 at {size}")
