"""Derivations: how every number of a layer follows from its geometry, as a line that can be checked by hand.

"(5·5·1 + 1)·6·28·28 = 122,304". Where a layer has no closed line (a recurrent layer's unrolled counts do), the definition is stated with
its figures. The result of every line is the report's own number; a test evaluates the lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.connectivity import transposed_taps, window_taps

Record = Mapping[str, Any]
Lines = dict[str, str]

_WINDOWS = {"convolution", "transposed-convolution", "locally-connected"}


def explain(report: Record, layer: Record) -> Lines:
    """For each number of the layer, by its path in the record, the line that derives it."""
    lines = _field_lines(report, layer)
    if layer["connections"] is None:
        return lines
    lines |= _parameter_lines(layer)
    lines |= _exact_lines(layer)
    lines |= _ratio_lines(layer)
    return lines


def number(value: float | None) -> str:
    """A number with thousands separated; a fraction to six significant digits, from a million on without decimals."""
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"


def _times(factors: Sequence[int]) -> str:
    return "·".join(number(factor) for factor in factors) or "1"


def _parameter_lines(layer: Record) -> Lines:
    parameters, shape = layer["parameters"], layer["parameters"]["shape"]
    weights, biases, total = parameters["weights"], parameters["biases"], parameters["total"]
    if shape is None:
        return {"parameters.total": "no parameters of its own = 0"} if total == 0 else {}
    lines = {}
    if math.prod(shape) == weights:
        lines["parameters.weights"] = f"{_times(shape)} = {number(weights)}"
    if layer["kind"] == "convolution" and math.prod(shape) == weights and biases == shape[0]:
        per_filter = _times([*shape[2:], shape[1]])
        lines["parameters.total"] = f"({per_filter} + 1)·{number(shape[0])} = {number(total)}"
    else:
        lines["parameters.total"] = f"{number(weights)} weights + {number(biases)} biases = {number(total)}"
    return lines


def _real_taps(layer: Record) -> list[int] | None:
    """For each axis, the pairs of a place and a tap that falls on a real unit; None where the layer is no window or of unknown size."""
    geometry = layer["attributes"]
    shapes = (shape and shape[1:] for shape in (layer["input_shape"], layer["output_shape"]))
    known = (*shapes, *(geometry.get(key) for key in ("kernel", "strides", "dilations", "pads")))
    if layer["kind"] not in _WINDOWS or not geometry.get("kernel") or any(lengths is None or None in lengths for lengths in known):
        return None
    taps = transposed_taps if layer["kind"] == "transposed-convolution" else window_taps
    axes = zip(
        layer["input_shape"][2:],
        layer["output_shape"][2:],
        geometry["kernel"],
        geometry["strides"],
        geometry["dilations"],
        geometry["pads"],
        strict=True,
    )
    return [int(taps(n, m, k, s, d, pad[0]).real) for n, m, k, s, d, pad in axes]


def _exact_lines(layer: Record) -> Lines:
    counts, units = layer["connections"], layer["units"]
    exact, padded, with_bias, dense = (counts[key] for key in ("exact", "padded", "with_bias", "dense"))
    lines = {"connections.dense": f"{number(units['in'])}·{number(units['out'])} = {number(dense)}"} if dense is not None else {}
    real = _real_taps(layer)
    product = math.prod(real or [0])
    if real is not None and exact is not None and product and exact % product == 0:
        pairs = exact // product
        taps = " × ".join(number(n) for n in real)
        lines["connections.exact"] = f"{number(pairs)} pairs of channels × {taps} real taps = {number(exact)}"
    elif exact is not None and layer["sharing"]["positions"]:
        lines["connections.exact"] = _per_position(layer)
    biased = None if exact is None else with_bias - exact
    if biased is not None:
        lines["connections.with_bias"] = _with_bias(layer, biased)
        lines["connections.padded"] = f"{number(exact)} real + {number(padded - exact)} taps on padding = {number(padded)}"
    return lines


def _per_position(layer: Record) -> str:
    exact, positions = layer["connections"]["exact"], layer["sharing"]["positions"]
    if exact % positions:
        return f"{number(layer['units']['out'])} units · {number(layer['fan_in']['mean'])} connections each = {number(exact)}"
    return f"{number(positions)} positions · {number(exact // positions)} connections each = {number(exact)}"


def _with_bias(layer: Record, biased: int) -> str:
    counts, shape = layer["connections"], list[int](layer["parameters"]["shape"] or [])
    plain = layer["kind"] == "convolution" and shape and math.prod(shape) == layer["parameters"]["weights"]
    if plain and biased and counts["exact"] == counts["padded"]:
        return f"({_times([*shape[2:], shape[1]])} + 1)·{_times(layer['output_shape'][1:])} = {number(counts['with_bias'])}"
    return f"{number(counts['exact'])} exact + {number(biased)} biased units = {number(counts['with_bias'])}"


def _ratio_lines(layer: Record) -> Lines:
    exact, dense, weights = layer["connections"]["exact"], layer["connections"]["dense"], layer["parameters"]["weights"]
    if exact is None:
        return {}
    lines = {"fan_in.mean": f"{number(exact)} / {number(layer['units']['out'])} = {number(layer['fan_in']['mean'])}"}
    if layer["sparsity"]["connection"] is not None:
        lines["sparsity.connection"] = f"1 - {number(exact)} / {number(dense)} = {number(layer['sparsity']['connection'])}"
    if weights:
        reduction = layer["reduction"]
        lines["sharing.factor"] = f"{number(exact)} / {number(weights)} = {number(layer['sharing']['factor'])}"
        lines["reduction.total"] = (
            f"{number(dense)} / {number(weights)} = {number(reduction['from_sparsity'])} from sparsity × "
            f"{number(reduction['from_sharing'])} from sharing = {number(reduction['total'])}"
        )
    return lines


def _field_lines(report: Record, layer: Record) -> Lines:
    """size = that of the input + (kernel - 1)·dilation·stride of the input (Araujo et al. 2019, equation 2), where one path comes in."""
    field = layer["receptive_field"]
    if field is None:
        return {}
    if field["size"] is None:
        why = f", because of {field['because']}" if field["because"] else ""
        return {"receptive_field.size": f"no local path is left{why}" if field["status"] == "global" else f"unknown{why}"}
    kernel = layer["attributes"].get("kernel")
    before = next((each for each in report["layers"] if layer["inputs"] and layer["inputs"][0] in each["outputs"]), None)
    known = before["receptive_field"] if before is not None else None
    if before is not None and (known is None or known["size"] is None or known["stride"] is None):
        return {}
    axes = len(field["axes"])
    size, stride = (known["size"], known["stride"]) if known else ([1] * axes, [1] * axes)
    if not kernel or len(kernel) != axes or layer["kind"] == "transposed-convolution" or None in (*field["size"], *size, *stride):
        return {}
    dilations = layer["attributes"]["dilations"]
    parts = []
    for have, k, d, s, result in zip(size, kernel, dilations, stride, field["size"], strict=True):
        if have + (k - 1) * d * s == result:
            parts.append(f"{number(have)} + ({k} - 1)·{f'{d}·' if d > 1 else ''}{number(s)} = {number(result)}")
    return {"receptive_field.size": "; ".join(dict.fromkeys(parts))} if len(parts) == axes else {}
