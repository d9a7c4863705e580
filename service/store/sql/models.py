"""The watched models in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from service.report.identity import Project
from service.store.interfaces import StoreError
from service.store.sql.database import Database, insert_new
from service.store.sql.tables import awaited_versions, model_versions, models, reports
from service.store.watched import Awaited, Label, Verdict, Version, WatchedModel

VERSIONS = select(model_versions, reports.c.entry).join(
    reports, and_(reports.c.project == model_versions.c.project, reports.c.id == model_versions.c.report_id)
)
NEWEST_FIRST = (model_versions.c.created_at.desc(), model_versions.c.version.desc())


class SqlModels:
    """Watched models in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- models ----------------------------------------------------------------------------------------------------

    def page(self, project: Project, limit: int, after: str = "") -> list[WatchedModel]:
        """At most `limit` models in the order of their names, those after one name."""
        query = select(models).where(models.c.project == project, models.c.name > after).order_by(models.c.name).limit(limit)
        with self._database.reading() as connection:
            return [_model(row) for row in connection.execute(query).mappings()]

    def get(self, project: Project, name: str) -> WatchedModel | None:
        """The model of that name."""
        query = select(models).where(models.c.project == project, models.c.name == name)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _model(row)

    def count(self, project: Project) -> int:
        """How many models there are."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(models).where(models.c.project == project)).scalar_one()

    def change(self, model: WatchedModel) -> None:
        """Keep the baseline and the budgets of a model."""
        mine = (models.c.project == model.project, models.c.name == model.name)
        with self._database.writing() as connection:
            connection.execute(update(models).where(*mine).values(baseline=model.baseline, budgets=json.dumps(model.budgets)))

    def remove(self, project: Project, name: str) -> bool:
        """Forget a model with its versions, but not their reports; say whether it was known."""
        with self._database.writing() as connection:
            connection.execute(delete(awaited_versions).where(awaited_versions.c.project == project, awaited_versions.c.model == name))
            return connection.execute(delete(models).where(models.c.project == project, models.c.name == name)).rowcount > 0

    # -- versions --------------------------------------------------------------------------------------------------

    def put(self, label: Label, report_id: str, asked_at: str) -> bool:
        """Have a report be that version; say whether the version is new."""
        model = {"project": label.project, "name": label.model, "created_at": asked_at, "budgets": "{}"}
        unjudged = {"report_id": report_id, "verdict": "pending", "base": None, "judged": "[]"}
        row = {"project": label.project, "model": label.model, "version": label.version, "created_at": asked_at, **unjudged}
        try:
            with self._database.writing() as connection:
                insert_new(connection, models, [model])
                connection.execute(insert(model_versions), row)
            return True
        except IntegrityError:
            changed = update(model_versions).where(*_is(model_versions.c, label), model_versions.c.report_id != report_id)
            with self._database.writing() as connection:
                connection.execute(changed.values(**unjudged))
            if self.version(label) is None:
                raise StoreError("the report of this version is gone") from None
            return False

    def withdraw(self, label: Label) -> bool:
        """Forget a version; say whether it was known."""
        with self._database.writing() as connection:
            return connection.execute(delete(model_versions).where(*_is(model_versions.c, label))).rowcount > 0

    def version(self, label: Label) -> Version | None:
        """That version."""
        found = self._versions(*_is(model_versions.c, label), limit=1)
        return found[0] if found else None

    def newest(self, project: Project, names: Sequence[str], each: int) -> dict[str, list[Version]]:
        """The newest versions of models, at most so many of each, newest first."""
        place = func.row_number().over(partition_by=model_versions.c.model, order_by=NEWEST_FIRST).label("place")
        mine = (model_versions.c.project == project, model_versions.c.model.in_(names))
        ranked = select(model_versions.c.model, model_versions.c.version, place).where(*mine).subquery()
        same = and_(model_versions.c.model == ranked.c.model, model_versions.c.version == ranked.c.version)
        query = VERSIONS.join(ranked, same).where(model_versions.c.project == project, ranked.c.place <= each)
        found: dict[str, list[Version]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query.order_by(model_versions.c.model, ranked.c.place)).mappings():
                found.setdefault(row["model"], []).append(read_version(row))
        return found

    def versions_of(self, project: Project, names: Sequence[str]) -> dict[str, int]:
        """How many versions models have."""
        mine = (model_versions.c.project == project, model_versions.c.model.in_(names))
        query = select(model_versions.c.model, func.count().label("versions")).where(*mine).group_by(model_versions.c.model)
        with self._database.reading() as connection:
            return {row.model: row.versions for row in connection.execute(query)}

    def before(self, version: Version) -> Version | None:
        """The version before another one."""
        label, columns = version.label, model_versions.c
        same_time = and_(columns.created_at == version.created_at, columns.version < label.version)
        older = or_(columns.created_at < version.created_at, same_time)
        found = self._versions(columns.project == label.project, columns.model == label.model, older, limit=1)
        return found[0] if found else None

    def _versions(self, *conditions: ColumnElement[bool], limit: int) -> list[Version]:
        query = VERSIONS.where(*conditions).order_by(*NEWEST_FIRST).limit(limit)
        with self._database.reading() as connection:
            return [read_version(row) for row in connection.execute(query).mappings()]

    # -- verdicts --------------------------------------------------------------------------------------------------

    def judge(self, version: Version, verdict: Verdict, base: str | None = None, judged: Sequence[Mapping[str, Any]] = ()) -> bool:
        """Keep the verdict on a version, unless it is another report by now; say whether it was kept."""
        same = (*_is(model_versions.c, version.label), model_versions.c.report_id == version.report_id)
        with self._database.writing() as connection:
            changed = update(model_versions).where(*same).values(verdict=verdict, base=base, judged=json.dumps(list(judged)))
            return connection.execute(changed).rowcount > 0

    def pending(self, limit: int) -> list[Version]:
        """Versions of all projects that are not judged yet, oldest first."""
        query = VERSIONS.where(model_versions.c.verdict == "pending").order_by(model_versions.c.created_at).limit(limit)
        with self._database.reading() as connection:
            return [read_version(row) for row in connection.execute(query).mappings()]

    # -- versions whose reports are not there yet ------------------------------------------------------------------

    def expect(self, awaited: Awaited) -> None:
        """Have a report be a version as soon as it is there."""
        label = awaited.label
        row = {"project": label.project, "model": label.model, "version": label.version}
        row |= {"report_id": awaited.report_id, "created_at": awaited.created_at}
        with self._database.writing() as connection:
            connection.execute(delete(awaited_versions).where(*_is(awaited_versions.c, label)))
            insert_new(connection, awaited_versions, [row])

    def awaited(self, limit: int, report_id: str | None = None) -> list[Awaited]:
        """Versions of all projects that wait for their reports, or for one report; oldest first."""
        query = select(awaited_versions).order_by(awaited_versions.c.created_at).limit(limit)
        if report_id is not None:
            query = query.where(awaited_versions.c.report_id == report_id)
        with self._database.reading() as connection:
            return [Awaited(_label(row), row["report_id"], row["created_at"]) for row in connection.execute(query).mappings()]

    def forget_awaited(self, awaited: Awaited) -> None:
        """Wait for that no longer."""
        same = (*_is(awaited_versions.c, awaited.label), awaited_versions.c.report_id == awaited.report_id)
        with self._database.writing() as connection:
            connection.execute(delete(awaited_versions).where(*same))


def _is(columns: Any, label: Label) -> tuple[ColumnElement[bool], ...]:
    """The conditions that a row is about that version."""
    return columns.project == label.project, columns.model == label.model, columns.version == label.version


def _label(row: RowMapping) -> Label:
    return Label(Project(row["project"]), row["model"], row["version"])


def _model(row: RowMapping) -> WatchedModel:
    return WatchedModel(Project(row["project"]), row["name"], row["created_at"], row["baseline"], json.loads(row["budgets"]))


def read_version(row: RowMapping) -> Version:
    """A row of `VERSIONS`."""
    judged, entry = json.loads(row["judged"]), json.loads(row["entry"])
    return Version(_label(row), row["report_id"], row["created_at"], row["verdict"], row["base"], judged, entry)
