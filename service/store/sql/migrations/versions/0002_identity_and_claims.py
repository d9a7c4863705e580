"""Ids without labels, ids of before as aliases, and who needs which blob.

An analysis's id is the digest of its question without `name`. Of the reports that answer one question, the newest gets the new id and its
old one becomes an alias; the others stay what they are, under the ids that they have.
"""

from __future__ import annotations

import hashlib
import json
import re

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# The beginning of a report: its analyser stands before anything that a model names.
ANALYZER = re.compile(rb'"analyzer":(\{"name":"[^"]*","version":"[^"]*"\})')
UPGRADED = {
    "fault": "unavailable",
    "code": "storage-unavailable",
    "detail": "The service was upgraded before this analysis was done; send the model again.",
    "errors": [],
}


def upgrade() -> None:
    """Creates the tables of claims and aliases, and gives reports their new ids."""
    op.create_table("blobs", sa.Column("digest", sa.String(64), primary_key=True))
    op.execute("INSERT INTO blobs (digest) SELECT DISTINCT digest FROM report_blobs")
    with op.batch_alter_table("report_blobs") as table:
        table.create_foreign_key("report_blobs_digest", "blobs", ["digest"], ["digest"])
    op.create_table(
        "blob_claims",
        sa.Column("holder", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), sa.ForeignKey("blobs.digest"), primary_key=True),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "report_aliases",
        sa.Column("alias", sa.String(71), primary_key=True),
        sa.Column("report_id", sa.String(71), sa.ForeignKey("reports.id", ondelete="CASCADE"), nullable=False),
    )
    connection = op.get_bind()
    # Their files lie where this version does not look.
    stop = sa.text("UPDATE jobs SET state = 'failed', active_key = NULL, problem = :problem WHERE state IN ('queued', 'running')")
    connection.execute(stop, {"problem": json.dumps(UPGRADED)})
    taken: set[str] = set()
    for old in connection.execute(sa.text("SELECT id FROM reports ORDER BY created_at DESC, id DESC")).scalars().all():
        new = _new_id(connection, old)
        if new is not None and new not in taken:
            taken.add(new)
            _rename(connection, old, new)


def _new_id(connection: sa.Connection, old: str) -> str | None:
    """The id of the report's question without its label; None where the report does not say by which analyser it was made."""
    query = "SELECT options, substr(document, 1, 4096) AS beginning FROM reports WHERE id = :id"
    row = connection.execute(sa.text(query), {"id": old}).mappings().one()
    analyzer = ANALYZER.search(bytes(row["beginning"]))
    if analyzer is None:
        return None
    query = "SELECT part, digest FROM report_blobs WHERE report_id = :id"
    files = {part: f"sha256:{digest}" for part, digest in connection.execute(sa.text(query), {"id": old}).all()}
    question: dict[str, object] = {
        "model": files.pop(""),
        "externals": files,
        "options": {key: value for key, value in json.loads(row["options"]).items() if key != "name"},
        "analyzer": json.loads(analyzer[1]),
    }
    text = json.dumps(question, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256-" + hashlib.sha256(text.encode()).hexdigest()


def _rename(connection: sa.Connection, old: str, new: str) -> None:
    """Gives a report a new id: in its row, in its text, where it stands as the id and in links, and in its entry of lists."""
    row = dict(connection.execute(sa.text("SELECT * FROM reports WHERE id = :id"), {"id": old}).mappings().one())
    document = bytes(row["document"]).replace(old.encode(), new.encode())
    row |= {"id": new, "document": document, "etag": hashlib.sha256(document).hexdigest(), "entry": row["entry"].replace(old, new)}
    columns = ", ".join(row)
    connection.execute(sa.text(f"INSERT INTO reports ({columns}) VALUES ({', '.join(f':{name}' for name in row)})"), row)
    ids = {"old": old, "new": new}
    connection.execute(sa.text("UPDATE report_blobs SET report_id = :new WHERE report_id = :old"), ids)
    connection.execute(sa.text("UPDATE jobs SET report_id = :new WHERE report_id = :old"), ids)
    connection.execute(sa.text("DELETE FROM reports WHERE id = :old"), ids)
    connection.execute(sa.text("INSERT INTO report_aliases (alias, report_id) VALUES (:old, :new)"), ids)
