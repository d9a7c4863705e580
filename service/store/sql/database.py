"""Opens the database, brings its tables up to date, and says whether it answers. Its errors are the store's (StoreError).

SQLite and PostgreSQL answer alike. What must happen once is held by keys and conditions of single statements, never by the order in which
transactions run: SQLite lets one write at a time, PostgreSQL many (READ COMMITTED).
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from service.store.interfaces import StoreError
from service.store.sql.tables import metadata

BUSY_SECONDS = 20.0

KEPT_CONNECTIONS, MAX_CONNECTIONS = 5, 40
"""Connections to PostgreSQL of each process: those that stay open, and the most. A web process has 32 threads for requests, and its own."""

POOL_SECONDS = 10.0
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60
"""How long a statement may take in PostgreSQL; the migrations are not held to it."""

DISK_FULL = "53100"
"""What PostgreSQL calls a full disk (SQLSTATE)."""

MIGRATION_LOCK = 0x7265636570
"""The advisory lock under which one process of all machines migrates."""


class Database:
    """A database by its SQLAlchemy address. No connection is opened yet, so the process may still fork."""

    def __init__(self, address: str) -> None:
        self.engine = _engine(address)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read by. StoreError where the database cannot be read."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction. StoreError where it cannot be written; IntegrityError goes through, for whoever expects it.

        Its first statement writes, so that it never has to turn from a reader into a writer (SQLITE_BUSY_SNAPSHOT).
        """
        with _translated(), self.engine.begin() as connection:
            yield connection

    def check(self) -> str:
        """`ok`, or what is wrong: whether the database is there, answers, and has the tables of this version."""
        place = self.engine.url.database
        if self.engine.dialect.name == "sqlite" and place and not Path(place).is_file():
            return "its file is not there"
        try:
            with self.reading() as connection:
                if MigrationContext.configure(connection).get_current_revision() != newest_revision():
                    return "its tables are not those of this version"
                for table in metadata.sorted_tables:
                    connection.execute(select(*table.primary_key.columns).limit(1)).all()
        except StoreError as error:
            return f"does not answer: {error}"
        return "ok"

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(address: str) -> Engine:
    if not address.startswith("sqlite"):
        return _server_engine(address)
    engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _server_engine(address: str) -> Engine:
    """Connections to PostgreSQL, tested before they are used: a server that was restarted is noticed by nobody who asks afterwards."""
    url = make_url(address)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MAX_CONNECTIONS - KEPT_CONNECTIONS,
        pool_timeout=POOL_SECONDS,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": f"-c statement_timeout={STATEMENT_SECONDS}s"},
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Foreign keys are off in SQLite unless asked for; and Python's own transaction handling, which commits before DDL, is switched off."""
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == DISK_FULL
        raise StoreError(str(cause or error), full=full) from error


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert the rows whose key is not there yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def migrate(database: Database, directory: Path) -> None:
    """Bring the tables to the newest version; of several processes that start together, one does it and the others wait."""
    engine = database.engine
    with _locked(directory / "migrate.lock"), _translated():
        if engine.dialect.name == "sqlite":
            # Readers go on while one process writes (sqlite.org/wal.html). The mode stays with the file; changing it waits for nobody.
            with contextlib.closing(engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode=WAL").close()
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config = migrations()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    engine.dispose()


def newest_revision() -> str | None:
    """The version of the tables that this version of the service wants."""
    return ScriptDirectory.from_config(migrations()).get_current_head()


def migrations() -> Config:
    """Alembic's configuration."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock file at `path`, against other processes and threads of this machine."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
