"""Batches: many models that lie elsewhere, under one name. What is known of one is in the store, so that a restart goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from service.report.identity import Project
from service.store.interfaces import State

BatchState = Literal["running", "done", "cancelled"]

Opening = tuple[str, str | None]
"""A folder or a registry that is not listed to its end: its address, and what asks for its next page (None for the first)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch: the options of all its analyses, the watched model whose versions they are (if any), and what is not listed yet."""

    project: Project
    id: str
    state: BatchState
    created_at: str
    updated_at: str
    options: Mapping[str, Any]
    model: str | None
    openings: tuple[Opening, ...]
    problems: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One model of a batch, with its report or the problem that it has."""

    project: Project
    batch_id: str
    number: int
    source: str
    state: State
    report_id: str | None = None
    problem: Mapping[str, Any] | None = None


class Batches(Protocol):
    """The batches, seen by every process that shares the store. Each item is taken by one process, and by another where that one dies."""

    def add(self, batch: Batch, sources: Sequence[str]) -> None:
        """Keep a new batch with these models; one that is named twice is one."""

    def get(self, project: Project, batch_id: str) -> Batch | None:
        """The batch of that id."""

    def page(self, project: Project, limit: int) -> list[Batch]:
        """The newest batches."""

    def counts(self, project: Project, batch_id: str) -> dict[State, int]:
        """How many items are in each state."""

    def items(self, project: Project, batch_id: str, limit: int, after: int = -1, state: State | None = None) -> list[Item]:
        """At most `limit` items by their number, those after one."""

    def cancel(self, project: Project, batch_id: str) -> None:
        """Take no more items of a batch, and have those under way stopped."""

    def take(self, owner: str) -> tuple[Batch, Item] | None:
        """An item that waits, of the batch whose turn it is, for `owner` alone; None where none waits."""

    def settle(self, item: Item, state: State, report_id: str | None = None, problem: Mapping[str, Any] | None = None) -> None:
        """Note how an item ended; with the last one its batch is done."""

    def give_back(self, owner: str) -> None:
        """Let others take what `owner` has taken."""

    def beat(self, owner: str, silent_seconds: float) -> None:
        """Note that `owner` lives, and give back what owners took who were silent for so long."""

    def unlisted(self, max_waiting: int) -> Batch | None:
        """A batch with something to list, of which not more items wait than that; None where there is none."""

    def list_page(
        self, batch: Batch, sources: Sequence[str], openings: Sequence[Opening], problem: Mapping[str, Any] | None = None
    ) -> None:
        """Add the models of one page to a batch, and note what is left to list; nothing where another process was faster."""
