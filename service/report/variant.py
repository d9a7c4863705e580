"""The options of a variant: edits and shapes of inputs, as they are asked for of a report, in the terms that the reader knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.edits import Edit, invalid_edit, with_names
from service.faults import pointer_to
from service.options import Options
from service.report.document import Port, Report
from service.suggestions import did_you_mean

Shape = tuple[int, ...]


def variant_options(options: Options, report: Report, edits: Sequence[Edit], shapes: Mapping[str, Shape]) -> Options:
    """The options of a report with edits on top of its own, and with other shapes of its inputs ("" is the only one).

    A shape is whole, without the batch, or the lengths of the spatial axes. Refused `invalid-edit` where there is no such layer or input.
    """
    resized, fixed = dict(options.resized), dict(options.input_shapes)
    for wanted, lengths in shapes.items():
        port = _input(report, wanted)
        before = resized.get(port.name) or fixed.pop(port.name, None) or (fixed.pop("", None) if len(report.model.inputs) == 1 else None)
        resized[port.name] = _upon(before, _whole(report, port, wanted, lengths))
    named = with_names(edits, [layer.name for layer in report.layers])
    return replace(options, edits=(*options.edits, *named), resized=resized, input_shapes=fixed)


def _input(report: Report, wanted: str) -> Port:
    inputs = report.model.inputs
    if wanted == "" and len(inputs) == 1:
        return inputs[0]
    for port in inputs:
        if port.name == wanted:
            return port
    names = [port.name for port in inputs]
    detail = f"the model has no input {wanted[:200]!r}{did_you_mean(wanted, names)}; it has {', '.join(names)[:500]}"
    raise invalid_edit(pointer_to("input_shapes", wanted), "unknown-input", detail)


def _whole(report: Report, port: Port, wanted: str, lengths: Shape) -> Shape:
    """The shape with all axes of the input; -1 where an axis stays as it is."""
    rank = len(lengths) if port.shape is None else len(port.shape)
    if len(lengths) == rank:
        return lengths
    places = _spatial(report, port)
    if len(lengths) == len(places):
        by_place = dict(zip(places, lengths, strict=True))
        return tuple(by_place.get(axis, -1) for axis in range(rank))
    if len(lengths) == rank - 1:
        return (-1, *lengths)
    detail = f"the input {port.name!r} has {rank} axes, {len(places)} of them spatial; got {len(lengths)} lengths"
    raise invalid_edit(pointer_to("input_shapes", wanted), "input-shape-rank", detail)


def _spatial(report: Report, port: Port) -> range:
    """The places of the spatial axes of an input: its last ones, or those before the channels where these come last."""
    field, shape = report.summary.receptive_field, port.shape or ()
    if field is None or field.input != port.name:
        return range(2, len(shape))
    count, size = len(field.axes), field.input_size
    before_channels = range(len(shape) - 1 - count, len(shape) - 1)
    if size is not None and shape[-count:] != size and before_channels.start >= 0 and shape[before_channels.start : -1] == size:
        return before_channels
    return range(len(shape) - count, len(shape))


def _upon(before: Shape | None, lengths: Shape) -> Shape:
    """The lengths, and where they leave an axis those that were asked for before."""
    if before is None or len(before) not in (len(lengths), len(lengths) - 1):
        return lengths
    aligned = (-1,) * (len(lengths) - len(before)) + before
    return tuple(old if new < 0 else new for old, new in zip(aligned, lengths, strict=True))
