"""The tables and how they came about."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from service.store.sql.database import Database, migrate
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
