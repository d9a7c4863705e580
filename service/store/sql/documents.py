"""The texts of reports in the database, in pieces: a part of a report costs what the part costs, and a large one never lies in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import bindparam, select

from service.report.identity import Project
from service.store.interfaces import StoreError
from service.store.sql.database import Database
from service.store.sql.tables import report_pieces

PIECE_BYTES = 256 * 1024

_PIECE = select(report_pieces.c.content).where(
    report_pieces.c.project == bindparam("of"),
    report_pieces.c.report_id == bindparam("report"),
    report_pieces.c.number == bindparam("place"),
)


def rows_of(document: bytes) -> Iterator[Mapping[str, object]]:
    """The pieces of a text as rows."""
    for number, start in enumerate(range(0, max(len(document), 1), PIECE_BYTES)):
        yield {"number": number, "content": document[start : start + PIECE_BYTES]}


class SqlDocument:
    """The text of one report."""

    def __init__(self, database: Database, project: Project, report_id: str, size: int) -> None:
        self._database, self._size = database, size
        self._mine = {"of": project, "report": report_id}

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    def pieces(self) -> Iterator[bytes]:
        """All of it, piece by piece. StoreError where it is gone or cannot be read."""
        for number in range(-(-self._size // PIECE_BYTES)):
            yield self._piece(number)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`."""
        first, last = start // PIECE_BYTES, max(stop - 1, start) // PIECE_BYTES
        content = b"".join(self._piece(number) for number in range(first, last + 1))
        return content[start - first * PIECE_BYTES : stop - first * PIECE_BYTES]

    def whole(self) -> bytes:
        """All of it at once."""
        return b"".join(self.pieces())

    def _piece(self, number: int) -> bytes:
        with self._database.reading() as connection:
            content = connection.execute(_PIECE, {**self._mine, "place": number}).scalar()
        if content is None:
            raise StoreError("a piece of the report is not there")
        return bytes(content)
