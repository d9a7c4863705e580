"""The three things that are carried through a network side by side: what units see (and where they lie), whether it has holes, its spread.

Each is a domain of the abstract interpretation: it says how to start at an input, how a step of a path changes it, what becomes of it where
paths meet in the same units (join) or lie one after the other (beside), and what is left where a step cannot be followed (widen).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from service.analysis.field.density import mixture_filled, union_filled, window_filled
from service.analysis.field.dependence import Accumulate, Mix, Slide, Statistics, Step
from service.analysis.field.effective import Spread, TapWeights, combine, follow
from service.analysis.field.intervals import Field, TooLarge, identity, nothing
from service.analysis.field.meeting import concatenate, join
from service.analysis.field.places import Places, carry, lay_beside, meet, mixed, takes_in_all
from service.analysis.field.propagation import moved
from service.analysis.field.reshaping import divide
from service.graph import Shape


class Sight(NamedTuple):
    """What the units of a tensor see along each spatial axis of an input, and where on their map they lie."""

    shape: Shape
    fields: tuple[Field, ...]
    places: tuple[Places, ...]


class Row(NamedTuple):
    """Parts that are laid one after the other along `axis`, of these lengths, to a tensor of `shape`."""

    axis: int
    lengths: tuple[int, ...]
    shape: Shape


@dataclass(frozen=True, slots=True)
class Intervals:
    """What units see. `layer` is named where local paths end."""

    layer: str

    @staticmethod
    def start(shape: Shape, spatial: Sequence[int]) -> Sight:
        """Every position of an input sees itself and lies there."""
        fields = tuple(identity(len(shape), axis) for axis in spatial)
        return Sight(shape, fields, tuple((field,) for field in fields))

    def step(self, sight: Sight, step: Step) -> tuple[Sight, bool]:
        """The sight after a step, and whether the step takes in a whole map, so that its paths are global."""
        whole = [not f.empty and whole_map(each, step, sight.shape) for f, each in zip(sight.fields, sight.places, strict=True)]
        fields = []
        for field, ends in zip(sight.fields, whole, strict=True):
            if not ends:
                fields.append(moved(field, sight.shape, step))
            elif isinstance(step, Statistics):
                fields.append(field.worse("global", self.layer))
            else:
                gone = replace(nothing(len(sight.shape)), reach=field.reach, because=field.because)
                fields.append(gone.worse("global", self.layer))
        return Sight(step.shape_after(sight.shape), tuple(fields), carry(sight.places, sight.shape, step)), any(whole)

    def join(self, sights: Sequence[Sight], shape: Shape) -> Sight:
        """The union of the paths that meet in the same units."""
        fields = tuple(join(met, shape) for met in zip(*(sight.fields for sight in sights), strict=True))
        return Sight(shape, fields, meet([(sight.fields, sight.places) for sight in sights]))

    def beside(self, sights: Sequence[Sight | None], row: Row) -> Sight:
        """The parts one after the other; one that does not depend on the input is None."""
        present = [sight for sight in sights if sight is not None]
        blank = nothing(len(row.shape))
        fields = tuple(
            concatenate([blank if sight is None else sight.fields[i] for sight in sights], *row) for i in range(len(present[0].fields))
        )
        return Sight(row.shape, fields, lay_beside([None if s is None else (s.fields, s.places) for s in sights], *row))

    def widen(self, sight: Sight, shape: Shape) -> Sight:
        """At least what one unit sees, at no known place."""
        fields = []
        for field in sight.fields:
            one = field.bounds.reshape(4, -1)[:, :1].reshape((4,) + (1,) * len(shape))
            fields.append(Field(one, (0,) * len(shape), field.reach, field.because).worse("bound", self.layer))
        return Sight(shape, tuple(fields), ((),) * len(fields))


def whole_map(places: Places, step: Step, shape: Shape) -> bool:
    """Whether some unit takes in every place of the map along one axis of the input, if it reads it by this step."""
    match step:
        case Mix(axis, _, 1) | Accumulate(axis, _, _):
            return takes_in_all(places, axis, shape)
        case Mix(axis, _, groups) if any(place.varies(axis) for place in places):
            split = (groups, shape[axis] // groups)
            grouped = tuple(divide(place, axis, split) for place in places)
            return takes_in_all(grouped, axis + 1, (*shape[:axis], *split, *shape[axis + 1 :]))
        case Statistics(axes):
            for axis in axes:
                if takes_in_all(places, axis, shape):
                    return True
                places = mixed(places, axis, shape[axis])
    return False


@dataclass(frozen=True, slots=True)
class Holes:
    """Whether every unit reads all of its box, as far as intervals tell."""

    @staticmethod
    def start() -> bool:
        """A position has no holes."""
        return True

    def step(self, filled: bool, before: Sight, step: Step, after: Sight, whole: bool) -> bool:
        """Whether what one unit reads by a step leaves no hole; a step that takes in a whole map leaves nothing that is judged."""
        if whole and all(field.empty for field in after.fields):
            return True
        match step:
            case Slide():
                return filled and window_filled(before.fields, step)
            case Mix(axis, _, groups) if not whole:
                return filled and mixture_filled(before.fields, axis, before.shape[axis], groups)
            case Statistics() if not whole:
                return filled and _mixtures_filled(before, step.mixtures(before.shape))
            case Accumulate(axis, _, _) if not whole:
                moving = sum(field.varies(axis) for field in before.fields)
                return filled and moving < 2 and mixture_filled(before.fields, axis, before.shape[axis])
        return filled

    def join(self, filled: Sequence[bool], sights: Sequence[Sight], shape: Shape) -> bool:
        """Whether the paths that meet leave none between them; not known where their common table is too large."""
        try:
            return union_filled([(sight.fields, own) for sight, own in zip(sights, filled, strict=True)], shape)
        except TooLarge:
            return False

    def beside(self, filled: Sequence[bool]) -> bool:
        """Parts one after the other keep their own."""
        return all(filled)

    def widen(self, filled: bool) -> bool:
        """Nothing more is known."""
        return filled


def _mixtures_filled(sight: Sight, mixtures: Sequence[Mix]) -> bool:
    """Whether mixing one axis after the other leaves no hole."""
    fields, shape = sight.fields, sight.shape
    for step in mixtures:
        if not mixture_filled(fields, step.axis, shape[step.axis]):
            return False
        fields = tuple(moved(field, shape, step) for field in fields)
    return True


Spreads = tuple[Spread, ...]


@dataclass(frozen=True, slots=True)
class Spreading:
    """The effective field by path counts, weighed by the layer's `weights` where they are known."""

    weights: TapWeights | None

    @staticmethod
    def start(count: int) -> Spreads:
        """One path, from the position itself, along each axis of the input."""
        return tuple(Spread.point() for _ in range(count))

    def step(self, spread: Spreads, before: Sight, step: Step, after: Sight, whole: bool) -> Spreads:
        """The spread of the local paths after a step: none along an axis where no such path is left."""
        match step:
            case Slide() | Mix():
                units = before.shape[step.axis]
                spread = follow(spread, before.fields, step, self.weights, units)
            case Statistics() if not whole:
                for mixture in step.mixtures(before.shape):
                    spread = follow(spread, before.fields, mixture, self.weights, mixture.length)
        return tuple(Spread.none() if field.empty else one for one, field in zip(spread, after.fields, strict=True))

    def join(self, spreads: Sequence[Spreads]) -> Spreads:
        """The mixture of the paths that meet."""
        return combine(spreads, [1.0] * len(spreads))

    def beside(self, spreads: Sequence[Spreads], lengths: Sequence[int], laid: Sequence[bool]) -> Spreads:
        """A mixture of the parts, but of parts that are `laid` along the input (a roll) the spread of the longest one."""
        apart = combine(spreads, [length / max(sum(lengths), 1) for length in lengths], apart=True)
        longest = spreads[lengths.index(max(lengths))]
        return tuple(end if along else own for own, end, along in zip(apart, longest, laid, strict=True))

    def widen(self, spread: Spreads) -> Spreads:
        """Nothing more is known."""
        return spread
