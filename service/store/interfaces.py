"""What the rest of the service asks of the store: a few verbs, so that another database or blob store can take its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from service.report.identity import Digest, Project
from service.sources.local import Source

State = Literal["queued", "running", "done", "failed", "cancelled"]
ACTIVE: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it is kept, without its text: `entry` is what a list shows of it, `size_bytes` how long the text is.

    `blobs` names the digest of each file that was analysed: "" for the model, else the name of an external data file.
    """

    project: Project
    id: str
    created_at: str
    name: str | None
    digest: str
    entry: Mapping[str, Any]
    etag: str
    options: Mapping[str, Any]
    blobs: Mapping[str, Digest]
    size_bytes: int
    model_bytes: int = 0


class Document(Protocol):
    """The text of a stored report, which is read where it lies."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def pieces(self) -> Iterator[bytes]:
        """All of it, piece by piece. StoreError where it is gone or cannot be read."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`."""

    def whole(self) -> bytes:
        """All of it at once."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first; `cursor` asks for the part after it, None where nothing follows."""

    items: Sequence[Mapping[str, Any]]
    cursor: str | None


SINGLE, BATCH = 0, 9
"""The rank of a job: what somebody waits for goes before what belongs to a batch."""


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis under way: `request` is all that is needed to start it again, `problem` why it failed, `client` whose turn it takes."""

    id: str
    project: Project
    report_id: str
    state: State
    created_at: str
    updated_at: str
    request: Mapping[str, Any]
    problem: Mapping[str, Any] | None = None
    client: str = ""
    cancel_requested: bool = False
    attempts: int = 1
    rank: int = SINGLE

    @property
    def finished(self) -> bool:
        """Whether the job will change no more."""
        return self.state not in ACTIVE


@dataclass(frozen=True, slots=True)
class Retention:
    """How long reports are kept: so many seconds, and of each project so many and so many bytes, counted from the newest. 0 is no bound."""

    seconds: float = 0.0
    analyses: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a project has stored: so many reports, and their bytes with those of their files."""

    analyses: int
    size_bytes: int


Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
"""What a caller may do; each includes those before it."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who may do what for a project: everything of a bearer token but itself."""

    project: Project
    id: str
    name: str
    scope: Scope
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None


class StoreError(Exception):
    """The store cannot do this now: it is locked, broken or away, or `full`. What it was asked for may be asked again."""

    def __init__(self, detail: str, *, full: bool = False) -> None:
        super().__init__(detail)
        self.full = full


class GoneError(StoreError):
    """A file is not there: to ask again changes nothing."""


class Reports(Protocol):
    """The reports. They are immutable: a report is added once, read often, and removed. A project sees its own alone."""

    def add(self, report: StoredReport, document: bytes, beside: str | None = None) -> None:
        """Keeps `report`, its text, and what is kept beside it (see render.beside); does nothing where its project knows its id."""

    def get(self, project: Project, report_id: str) -> StoredReport | None:
        """The report of that id, or of an id that it had before."""

    def document(self, report: StoredReport) -> Document:
        """The text of a report."""

    def beside(self, report: StoredReport) -> str | None:
        """What is kept beside the text of a report; None where an earlier version stored it."""

    def describe(self, report: StoredReport, beside: str) -> None:
        """Keeps something beside the text of a report that has nothing yet."""

    def count(self) -> int:
        """How many there are, of all projects."""

    def everything(self) -> list[tuple[Project, str]]:
        """The ids of all reports, of all projects."""

    def usage(self, project: Project) -> Usage:
        """What a project has stored."""

    def matching(self, project: Project, prefix: str) -> list[str]:
        """The ids that begin so, two at the most."""

    def has(self, project: Project, report_id: str) -> bool:
        """Whether the report is known."""

    def page(self, project: Project, limit: int, cursor: str | None = None, name: str | None = None, digest: str | None = None) -> Page:
        """The entries of at most `limit` reports, newest first. Refused `invalid-arguments` for a cursor that was not given out."""

    def remove(self, project: Project, report_id: str) -> list[Digest] | None:
        """Forgets a report and returns the digests of its files; None where it was not known."""

    def expired(self, retention: Retention, limit: int) -> list[tuple[Project, str]]:
        """The reports that are not to be kept any longer, oldest first, at most `limit` of them; never versions of watched models."""


class Jobs(Protocol):
    """The jobs, seen by every process that shares the store. One that is not heard of for a while can be taken over.

    A job that was handed to the queue between machines belongs to no process until one takes it; it waits there for as long as it must.
    """

    def add(self, job: Job, owner: str) -> Job:
        """Keeps a new job, or returns the one that is already working on the same report."""

    def get(self, project: Project, job_id: str) -> Job | None:
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

    def hand_over(self, job_id: str) -> None:
        """Gives the job to the queue between machines."""

    def take(self, job_id: str, owner: str) -> Job | None:
        """Takes the job out of the queue between machines, and starts it; None where it is not there, or another was faster."""

    def handed_over(self) -> int:
        """How many jobs are in the queue between machines."""

    def forgotten(self, limit: int, older_than_seconds: float) -> list[Job]:
        """The jobs that are in the queue between machines longest, at least for so long, as if they came to it now. Each is given to one
        of those who ask at the same time."""

    def take_back(self) -> None:
        """Lets any process take over the jobs that are in the queue between machines."""

    def standing(self, job_id: str) -> tuple[State, int] | None:
        """The state of a job that is in the queue between machines or runs, and how many are before it there."""

    def working_on(self, project: Project, report_id: str) -> Job | None:
        """The job that is working on a report."""

    def active(self) -> list[Job]:
        """The jobs that are not finished."""

    def remove_finished(self, older_than_seconds: float) -> None:
        """Forgets jobs that ended so long ago."""


class Tokens(Protocol):
    """The bearer tokens of projects, by their digests: a token itself is kept nowhere."""

    def add(self, token: Token, digest: Digest) -> None:
        """Keeps a new token by its digest."""

    def find(self, digest: Digest) -> Token | None:
        """The token of that digest, unless it has expired or was revoked."""

    def list(self, project: Project | None = None) -> list[Token]:
        """The tokens of a project, or of all, oldest first."""

    def revoke(self, project: Project, token_id: str, moment: str) -> Token | None:
        """Makes a token worthless from some moment on; what it was, or None where there is none that was worth something."""


class Claims(Protocol):
    """Who needs which blob: reports do, and whoever claims one while it works on it. A file goes when nobody does."""

    def claim(self, holder: str, digests: Collection[Digest]) -> None:
        """Note that `holder` needs these, before it puts them."""

    def release(self, holder: str) -> list[Digest]:
        """Note that `holder` needs nothing any more; what it needed."""

    def drop(self, digest: Digest, remove: Callable[[Digest], None]) -> bool:
        """Remove a blob by `remove` if nobody needs it, while nobody can claim it; say whether it was removed."""

    def needed(self) -> list[Digest]:
        """The blobs that reports need."""

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

    def check(self) -> str:
        """`ok`, or why the place cannot be used."""
