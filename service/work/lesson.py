"""What a job's process does for the page that teaches: a small network that the reader chose, analysed like any other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from service.analysis import analyze
from service.graph.model import Model, ModelFacts
from service.options import Options
from service.readers.spec.entry import read_spec
from service.report.plain import plain_object
from service.work.made import Made, made_json

Record = dict[str, Any]


def lesson(chosen: Mapping[str, int]) -> Made:
    """Analyse the network of a lesson: the JSON document of `lesson_record`."""
    return made_json(lesson_record(chosen))


def lesson_record(chosen: Mapping[str, int]) -> Record:
    """The report of `depth` equal convolutions, and the first of them beside a locally connected and a dense layer of the same units.

    `chosen` holds size, channels, filters, kernel, stride, padding, dilation, groups and depth. Refused where the network cannot be.
    """
    keys = ("kernel", "stride", "padding", "dilation", "groups")
    geometry = {"filters": chosen["filters"], **{key: chosen[key] for key in keys}, "bias": False}
    names = [f"layer {number + 1}" for number in range(chosen["depth"])]
    stack = _report(chosen, [{"name": name, "type": "conv", **geometry} for name in names])
    units = math.prod(stack["layers"][0]["output_shape"])
    beside: list[Record] = [
        {"name": "locally connected", "type": "local", **geometry},
        {"name": "flat", "type": "flatten", "inputs": ["image"]},
        {"name": "fully connected", "type": "dense", "units": units, "bias": False},
    ]
    others = {layer["name"]: layer for layer in _report(chosen, beside)["layers"]}
    return {"report": stack, "dense": others["fully connected"], "local": others["locally connected"], "convolution": stack["layers"][0]}


def _report(chosen: Mapping[str, int], layers: list[Record]) -> Record:
    shape = [chosen["channels"], chosen["size"], chosen["size"]]
    document = {"receptive": 1, "name": "lesson", "inputs": [{"name": "image", "shape": shape}], "layers": layers}
    text = json.dumps(document).encode()
    graph, weights = read_spec(text, Options())
    return plain_object(analyze(Model((graph,), weights, ModelFacts(None, "spec", len(text), (), ()))))
