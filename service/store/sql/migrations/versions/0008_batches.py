"""Batches of models that lie elsewhere, and their items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "batches",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("model", sa.String(200)),
        sa.Column("openings", sa.Text, nullable=False),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("turn", sa.Float, nullable=False),
    )
    op.create_index("batches_by_turn", "batches", ["state", "turn"])
    op.create_index("batches_by_age", "batches", ["project", "created_at"])
    op.create_table(
        "batch_items",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("batch_id", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("report_id", sa.String(71)),
        sa.Column("problem", sa.Text),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["project", "batch_id"], ["batches.project", "batches.id"], ondelete="CASCADE"),
    )
    op.create_index("batch_items_by_key", "batch_items", ["project", "batch_id", "key"], unique=True)
    op.create_index("batch_items_by_state", "batch_items", ["project", "batch_id", "state", "number"])
    op.create_index("batch_items_by_owner", "batch_items", ["state", "owner"])
