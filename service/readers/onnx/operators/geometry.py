"""Shape rules of ONNX that lowering and folding have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.graph import Shape, ShapeError


def normal(axis: int, rank: int) -> int:
    """An axis counted from the front; ShapeError where a tensor of `rank` axes has no such axis."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is none of a tensor of {rank} axes")
    return axis % rank


def normal_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Distinct axes counted from the front."""
    result = tuple(normal(axis, rank) for axis in axes)
    if len(set(result)) < len(result):
        raise ShapeError(f"the axes {tuple(axes)} name one twice")
    return result


def reshaped(shape: Shape, wanted: Sequence[int], allow_zero: bool = False) -> Shape:
    """The result of Reshape: 0 copies the length of the same axis (unless `allow_zero`), one -1 takes what is left."""
    result = [shape[i] if n == 0 and not allow_zero and i < len(shape) else n for i, n in enumerate(wanted)]
    if result.count(-1) > 1 or any(n < -1 for n in result):
        raise ShapeError(f"{tuple(wanted)} is no shape")
    if -1 in result:
        rest = math.prod(n for n in result if n != -1)
        total = math.prod(shape)
        if (rest == 0 and total) or (rest and total % rest):
            raise ShapeError(f"{shape} cannot have the shape {tuple(wanted)}")
        result[result.index(-1)] = total // rest if rest else 0
    if math.prod(result) != math.prod(shape):
        raise ShapeError(f"{shape} has another number of units than {tuple(result)}")
    return tuple(result)


def unsqueezed(shape: Shape, axes: Sequence[int]) -> Shape:
    """The shape with new axes of length 1 at these places of the result."""
    rank = len(shape) + len(axes)
    places = set(normal_axes(axes, rank))
    rest = iter(shape)
    return tuple(1 if axis in places else next(rest) for axis in range(rank))


def squeezed(shape: Shape, axes: Sequence[int] | None) -> Shape:
    """The shape without these axes of length 1; without all of them where `axes` is None."""
    gone = {i for i, n in enumerate(shape) if n == 1} if axes is None else set(normal_axes(axes, len(shape)))
    if any(shape[axis] != 1 for axis in gone):
        raise ShapeError(f"the axes {tuple(axes or ())} of {shape} are not all 1 long")
    return tuple(n for i, n in enumerate(shape) if i not in gone)


def slice_range(length: int, start: int, end: int, step: int) -> tuple[int, int]:
    """(first, count) of the units that ONNX Slice keeps of an axis: NumPy's rule with negative steps and clamping."""
    if step == 0:
        raise ShapeError("a slice has step 0")
    kept = range(length)[slice(start, end if step > 0 or end >= -length else None, step)]
    return (kept.start if len(kept) else 0), len(kept)


def legacy_shape(shape: Shape, axis: int | None, rank: int) -> Shape:
    """The shape of a second operand under the broadcasting of opsets before 7: its axes stand from `axis` on (from the end where None)."""
    if axis is None:
        return shape
    start = axis if axis >= 0 else axis + rank
    behind = rank - start - len(shape)
    if behind < 0:
        raise ShapeError(f"{shape} does not fit from axis {axis} on into {rank} axes")
    return (*shape, *[1] * behind)


def split_lengths(length: int, parts: int, sizes: Sequence[int] | None) -> tuple[int, ...]:
    """The lengths of the parts of Split: as stated, or equal with a smaller last one."""
    if sizes is None:
        size = -(-length // parts) if parts else 0
        sizes = [min(size, max(length - size * i, 0)) for i in range(parts)]
    if sum(sizes) != length or any(n < 0 for n in sizes):
        raise ShapeError(f"an axis of {length} cannot be split into {tuple(sizes)}")
    return tuple(sizes)
