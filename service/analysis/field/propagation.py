"""Carries fields along one step of a path."""

from __future__ import annotations

from service.analysis.field.dependence import Expand, Mix, Reshape, Slide, Step, Transpose
from service.analysis.field.intervals import Field, expand, mix, slide, transpose
from service.analysis.field.reshaping import reshape
from service.graph import Shape


def advance(fields: tuple[Field, ...], shape: Shape, step: Step) -> tuple[tuple[Field, ...], Shape]:
    """The fields of a tensor of `shape`, and its shape, after a step. Steps that are not a movement of units leave both as they are."""
    match step:
        case Slide(axis, taps, length, _):
            return tuple(slide(f, axis, taps, length) for f in fields), (*shape[:axis], length, *shape[axis + 1 :])
        case Mix(axis, length, groups):
            moved = tuple(mix(f, axis, shape[axis], length, groups) for f in fields)
            return moved, (*shape[:axis], length, *shape[axis + 1 :])
        case Reshape(target):
            return tuple(reshape(f, shape, target) for f in fields), target
        case Transpose(order):
            return tuple(transpose(f, order) for f in fields), tuple(shape[axis] for axis in order)
        case Expand(target):
            return tuple(expand(f, shape, target) for f in fields), target
        case _:
            return fields, shape
