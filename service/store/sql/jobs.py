"""The jobs in the database, so that every process of the service sees them and none is lost with a process."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from service.clock import now
from service.report.identity import Project
from service.store.interfaces import ACTIVE, Job, State
from service.store.sql.database import Database
from service.store.sql.tables import jobs

HANDED_OVER = "queue"
"""The owner of the jobs in the queue between machines. They have no heartbeat, but the time when their message was sent."""

_THERE = (jobs.c.owner == HANDED_OVER, jobs.c.state.in_(ACTIVE))


class SqlJobs:
    """Jobs in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: Job, owner: str) -> Job:
        """Keeps a new job, or returns the one that is already working on the same report."""
        row = {
            "id": job.id,
            "project": job.project,
            "client": job.client,
            "report_id": job.report_id,
            "active_key": job.report_id,
            "state": job.state,
            "created_at": job.created_at,
            "updated_at": job.updated_at,
            "request": json.dumps(job.request),
            "owner": owner,
            "heartbeat": time.time(),
            "attempts": job.attempts,
            "cancel_requested": False,
            "rank": job.rank,
        }
        while True:
            try:
                with self._database.writing() as connection:
                    connection.execute(insert(jobs), row)
                return job
            except IntegrityError:
                rival = self.working_on(job.project, job.report_id)
                if rival is not None:
                    return rival
                # It finished between the two statements: try again.

    def get(self, project: Project, job_id: str) -> Job | None:
        """The job of that id."""
        with self._database.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.project == project)).mappings().one_or_none()
        return None if row is None else _job(row)

    def start(self, job_id: str) -> None:
        """Notes that the job runs."""
        self._change(job_id, state="running", heartbeat=time.time())

    def finish(self, job_id: str, state: State, problem: Mapping[str, object] | None = None) -> None:
        """Notes how the job ended."""
        self._change(job_id, state=state, active_key=None, problem=None if problem is None else json.dumps(problem))

    def request_cancel(self, job_id: str) -> None:
        """Asks whoever works on the job to stop."""
        self._change(job_id, cancel_requested=True)

    def release(self, job_id: str) -> None:
        """Lets another process take the job over at once. That its own one stops is not the job's fault, so it is no attempt."""
        self._change(job_id, state="queued", owner="", heartbeat=0.0, attempts=jobs.c.attempts - 1)

    def owned(self, owner: str) -> list[Job]:
        """The jobs of `owner` that are not finished."""
        with self._database.reading() as connection:
            query = select(jobs).where(jobs.c.owner == owner, jobs.c.state.in_(ACTIVE))
            return [_job(row) for row in connection.execute(query).mappings()]

    def beat(self, owner: str) -> list[str]:
        """Notes that `owner` lives, and returns the ids of its jobs that are asked to stop."""
        mine = (jobs.c.owner == owner, jobs.c.state.in_(ACTIVE))
        with self._database.writing() as connection:
            connection.execute(update(jobs).where(*mine).values(heartbeat=time.time()))
            return list(connection.execute(select(jobs.c.id).where(*mine, jobs.c.cancel_requested)).scalars())

    def adopt(self, owner: str, silent_seconds: float) -> list[Job]:
        """Takes over the jobs of owners that were silent for so long."""
        silent = (jobs.c.state.in_(ACTIVE), jobs.c.owner != HANDED_OVER, jobs.c.heartbeat < time.time() - silent_seconds)
        with self._database.reading() as connection:
            orphans = connection.execute(select(jobs).where(*silent)).mappings().all()
        adopted = []
        for row in orphans:
            # The heartbeat in the condition makes sure that only one process gets it.
            claim = update(jobs).where(jobs.c.id == row["id"], jobs.c.heartbeat == row["heartbeat"], jobs.c.state.in_(ACTIVE))
            with self._database.writing() as connection:
                claimed = connection.execute(claim.values(owner=owner, heartbeat=time.time(), attempts=row["attempts"] + 1)).rowcount
            if claimed:
                adopted.append(_job({**row, "attempts": row["attempts"] + 1}))
        return adopted

    def hand_over(self, job_id: str) -> None:
        """Gives the job to the queue between machines."""
        self._change(job_id, state="queued", owner=HANDED_OVER, heartbeat=time.time())

    def take(self, job_id: str, owner: str) -> Job | None:
        """Takes the job out of the queue between machines, and starts it; None where it is not there, or another was faster."""
        there = update(jobs).where(jobs.c.id == job_id, *_THERE)
        with self._database.writing() as connection:
            taken = there.values(state="running", owner=owner, heartbeat=time.time(), updated_at=now()).returning(*jobs.columns)
            row = connection.execute(taken).mappings().one_or_none()
        return None if row is None else _job(row)

    def handed_over(self) -> int:
        """How many jobs are in the queue between machines."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(jobs).where(*_THERE)).scalar_one()

    def forgotten(self, limit: int, older_than_seconds: float) -> list[Job]:
        """The jobs that are in the queue between machines longest, at least for so long, as if they came to it now. Each is given to one
        of those who ask at the same time."""
        long = select(jobs).where(*_THERE, jobs.c.heartbeat < time.time() - older_than_seconds).order_by(jobs.c.heartbeat).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(long).mappings().all()
        mine = []
        for row in rows:
            claim = update(jobs).where(jobs.c.id == row["id"], *_THERE, jobs.c.heartbeat == row["heartbeat"])
            with self._database.writing() as connection:
                if connection.execute(claim.values(heartbeat=time.time())).rowcount:
                    mine.append(_job(row))
        return mine

    def take_back(self) -> None:
        """Lets any process take over the jobs that are in the queue between machines."""
        with self._database.writing() as connection:
            connection.execute(update(jobs).where(*_THERE).values(owner="", heartbeat=0.0, attempts=jobs.c.attempts - 1))

    def standing(self, job_id: str) -> tuple[State, int] | None:
        """The state of a job that is in the queue between machines or runs, and how many are before it there."""
        found = or_(jobs.c.state == "running", and_(*_THERE))
        with self._database.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id, found)).mappings().one_or_none()
            if row is None or row["state"] == "running":
                return None if row is None else ("running", 0)
            sooner = and_(jobs.c.rank == row["rank"], jobs.c.created_at < row["created_at"])
            before = select(func.count()).select_from(jobs).where(*_THERE, or_(jobs.c.rank < row["rank"], sooner))
            return "queued", connection.execute(before).scalar_one()

    def working_on(self, project: Project, report_id: str) -> Job | None:
        """The job that is working on a report."""
        query = select(jobs).where(jobs.c.project == project, jobs.c.active_key == report_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _job(row)

    def active(self) -> list[Job]:
        """The jobs that are not finished."""
        with self._database.reading() as connection:
            return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.state.in_(ACTIVE))).mappings()]

    def remove_finished(self, older_than_seconds: float) -> None:
        """Forgets jobs that ended so long ago."""
        with self._database.writing() as connection:
            connection.execute(delete(jobs).where(jobs.c.state.not_in(ACTIVE), jobs.c.updated_at < now(older_than_seconds)))

    def _change(self, job_id: str, **values: object) -> None:
        """Changes an active job; a finished one stays as it is."""
        with self._database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(ACTIVE)).values(updated_at=now(), **values))


def _job(row: RowMapping | Mapping[str, Any]) -> Job:
    return Job(
        id=row["id"],
        project=Project(row["project"]),
        report_id=row["report_id"],
        state=row["state"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        request=json.loads(row["request"]),
        problem=None if row["problem"] is None else json.loads(row["problem"]),
        client=row["client"],
        cancel_requested=row["cancel_requested"],
        attempts=row["attempts"],
        rank=row["rank"],
    )
