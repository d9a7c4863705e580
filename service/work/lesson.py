"""What a job's process does for the page that teaches: a small network that the reader chose, analysed like any other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from service.analysis import analyze
from service.graph.model import Model, ModelFacts
from service.options import Options
from service.readers.spec.entry import read_spec
from service.report.document import Report
from service.report.plain import plain_object
from service.work.made import Made, made_json

Spec = list[dict[str, object]]
KEYS = ("kernel", "stride", "padding", "dilation", "groups")


def lesson(chosen: Mapping[str, int]) -> Made:
    """Analyse `depth` equal convolutions, and layers of the same units that share less: a JSON array of two reports.

    `chosen` holds size, channels, filters, kernel, stride, padding, dilation, groups and depth. Refused where the network cannot be.
    """
    stack = network(chosen, chain(chosen))
    units = math.prod(length or 0 for length in stack.layers[0].output_shape or ())
    others: Spec = [
        {"name": "locally connected", "type": "local", **_geometry(chosen)},
        {"name": "flat", "type": "flatten", "inputs": ["image"]},
        {"name": "fully connected", "type": "dense", "units": units, "bias": False},
    ]
    return made_json([plain_object(stack), plain_object(network(chosen, others))])


def chain(chosen: Mapping[str, int]) -> Spec:
    """`depth` equal convolutions, one after the other."""
    return [{"name": f"layer {number + 1}", "type": "conv", **_geometry(chosen)} for number in range(chosen["depth"])]


def _geometry(chosen: Mapping[str, int]) -> dict[str, object]:
    return {"filters": chosen["filters"], **{key: chosen[key] for key in KEYS}, "bias": False}


def network(chosen: Mapping[str, int], layers: Spec) -> Report:
    """The report of such layers on an image of the size and the channels that were chosen."""
    shape = [chosen["channels"], chosen["size"], chosen["size"]]
    document = {"receptive": 1, "name": "lesson", "inputs": [{"name": "image", "shape": shape}], "layers": layers}
    text = json.dumps(document).encode()
    graph, weights = read_spec(text, Options())
    return analyze(Model((graph,), weights, ModelFacts(None, "spec", len(text), (), ())))
