"""The tables and how they came about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, inspect, text

from service.options import Options
from service.report.identity import ANALYZER, DEFAULT_PROJECT, Digest, Question, options_document
from service.settings import Settings
from service.store import open_store
from service.store.sql.database import Database, migrate, migrations
from service.store.sql.tables import metadata


def test_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert database.check() != "ok"
    migrate(database, tmp_path)
    migrate(database, tmp_path)
    assert database.check() == "ok"
    engine = database.engine
    found = inspect(engine)
    for table in metadata.sorted_tables:
        columns = {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(table.name)}
        assert columns == {column.name: (str(column.type.compile(engine.dialect)), column.nullable) for column in table.columns}
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


OLD = "sha256-" + "1" * 64
OLDER = "sha256-" + "2" * 64
QUESTION = Question.of_digests(Digest("a" * 64), {"w.bin": Digest("b" * 64)}, Options(None, {"x": (1, 3)}, "all"))


def write(connection: Connection, table: str, row: dict[str, object]) -> None:
    """A row of a table as it was then."""
    connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"), row)


def old_database(path: Path) -> Database:
    """A database of the first version with two reports that answer one question under two names, and a job."""
    database = Database(f"sqlite:///{path}")
    with database.engine.begin() as connection:
        config = migrations()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for report_id, name, day in ((OLDER, "first", 1), (OLD, "second", 2)):
            document = {
                "id": report_id,
                "schema": "receptive.report/1",
                "analyzer": ANALYZER,
                "links": {"self": f"/v1/analyses/{report_id}"},
                "layers": ["x" * 1000] * 1000,
            }
            row = {
                "id": report_id,
                "created_at": f"2026-01-0{day}T00:00:00.000000Z",
                "name": name,
                "digest": "sha256:" + "a" * 64,
                "etag": "0" * 64,
                "entry": json.dumps({"id": report_id, "name": name, "size_bytes": 70}),
                "options": json.dumps({**options_document(QUESTION.options), "name": name}),
                "document": json.dumps(document, separators=(",", ":")).encode(),
            }
            write(connection, "reports", row)
            parts = (("", "a"), ("w.bin", "b"))
            for part, d in parts:
                write(connection, "report_blobs", {"report_id": report_id, "part": part, "digest": d * 64})
        job = {"id": "j", "report_id": "sha256-3", "active_key": "sha256-3", "state": "running", "created_at": "", "updated_at": ""}
        job |= {"request": "{}", "owner": "o", "heartbeat": 0.0, "attempts": 1, "cancel_requested": False}
        write(connection, "jobs", job)
    return database


def test_old_reports_stay_reachable_and_the_newest_has_the_new_id(tmp_path: Path) -> None:
    old_database(tmp_path / "receptive.sqlite3").close()
    store = open_store(Settings(data_dir=tmp_path))
    found = store.reports.get(DEFAULT_PROJECT, QUESTION.id)
    assert found is not None and found.name == "second" and found.blobs == QUESTION.blobs
    assert store.reports.get(DEFAULT_PROJECT, OLD) == found
    stored = store.reports.document(found).whole()
    document = json.loads(stored)
    assert document["id"] == QUESTION.id and document["links"]["self"] == f"/v1/analyses/{QUESTION.id}"
    assert found.etag == hashlib.sha256(stored).hexdigest()
    assert (found.size_bytes, found.model_bytes, store.reports.beside(found)) == (len(stored), 70, None)
    other = store.reports.get(DEFAULT_PROJECT, OLDER)
    assert other is not None and (other.id, other.name) == (OLDER, "first")
    assert [item["id"] for item in store.reports.page(DEFAULT_PROJECT, 10).items] == [QUESTION.id, OLDER]
    assert store.claims.unneeded() == []
    stopped = store.jobs.get(DEFAULT_PROJECT, "j")
    assert stopped is not None and stopped.problem is not None and stopped.problem["fault"] == "unavailable"
    assert (
        store.forget(DEFAULT_PROJECT, QUESTION.id)
        and store.reports.get(DEFAULT_PROJECT, OLD) is None
        and store.reports.get(DEFAULT_PROJECT, OLDER) is not None
    )
    store.close()
