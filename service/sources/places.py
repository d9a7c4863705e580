"""What a task is given for a file: where it lies on this machine, or bytes that are open already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from service.sources.local import LocalFile, Source

Place = str | Path | Source


@runtime_checkable
class Fetched(Protocol):
    """A source whose bytes come from somewhere else."""

    @property
    def bytes_fetched(self) -> int:
        """The bytes that came so far."""


def opened(place: Place) -> Source:
    """The bytes at a place."""
    return LocalFile(Path(place)) if isinstance(place, str | Path) else place


def bytes_fetched(places: Iterable[Place]) -> int | None:
    """The bytes that came from somewhere else for these files; None where all lie on this machine."""
    counts = [place.bytes_fetched for place in places if isinstance(place, Fetched)]
    return sum(counts) if counts else None
