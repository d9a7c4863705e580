"""What is kept: reports, jobs and claims in a database, models as blobs by their digest.

Rule: whatever clients own belongs to a project. Every table of it has a column `project` from the start, at the beginning of its keys, and
every verb that looks something up for a client takes the project first; another project's is not there. Files alone are shared, by digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from service.report.identity import Digest, Project
from service.settings import Settings
from service.sources.opening import Sources
from service.store.batches import Batches
from service.store.disk.blobs import LocalBlobs
from service.store.disk.cache import Cache
from service.store.disk.uploads import Uploads
from service.store.fleet import Fleet
from service.store.interfaces import Blobs, Claims, Jobs, Reports, Retention, StoredReport, StoreError, Tokens
from service.store.sql.batches import SqlBatches
from service.store.sql.claims import SqlClaims
from service.store.sql.database import Database, migrate
from service.store.sql.fleet import SqlFleet
from service.store.sql.jobs import SqlJobs
from service.store.sql.models import SqlModels
from service.store.sql.reports import SqlReports
from service.store.sql.tokens import SqlTokens
from service.store.watched import Models

MIN_FREE_BYTES = 16 * 1024 * 1024
RETAIN_AT_ONCE = 100

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
    tokens: Tokens
    fleet: Fleet
    batches: Batches
    blobs: Blobs
    uploads: Uploads
    sources: Sources

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

    def verify(self) -> Iterator[str]:
        """Read everything, and say of each report and file that is not what it was."""
        for project, report_id in self.reports.everything():
            report = self.reports.get(project, report_id)
            if report is not None and not self._whole(report):
                yield f"the report {report_id} of the project {project} is damaged"
        for digest in self.claims.needed():
            if not self.blobs.sound(digest):
                yield f"the file {digest} is damaged or not there; send the model again, and it is mended"

    def collect(self) -> int:
        """Remove the files that nobody needs; how many there were."""
        unneeded = self.claims.unneeded()
        return sum(self.claims.drop(digest, self.blobs.remove) for digest in unneeded)

    def retain(self, retention: Retention) -> int:
        """Forget the reports that are not to be kept any longer, oldest first; how many there were."""
        forgotten = 0
        while beyond := self.reports.expired(retention, RETAIN_AT_ONCE):
            forgotten += sum(self.forget(project, report_id) for project, report_id in beyond)
        return forgotten

    def _whole(self, report: StoredReport) -> bool:
        text = hashlib.sha256()
        try:
            for piece in self.reports.document(report).pieces():
                text.update(piece)
        except StoreError:
            return False
        return text.hexdigest() == report.etag

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
    tables = SqlReports(database), SqlJobs(database), SqlClaims(database), SqlModels(database), SqlTokens(database), SqlFleet(database)
    batches = SqlBatches(database)
    return Store(directory, database, *tables, batches, blobs, uploads, _open_sources(settings, directory / "uploads"))


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


def retention(settings: Settings) -> Retention:
    """How long the settings have reports kept."""
    return Retention(settings.keep_seconds, settings.keep_analyses, settings.keep_bytes)


def _open_sources(settings: Settings, spool: Path) -> Sources:
    """Where models that are not kept may be read."""
    try:
        return Sources(settings.sources_allowed, settings.mlflow_url, spool, settings.max_upload_bytes)
    except ValueError as error:
        raise SystemExit(f"receptive: {error}") from error


def _check_disk(directory: Path) -> str:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return error.strerror or "not there"
    if not os.access(directory, os.W_OK):
        return "not writable"
    return "ok" if free >= MIN_FREE_BYTES else "full"
