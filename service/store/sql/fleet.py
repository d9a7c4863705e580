"""Sums over all reports of a project, in SQL and from columns: no report and no JSON is read but for the few that are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, case, exists, func, or_, select

from service.report.identity import Project
from service.store.fleet import Bin, Distribution, Duplicate, Ranked, Summary
from service.store.sql.database import Database
from service.store.sql.models import read_version
from service.store.sql.tables import model_versions, models, report_numbers, reports
from service.store.watched import Version

NUMBERS = report_numbers.c
TENTHS = tuple(edge / 10 for edge in range(1, 11))
DISTRIBUTIONS: Mapping[str, tuple[Column[float], tuple[float, ...]]] = {
    "receptive_field_coverage": (NUMBERS.receptive_field_coverage, TENTHS),
    "sharing_factor": (NUMBERS.sharing_factor, tuple(10.0**power for power in range(7))),
    "connection_sparsity": (NUMBERS.connection_sparsity, TENTHS),
    "weight_sparsity": (NUMBERS.weight_sparsity, TENTHS),
    "parameters": (NUMBERS.parameters, tuple(10.0**power for power in range(3, 13))),
}
"""The numbers that are distributed, and the edges between their bins. Shares have a bin of their own for all of it."""

EXAMPLES = 5
"""Reports that are named of each structure that several have."""


class SqlFleet:
    """The fleet of each project in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, project: Project) -> str:
        """A text that differs from an earlier one where a report or a version came, was judged or went."""
        versions, mine = model_versions.c, model_versions.c.project == project
        judged = func.count(func.nullif(versions.verdict, "pending"))
        counts = [func.count(), func.max(versions.created_at), func.sum(func.length(versions.judged)), judged]
        with self._database.reading() as connection:
            reports_now = _count(connection, report_numbers, NUMBERS.project == project)
            models_now = _count(connection, models, models.c.project == project)
            row = connection.execute(select(*counts).where(mine)).one()
            failing = _count(connection, model_versions, mine, versions.verdict == "fail")
        return ".".join(str(each) for each in (reports_now, models_now, failing, *row))

    def summary(self, project: Project, shown: int) -> Summary:
        """A project's fleet in numbers, with at most `shown` entries in each list."""
        with self._database.reading() as connection:
            mine = NUMBERS.project == project
            structures, duplicated, largest = _structures(connection, mine, shown)
            broken, broken_versions = _broken(connection, project, shown)
            return Summary(
                reports=_count(connection, report_numbers, mine),
                structures=structures,
                duplicated=duplicated,
                unproductive=_count(connection, report_numbers, mine, NUMBERS.unproductive_layers > 0),
                global_outputs=_count(connection, report_numbers, mine, NUMBERS.output_is_global > 0),
                distributions={name: _distribution(connection, mine, column, edges) for name, (column, edges) in DISTRIBUTIONS.items()},
                duplicates=_duplicates(connection, project, largest),
                most_shared=_ranked(connection, mine, NUMBERS.sharing_factor, shown),
                most_unproductive=_ranked(connection, and_(mine, NUMBERS.unproductive_layers > 0), NUMBERS.unproductive_layers, shown),
                models=_count(connection, models, models.c.project == project),
                broken=broken,
                broken_versions=broken_versions,
            )


def _count(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def _distribution(connection: Connection, mine: ColumnElement[bool], column: Column[float], edges: Sequence[float]) -> Distribution:
    """One scan, in which each number falls into one bin."""
    place = case(*((column < edge, number) for number, edge in enumerate(edges)), else_=len(edges)).label("place")
    query = select(place, func.count(), func.min(column), func.max(column), func.sum(column)).where(mine, column.is_not(None))
    rows = connection.execute(query.group_by(place)).all()
    counts = {row[0]: row[1] for row in rows}
    lows: list[float | None] = [None, *edges]
    highs: list[float | None] = [*edges, None]
    bins = [Bin(low, high, counts.get(number, 0)) for number, (low, high) in enumerate(zip(lows, highs, strict=True))]
    total = sum(counts.values())
    if not total:
        return Distribution(0, None, None, None, bins)
    return Distribution(total, min(row[2] for row in rows), sum(row[4] for row in rows) / total, max(row[3] for row in rows), bins)


def _structures(connection: Connection, mine: ColumnElement[bool], shown: int) -> tuple[int, int, list[tuple[str, int]]]:
    """How many structures there are, how many reports share theirs with another, and the structures that most reports have."""
    counted = select(NUMBERS.structure_digest, func.count().label("reports")).where(mine, NUMBERS.structure_digest != "")
    grouped = counted.group_by(NUMBERS.structure_digest).subquery()
    shared = func.sum(case((grouped.c.reports > 1, grouped.c.reports), else_=0))
    structures, duplicated = connection.execute(select(func.count(), shared).select_from(grouped)).one()
    most = select(grouped).where(grouped.c.reports > 1).order_by(grouped.c.reports.desc(), grouped.c.structure_digest).limit(shown)
    return structures, duplicated or 0, [(row.structure_digest, row.reports) for row in connection.execute(most)]


def _duplicates(connection: Connection, project: Project, structures: Sequence[tuple[str, int]]) -> list[Duplicate]:
    examples: dict[str, list[str]] = {}
    for digest, _ in structures:
        query = select(NUMBERS.report_id).where(NUMBERS.project == project, NUMBERS.structure_digest == digest).limit(EXAMPLES)
        examples[digest] = list(connection.execute(query).scalars())
    wanted = [report_id for ids in examples.values() for report_id in ids]
    named = select(reports.c.id, reports.c.name).where(reports.c.project == project, reports.c.id.in_(wanted))
    names = {row.id: row.name for row in connection.execute(named)}
    return [Duplicate(digest, count, [(each, names.get(each)) for each in examples[digest]]) for digest, count in structures]


def _ranked(connection: Connection, mine: ColumnElement[bool], column: Column[float], shown: int) -> list[Ranked]:
    query = (
        _NAMED.add_columns(column.label("value")).where(mine, column.is_not(None)).order_by(column.desc(), NUMBERS.report_id).limit(shown)
    )
    return [Ranked(row.id, row.name, row.value) for row in connection.execute(query)]


def _broken(connection: Connection, project: Project, shown: int) -> tuple[int, list[Version]]:
    """Of how many models the newest version breaks a budget, and those versions."""
    versions, later = model_versions.c, model_versions.alias("later")
    after = or_(
        later.c.created_at > versions.created_at,
        and_(later.c.created_at == versions.created_at, later.c.version > versions.version),
    )
    newer = exists().where(later.c.project == versions.project, later.c.model == versions.model, after)
    broken = (versions.project == project, versions.verdict == "fail", ~newer)
    query = select(model_versions, func.count().over().label("broken")).where(*broken)
    few = query.order_by(versions.created_at.desc(), versions.model).limit(shown).subquery()
    same = and_(reports.c.project == few.c.project, reports.c.id == few.c.report_id)
    shown_versions = select(few, reports.c.entry).join(reports, same).order_by(few.c.created_at.desc(), few.c.model)
    rows = connection.execute(shown_versions).mappings().all()
    return (rows[0]["broken"] if rows else 0), [read_version(row) for row in rows]


_NAMED = select(reports.c.id, reports.c.name).join(
    report_numbers, and_(reports.c.project == NUMBERS.project, reports.c.id == NUMBERS.report_id)
)
