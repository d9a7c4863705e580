"""The queue: where jobs wait, and whoever works on them takes them from.

A job's message is its question alone (Job.request): whoever works on it finds the files among the blobs by their digests, and keeps what
comes of it himself (see keeper). So the work may be done in this process, as jobs.local does, or on another machine.
"""

from __future__ import annotations

from typing import Literal, Protocol

from service.store.interfaces import Job

Status = Literal["queued", "running"]


class Queue(Protocol):
    """Has jobs worked on, each to one end that the keeper writes down."""

    @property
    def full(self) -> bool:
        """Whether one more job would be refused."""

    def submit(self, job: Job) -> None:
        """Take a job. Refused `too-busy` where too many wait or the queue is closed."""

    def cancel(self, job_id: str) -> None:
        """Stop a job, whether it waits or runs; do nothing to one that is not here."""

    def status(self, job_id: str) -> Status | None:
        """What becomes of a job now; None where it is not here, or has ended."""

    def progress(self, job_id: str) -> int | None:
        """How many jobs are before a job: 0 where it runs or is next; None where it is not here, or has ended."""

    def revive(self) -> None:
        """See to it that whoever does the work lives."""

    def close(self) -> None:
        """Give every job back to the store, for another process, and take no more."""
