"""What a job's process does to find the smallest edits with which a network reaches a goal.

1. Moves are tried alone, then the best of them together, until some reach the goal: those with the fewest edits are the answer.
2. Where a few do not suffice, all moves of one sort are tried together, and every one of them that is not needed is taken back.
3. Every try reads and analyses the changed network, without the values of its weights. Their number and the time are bounded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.analysis import Reading, analyze
from service.edits import Edit, plain_edits
from service.faults import Refused
from service.options import Options
from service.report.document import Report
from service.report.identity import read_options
from service.report.moves import Move, moves
from service.report.plain import plain_object
from service.report.proposals import SOURCES, Goal, Measures, Proposal, Proposals, distance, measure, read_goal
from service.report.variant import variant_options
from service.work.analysis import Files, read_file
from service.work.made import Made, made_json

MAX_TRIES = 200
"""Changed networks that are analysed for one goal."""
MAX_TOGETHER = 4
"""Moves that are combined, before all of a sort are."""
BEAM, MAX_PROPOSALS, MAX_NEAREST = 6, 8, 3


class Exhausted(Exception):
    """The tries or the time are used up."""


@dataclass(frozen=True, slots=True)
class Try:
    """A network with some moves: how far it is from the goal, and how much it differs from the base."""

    moves: tuple[Move, ...]
    distance: float
    cost: tuple[int, float]
    measures: Measures
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits of all moves."""
        return tuple(edit for move in self.moves for edit in move.edits)


def proposals_document(files: Files, options: Mapping[str, Any], goal: str, seconds: float) -> Made:
    """The proposals for a goal as JSON. Refused `invalid-goal` where there is no such goal, or the model is no measure of it."""
    search = Search(files, replace(read_options(options), read_weights="none"), read_goal(goal), seconds)
    return made_json(plain_object(replace(search.found(), goal=goal)))


class Search:
    """The search for one goal in one network."""

    def __init__(self, files: Files, options: Options, goal: Goal, seconds: float) -> None:
        self._files, self._options, self._goal = files, options, goal
        self._until, self.tried = time.monotonic() + seconds, 0
        self._report = self._analyzed(options)
        self._base = measure(self._report)
        start = distance(goal, self._base, self._base)
        if start is None:
            raise Refused("invalid", "invalid-goal", f"The report of this network does not say how far it is from the goal {goal.name}.")
        self._start: float = start
        self._known: dict[str, Try | None] = {}

    def found(self) -> Proposals:
        """What was found, within the bounds."""
        complete = True
        if self._start > 0:
            try:
                self._search()
            except Exhausted:
                complete = False
        tries = sorted((each for each in self._known.values() if each is not None), key=lambda each: (each.distance, each.cost))
        reaching = [each for each in tries if each.distance == 0]
        nearer = [each for each in tries if each.distance < self._start]
        chosen = sorted(reaching, key=lambda each: each.cost)[:MAX_PROPOSALS]
        if not any(each.moves for each in chosen):
            chosen += [each for each in nearer if each.distance > 0][:MAX_NEAREST]
        return Proposals(
            goal=self._goal.name,
            reached=self._start == 0,
            base=self._base,
            proposals=tuple(_proposal(each) for each in chosen),
            tried=self.tried,
            complete=complete,
            source=SOURCES[self._goal.name],
        )

    # -- the search ------------------------------------------------------------------------------------------------

    def _search(self) -> None:
        self._resized()
        candidates = moves(self._goal, self._report)
        beam = self._best([self._try((move,)) for move in candidates])
        for _ in range(MAX_TOGETHER - 1):
            if any(each.distance == 0 for each in beam) or not beam:
                break
            nearer = [each.moves[0] for each in self._best(self._singles(), len(candidates)) if each.distance < self._start]
            beam = self._best([self._try(joined) for each in beam for joined in _joined(each.moves, nearer)])
        if not any(each.distance == 0 for each in beam):
            for sort in dict.fromkeys(move.sort for move in candidates):
                self._reduce(_compatible([move for move in candidates if move.sort == sort]))

    def _singles(self) -> list[Try | None]:
        return [each for each in self._known.values() if each is not None and len(each.moves) == 1]

    def _best(self, tries: Sequence[Try | None], count: int = BEAM) -> list[Try]:
        return sorted((each for each in tries if each is not None), key=lambda each: (each.distance, each.cost))[:count]

    def _reduce(self, together: tuple[Move, ...]) -> None:
        """All moves of a sort, and from the last to the first every one taken back without which the goal is still reached."""
        if len(together) < 2:
            return
        kept = self._try(together)
        if kept is None or kept.distance > 0:
            return
        for move in reversed(together):
            fewer = self._try(tuple(each for each in kept.moves if each is not move))
            kept = fewer if fewer is not None and fewer.distance == 0 and fewer.moves else kept

    def _resized(self) -> None:
        """The network as it is, on an input of the size at which it reaches the goal."""
        field = self._report.summary.receptive_field
        if field is None or field.input is None:
            return
        sizes = {"productive": field.smallest_productive_input, "cover-input": self._base.receptive_field}.get(self._goal.name)
        if sizes and all(sizes):
            self._try((), {field.input: tuple(int(size) for size in sizes if size)})

    def _try(self, chosen: tuple[Move, ...], shapes: Mapping[str, tuple[int, ...]] | None = None) -> Try | None:
        """The network with these moves; None where there is none. Each is analysed once."""
        shapes = shapes or {}
        key = f"{sorted(str(edit) for move in chosen for edit in move.edits)} {shapes}"
        if key not in self._known:
            if self.tried >= MAX_TRIES or time.monotonic() > self._until:
                raise Exhausted
            self.tried += 1
            self._known[key] = self._analysed_try(chosen, shapes)
        return self._known[key]

    def _analysed_try(self, chosen: tuple[Move, ...], shapes: Mapping[str, tuple[int, ...]]) -> Try | None:
        edits = tuple(edit for move in chosen for edit in move.edits)
        try:
            found = measure(self._analyzed(variant_options(self._options, self._report, edits, shapes)))
        except Refused:
            return None
        far = distance(self._goal, self._base, found)
        return None if far is None else Try(chosen, far, self._cost(edits, found), found, shapes)

    def _cost(self, edits: Sequence[Edit], found: Measures) -> tuple[int, float]:
        """The number of edits, then how much connections and parameters change, as the sum of the logarithms of their ratios."""
        pairs = ((self._base.connections, found.connections), (self._base.parameters, found.parameters))
        return len(edits), sum(abs(math.log(new / old)) for old, new in pairs if old and new)

    def _analyzed(self, options: Options) -> Report:
        return analyze(read_file(self._files, options), Reading("none"))


def _joined(kept: tuple[Move, ...], more: Sequence[Move]) -> Iterator[tuple[Move, ...]]:
    """The moves and one more, of other layers."""
    layers = {layer for move in kept for layer in move.layers}
    return ((*kept, move) for move in more if not layers & move.layers)


def _compatible(candidates: Sequence[Move]) -> tuple[Move, ...]:
    """The moves of which none changes a layer that one before it does."""
    seen: set[str] = set()
    chosen = []
    for move in candidates:
        if not seen & move.layers:
            seen |= move.layers
            chosen.append(move)
    return tuple(chosen)


def _proposal(found: Try) -> Proposal:
    sizes = tuple(f"{name}: size {'×'.join(map(str, shape))}" for name, shape in found.shapes.items())
    words = (*(move.words for move in found.moves), *sizes)
    return Proposal(tuple(plain_edits(found.edits)), found.shapes, words, found.distance == 0, found.measures)
