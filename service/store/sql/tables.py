"""The tables. Columns hold what is searched; everything else is JSON text. Portable SQL only. The migrations create them.

Every table of what clients own has a column `project`, and its keys begin with it, so that nothing is looked up without it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()


def _of_report(name: str) -> ForeignKeyConstraint:
    """What belongs to a report goes with it."""
    return ForeignKeyConstraint(["project", name], ["reports.project", "reports.id"], ondelete="CASCADE")


reports = Table(
    "reports",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("id", String(71), primary_key=True),
    Column("created_at", String(32), nullable=False),
    Column("name", Text),
    Column("digest", String(71), nullable=False),
    Column("etag", String(64), nullable=False),
    Column("entry", Text, nullable=False),
    Column("options", Text, nullable=False),
    # The bytes of the report, and those of the files that it was made of.
    Column("size_bytes", BigInteger, nullable=False),
    Column("model_bytes", BigInteger, nullable=False),
    # What is answered without the report itself (report.beside), as JSON; null where an earlier version stored the report.
    Column("beside", Text),
    Index("reports_by_age", "project", "created_at", "id"),
    Index("reports_by_digest", "project", "digest"),
)

# The report itself, in pieces of one size (see documents), so that any database gives a part of it for what the part costs.
report_pieces = Table(
    "report_pieces",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("report_id", String(71), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    _of_report("report_id"),
)

report_aliases = Table(
    "report_aliases",
    metadata,
    # An id that the report had under the rule of an earlier version.
    Column("project", String(64), primary_key=True),
    Column("alias", String(71), primary_key=True),
    Column("report_id", String(71), nullable=False),
    _of_report("report_id"),
)

# A row for every file that is there or about to be. Those who need it refer to it, so the database itself keeps it from going. Files are
# shared by projects, as nobody is told whether one was there.
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
    Column("project", String(64), primary_key=True),
    Column("report_id", String(71), primary_key=True),
    Column("part", String(255), primary_key=True),
    Column("digest", String(64), ForeignKey("blobs.digest"), nullable=False),
    _of_report("report_id"),
    Index("report_blobs_by_digest", "digest"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("report_id", String(71), nullable=False),
    # The report's id while the job is active, else null: two processes cannot work on one report of a project.
    Column("active_key", String(71)),
    Column("state", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("request", Text, nullable=False),
    Column("problem", Text),
    Column("client", String(128), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    # A job of a smaller rank goes first.
    Column("rank", Integer, nullable=False),
    Index("jobs_by_report", "project", "active_key", unique=True),
    Index("jobs_by_owner", "owner", "state"),
    Index("jobs_by_state", "state", "heartbeat"),
)

# What a fleet is summed up from: one narrow row for each report, so that no report and no JSON is read. Null where there is no such number.
report_numbers = Table(
    "report_numbers",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("report_id", String(71), primary_key=True),
    Column("structure_digest", String(71), nullable=False),
    Column("parameters", Float),
    Column("sharing_factor", Float),
    Column("connection_sparsity", Float),
    Column("weight_sparsity", Float),
    # Of the axis along which the output sees the smallest share of the input.
    Column("receptive_field_coverage", Float),
    Column("output_is_global", Float),
    Column("unproductive_layers", Float),
    _of_report("report_id"),
    Index("report_numbers_by_structure", "project", "structure_digest"),
    # Each number is summed up by reading its index alone, in the order of the number.
    Index("report_numbers_by_parameters", "project", "parameters"),
    Index("report_numbers_by_sharing", "project", "sharing_factor"),
    Index("report_numbers_by_connection_sparsity", "project", "connection_sparsity"),
    Index("report_numbers_by_weight_sparsity", "project", "weight_sparsity"),
    Index("report_numbers_by_coverage", "project", "receptive_field_coverage"),
    Index("report_numbers_by_global", "project", "output_is_global"),
    Index("report_numbers_by_unproductive", "project", "unproductive_layers"),
)

models = Table(
    "models",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("created_at", String(32), nullable=False),
    Column("baseline", String(200)),
    Column("budgets", Text, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("version", String(200), primary_key=True),
    Column("report_id", String(71), nullable=False),
    # When it was asked for, which is the order of versions.
    Column("created_at", String(32), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("base", String(200)),
    Column("judged", Text, nullable=False),
    ForeignKeyConstraint(["project", "model"], ["models.project", "models.name"], ondelete="CASCADE"),
    _of_report("report_id"),
    Index("model_versions_by_age", "project", "model", "created_at", "version"),
    Index("model_versions_by_report", "project", "report_id"),
    Index("model_versions_by_verdict", "verdict", "project"),
)

# A version whose analysis is under way: it becomes one when the report is there.
awaited_versions = Table(
    "awaited_versions",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("version", String(200), primary_key=True),
    Column("report_id", String(71), nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("awaited_versions_by_report", "project", "report_id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32)),
    Column("revoked_at", String(32)),
    Index("tokens_by_digest", "digest", unique=True),
)

batches = Table(
    "batches",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("options", Text, nullable=False),
    Column("model", String(200)),
    # What is not listed yet, and what could not be, as JSON.
    Column("openings", Text, nullable=False),
    Column("problems", Text, nullable=False),
    # The items so far, and when one was last taken: the batch that waits longest is next.
    Column("size", Integer, nullable=False),
    Column("turn", Float, nullable=False),
    Index("batches_by_turn", "state", "turn"),
    Index("batches_by_age", "project", "created_at"),
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("batch_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    # The SHA-256 of the source: one model is one item.
    Column("key", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("report_id", String(71)),
    Column("problem", Text),
    # The process that has taken it, and when that was last heard of.
    Column("owner", String(64), nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("updated_at", String(32), nullable=False),
    ForeignKeyConstraint(["project", "batch_id"], ["batches.project", "batches.id"], ondelete="CASCADE"),
    Index("batch_items_by_key", "project", "batch_id", "key", unique=True),
    Index("batch_items_by_state", "project", "batch_id", "state", "number"),
    Index("batch_items_by_owner", "state", "owner"),
)
