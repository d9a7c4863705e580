"""Every number that a fleet is summed up from has an index of its own, so that its distribution is read from that alone."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

INDEXES = {
    "parameters": "parameters",
    "connection_sparsity": "connection_sparsity",
    "weight_sparsity": "weight_sparsity",
    "coverage": "receptive_field_coverage",
    "global": "output_is_global",
}


def upgrade() -> None:
    """Creates the indexes."""
    for name, column in INDEXES.items():
        op.create_index(f"report_numbers_by_{name}", "report_numbers", ["project", column])
    op.drop_index("model_versions_by_age", "model_versions")
    op.create_index("model_versions_by_age", "model_versions", ["project", "model", "created_at", "version"])
