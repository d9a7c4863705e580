"""Jobs have a rank: what somebody waits for goes before what belongs to a batch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the column; what waits now is waited for."""
    op.add_column("jobs", sa.Column("rank", sa.Integer, nullable=False, server_default="0"))
