"""What the rest of the service asks of the store: a few verbs, so that another database or blob store can take its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from service.report.identity import Digest
from service.sources.local import Source

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


class StoreError(Exception):
    """The store cannot do this now: it is locked, broken or away, or `full`. What it was asked for may be asked again."""

    def __init__(self, detail: str, *, full: bool = False) -> None:
        super().__init__(detail)
        self.full = full


class Reports(Protocol):
    """The reports. They are immutable: a report is added once, read often, and removed."""

    def add(self, report: StoredReport) -> None:
        """Keeps `report`; does nothing where its id is known."""

    def get(self, report_id: str) -> StoredReport | None:
        """The report of that id, or of an id that it had before."""

    def count(self) -> int:
        """How many there are."""

    def matching(self, prefix: str) -> list[str]:
        """The ids that begin so, two at the most."""

    def has(self, report_id: str) -> bool:
        """Whether the report is known."""

    def page(self, limit: int, cursor: str | None = None, name: str | None = None, digest: str | None = None) -> Page:
        """The entries of at most `limit` reports, newest first. Refused `invalid-arguments` for a cursor that was not given out."""

    def remove(self, report_id: str) -> list[Digest] | None:
        """Forgets a report and returns the digests of its files; None where it was not known."""


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

    def owned(self, owner: str) -> list[Job]:
        """The jobs of `owner` that are not finished."""

    def beat(self, owner: str) -> list[str]:
        """Notes that `owner` lives, and returns the ids of its jobs that are asked to stop."""

    def release(self, job_id: str) -> None:
        """Lets another process take the job over at once."""

    def adopt(self, owner: str, silent_seconds: float) -> list[Job]:
        """Takes over the jobs of owners that were silent for so long."""

    def working_on(self, report_id: str) -> Job | None:
        """The job that is working on a report."""

    def active(self) -> list[Job]:
        """The jobs that are not finished."""

    def remove_finished(self, older_than_seconds: float) -> None:
        """Forgets jobs that ended so long ago."""


class Claims(Protocol):
    """Who needs which blob: reports do, and whoever claims one while it works on it. A file goes when nobody does."""

    def claim(self, holder: str, digests: Collection[Digest]) -> None:
        """Note that `holder` needs these, before it puts them."""

    def release(self, holder: str) -> list[Digest]:
        """Note that `holder` needs nothing any more; what it needed."""

    def drop(self, digest: Digest, remove: Callable[[Digest], None]) -> bool:
        """Remove a blob by `remove` if nobody needs it, while nobody can claim it; say whether it was removed."""

    def unneeded(self) -> list[Digest]:
        """The blobs that nobody needs: what is left where a process died between two steps."""

    def stale(self, older_than_seconds: float) -> list[str]:
        """The holders that are no active jobs and claimed something so long ago: their process died."""


class Blobs(Protocol):
    """Files by their digest: complete or not there. Every method raises StoreError where the place cannot be reached or is full."""

    def put(self, stream: BinaryIO, digest: Digest) -> None:
        """Keep what a stream holds from its beginning, in the place of what is there; it is durable when this returns."""

    def has(self, digest: Digest, size: int) -> bool:
        """Whether the file is there in that size."""

    def open(self, digest: Digest) -> Source:
        """The bytes of a file, to be read at any offset."""

    def local(self, digest: Digest) -> Path:
        """A file of this machine with that content, for a process that reads nothing else."""

    def sound(self, digest: Digest) -> bool:
        """Whether the file is there and its content has that digest. Reads the whole of it."""

    def remove(self, digest: Digest) -> None:
        """Remove the file if it is there."""
