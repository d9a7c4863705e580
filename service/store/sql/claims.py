"""Who needs which blob, in the database, so that it holds for every process and machine that shares it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError

from service.clock import now
from service.report.identity import Digest
from service.store.interfaces import ACTIVE, StoreError
from service.store.sql.database import Database, insert_new
from service.store.sql.tables import blob_claims, blobs, jobs, report_blobs

MAX_TRIES = 5
"""How often a claim is tried again that lost against a removal."""


class SqlClaims:
    """Claims as rows that refer to the row of their blob: while one is there, the database does not let that row go."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, holder: str, digests: Collection[Digest]) -> None:
        """Note that `holder` needs these, before it puts them."""
        wanted = sorted(set(digests))
        for _ in range(MAX_TRIES):
            # Where transactions run side by side, a row that was there may be gone before it can be claimed: then it is put again.
            with contextlib.suppress(IntegrityError):
                return self._claim(holder, wanted)
        raise StoreError("The files of a model were removed again and again while they were claimed.")

    def _claim(self, holder: str, wanted: Sequence[Digest]) -> None:
        moment = now()
        with self._database.writing() as connection:
            # A blob that is being removed is waited for here.
            insert_new(connection, blobs, [{"digest": digest} for digest in wanted])
            insert_new(connection, blob_claims, [{"holder": holder, "digest": digest, "created_at": moment} for digest in wanted])

    def release(self, holder: str) -> list[Digest]:
        """Note that `holder` needs nothing any more; what it needed."""
        mine = delete(blob_claims).where(blob_claims.c.holder == holder).returning(blob_claims.c.digest)
        with self._database.writing() as connection:
            return [Digest(digest) for digest in connection.execute(mine).scalars()]

    def drop(self, digest: Digest, remove: Callable[[Digest], None]) -> bool:
        """Remove a blob by `remove` if nobody needs it, while nobody can claim it; say whether it was removed."""
        try:
            with self._database.writing() as connection:
                gone = connection.execute(delete(blobs).where(blobs.c.digest == digest, *_FREE)).rowcount > 0
                if gone:
                    # Before the row is gone for others: whoever claims the blob now waits, and puts the file after this.
                    remove(digest)
                return gone
        except IntegrityError:  # claimed between the condition and the deletion
            return False

    def needed(self) -> list[Digest]:
        """The blobs that reports need."""
        with self._database.reading() as connection:
            query = select(report_blobs.c.digest).distinct().order_by(report_blobs.c.digest)
            return [Digest(digest) for digest in connection.execute(query).scalars()]

    def unneeded(self) -> list[Digest]:
        """The blobs that nobody needs: what is left where a process died between two steps."""
        with self._database.reading() as connection:
            return [Digest(digest) for digest in connection.execute(select(blobs.c.digest).where(*_FREE)).scalars()]

    def stale(self, older_than_seconds: float) -> list[str]:
        """The holders that are no active jobs and claimed something so long ago: their process died."""
        working = select(jobs.c.id).where(jobs.c.state.in_(ACTIVE))
        query = select(blob_claims.c.holder).where(blob_claims.c.holder.not_in(working), blob_claims.c.created_at < now(older_than_seconds))
        with self._database.reading() as connection:
            return list(connection.execute(query.distinct()).scalars())


_FREE = (
    ~exists().where(report_blobs.c.digest == blobs.c.digest),
    ~exists().where(blob_claims.c.digest == blobs.c.digest),
)
