"""The batches in the database."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select, update
from sqlalchemy.engine import RowMapping

from service.clock import now
from service.report.identity import Project
from service.store.batches import Batch, Item, Opening
from service.store.interfaces import ACTIVE, State
from service.store.sql.database import Database
from service.store.sql.tables import batch_items, batches

TURNS = 10
"""Batches that are looked at for an item, those whose last turn was longest ago."""

ROWS = 500
"""Rows of one statement."""


class SqlBatches:
    """Batches in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch: Batch, sources: Sequence[str]) -> None:
        """Keep a new batch with these models; one that is named twice is one."""
        row = {
            "project": batch.project,
            "id": batch.id,
            "state": batch.state,
            "created_at": batch.created_at,
            "updated_at": batch.updated_at,
            "options": json.dumps(batch.options),
            "model": batch.model,
            "openings": _openings(batch.openings),
            "problems": "[]",
            "size": 0,
            "turn": 0.0,
        }
        with self._database.writing() as connection:
            connection.execute(insert(batches), row)
            _add_items(connection, batch, sources)
            _end(connection, batch.project, batch.id)

    def get(self, project: Project, batch_id: str) -> Batch | None:
        """The batch of that id."""
        with self._database.reading() as connection:
            row = connection.execute(select(batches).where(*_this(project, batch_id))).mappings().one_or_none()
        return None if row is None else _batch(row)

    def page(self, project: Project, limit: int) -> list[Batch]:
        """The newest batches."""
        query = select(batches).where(batches.c.project == project).order_by(batches.c.created_at.desc(), batches.c.id).limit(limit)
        with self._database.reading() as connection:
            return [_batch(row) for row in connection.execute(query).mappings()]

    def counts(self, project: Project, batch_id: str) -> dict[State, int]:
        """How many items are in each state."""
        query = select(batch_items.c.state, func.count()).where(*_of(project, batch_id)).group_by(batch_items.c.state)
        with self._database.reading() as connection:
            return {state: count for state, count in connection.execute(query)}

    def items(self, project: Project, batch_id: str, limit: int, after: int = -1, state: State | None = None) -> list[Item]:
        """At most `limit` items by their number, those after one."""
        query = select(batch_items).where(*_of(project, batch_id), batch_items.c.number > after)
        query = query if state is None else query.where(batch_items.c.state == state)
        with self._database.reading() as connection:
            return [_item(row) for row in connection.execute(query.order_by(batch_items.c.number).limit(limit)).mappings()]

    def cancel(self, project: Project, batch_id: str) -> None:
        """Take no more items of a batch, and have those under way stopped."""
        moment = now()
        running = (*_this(project, batch_id), batches.c.state == "running")
        with self._database.writing() as connection:
            if connection.execute(update(batches).where(*running).values(state="cancelled", openings="[]", updated_at=moment)).rowcount:
                waiting = (*_of(project, batch_id), batch_items.c.state == "queued")
                connection.execute(update(batch_items).where(*waiting).values(state="cancelled", updated_at=moment))

    def take(self, owner: str) -> tuple[Batch, Item] | None:
        """An item that waits, of the batch whose turn it is, for `owner` alone; None where none waits."""
        waits = exists().where(*_items_of(batches), batch_items.c.state == "queued")
        query = select(batches).where(batches.c.state == "running", waits).order_by(batches.c.turn, batches.c.created_at).limit(TURNS)
        with self._database.reading() as connection:
            found = [_batch(row) for row in connection.execute(query).mappings()]
        for batch in found:
            item = self._taken(batch, owner)
            if item is not None:
                return batch, item
        return None

    def settle(self, item: Item, state: State, report_id: str | None = None, problem: Mapping[str, Any] | None = None) -> None:
        """Note how an item ended; with the last one its batch is done."""
        kept = None if problem is None else json.dumps(problem)
        this = (*_of(item.project, item.batch_id), batch_items.c.number == item.number, batch_items.c.state.in_(ACTIVE))
        values = {"state": state, "report_id": report_id, "problem": kept, "owner": "", "updated_at": now()}
        with self._database.writing() as connection:
            connection.execute(update(batch_items).where(*this).values(**values))
            _end(connection, item.project, item.batch_id)

    def give_back(self, owner: str) -> None:
        """Let others take what `owner` has taken."""
        mine = (batch_items.c.owner == owner, batch_items.c.state == "running")
        with self._database.writing() as connection:
            connection.execute(update(batch_items).where(*mine).values(state="queued", owner=""))

    def beat(self, owner: str, silent_seconds: float) -> None:
        """Note that `owner` lives, and give back what owners took who were silent for so long."""
        running, moment = batch_items.c.state == "running", time.time()
        silent = (running, batch_items.c.heartbeat < moment - silent_seconds)
        with self._database.writing() as connection:
            connection.execute(update(batch_items).where(running, batch_items.c.owner == owner).values(heartbeat=moment))
            connection.execute(update(batch_items).where(*silent).values(state="queued", owner=""))

    def unlisted(self, max_waiting: int) -> Batch | None:
        """A batch with something to list, of which not more items wait than that; None where there is none."""
        waiting = select(func.count()).where(*_items_of(batches), batch_items.c.state == "queued").scalar_subquery()
        query = select(batches).where(batches.c.state == "running", batches.c.openings != "[]", waiting <= max_waiting)
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(batches.c.updated_at).limit(1)).mappings().one_or_none()
        return None if row is None else _batch(row)

    def list_page(
        self, batch: Batch, sources: Sequence[str], openings: Sequence[Opening], problem: Mapping[str, Any] | None = None
    ) -> None:
        """Add the models of one page to a batch, and note what is left to list; nothing where another process was faster."""
        unchanged = (*_this(batch.project, batch.id), batches.c.openings == _openings(batch.openings), batches.c.state == "running")
        problems = json.dumps([*batch.problems, *([] if problem is None else [problem])])
        with self._database.writing() as connection:
            values = {"openings": _openings(openings), "problems": problems, "updated_at": now()}
            if connection.execute(update(batches).where(*unchanged).values(**values)).rowcount:
                _add_items(connection, batch, sources)
                _end(connection, batch.project, batch.id)

    def _taken(self, batch: Batch, owner: str) -> Item | None:
        """The first item of a batch that waits, if no other process takes it at the same moment."""
        waiting = (*_of(batch.project, batch.id), batch_items.c.state == "queued")
        query = select(batch_items).where(*waiting).order_by(batch_items.c.number).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        this = (*waiting, batch_items.c.number == row["number"])
        values = {"state": "running", "owner": owner, "heartbeat": time.time(), "updated_at": now()}
        with self._database.writing() as connection:
            taken = connection.execute(update(batch_items).where(*this).values(**values)).rowcount
            connection.execute(update(batches).where(*_this(batch.project, batch.id)).values(turn=time.time()))
        return _item({**row, "state": "running"}) if taken else None


def _this(project: Project, batch_id: str) -> tuple[Any, ...]:
    return batches.c.project == project, batches.c.id == batch_id


def _of(project: Project, batch_id: str) -> tuple[Any, ...]:
    return batch_items.c.project == project, batch_items.c.batch_id == batch_id


def _items_of(table: Any) -> tuple[Any, ...]:
    return batch_items.c.project == table.c.project, batch_items.c.batch_id == table.c.id


def _add_items(connection: Connection, batch: Batch, sources: Sequence[str]) -> None:
    """Adds those models that the batch does not have yet. Its row is written first, so that no other process counts at the same time."""
    named = {hashlib.sha256(source.encode()).hexdigest(): source for source in sources}
    connection.execute(update(batches).where(*_this(batch.project, batch.id)).values(updated_at=now()))
    size = connection.execute(select(batches.c.size).where(*_this(batch.project, batch.id))).scalar_one()
    keys = list(named)
    for start in range(0, len(keys), ROWS):
        some = keys[start : start + ROWS]
        known = set(
            connection.execute(select(batch_items.c.key).where(*_of(batch.project, batch.id), batch_items.c.key.in_(some))).scalars()
        )
        rows = [
            {
                "project": batch.project,
                "batch_id": batch.id,
                "number": size + place,
                "key": key,
                "source": named[key],
                "state": "queued",
                "owner": "",
                "heartbeat": 0.0,
                "updated_at": now(),
            }
            for place, key in enumerate(key for key in some if key not in known)
        ]
        if rows:
            connection.execute(insert(batch_items), rows)
        size += len(rows)
    connection.execute(update(batches).where(*_this(batch.project, batch.id)).values(size=size))


def _end(connection: Connection, project: Project, batch_id: str) -> None:
    """Notes that a batch is done where nothing is left of it."""
    left = exists().where(*_of(project, batch_id), batch_items.c.state.in_(ACTIVE))
    done = (*_this(project, batch_id), batches.c.state == "running", batches.c.openings == "[]", ~left)
    connection.execute(update(batches).where(*done).values(state="done", updated_at=now()))


def _openings(openings: Sequence[Opening]) -> str:
    return json.dumps([list(each) for each in openings])


def _batch(row: RowMapping) -> Batch:
    return Batch(
        project=Project(row["project"]),
        id=row["id"],
        state=row["state"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        options=json.loads(row["options"]),
        model=row["model"],
        openings=tuple((address, after) for address, after in json.loads(row["openings"])),
        problems=tuple(json.loads(row["problems"])),
    )


def _item(row: RowMapping | Mapping[str, Any]) -> Item:
    problem = None if row["problem"] is None else json.loads(row["problem"])
    return Item(Project(row["project"]), row["batch_id"], row["number"], row["source"], row["state"], row["report_id"], problem)
