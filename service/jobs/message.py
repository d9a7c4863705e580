"""What is asked of another process, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from service.faults import Refused
from service.sources.local import Source
from service.work.made import Made
from service.work.tasks import Task


class Lying(Protocol):
    """Bytes that lie somewhere, and are fetched piece by piece when they are sent."""

    def pieces(self) -> Iterator[bytes]:
        """All of them."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a task: arguments that are JSON, bytes by keyword, and a model's files ("" for the model itself).

    `files` are those that lie on this machine, by their place; `lent` are others, which are read for the process that works.
    """

    task: Task
    arguments: Mapping[str, object] = field(default_factory=dict)
    documents: Mapping[str, bytes | Lying] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    lent: Mapping[str, Source] = field(default_factory=dict)


class BrokenAnalysisError(RuntimeError):
    """The service's own code failed on this input; the message is the traceback, for the log only."""


class Stopped(RuntimeError):
    """The work was stopped before it had a result: it was cancelled, or whoever did it closes and it may be done elsewhere."""

    def __init__(self, reason: Literal["cancelled", "closed"]) -> None:
        super().__init__(reason)
        self.reason = reason


Outcome = Made | Refused | BrokenAnalysisError
"""What a process answers."""


def result_of(outcome: Outcome | Stopped) -> Made:
    """What was made; raises what was not."""
    if isinstance(outcome, Made):
        return outcome
    raise outcome
