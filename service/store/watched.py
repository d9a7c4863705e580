"""What the rest of the service asks of the store about watched models: names with versions, each an analysis, and the verdict on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from service.report.identity import Project

Verdict = Literal["pending", "pass", "fail", "none", "unknown"]
"""Whether budgets hold for a version: not worked out yet, they do, they do not, there are none, or it cannot be worked out."""


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """A model by its name; `baseline` is the version that others are held against, None for the one before each."""

    project: Project
    name: str
    created_at: str
    baseline: str | None
    budgets: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Label:
    """What an analysis is called: a version of a model."""

    project: Project
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model: its report, `created_at` when it was asked for, and the verdict on it.

    `base` is the version that it was held against, `judged` each budget as a comparison says it, `entry` what a list shows of the report.
    """

    label: Label
    report_id: str
    created_at: str
    verdict: Verdict
    base: str | None
    judged: Sequence[Mapping[str, Any]]
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A version whose analysis is under way."""

    label: Label
    report_id: str
    created_at: str


class Models(Protocol):
    """The watched models of every project. A project sees its own alone."""

    def page(self, project: Project, limit: int, after: str = "") -> list[WatchedModel]:
        """At most `limit` models in the order of their names, those after one name."""

    def get(self, project: Project, name: str) -> WatchedModel | None:
        """The model of that name."""

    def count(self, project: Project) -> int:
        """How many models there are."""

    def change(self, model: WatchedModel) -> None:
        """Keep the baseline and the budgets of a model."""

    def remove(self, project: Project, name: str) -> bool:
        """Forget a model with its versions, but not their reports; say whether it was known."""

    def put(self, label: Label, report_id: str, asked_at: str) -> bool:
        """Have a report be that version, of a new model where there is none of that name; say whether the version is new. A version that
        was another report keeps its place and is judged anew."""

    def withdraw(self, label: Label) -> bool:
        """Forget a version; say whether it was known."""

    def version(self, label: Label) -> Version | None:
        """That version."""

    def newest(self, project: Project, names: Sequence[str], each: int) -> dict[str, list[Version]]:
        """The newest versions of models, at most so many of each, newest first."""

    def versions_of(self, project: Project, names: Sequence[str]) -> dict[str, int]:
        """How many versions models have."""

    def before(self, version: Version) -> Version | None:
        """The version before another one."""

    def judge(self, version: Version, verdict: Verdict, base: str | None = None, judged: Sequence[Mapping[str, Any]] = ()) -> bool:
        """Keep the verdict on a version, unless it is another report by now; say whether it was kept."""

    def pending(self, limit: int) -> list[Version]:
        """Versions of all projects that are not judged yet, oldest first."""

    def expect(self, awaited: Awaited) -> None:
        """Have a report be a version as soon as it is there."""

    def awaited(self, limit: int, report_id: str | None = None) -> list[Awaited]:
        """Versions of all projects that wait for their reports, or for one report; oldest first."""

    def forget_awaited(self, awaited: Awaited) -> None:
        """Wait for that no longer."""
