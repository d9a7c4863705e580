"""What is kept: reports and jobs in a database, models on disk by their digest."""

from __future__ import annotations

import contextlib
import stat
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from service.settings import Settings
from service.store.disk.blobs import LocalBlobs, Uploads
from service.store.interfaces import Blobs, Jobs, Reports
from service.store.sql.database import migrate, open_database
from service.store.sql.jobs import SqlJobs
from service.store.sql.reports import SqlReports


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept, under one data directory."""

    directory: Path
    engine: Engine
    reports: Reports
    jobs: Jobs
    blobs: Blobs
    uploads: Uploads


def keep_private(directory: Path) -> None:
    """Makes a directory, unless it is there, that only the service's user can look into. One that others share (/tmp) stays as it is, and
    so does one of another user."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not directory.stat().st_mode & stat.S_ISVTX:
        with contextlib.suppress(PermissionError):
            directory.chmod(0o700)


def open_store(settings: Settings) -> Store:
    """Opens the store that the settings name and brings its tables up to date."""
    directory = settings.data_dir.resolve()
    keep_private(directory)
    engine = open_database(settings.database)
    migrate(engine, directory)
    return Store(directory, engine, SqlReports(engine), SqlJobs(engine), LocalBlobs(directory / "blobs"), Uploads(directory / "uploads"))
