"""What is kept: reports, jobs and claims in a database, models as blobs by their digest.

Rule: whatever clients own belongs to a project. Every table of it has a column `project` from the start, at the beginning of its keys, and
every verb that looks something up for a client takes the project first; another project's is not there. Files alone are shared, by digest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from service.report.identity import Digest, Project
from service.settings import Settings
from service.store.disk.blobs import LocalBlobs
from service.store.disk.cache import Cache
from service.store.disk.uploads import Uploads
from service.store.interfaces import Blobs, Claims, Jobs, Reports
from service.store.sql.claims import SqlClaims
from service.store.sql.database import Database, migrate
from service.store.sql.jobs import SqlJobs
from service.store.sql.models import SqlModels
from service.store.sql.reports import SqlReports
from service.store.watched import Models

MIN_FREE_BYTES = 16 * 1024 * 1024

CACHE_SECONDS = 60.0
"""How much longer than a job may take a copy of its model stays on the disk at least: it may wait for its process before it starts."""


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept. What it cannot do now is a StoreError."""

    directory: Path
    database: Database
    reports: Reports
    jobs: Jobs
    claims: Claims
    models: Models
    blobs: Blobs
    uploads: Uploads

    def check(self) -> dict[str, str]:
        """What is well (`ok`) and what is not, by name."""
        return {"database": self.database.check(), "blobs": self.blobs.check(), "disk": _check_disk(self.directory)}

    def forget(self, project: Project, report_id: str) -> bool:
        """Remove a report, and its files where nobody else needs them; say whether it was known."""
        digests = self.reports.remove(project, report_id)
        for digest in set(digests or ()):
            self.drop(digest)
        return digests is not None

    def release(self, holder: str) -> None:
        """Give up what `holder` claims, and remove the files that nobody else needs."""
        for digest in self.claims.release(holder):
            self.drop(digest)

    def drop(self, digest: Digest) -> None:
        """Remove a file if nobody needs it."""
        self.claims.drop(digest, self.blobs.remove)

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def keep_private(directory: Path) -> None:
    """Makes a directory, unless it is there, that only the service's user can look into. One that others share (/tmp) stays as it is, and
    so does one of another user."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not directory.stat().st_mode & stat.S_ISVTX:
        with contextlib.suppress(PermissionError):
            directory.chmod(0o700)


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name and bring its tables up to date."""
    directory = settings.data_dir.resolve()
    keep_private(directory)
    database = Database(settings.database)
    migrate(database, directory)
    blobs, uploads = open_blobs(settings, directory), Uploads(directory / "uploads")
    tables = SqlReports(database), SqlJobs(database), SqlClaims(database), SqlModels(database)
    return Store(directory, database, *tables, blobs, uploads)


def open_blobs(settings: Settings, directory: Path) -> Blobs:
    """The place for models that the settings name: the data directory, another directory (file://), or an object store."""
    if not settings.blobs_url:
        return LocalBlobs(directory / "blobs")
    place = urlsplit(settings.blobs_url)
    if place.scheme == "file":
        return LocalBlobs(Path(unquote(place.path)))
    # The library is wanted where models lie elsewhere only.
    from service.store.objects import ObjectBlobs, open_objects

    cache = Cache(directory / "cache", settings.blobs_cache_bytes, settings.job_wall_seconds + CACHE_SECONDS)
    return ObjectBlobs(open_objects(settings.blobs_url), cache)


def _check_disk(directory: Path) -> str:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return error.strerror or "not there"
    if not os.access(directory, os.W_OK):
        return "not writable"
    return "ok" if free >= MIN_FREE_BYTES else "full"
