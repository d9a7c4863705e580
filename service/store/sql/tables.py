"""The tables. Columns hold what is searched; everything else is JSON text. Portable SQL only. The migrations create them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

reports = Table(
    "reports",
    metadata,
    Column("id", String(71), primary_key=True),
    Column("created_at", String(32), nullable=False),
    Column("name", Text),
    Column("digest", String(71), nullable=False),
    Column("etag", String(64), nullable=False),
    Column("entry", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("reports_by_age", "created_at", "id"),
    Index("reports_by_digest", "digest"),
)

report_aliases = Table(
    "report_aliases",
    metadata,
    # An id that the report had under the rule of an earlier version.
    Column("alias", String(71), primary_key=True),
    Column("report_id", String(71), ForeignKey("reports.id", ondelete="CASCADE"), nullable=False),
)

# A row for every file that is there or about to be. Those who need it refer to it, so the database itself keeps it from going.
blobs = Table("blobs", metadata, Column("digest", String(64), primary_key=True))

blob_claims = Table(
    "blob_claims",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("digest", String(64), ForeignKey("blobs.digest"), primary_key=True),
    Column("created_at", String(32), nullable=False),
)

report_blobs = Table(
    "report_blobs",
    metadata,
    Column("report_id", String(71), ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True),
    Column("part", String(255), primary_key=True),
    Column("digest", String(64), ForeignKey("blobs.digest"), nullable=False),
    Index("report_blobs_by_digest", "digest"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("report_id", String(71), nullable=False),
    # The report's id while the job is active, else null: two processes cannot work on one report.
    Column("active_key", String(71), unique=True),
    Column("state", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("request", Text, nullable=False),
    Column("problem", Text),
    Column("owner", String(64), nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Index("jobs_by_owner", "owner", "state"),
    Index("jobs_by_state", "state", "heartbeat"),
)
