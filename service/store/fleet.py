"""What the store says of a whole fleet: sums over all reports of a project, worked out where the numbers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.report.identity import Project
from service.store.watched import Version


@dataclass(frozen=True, slots=True)
class Bin:
    """How many reports have a number from `low` to below `high`; None where the bin is open."""

    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a number is distributed over the reports that have it."""

    count: int
    min: float | None
    mean: float | None
    max: float | None
    bins: Sequence[Bin]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A report and the number that it is ranked by."""

    report_id: str
    name: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A structure that several reports have, and the newest of those: id and name of each."""

    structure_digest: str
    count: int
    examples: Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Summary:
    """A fleet in numbers.

    `structures` are different networks, whatever their values; `duplicated` are reports whose structure another has too; `unproductive` are
    reports with unproductive layers, `broken` models whose newest version breaks a budget. Lists are cut to a few.
    """

    reports: int
    structures: int
    duplicated: int
    unproductive: int
    global_outputs: int
    distributions: Mapping[str, Distribution]
    duplicates: Sequence[Duplicate]
    most_shared: Sequence[Ranked]
    most_unproductive: Sequence[Ranked]
    models: int
    broken: int
    broken_versions: Sequence[Version]


class Fleet(Protocol):
    """The fleet of each project."""

    def state(self, project: Project) -> str:
        """A text that differs from an earlier one where a report or a version came, was judged or went."""

    def summary(self, project: Project, shown: int) -> Summary:
        """A project's fleet in numbers, with at most `shown` entries in each list."""
