"""The reports in the database."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection

from sqlalchemy import Engine, and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from service.report.identity import Digest
from service.store.interfaces import CursorError, Page, StoredReport
from service.store.sql.tables import report_blobs, reports


class SqlReports:
    """Reports in any database that SQLAlchemy speaks to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, report: StoredReport) -> None:
        """Keeps `report`; does nothing where its id is known."""
        row = {
            "id": report.id,
            "created_at": report.created_at,
            "name": _text(report.name),
            "digest": report.digest,
            "etag": report.etag,
            "entry": json.dumps(report.entry),
            "options": json.dumps(report.options),
            "document": report.document,
        }
        parts = [{"report_id": report.id, "part": _text(part), "digest": digest} for part, digest in report.blobs.items()]
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(reports), row)
                connection.execute(insert(report_blobs), parts)
        except IntegrityError:
            if not self.has(report.id):
                raise

    def get(self, report_id: str) -> StoredReport | None:
        """The report of that id."""
        with self._engine.connect() as connection:
            row = connection.execute(select(reports).where(reports.c.id == report_id)).mappings().one_or_none()
            parts = connection.execute(select(report_blobs).where(report_blobs.c.report_id == report_id)).mappings().all()
        if row is None:
            return None
        blobs = {part["part"]: Digest(part["digest"]) for part in parts}
        return StoredReport(**{**row, "entry": json.loads(row["entry"]), "options": json.loads(row["options"]), "blobs": blobs})

    def has(self, report_id: str) -> bool:
        """Whether the report is known."""
        with self._engine.connect() as connection:
            return connection.execute(select(reports.c.id).where(reports.c.id == report_id)).first() is not None

    def page(self, limit: int, cursor: str | None = None, name: str | None = None, digest: str | None = None) -> Page:
        """The entries of at most `limit` reports, newest first."""
        query = select(reports.c.id, reports.c.created_at, reports.c.entry).order_by(reports.c.created_at.desc(), reports.c.id.desc())
        if name is not None:
            query = query.where(reports.c.name == _text(name))
        if digest is not None:
            query = query.where(reports.c.digest == digest)
        if cursor is not None:
            created_at, report_id = _open_cursor(cursor)
            older = and_(reports.c.created_at == created_at, reports.c.id < report_id)
            query = query.where(or_(reports.c.created_at < created_at, older))
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return Page([json.loads(row.entry) for row in rows[:limit]], last and _cursor(last.created_at, last.id))

    def remove(self, report_id: str) -> list[Digest] | None:
        """Forgets a report and returns the digests of its files; None where it was not known."""
        with self._engine.begin() as connection:
            # The first statement writes, so that the transaction never has to turn from a reader into a writer (SQLITE_BUSY_SNAPSHOT).
            mine = delete(report_blobs).where(report_blobs.c.report_id == report_id).returning(report_blobs.c.digest)
            digests = [Digest(digest) for digest in connection.execute(mine).scalars()]
            removed = connection.execute(delete(reports).where(reports.c.id == report_id)).rowcount
        return digests if removed else None

    def unused(self, digests: Collection[Digest]) -> set[Digest]:
        """Those of `digests` that no report needs."""
        query = select(report_blobs.c.digest).where(report_blobs.c.digest.in_(digests))
        with self._engine.connect() as connection:
            return set(digests) - set(connection.execute(query).scalars())


def _text(value: str | None) -> str | None:
    """Text as every database takes it: without NUL (PostgreSQL) and without lone surrogates."""
    return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _cursor(created_at: str, report_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at} {report_id}".encode()).decode().rstrip("=")


def _open_cursor(cursor: str) -> tuple[str, str]:
    try:
        created_at, report_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(" ")
    except (binascii.Error, ValueError) as error:
        raise CursorError("unknown cursor") from error
    return created_at, report_id
