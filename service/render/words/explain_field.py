"""Derivations of a receptive field: what a layer's units see follows from what the units of its inputs see.

A unit that spans n units of the layer's input sees (n - 1) of that input's strides more than one of them, and begins as many strides
before its first as it has units there; strides multiply (Araujo et al. 2019, equations 2 to 4). Where paths meet, the box is the smallest
that holds theirs. The variance of the effective field grows by that of the taps (Luo et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from service.analysis.field.effective import WIDTH95
from service.render.words.numbers import number, product

Record = Mapping[str, Any]
Lines = dict[str, str]
Expressions = list[str | None]

_MOST_INPUTS = 8
"""Values written out where many inputs meet."""


def field_lines(report: Record, layer: Record) -> Lines:
    """For each number of the layer's receptive field, by its path in the record, the line that derives it."""
    field = layer["receptive_field"]
    if field is None:
        return {}
    if field["size"] is None:
        why = f", because of {field['because']}" if field["because"] else ""
        lines = {"receptive_field.size": f"no local path is left{why}" if field["status"] == "global" else f"unknown{why}"}
        return lines | _line("coverage", field["axes"], field["coverage"], _coverage(report, field))
    derived = {"coverage": _coverage(report, field)}
    inputs = _inputs(report, layer)
    if len(inputs) == 1:
        derived |= _of_one(layer, inputs[0])
    elif inputs:
        derived |= _of_several(field, inputs)
    lines = {"receptive_field.size": "the largest box of a unit, each followed through the operators of the layer"}
    for key in ("size", "min_size", "stride", "padding", "coverage"):
        lines |= _line(key, field["axes"], field[key], derived.get(key))
    if field["effective"]:
        lines |= _line("effective.sigma", field["axes"], field["effective"]["sigma"], derived.get("sigma"))
        if len(inputs) > 1:
            lines["receptive_field.effective.sigma"] = "the mixture of its inputs, each by its number of paths"
        widths = [None if sigma is None else f"{number(WIDTH95)}·{number(sigma)}" for sigma in field["effective"]["sigma"] or ()]
        lines |= _line("effective.width95", field["axes"], field["effective"]["width95"], widths)
    return lines | _density_line(field)


def _line(key: str, axes: Sequence[str], values: Sequence[float | None] | None, expressions: Expressions | None) -> Lines:
    """The line of a number that every axis has; one for all axes where they agree."""
    if values is None or not expressions or None in expressions or None in values:
        return {}
    parts = [f"{expression} = {number(value)}" for expression, value in zip(expressions, values, strict=True)]
    named = parts[:1] if len(set(parts)) == 1 else [f"{axis}: {part}" for axis, part in zip(axes, parts, strict=True)]
    return {f"receptive_field.{key}": "; ".join(named)}


def _inputs(report: Record, layer: Record) -> list[Record]:
    """What the units of the layer's inputs see of the same input of the model; nothing of inputs that see none of it."""
    field = layer["receptive_field"]
    makers = {output: each for each in report["layers"] for output in each["outputs"]}
    seen = []
    for name in dict.fromkeys(layer["inputs"]):
        known = makers[name]["receptive_field"] if name in makers else _itself(field) if name == field["input"] else None
        if known is not None and known["input"] == field["input"] and known["size"] is not None:
            seen.append(known)
    return seen


def _itself(field: Record) -> Record:
    """A pixel of the model's input sees itself."""
    ones, zeros = [1] * len(field["axes"]), [0] * len(field["axes"])
    return {"input": field["input"], "size": ones, "min_size": ones, "stride": ones, "padding": zeros, "effective": {"sigma": zeros}}


def _each(layer: Record, before: Record, key: str) -> Iterable[tuple[Any, Any, Any, int]]:
    """For every axis: the number after the layer and before it, the stride before it, and the axis."""
    after = layer["receptive_field"]
    values = (known[key] or [None] * len(after["axes"]) for known in (after, before))
    return zip(*values, before["stride"] or [None] * len(after["axes"]), range(len(after["axes"])), strict=True)


# -- one path comes in ---------------------------------------------------------------------------------------------


def _of_one(layer: Record, before: Record) -> dict[str, Expressions]:
    return {
        "size": [_span(layer, *numbers) for numbers in _each(layer, before, "size")],
        "min_size": [_span(layer, *numbers) for numbers in _each(layer, before, "min_size")],
        "stride": [_pace(layer, *numbers) for numbers in _each(layer, before, "stride")],
        "padding": [_begin(*numbers) for numbers in _each(layer, before, "padding")],
        "sigma": _sigma(layer, before),
    }


def _geometry(layer: Record, axis: int) -> tuple[int, int, int]:
    """Kernel, stride and dilation of a window that slides along the axis; those of a window of one unit where the layer is none."""
    geometry = layer["attributes"]
    keys = ("kernel", "strides", "dilations")
    window = layer["kind"] != "transposed-convolution" and all(isinstance(geometry.get(key), list) for key in keys)
    if not window or len(geometry["kernel"]) != len(layer["receptive_field"]["axes"]):
        return 1, 1, 1
    kernel, stride, dilation = (geometry[key][axis] for key in keys)
    return kernel, stride, dilation


def _units(change: float, stride: float | None) -> int | None:
    """How many strides a change in pixels is; None where it is no whole number of them."""
    if not stride:
        return None
    count = Fraction(change).limit_denominator(1 << 20) / Fraction(stride).limit_denominator(1 << 20)
    return int(count) if count.denominator == 1 else None


def _span(layer: Record, value: int | None, have: int | None, stride: float | None, axis: int) -> str | None:
    """have + (units spanned - 1)·stride, the units as (kernel - 1)·dilation + 1 where the layer is a window."""
    if value is None or have is None:
        return None
    if value == have:
        return f"{number(have)} at its input"
    kernel, _, dilation = _geometry(layer, axis)
    more = _units(value - have, stride)
    if more is None or more < 0:
        return None
    reach = f"({number(more + 1)} units of the input - 1)"
    if more == (kernel - 1) * dilation:
        reach = f"({number(kernel)} - 1){f'·{number(dilation)}' if dilation > 1 else ''}"
    return f"{number(have)} + {reach}·{number(stride)}"


def _pace(layer: Record, value: float | None, have: float | None, _: float | None, axis: int) -> str | None:
    """have·stride of the layer; divided where it enlarges."""
    if not value or not have:
        return None
    ratio = Fraction(value).limit_denominator(1 << 20) / Fraction(have).limit_denominator(1 << 20)
    if ratio == 1 and _geometry(layer, axis)[1] == 1:
        return f"{number(have)} at its input"
    by = f"·{number(ratio.numerator)}" if ratio.numerator != 1 or ratio.denominator == 1 else ""
    return f"{number(have)}{by}{f' / {number(ratio.denominator)}' if ratio.denominator > 1 else ''}"


def _begin(value: int | None, have: int | None, stride: float | None, _: int) -> str | None:
    """have + units before the first·stride."""
    if value is None or have is None:
        return None
    before = _units(value - have, stride)
    if not before:
        return None if before is None else f"{number(have)} at its input"
    return f"{number(have)} {'+' if before > 0 else '-'} {number(abs(before))}·{number(stride)}"


def _sigma(layer: Record, before: Record) -> Expressions:
    """√(σ² of the input + variance of the taps·stride²): (k² - 1)/12 for k equal taps at dilation 1."""
    if not layer["receptive_field"]["effective"] or not before["effective"]:
        return []
    sigmas = (known["effective"]["sigma"] for known in (layer["receptive_field"], before))
    paces = before["stride"] or [None] * len(before["size"])
    return [_deviation(_geometry(layer, axis), *numbers) for axis, numbers in enumerate(zip(*sigmas, paces, strict=True))]


def _deviation(geometry: tuple[int, int, int], sigma: float | None, have: float | None, stride: float | None) -> str | None:
    if sigma is None or have is None:
        return None
    if math.isclose(sigma, have, rel_tol=1e-9, abs_tol=1e-12):
        return f"{number(have)} at its input"
    if not stride or sigma < have:
        return None
    kernel, _, dilation = geometry
    taps = (sigma**2 - have**2) / stride**2
    variance = f"{number(taps)} variance of the taps·"
    if math.isclose(taps, (kernel**2 - 1) / 12 * dilation**2, rel_tol=1e-9):
        variance = f"({number(kernel)}² - 1)/12·{f'{number(dilation)}²·' if dilation > 1 else ''}"
    return f"√({number(have)}² + {variance}{number(stride)}²)"


# -- several paths meet --------------------------------------------------------------------------------------------


def _of_several(field: Record, inputs: Sequence[Record]) -> dict[str, Expressions]:
    """What holds where the layer does no more than join its inputs."""
    joined: dict[str, Expressions] = {key: [] for key in ("size", "min_size", "stride", "padding")}
    for axis in range(len(field["axes"])):
        values = {key: [known[key] and known[key][axis] for known in inputs] for key in joined}
        after = {key: field[key] and field[key][axis] for key in joined}
        joined["size"].append(_extreme("max", values["size"], after["size"]) or _box(values, after["size"]))
        joined["min_size"].append(_extreme("min", values["min_size"], after["min_size"]))
        joined["stride"].append(_extreme("max", values["stride"], after["stride"]) if len(set(values["stride"])) == 1 else None)
        joined["padding"].append(_extreme("max", values["padding"], after["padding"]))
    return joined


def _extreme(name: str, values: Sequence[float | None], after: float | None) -> str | None:
    """The largest or smallest number of the inputs."""
    known = sorted({value for value in values if value is not None}, reverse=name == "max")
    if None in values or not known or known[0] != after:
        return None
    if len(known) == 1:
        return f"{number(known[0])} at each of its inputs"
    return f"{name}({', '.join(number(value) for value in known[:_MOST_INPUTS])}) of its inputs"


def _box(values: Mapping[str, Sequence[Any]], after: int | None) -> str | None:
    """The smallest box around those of the inputs: the most pixels before the first unit's place, and the most from there on."""
    if any(None in values[key] for key in ("size", "padding")) or len(set(values["stride"])) != 1:
        return None
    ends = [size - padding for size, padding in zip(values["size"], values["padding"], strict=True)]
    if max(values["padding"]) + max(ends) != after:
        return None
    before, later = (
        ", ".join(number(each) for each in sorted(set(part), reverse=True)[:_MOST_INPUTS]) for part in (values["padding"], ends)
    )
    return f"max({before}) before the place of the unit + max({later}) from there on"


# -- of the layer's own numbers ------------------------------------------------------------------------------------


def _coverage(report: Record, field: Record) -> Expressions:
    """Pixels that the best-placed unit sees / pixels of the input."""
    summary = report["summary"]["receptive_field"]
    lengths = summary["input_size"] if summary and summary["input"] == field["input"] else [None] * len(field["axes"])
    expressions: Expressions = []
    for share, length, size in zip(*(known or [None] * len(lengths) for known in (field["coverage"], lengths, field["size"])), strict=True):
        if share is None or not (length or share == 1):
            expressions.append(None)
        elif not length or field["status"] == "global":
            expressions.append("the whole input")
        elif size is not None and round(share * length) == min(size, length):
            expressions.append(f"min({number(size)}, {number(length)}) / {number(length)}")
        else:
            expressions.append(f"{number(round(share * length))} / {number(length)}")
    return expressions


def _density_line(field: Record) -> Lines:
    """Pixels read / pixels of the box."""
    if field["density"] is None or None in field["size"]:
        return {}
    box = math.prod(field["size"])
    read = round(field["density"] * box)
    pixels = f"({product(field['size'])})" if len(field["size"]) > 1 else number(box)
    if not math.isclose(read, field["density"] * box, rel_tol=1e-9):
        return {
            "receptive_field.density": f"pixels read / pixels of the box, the mean of units whose boxes differ = {number(field['density'])}"
        }
    return {"receptive_field.density": f"{number(read)} read / {pixels} = {number(field['density'])}"}
