"""Opens the database, brings its tables up to date, and says whether it answers."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event

BUSY_SECONDS = 20.0


def open_database(address: str) -> Engine:
    """An engine for the SQLAlchemy `address`. No connection is kept open, so the process may still fork."""
    if not address.startswith("sqlite"):
        return create_engine(address, pool_pre_ping=True)
    engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Foreign keys are off in SQLite unless asked for; and Python's own transaction handling, which commits before DDL, is switched off."""
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def migrate(engine: Engine, directory: Path) -> None:
    """Brings the tables to the newest version; of several processes that start together, one does it and the others wait."""
    with locked(directory / "migrate.lock"):
        if engine.dialect.name == "sqlite":
            # Readers go on while one process writes (sqlite.org/wal.html). The mode stays with the file; changing it waits for nobody.
            with contextlib.closing(engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode=WAL").close()
        with engine.begin() as connection:
            config = _migrations()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    engine.dispose()


def is_current(engine: Engine) -> bool:
    """Whether the database answers and its tables are those this version of the service wants."""
    newest = ScriptDirectory.from_config(_migrations()).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == newest


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file at `path`, against other processes and threads of this machine."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
