"""Proposals: small edits with which a network would reach a goal, what each of them changes, and how far a report is from a goal.

Goals are measured by the report alone, so whoever has two reports can check what a proposal says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from service.faults import Refused, refused_at
from service.report.document import PerAxis, Report, Shape

GoalName = Literal["cover-input", "productive", "aligned", "ungridded", "fewer-connections"]
GOALS: tuple[GoalName, ...] = get_args(GoalName)

SOURCES: Mapping[GoalName, str] = {
    "cover-input": "Araujo et al. 2019, Computing Receptive Fields of Convolutional Neural Networks",
    "productive": "Richter et al. 2021, (Input) Size Matters for CNN Classifiers",
    "aligned": "Araujo et al. 2019, Computing Receptive Fields of Convolutional Neural Networks",
    "ungridded": "Yu, Koltun and Funkhouser 2017, Dilated Residual Networks",
    "fewer-connections": "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
}
NOTE = (
    "Proposals are found from the architecture alone. They cannot promise accuracy: a changed network has to be trained again, and its "
    "weights of other shapes are new."
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached. `share` is that of the connections which may be left, of `fewer-connections`."""

    name: GoalName
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Measures:
    """What a proposal may change: the largest field of local paths, and the shape of what its layer gives."""

    receptive_field: PerAxis | None
    stride: PerAxis | None
    input_size: PerAxis | None
    unproductive_layers: int | None
    misaligned_joins: int
    gridded_layers: int
    parameters: int | None
    connections: int | None
    map_shape: Shape | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Edits (and shapes of inputs) as `POST …/variants` takes them, in words, whether they reach the goal, and what is measured then."""

    edits: tuple[Mapping[str, object], ...]
    input_shapes: Mapping[str, tuple[int, ...]]
    words: tuple[str, ...]
    reaches: bool
    measures: Measures


@dataclass(frozen=True, slots=True)
class Proposals:
    """The proposals for a goal, best first: those that reach it, else the nearest. `complete` says that the search ended by itself."""

    goal: str
    reached: bool
    base: Measures
    proposals: tuple[Proposal, ...]
    tried: int
    complete: bool
    source: str
    note: str = field(default=NOTE)


def read_goal(text: str) -> Goal:
    """The goal of its name, `fewer-connections=0.5` with a share. Refused `invalid-goal` where there is none."""
    name, has_share, share = text.partition("=")
    for known in GOALS:
        if known == name and (name == "fewer-connections") == bool(has_share):
            return Goal(known, _share(share) if has_share else 1.0)
    raise _invalid_goal(f"got {text[:60]!r}; expected one of {', '.join(GOALS[:-1])}, fewer-connections=0.5")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise _invalid_goal(f"got the share {text[:60]!r}; expected a number between 0 and 1")
    return share


def _invalid_goal(detail: str) -> Refused:
    return refused_at("/goal", "invalid-goal", detail)


def measure(report: Report) -> Measures:
    """The measures of a report."""
    summary = report.summary
    found = {(finding.code, finding.layer) for finding in report.findings}
    codes = [code for code, _ in found]
    model_field = summary.receptive_field
    largest = None if model_field is None else model_field.largest
    shapes = {layer.name: layer.output_shape for layer in report.layers}
    return Measures(
        receptive_field=None if largest is None else largest.size,
        stride=None if largest is None else largest.stride,
        input_size=None if model_field is None else model_field.input_size,
        unproductive_layers=None if model_field is None else model_field.unproductive_layers,
        misaligned_joins=codes.count("misaligned-join"),
        gridded_layers=codes.count("gridding"),
        parameters=summary.parameters.stored,
        connections=None if summary.connections is None else summary.connections.exact,
        map_shape=None if largest is None else shapes.get(largest.layer),
    )


def distance(goal: Goal, base: Measures, found: Measures) -> float | None:
    """How far from a goal a network is, 0 where it reaches it; None where that cannot be said.

    `cover-input`: the share of the input, along each axis, that the field lacks; the others: how many there are, or the connections
    that are too many as a share of those of the base.
    """
    if goal.name == "cover-input":
        sizes = zip(found.receptive_field or (), found.input_size or (), strict=False)
        lacking = [1 - size / length for size, length in sizes if size is not None and length]
        return sum(max(each, 0.0) for each in lacking) if lacking else None
    if goal.name == "fewer-connections":
        return max(found.connections / base.connections - goal.share, 0.0) if found.connections and base.connections else None
    if goal.name == "productive":
        return found.unproductive_layers
    return found.misaligned_joins if goal.name == "aligned" else found.gridded_layers
