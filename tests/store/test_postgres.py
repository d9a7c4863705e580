"""What PostgreSQL does otherwise than SQLite: many write at a time, connections are lost, and several machines start at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from service.report.identity import Digest
from service.settings import Settings
from service.store import Store, open_store
from service.store.interfaces import StoreError
from service.store.sql.database import Database, migrate
from service.store.sql.tables import metadata
from tests.machine import postgres_database

A, B = Digest("a" * 64), Digest("b" * 64)


@pytest.fixture
def address() -> Iterator[str]:
    with postgres_database() as found:
        yield found


@pytest.fixture
def store(address: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path, database_url=address))
    yield opened
    opened.close()


def together(*actions: Callable[[], object]) -> None:
    """Does several things at the same time, and raises what one of them raises."""
    barrier = threading.Barrier(len(actions))

    def act(action: Callable[[], object]) -> None:
        barrier.wait(10)
        action()

    with ThreadPoolExecutor(len(actions)) as pool:
        for done in [pool.submit(act, action) for action in actions]:
            done.result(30)


def test_several_machines_migrate_one_database_at_the_same_time(address: str, tmp_path: Path) -> None:
    databases = [Database(address) for _ in range(3)]
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    together(*(lambda d=database, f=folder: migrate(d, f) for database, folder in zip(databases, folders, strict=True)))
    assert [database.check() for database in databases] == ["ok"] * 3
    found = inspect(databases[0].engine)
    for table in metadata.sorted_tables:
        columns = {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(table.name)}
        assert set(columns) == {column.name for column in table.columns}
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
    for database in databases:
        database.close()


def test_claims_and_removals_at_the_same_time_lose_nothing(store: Store) -> None:
    """A claim that is held means that the row is there, however often others remove it meanwhile."""

    def claims(holder: str) -> None:
        for _ in range(30):
            store.claims.claim(holder, [A, B])
            assert not store.claims.drop(A, lambda _: pytest.fail("a file was removed that somebody claims"))
            store.claims.release(holder)
            store.claims.drop(B, lambda _: None)

    together(*(lambda h=holder: claims(h) for holder in ("one", "two", "three")))
    assert set(store.claims.unneeded()) <= {A, B}


def test_store_goes_on_after_its_connections_were_closed(store: Store, address: str) -> None:
    assert store.reports.count() == 0
    with psycopg.connect(address, autocommit=True) as connection:
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(mine)
    assert store.reports.count() == 0
    assert store.database.check() == "ok"


def test_connection_that_is_lost_within_a_transaction_is_an_error_of_the_store(store: Store, address: str) -> None:
    with (
        pytest.raises(StoreError),
        psycopg.connect(address, autocommit=True) as other,
        store.database.writing() as connection,
    ):
        mine = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.execute("SELECT pg_terminate_backend(%s)", [mine])
        connection.exec_driver_sql("SELECT 1")
    assert store.reports.count() == 0


def test_database_that_is_not_there_is_an_error_of_the_store_at_once(tmp_path: Path) -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(StoreError), database.reading():
        pytest.fail("a connection to nothing")
    assert database.check().startswith("does not answer")
