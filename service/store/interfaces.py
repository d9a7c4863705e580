"""What the rest of the service asks of the store: a few verbs, so that another database or blob store can take its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from service.report.identity import Digest

State = Literal["queued", "running", "done", "failed", "cancelled"]
ACTIVE: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it is kept: `document` is its JSON text, `entry` what a list shows of it.

    `blobs` names the digest of each file that was analysed: "" for the model, else the name of an external data file.
    """

    id: str
    created_at: str
    name: str | None
    digest: str
    entry: Mapping[str, Any]
    document: bytes
    etag: str
    options: Mapping[str, Any]
    blobs: Mapping[str, Digest]


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first; `cursor` asks for the part after it, None where nothing follows."""

    items: Sequence[Mapping[str, Any]]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis under way: `request` is all that is needed to start it again, `problem` why it failed."""

    id: str
    report_id: str
    state: State
    created_at: str
    updated_at: str
    request: Mapping[str, Any]
    problem: Mapping[str, Any] | None = None
    cancel_requested: bool = False
    attempts: int = 1

    @property
    def finished(self) -> bool:
        """Whether the job will change no more."""
        return self.state not in ACTIVE


class CursorError(ValueError):
    """The cursor is none that this store gave out."""


class Reports(Protocol):
    """The reports. They are immutable: a report is added once, read often, and removed."""

    def add(self, report: StoredReport) -> None:
        """Keeps `report`; does nothing where its id is known."""

    def get(self, report_id: str) -> StoredReport | None:
        """The report of that id."""

    def has(self, report_id: str) -> bool:
        """Whether the report is known."""

    def page(self, limit: int, cursor: str | None = None, name: str | None = None, digest: str | None = None) -> Page:
        """The entries of at most `limit` reports, newest first. Raises CursorError."""

    def remove(self, report_id: str) -> list[Digest] | None:
        """Forgets a report and returns the digests of its files; None where it was not known."""

    def unused(self, digests: Collection[Digest]) -> set[Digest]:
        """Those of `digests` that no report needs."""


class Jobs(Protocol):
    """The jobs, seen by every process that shares the store. One that is not heard of for a while can be taken over."""

    def add(self, job: Job, owner: str) -> Job:
        """Keeps a new job, or returns the one that is already working on the same report."""

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""

    def start(self, job_id: str) -> None:
        """Notes that the job runs."""

    def finish(self, job_id: str, state: State, problem: Mapping[str, Any] | None = None) -> None:
        """Notes how the job ended."""

    def request_cancel(self, job_id: str) -> None:
        """Asks whoever works on the job to stop."""

    def beat(self, owner: str) -> list[str]:
        """Notes that `owner` lives, and returns the ids of its jobs that are asked to stop."""

    def release(self, job_id: str) -> None:
        """Lets another process take the job over at once."""

    def adopt(self, owner: str, silent_seconds: float) -> list[Job]:
        """Takes over the jobs of owners that were silent for so long."""

    def active(self) -> list[Job]:
        """The jobs that are not finished."""

    def remove_finished(self, older_than_seconds: float) -> None:
        """Forgets jobs that ended so long ago."""


class Blobs(Protocol):
    """Files by their digest."""

    def put(self, path: Path, digest: Digest) -> None:
        """Moves a file in; it is on disk when this returns."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Holds off every other process that adds or removes reports, so that no file goes while a new report begins to need it."""

    def path(self, digest: Digest) -> Path:
        """Where the file of that digest can be read."""

    def remove(self, digest: Digest) -> None:
        """Removes the file if it is there."""
