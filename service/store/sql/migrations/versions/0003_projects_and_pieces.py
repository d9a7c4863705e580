"""Every analysis belongs to a project, and its report is kept in pieces.

What was there belongs to the project `default`. Tables are made anew beside the old ones, which then give way: no database has to change a
key in place, and SQLite, which would forget what refers to a table that is dropped, loses nothing.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

PROJECT = "default"
PIECE_BYTES = 256 * 1024


def upgrade() -> None:
    """Makes the tables anew, moves the rows, and drops the old tables."""
    for index, table in (("reports_by_age", "reports"), ("reports_by_digest", "reports"), ("report_blobs_by_digest", "report_blobs")):
        op.drop_index(index, table)
    for name in ("reports", "report_blobs", "report_aliases"):
        op.rename_table(name, f"{name}_before")
    _create_reports()
    _create_what_belongs_to_reports()
    _move_reports()
    for name in ("report_blobs", "report_aliases", "reports"):
        op.drop_table(f"{name}_before")
    op.create_index("reports_by_age", "reports", ["project", "created_at", "id"])
    op.create_index("reports_by_digest", "reports", ["project", "digest"])
    op.create_index("report_blobs_by_digest", "report_blobs", ["digest"])
    _jobs()


def _create_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("id", sa.String(71), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("model_bytes", sa.BigInteger, nullable=False),
        sa.Column("beside", sa.Text),
        sa.PrimaryKeyConstraint("project", "id", name="reports_key"),
    )


def _create_what_belongs_to_reports() -> None:
    own = (("report_pieces", sa.Column("number", sa.Integer, nullable=False), sa.Column("content", sa.LargeBinary, nullable=False)),)
    for name, key, *columns in own:
        op.create_table(name, *_mine(name, key), *columns)
    part, digest = sa.Column("part", sa.String(255), nullable=False), sa.Column("digest", sa.String(64), nullable=False)
    blob = sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="report_blobs_digests")
    op.create_table("report_blobs", *_mine("report_blobs", part), digest, blob)
    op.create_table(
        "report_aliases",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("alias", sa.String(71), nullable=False),
        sa.Column("report_id", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint("project", "alias", name="report_aliases_key"),
        _reference("report_aliases"),
    )


def _mine(table: str, key: sa.Column[str] | sa.Column[int]) -> tuple[sa.schema.SchemaItem, ...]:
    """The columns of what belongs to a report, with its key and its reference to the report."""
    columns = (sa.Column("project", sa.String(64), nullable=False), sa.Column("report_id", sa.String(71), nullable=False), key)
    return (*columns, sa.PrimaryKeyConstraint("project", "report_id", key.name, name=f"{table}_key"), _reference(table))


def _reference(table: str) -> sa.ForeignKeyConstraint:
    columns = (["project", "report_id"], ["reports.project", "reports.id"])
    return sa.ForeignKeyConstraint(*columns, ondelete="CASCADE", name=f"{table}_reports")


def _move_reports() -> None:
    """Moves one report after the other, so that no more than one lies in memory."""
    connection = op.get_bind()
    insert = sa.text(
        "INSERT INTO reports (project, id, created_at, name, digest, etag, entry, options, size_bytes, model_bytes, beside) "
        "SELECT :project, id, created_at, name, digest, etag, entry, options, length(document), 0, NULL FROM reports_before"
    )
    connection.execute(insert, {"project": PROJECT})
    piece = sa.text("INSERT INTO report_pieces (project, report_id, number, content) VALUES (:project, :report_id, :number, :content)")
    model_size = sa.text("UPDATE reports SET model_bytes = :size WHERE id = :id")
    for report_id, entry in connection.execute(sa.text("SELECT id, entry FROM reports_before")).all():
        connection.execute(model_size, {"size": json.loads(entry).get("size_bytes", 0), "id": report_id})
        found = connection.execute(sa.text("SELECT document FROM reports_before WHERE id = :id"), {"id": report_id}).scalar_one()
        document = bytes(found)
        for number, start in enumerate(range(0, len(document), PIECE_BYTES)):
            row = {"project": PROJECT, "report_id": report_id, "number": number, "content": document[start : start + PIECE_BYTES]}
            connection.execute(piece, row)
    for table, columns in (("report_blobs", "report_id, part, digest"), ("report_aliases", "alias, report_id")):
        moved = sa.text(f"INSERT INTO {table} (project, {columns}) SELECT :project, {columns} FROM {table}_before")
        connection.execute(moved, {"project": PROJECT})


def _jobs() -> None:
    """Gives jobs their project. Their old table has a nameless rule that a report is worked on once, over all projects."""
    names = "id, report_id, active_key, state, created_at, updated_at, request, problem, owner, heartbeat, attempts, cancel_requested"
    for index in ("jobs_by_owner", "jobs_by_state"):
        op.drop_index(index, "jobs")
    op.rename_table("jobs", "jobs_before")
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("report_id", sa.String(71), nullable=False),
        sa.Column("active_key", sa.String(71)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="jobs_key"),
    )
    op.execute(sa.text(f"INSERT INTO jobs (project, {names}) SELECT :project, {names} FROM jobs_before").bindparams(project=PROJECT))
    op.drop_table("jobs_before")
    op.create_index("jobs_by_report", "jobs", ["project", "active_key"], unique=True)
    op.create_index("jobs_by_owner", "jobs", ["owner", "state"])
    op.create_index("jobs_by_state", "jobs", ["state", "heartbeat"])
