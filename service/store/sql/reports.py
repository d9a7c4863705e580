"""The reports in the database."""

from __future__ import annotations

import base64
import binascii
import json

from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from service.faults import Detail, Refused
from service.report.identity import Digest
from service.store.interfaces import Page, StoredReport
from service.store.sql.database import Database, insert_new
from service.store.sql.tables import blobs, report_aliases, report_blobs, reports


class SqlReports:
    """Reports in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            with self._database.writing() as connection:
                connection.execute(insert(reports), row)
                insert_new(connection, blobs, [{"digest": digest} for digest in sorted(set(report.blobs.values()))])
                connection.execute(insert(report_blobs), parts)
        except IntegrityError:
            if not self.has(report.id):
                raise

    def get(self, report_id: str) -> StoredReport | None:
        """The report of that id, or of an id that it had before."""
        aliased = select(report_aliases.c.report_id).where(report_aliases.c.alias == report_id).scalar_subquery()
        with self._database.reading() as connection:
            row = (
                connection.execute(select(reports).where(or_(reports.c.id == report_id, reports.c.id == aliased))).mappings().one_or_none()
            )
            found = report_id if row is None else row["id"]
            parts = connection.execute(select(report_blobs).where(report_blobs.c.report_id == found)).mappings().all()
        if row is None:
            return None
        blobs = {part["part"]: Digest(part["digest"]) for part in parts}
        return StoredReport(**{**row, "entry": json.loads(row["entry"]), "options": json.loads(row["options"]), "blobs": blobs})

    def count(self) -> int:
        """How many there are."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(reports)).scalar_one()

    def matching(self, prefix: str) -> list[str]:
        """The ids that begin so, two at the most."""
        beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = select(reports.c.id).where(reports.c.id >= prefix, reports.c.id < beyond).order_by(reports.c.id).limit(2)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def has(self, report_id: str) -> bool:
        """Whether the report is known."""
        with self._database.reading() as connection:
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
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return Page([json.loads(row.entry) for row in rows[:limit]], last and _cursor(last.created_at, last.id))

    def remove(self, report_id: str) -> list[Digest] | None:
        """Forgets a report and returns the digests of its files; None where it was not known."""
        with self._database.writing() as connection:
            # The first statement writes, so that the transaction never has to turn from a reader into a writer (SQLITE_BUSY_SNAPSHOT).
            mine = delete(report_blobs).where(report_blobs.c.report_id == report_id).returning(report_blobs.c.digest)
            digests = [Digest(digest) for digest in connection.execute(mine).scalars()]
            removed = connection.execute(delete(reports).where(reports.c.id == report_id)).rowcount
        return digests if removed else None


def _text(value: str | None) -> str | None:
    """Text as every database takes it: without NUL (PostgreSQL) and without lone surrogates."""
    return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _cursor(created_at: str, report_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at} {report_id}".encode()).decode().rstrip("=")


def _open_cursor(cursor: str) -> tuple[str, str]:
    try:
        created_at, report_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(" ")
    except (binascii.Error, ValueError):
        error = Detail("/query/cursor", "This cursor was not given out here.", "invalid-argument")
        raise Refused("invalid", "invalid-arguments", "The cursor is not valid.", [error]) from None
    return created_at, report_id
