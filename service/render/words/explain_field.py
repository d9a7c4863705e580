"""Derivations of a receptive field: what a layer's units see follows from what the units of its inputs see.

A unit that spans n units of the layer's input sees (n - 1) of that input's strides more than one of them, and begins as many strides
before its first as it has units there; strides multiply (Araujo et al. 2019, equations 2 to 4). Where paths meet, the box is the smallest
that holds theirs. The variance of the effective field grows by that of the taps (Luo et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from service.render.words.numbers import number, product
from service.report.document import WIDTH95, Layer, LayerField, PerAxis, Report
from service.report.sliding import sliding_window

Lines = dict[str, str]
Expressions = list[str | None]

_MOST_INPUTS = 8
"""Values written out where many inputs meet."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the units of an input of a layer see, per axis; Nones where it is not known."""

    size: PerAxis
    min_size: PerAxis
    stride: PerAxis
    padding: PerAxis
    sigma: PerAxis | None


@dataclass(frozen=True, slots=True)
class _Along:
    """One axis: a number after the layer and before it, the stride before it, and the place of the axis."""

    after: float | None
    before: float | None
    stride: float | None
    axis: int


def field_lines(report: Report, layer: Layer, makers: Mapping[str, Layer]) -> Lines:
    """For each number of the layer's receptive field, by its path in the record, the line that derives it."""
    field = layer.receptive_field
    if field is None:
        return {}
    coverage = _coverage(report, field)
    if field.size is None:
        why = f", because of {field.because}" if field.because else ""
        lines = {"receptive_field.size": f"no local path is left{why}" if field.status == "global" else f"unknown{why}"}
        return lines | _line("coverage", field.axes, field.coverage, coverage)
    inputs = _inputs(layer, field, makers)
    derived: dict[str, Expressions] = {}
    if len(inputs) == 1:
        derived = _of_one(layer, field, inputs[0])
    elif inputs:
        derived = _of_several(field, inputs)
    derived["coverage"] = coverage
    lines = {"receptive_field.size": "the largest box of a unit, each followed through the operators of the layer"}
    numbers = {"size": field.size, "min_size": field.min_size, "stride": field.stride, "padding": field.padding, "coverage": field.coverage}
    for key, values in numbers.items():
        lines |= _line(key, field.axes, values, derived.get(key))
    return lines | _effective_lines(field, derived.get("sigma"), len(inputs)) | _density_line(field, field.size)


def _effective_lines(field: LayerField, expressions: Expressions | None, inputs: int) -> Lines:
    effective = field.effective
    if effective is None or effective.sigma is None:
        return {}
    lines = _line("effective.sigma", field.axes, effective.sigma, expressions)
    if inputs > 1:
        lines["receptive_field.effective.sigma"] = "the mixture of its inputs, each by its number of paths"
    widths: Expressions = []
    for sigma, size in zip(effective.sigma, field.size or [None] * len(effective.sigma), strict=True):
        wide = f"{number(WIDTH95)}·{number(sigma)}"
        widths.append(wide if sigma is None or size is None or WIDTH95 * sigma <= size else f"min({wide}, {number(size)})")
    return lines | _line("effective.width95", field.axes, effective.width95, widths)


def _line(key: str, axes: Sequence[str], values: Sequence[float | None] | None, expressions: Expressions | None) -> Lines:
    """The line of a number that every axis has; one for all axes where they agree."""
    if values is None or not expressions or None in expressions or None in values:
        return {}
    parts = [f"{expression} = {number(value)}" for expression, value in zip(expressions, values, strict=True)]
    named = parts[:1] if len(set(parts)) == 1 else [f"{axis}: {part}" for axis, part in zip(axes, parts, strict=True)]
    return {f"receptive_field.{key}": "; ".join(named)}


def _inputs(layer: Layer, field: LayerField, makers: Mapping[str, Layer]) -> list[_Seen]:
    """What the units of the layer's inputs see of the same input of the model; nothing of inputs that see none of it."""
    seen = []
    for name in dict.fromkeys(layer.inputs):
        if name in makers:
            known = makers[name].receptive_field
            if known is not None and known.input == field.input and known.size is not None:
                seen.append(_seen(known, known.size))
        elif name == field.input:
            seen.append(_itself(len(field.axes)))
    return seen


def _seen(field: LayerField, size: PerAxis) -> _Seen:
    nothing = (None,) * len(field.axes)
    sigma = None if field.effective is None else field.effective.sigma
    return _Seen(size, field.min_size or nothing, field.stride or nothing, field.padding or nothing, sigma)


def _itself(axes: int) -> _Seen:
    """A pixel of the model's input sees itself."""
    ones, zeros = (1,) * axes, (0,) * axes
    return _Seen(ones, ones, ones, zeros, zeros)


def _each(after: PerAxis | None, before: PerAxis, strides: PerAxis) -> Iterator[_Along]:
    """For every axis: the number after the layer and before it, the stride before it, and the axis."""
    values = after or (None,) * len(before)
    for axis, numbers in enumerate(zip(values, before, strides, strict=True)):
        yield _Along(*numbers, axis)


# -- one path comes in ---------------------------------------------------------------------------------------------


def _of_one(layer: Layer, field: LayerField, before: _Seen) -> dict[str, Expressions]:
    windows = _geometries(layer, len(field.axes))
    return {
        "size": [_span(windows[along.axis], along) for along in _each(field.size, before.size, before.stride)],
        "min_size": [_span(windows[along.axis], along) for along in _each(field.min_size, before.min_size, before.stride)],
        "stride": [_pace(windows[along.axis], along) for along in _each(field.stride, before.stride, before.stride)],
        "padding": [_begin(along) for along in _each(field.padding, before.padding, before.stride)],
        "sigma": _sigma(windows, field, before),
    }


_Geometry = tuple[int, int, int]


def _geometries(layer: Layer, axes: int) -> list[_Geometry]:
    """Kernel, stride and dilation of a window along every axis; those of a window of one unit where the layer is none."""
    window = sliding_window(layer)
    if window is None or layer.kind == "transposed-convolution" or len(window.kernel) != axes:
        return [(1, 1, 1)] * axes
    numbers = zip(window.kernel, window.strides, window.dilations, strict=True)
    return [(kernel or 1, stride or 1, dilation or 1) for kernel, stride, dilation in numbers]


def _units(change: float, stride: float | None) -> int | None:
    """How many strides a change in pixels is; None where it is no whole number of them."""
    if not stride:
        return None
    count = Fraction(change).limit_denominator(1 << 20) / Fraction(stride).limit_denominator(1 << 20)
    return int(count) if count.denominator == 1 else None


def _span(geometry: _Geometry, along: _Along) -> str | None:
    """have + (units spanned - 1)·stride, the units as (kernel - 1)·dilation + 1 where the layer is a window."""
    value, have = along.after, along.before
    if value is None or have is None:
        return None
    if value == have:
        return f"{number(have)} at its input"
    kernel, _, dilation = geometry
    more = _units(value - have, along.stride)
    if more is None or more < 0:
        return None
    reach = f"({number(more + 1)} units of the input - 1)"
    if more == (kernel - 1) * dilation:
        reach = f"({number(kernel)} - 1){f'·{number(dilation)}' if dilation > 1 else ''}"
    return f"{number(have)} + {reach}·{number(along.stride)}"


def _pace(geometry: _Geometry, along: _Along) -> str | None:
    """have·stride of the layer; divided where it enlarges."""
    value, have = along.after, along.before
    if not value or not have:
        return None
    ratio = Fraction(value).limit_denominator(1 << 20) / Fraction(have).limit_denominator(1 << 20)
    if ratio == 1 and geometry[1] == 1:
        return f"{number(have)} at its input"
    by = f"·{number(ratio.numerator)}" if ratio.numerator != 1 or ratio.denominator == 1 else ""
    return f"{number(have)}{by}{f' / {number(ratio.denominator)}' if ratio.denominator > 1 else ''}"


def _begin(along: _Along) -> str | None:
    """have + units before the first·stride."""
    value, have = along.after, along.before
    if value is None or have is None:
        return None
    before = _units(value - have, along.stride)
    if not before:
        return None if before is None else f"{number(have)} at its input"
    return f"{number(have)} {'+' if before > 0 else '-'} {number(abs(before))}·{number(along.stride)}"


def _sigma(windows: Sequence[_Geometry], field: LayerField, before: _Seen) -> Expressions:
    """√(σ² of the input + variance of the taps·stride²): (k² - 1)/12 for k equal taps at dilation 1."""
    if field.effective is None or before.sigma is None:
        return []
    return [_deviation(windows[along.axis], along) for along in _each(field.effective.sigma, before.sigma, before.stride)]


def _deviation(geometry: _Geometry, along: _Along) -> str | None:
    sigma, have, stride = along.after, along.before, along.stride
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


def _of_several(field: LayerField, inputs: Sequence[_Seen]) -> dict[str, Expressions]:
    """What holds where the layer does no more than join its inputs."""
    joined: dict[str, Expressions] = {"size": [], "min_size": [], "stride": [], "padding": []}
    for axis in range(len(field.axes)):
        sizes, paddings, strides = ([known[axis] for known in each] for each in _columns(inputs))
        narrowest = [known.min_size[axis] for known in inputs]
        after = (field.size, field.min_size, field.stride, field.padding)
        size, smallest, stride, begin = (known[axis] if known else None for known in after)
        alike = len(set(strides)) == 1
        joined["size"].append(_extreme("max", sizes, size) or (_box(sizes, paddings, size) if alike else None))
        joined["min_size"].append(_extreme("min", narrowest, smallest))
        joined["stride"].append(_extreme("max", strides, stride) if alike else None)
        joined["padding"].append(_extreme("max", paddings, begin))
    return joined


def _columns(inputs: Sequence[_Seen]) -> tuple[list[PerAxis], list[PerAxis], list[PerAxis]]:
    return [known.size for known in inputs], [known.padding for known in inputs], [known.stride for known in inputs]


def _extreme(name: str, values: Sequence[float | None], after: float | None) -> str | None:
    """The largest or smallest number of the inputs."""
    known = sorted({value for value in values if value is not None}, reverse=name == "max")
    if None in values or not known or known[0] != after:
        return None
    if len(known) == 1:
        return f"{number(known[0])} at each of its inputs"
    return f"{name}({', '.join(number(value) for value in known[:_MOST_INPUTS])}) of its inputs"


def _box(sizes: Sequence[float | None], paddings: Sequence[float | None], after: float | None) -> str | None:
    """The smallest box around those of the inputs: the most pixels before the first unit's place, and the most from there on."""
    ends = [(padding, size - padding) for size, padding in zip(sizes, paddings, strict=True) if size is not None and padding is not None]
    if len(ends) < len(sizes) or max(begin for begin, _ in ends) + max(end for _, end in ends) != after:
        return None
    before, later = (", ".join(number(each) for each in sorted(set(part), reverse=True)[:_MOST_INPUTS]) for part in zip(*ends, strict=True))
    return f"max({before}) before the place of the unit + max({later}) from there on"


# -- of the layer's own numbers ------------------------------------------------------------------------------------


def _coverage(report: Report, field: LayerField) -> Expressions:
    """Pixels that the best-placed unit sees / pixels of the input."""
    summary, nothing = report.summary.receptive_field, (None,) * len(field.axes)
    lengths = (summary.input_size if summary is not None and summary.input == field.input else None) or nothing
    return [
        _covered(share, length, size, field.status == "global")
        for share, length, size in zip(field.coverage or nothing, lengths, field.size or nothing, strict=True)
    ]


def _covered(share: float | None, length: float | None, size: float | None, is_global: bool) -> str | None:
    """How a share of an axis follows from its length."""
    if share is None or not (length or share == 1):
        return None
    if not length or is_global:
        return "the whole input"
    if size is not None and round(share * length) == min(size, length):
        return f"min({number(size)}, {number(length)}) / {number(length)}"
    return f"{number(round(share * length))} / {number(length)}"


def _density_line(field: LayerField, sizes: PerAxis) -> Lines:
    """Pixels read / pixels of the box."""
    known = [int(size) for size in sizes if size is not None]
    if field.density is None or len(known) < len(sizes):
        return {}
    box = math.prod(known)
    read = round(field.density * box)
    pixels = f"({product(known)})" if len(known) > 1 else number(box)
    if not math.isclose(read, field.density * box, rel_tol=1e-9):
        return {"receptive_field.density": f"what the unit with the largest box reads / the size of that box = {number(field.density)}"}
    return {"receptive_field.density": f"{number(read)} read / {pixels} = {number(field.density)}"}
