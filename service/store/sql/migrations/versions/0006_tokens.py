"""Tokens of projects, and whose turn a job takes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Creates the table of tokens. Jobs of before are those of one nameless client."""
    op.create_table(
        "tokens",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32)),
        sa.Column("revoked_at", sa.String(32)),
        sa.PrimaryKeyConstraint("project", "id", name="tokens_key"),
    )
    op.create_index("tokens_by_digest", "tokens", ["digest"], unique=True)
    op.add_column("jobs", sa.Column("client", sa.String(128), nullable=False, server_default=""))
