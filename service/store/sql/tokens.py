"""The tokens of projects in the database. What is kept of a token is its digest, so that whoever reads the database has none."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, insert, select, update

from service.clock import now
from service.report.identity import Digest, Project
from service.store.interfaces import Token
from service.store.sql.database import Database
from service.store.sql.tables import tokens


class SqlTokens:
    """Tokens in any database that SQLAlchemy speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token, digest: Digest) -> None:
        """Keeps a new token by its digest."""
        row = {name: getattr(token, name) for name in Token.__slots__} | {"digest": digest}
        with self._database.writing() as connection:
            connection.execute(insert(tokens), row)

    def find(self, digest: Digest) -> Token | None:
        """The token of that digest, unless it has expired or was revoked."""
        valid = (tokens.c.digest == digest, _still_good(tokens.c.revoked_at), _still_good(tokens.c.expires_at))
        with self._database.reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(*valid)).mappings().one_or_none()
        return None if row is None else Token(**row)

    def list(self, project: Project | None = None) -> list[Token]:
        """The tokens of a project, or of all, oldest first."""
        query = select(*_COLUMNS).order_by(tokens.c.created_at, tokens.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query if project is None else query.where(tokens.c.project == project)).mappings().all()
        return [Token(**row) for row in rows]

    def revoke(self, project: Project, token_id: str, moment: str) -> Token | None:
        """Makes a token worthless from some moment on; what it was, or None where there is none that was worth something."""
        mine = (tokens.c.project == project, tokens.c.id == token_id, _still_good(tokens.c.revoked_at), _still_good(tokens.c.expires_at))
        ended = update(tokens).where(*mine).values(revoked_at=moment).returning(*_COLUMNS)
        with self._database.writing() as connection:
            row = connection.execute(ended).mappings().one_or_none()
        return None if row is None else Token(**row)


def _still_good(end: Column[str]) -> ColumnElement[bool]:
    """Whether a moment at which a token ends has not come."""
    return end.is_(None) | (end > now())


_COLUMNS = [tokens.c[name] for name in Token.__slots__]
