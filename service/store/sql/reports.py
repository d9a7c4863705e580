"""The reports in the database."""

from __future__ import annotations

import base64
import binascii
import json

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from service.clock import now
from service.faults import Detail, Refused
from service.report.identity import Digest, Project
from service.store.interfaces import Page, Retention, StoredReport, Usage
from service.store.sql.database import Database, insert_new
from service.store.sql.documents import SqlDocument, rows_of
from service.store.sql.numbers import numbers_row
from service.store.sql.tables import blobs, model_versions, report_aliases, report_blobs, report_numbers, report_pieces, reports

ID_LENGTH = len("sha256-") + 64


class SqlReports:
    """Reports in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, report: StoredReport, document: bytes, beside: str | None = None) -> None:
        """Keeps `report`, its text, and what is kept beside it; does nothing where its project knows its id."""
        mine = {"project": report.project, "report_id": report.id}
        row = {
            "project": report.project,
            "id": report.id,
            "created_at": report.created_at,
            "name": _text(report.name),
            "digest": report.digest,
            "etag": report.etag,
            "entry": json.dumps(report.entry),
            "options": json.dumps(report.options),
            "size_bytes": report.size_bytes,
            "model_bytes": report.model_bytes,
            "beside": beside,
        }
        parts = [{**mine, "part": _text(part), "digest": digest} for part, digest in report.blobs.items()]
        try:
            with self._database.writing() as connection:
                connection.execute(insert(reports), row)
                insert_new(connection, blobs, [{"digest": digest} for digest in sorted(set(report.blobs.values()))])
                if parts:
                    connection.execute(insert(report_blobs), parts)
                digest = report.entry.get("structure_digest", "")
                row = {**mine, "structure_digest": digest, **numbers_row(report.entry.get("metrics", {}))}
                connection.execute(insert(report_numbers), row)
                for piece in rows_of(document):
                    connection.execute(insert(report_pieces), {**mine, **piece})
        except IntegrityError:
            if not self.has(report.project, report.id):
                raise

    def get(self, project: Project, report_id: str) -> StoredReport | None:
        """The report of that id, or of an id that it had before."""
        with self._database.reading() as connection:
            row = connection.execute(_REPORT, {"of": project, "asked": report_id}).mappings().one_or_none()
            if row is None:
                return None
            parts = connection.execute(_PARTS, {"of": project, "found": row["id"]}).mappings().all()
        files = {part["part"]: Digest(part["digest"]) for part in parts}
        read = {name: json.loads(row[name]) for name in ("entry", "options")}
        return StoredReport(**{**row, **read, "blobs": files})

    def document(self, report: StoredReport) -> SqlDocument:
        """The text of a report."""
        return SqlDocument(self._database, report.project, report.id, report.size_bytes)

    def beside(self, report: StoredReport) -> str | None:
        """What is kept beside the text of a report; None where an earlier version stored it."""
        query = select(reports.c.beside).where(reports.c.project == report.project, reports.c.id == report.id)
        with self._database.reading() as connection:
            found: str | None = connection.execute(query).scalar()
        return found

    def describe(self, report: StoredReport, beside: str) -> None:
        """Keeps something beside the text of a report that has nothing yet."""
        mine = (reports.c.project == report.project, reports.c.id == report.id, reports.c.beside.is_(None))
        with self._database.writing() as connection:
            connection.execute(update(reports).where(*mine).values(beside=beside))

    def count(self) -> int:
        """How many there are, of all projects."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(reports)).scalar_one()

    def everything(self) -> list[tuple[Project, str]]:
        """The ids of all reports, of all projects."""
        with self._database.reading() as connection:
            rows = connection.execute(select(reports.c.project, reports.c.id).order_by(reports.c.project, reports.c.id))
            return [(Project(row.project), row.id) for row in rows]

    def usage(self, project: Project) -> Usage:
        """What a project has stored."""
        total = func.coalesce(func.sum(reports.c.size_bytes + reports.c.model_bytes), 0)
        with self._database.reading() as connection:
            count, size = connection.execute(select(func.count(), total).where(reports.c.project == project)).one()
        return Usage(count, int(size))

    def matching(self, project: Project, prefix: str) -> list[str]:
        """The ids that begin so, two at the most."""
        # Between the first and the last id of hexadecimal digits, which stand in this order by the rules of every language.
        first, last = prefix.ljust(ID_LENGTH, "0"), prefix.ljust(ID_LENGTH, "f")
        mine = (reports.c.project == project, reports.c.id.between(first, last))
        with self._database.reading() as connection:
            return list(connection.execute(select(reports.c.id).where(*mine).order_by(reports.c.id).limit(2)).scalars())

    def has(self, project: Project, report_id: str) -> bool:
        """Whether the report is known."""
        query = select(reports.c.id).where(reports.c.project == project, reports.c.id == report_id)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def page(self, project: Project, limit: int, cursor: str | None = None, name: str | None = None, digest: str | None = None) -> Page:
        """The entries of at most `limit` reports, newest first."""
        query = select(reports.c.id, reports.c.created_at, reports.c.entry).where(reports.c.project == project)
        if name is not None:
            query = query.where(reports.c.name == _text(name))
        if digest is not None:
            query = query.where(reports.c.digest == digest)
        if cursor is not None:
            created_at, report_id = _open_cursor(cursor)
            older = and_(reports.c.created_at == created_at, reports.c.id < report_id)
            query = query.where(or_(reports.c.created_at < created_at, older))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(reports.c.created_at.desc(), reports.c.id.desc()).limit(limit + 1)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return Page([json.loads(row.entry) for row in rows[:limit]], last and _cursor(last.created_at, last.id))

    def remove(self, project: Project, report_id: str) -> list[Digest] | None:
        """Forgets a report and returns the digests of its files; None where it was not known."""
        mine = (report_blobs.c.project == project, report_blobs.c.report_id == report_id)
        with self._database.writing() as connection:
            # The first statement writes, so that the transaction never has to turn from a reader into a writer (SQLITE_BUSY_SNAPSHOT).
            files = delete(report_blobs).where(*mine).returning(report_blobs.c.digest)
            digests = [Digest(digest) for digest in connection.execute(files).scalars()]
            known = delete(reports).where(reports.c.project == project, reports.c.id == report_id)
            removed = connection.execute(known).rowcount
        return digests if removed else None

    def expired(self, retention: Retention, limit: int) -> list[tuple[Project, str]]:
        """The reports that are not to be kept any longer, oldest first, at most `limit` of them; never versions of watched models."""
        order = (reports.c.created_at.desc(), reports.c.id.desc())
        place = func.row_number().over(partition_by=reports.c.project, order_by=order).label("place")
        size = reports.c.size_bytes + reports.c.model_bytes
        taken = func.sum(size).over(partition_by=reports.c.project, order_by=order).label("taken")
        ranked = select(reports.c.project, reports.c.id, reports.c.created_at, place, taken).subquery()
        beyond = []
        if retention.seconds:
            beyond.append(ranked.c.created_at < now(retention.seconds))
        if retention.analyses:
            beyond.append(ranked.c.place > retention.analyses)
        if retention.size_bytes:
            beyond.append(ranked.c.taken > retention.size_bytes)
        if not beyond:
            return []
        watched = exists().where(model_versions.c.project == ranked.c.project, model_versions.c.report_id == ranked.c.id)
        query = select(ranked.c.project, ranked.c.id).where(or_(*beyond), ~watched)
        query = query.order_by(ranked.c.created_at, ranked.c.id).limit(limit)
        with self._database.reading() as connection:
            return [(Project(row.project), row.id) for row in connection.execute(query)]


_ROW = [column for column in reports.c if column.name != "beside"]
"""The columns that are always read."""
# Built once: to put a statement together takes longer than the database takes to answer it.
_ALIASED = select(report_aliases.c.report_id).where(
    report_aliases.c.project == bindparam("of"), report_aliases.c.alias == bindparam("asked")
)
_REPORT = select(*_ROW).where(
    reports.c.project == bindparam("of"), or_(reports.c.id == bindparam("asked"), reports.c.id == _ALIASED.scalar_subquery())
)
_PARTS = select(report_blobs).where(report_blobs.c.project == bindparam("of"), report_blobs.c.report_id == bindparam("found"))


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
