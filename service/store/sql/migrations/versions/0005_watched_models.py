"""Watched models with their versions, and the numbers that a fleet is summed up from."""

from __future__ import annotations

import json
import re

import sqlalchemy as sa
from alembic import op

from service.store.sql.numbers import numbers_row

revision = "0005"
down_revision = "0004"

# The model stands near the beginning of a report.
STRUCTURE = re.compile(rb'"structure_digest":"(sha256:[0-9a-f]{64})"')

NUMBERS = (
    "parameters",
    "sharing_factor",
    "connection_sparsity",
    "weight_sparsity",
    "receptive_field_coverage",
    "output_is_global",
    "unproductive_layers",
)


def upgrade() -> None:
    """Creates the tables, and takes the numbers of the reports that are there."""
    _create_numbers()
    op.create_table(
        "models",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("baseline", sa.String(200)),
        sa.Column("budgets", sa.Text, nullable=False),
    )
    _create_versions()
    _take_numbers()


def _create_numbers() -> None:
    op.create_table(
        "report_numbers",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("report_id", sa.String(71), primary_key=True),
        sa.Column("structure_digest", sa.String(71), nullable=False),
        *(sa.Column(name, sa.Float) for name in NUMBERS),
        _of_report(),
    )
    for index, column in (("structure", "structure_digest"), ("sharing", "sharing_factor"), ("unproductive", "unproductive_layers")):
        op.create_index(f"report_numbers_by_{index}", "report_numbers", ["project", column])


def _create_versions() -> None:
    op.create_table(
        "model_versions",
        *_version_columns(),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("base", sa.String(200)),
        sa.Column("judged", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["project", "model"], ["models.project", "models.name"], ondelete="CASCADE"),
        _of_report(),
    )
    op.create_index("model_versions_by_age", "model_versions", ["project", "model", "created_at"])
    op.create_index("model_versions_by_report", "model_versions", ["project", "report_id"])
    op.create_index("model_versions_by_verdict", "model_versions", ["verdict", "project"])
    op.create_table("awaited_versions", *_version_columns())
    op.create_index("awaited_versions_by_report", "awaited_versions", ["project", "report_id"])


def _version_columns() -> tuple[sa.Column[str], ...]:
    names = (sa.Column(name, sa.String(200), primary_key=True) for name in ("model", "version"))
    keys = (sa.Column("project", sa.String(64), primary_key=True), *names)
    return (*keys, sa.Column("report_id", sa.String(71), nullable=False), sa.Column("created_at", sa.String(32), nullable=False))


def _of_report() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["project", "report_id"], ["reports.project", "reports.id"], ondelete="CASCADE")


def _take_numbers() -> None:
    """One report after the other. Those that were stored before their numbers were kept have none."""
    connection = op.get_bind()
    beginning = sa.text("SELECT content FROM report_pieces WHERE project = :project AND report_id = :id AND number = 0")
    for project, report_id, entry in connection.execute(sa.text("SELECT project, id, entry FROM reports")).all():
        piece = connection.execute(beginning, {"project": project, "id": report_id}).scalar()
        found = STRUCTURE.search(bytes(piece or b"")[:65536])
        row = numbers_row(json.loads(entry).get("metrics", {}))
        row |= {"project": project, "report_id": report_id, "structure_digest": found[1].decode() if found else ""}
        names = ", ".join(row)
        connection.execute(sa.text(f"INSERT INTO report_numbers ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row)
