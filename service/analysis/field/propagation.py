"""Carries fields along one step of a path."""

from __future__ import annotations

from service.analysis.field.dependence import Accumulate, Block, Expand, Mix, Reshape, Slide, Statistics, Step, Transpose
from service.analysis.field.intervals import Field, accumulate, block, expand, mix, slide, transpose
from service.analysis.field.reshaping import reshape
from service.graph import Shape


def advance(fields: tuple[Field, ...], shape: Shape, step: Step) -> tuple[tuple[Field, ...], Shape]:
    """The fields of a tensor of `shape`, and its shape, after a step."""
    return tuple(moved(field, shape, step) for field in fields), step.shape_after(shape)


def moved(field: Field, shape: Shape, step: Step) -> Field:
    """One field of a tensor of `shape` after a step. A step that is no movement of units leaves it as it is."""
    match step:
        case Slide(axis, taps, length, _):
            return slide(field, axis, taps, length)
        case Mix(axis, length, groups):
            return mix(field, axis, shape[axis], length, groups)
        case Accumulate(axis, reverse, exclusive):
            return accumulate(field, axis, shape[axis], reverse, exclusive)
        case Statistics():
            for each in step.mixtures(shape):
                field = mix(field, each.axis, shape[each.axis], each.length)
            return field
        case Block(blocked):
            return block(field, blocked, shape)
        case Reshape(target):
            return reshape(field, shape, target)
        case Transpose(order):
            return transpose(field, order)
        case Expand(target):
            return expand(field, shape, target)
        case _:
            return field
