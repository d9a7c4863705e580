"""Reports, the files they came from, and jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the first tables."""
    op.create_table(
        "reports",
        sa.Column("id", sa.String(71), primary_key=True),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("reports_by_age", "reports", ["created_at", "id"])
    op.create_index("reports_by_digest", "reports", ["digest"])
    op.create_table(
        "report_blobs",
        sa.Column("report_id", sa.String(71), sa.ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("part", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("report_blobs_by_digest", "report_blobs", ["digest"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("report_id", sa.String(71), nullable=False),
        sa.Column("active_key", sa.String(71), unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
    )
    op.create_index("jobs_by_owner", "jobs", ["owner", "state"])
    op.create_index("jobs_by_state", "jobs", ["state", "heartbeat"])
