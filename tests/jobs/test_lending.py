"""Files that a job reads through the server: exact ranges, bounds that the server checks, and refusals that arrive."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from service.faults import Refused
from service.jobs.local.channel import receive_outcome, send_outcome
from service.jobs.local.lending import MAX_PIECE_BYTES, LentFile
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.jobs.message import Call
from service.options import Options
from service.report.identity import Identity, Question, question_document
from service.sources.local import LocalFile, Source
from service.work import tasks
from service.work.made import Made
from tests.serving import MODEL

CONTENT = bytes(range(256)) * (MAX_PIECE_BYTES // 128)
MADE = Made(b"done", "text/plain")


class Far:
    """Bytes that come from somewhere else, or a refusal."""

    def __init__(self, content: bytes, refused: Refused | None = None) -> None:
        self.content, self.refused, self.bytes_fetched = content, refused, 0

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        if self.refused is not None:
            raise self.refused
        self.bytes_fetched += length
        return self.content[offset : offset + length]


@pytest.fixture
def line() -> Iterator[tuple[Connection, Connection]]:
    server, process = multiprocessing.Pipe()
    with server, process:
        yield server, process


def served(line: Connection, lent: Mapping[str, Source]) -> threading.Thread:
    thread = threading.Thread(target=receive_outcome, args=(line, lent))
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 1), (5, 0), (17, MAX_PIECE_BYTES), (3, MAX_PIECE_BYTES + 1), (0, len(CONTENT)), (len(CONTENT) - 1, 1)],
)
def test_range_arrives_in_pieces_of_bounded_size(line: tuple[Connection, Connection], offset: int, length: int) -> None:
    server, process = line
    thread = served(server, {"w": Far(CONTENT)})
    file = LentFile(process, "w", len(CONTENT))
    assert file.read(offset, length) == CONTENT[offset : offset + length]
    assert file.bytes_fetched == length
    send_outcome(process, MADE)
    thread.join()


def test_file_ends_where_it_ends(line: tuple[Connection, Connection]) -> None:
    with pytest.raises(Refused) as caught:
        LentFile(line[1], "w", 10).read(8, 3)
    assert caught.value.code == "truncated-model"


def test_refusal_arrives_and_the_line_goes_on(line: tuple[Connection, Connection]) -> None:
    server, process = line
    far = Far(CONTENT, Refused("source", "source-changed", "It changed."))
    thread = served(server, {"w": far})
    file = LentFile(process, "w", len(CONTENT))
    with pytest.raises(Refused) as caught:
        file.read(0, 4)
    assert (caught.value.fault, caught.value.code) == ("source", "source-changed")
    far.refused = None
    assert file.read(0, 4) == CONTENT[:4]
    send_outcome(process, MADE)
    thread.join()


@pytest.mark.parametrize(
    "asked",
    [
        ["other", 0, 1], ["w", -1, 1], ["w", 0, 0], ["w", 0, -1], ["w", 0, 11], ["w", 11, 1], ["w", 1 << 70, 1], ["w", 0.0, 1],
        ["w", True, 1], ["w", "0", 1], [["w"], 0, 1], ["w"], {}, None, 3, ["w", 0, 1, 2],
    ],
)  # fmt: skip
def test_request_for_what_was_not_lent_ends_the_exchange(line: tuple[Connection, Connection], asked: object) -> None:
    server, process = line
    process.send_bytes(json.dumps({"read": asked}).encode())
    with pytest.raises(EOFError):
        receive_outcome(server, {"w": Far(b"0123456789")})


def test_no_piece_is_larger_than_its_bound(line: tuple[Connection, Connection]) -> None:
    server, process = line
    process.send_bytes(json.dumps({"read": ["w", 0, MAX_PIECE_BYTES + 1]}).encode())
    with pytest.raises(EOFError):
        receive_outcome(server, {"w": Far(CONTENT)})


def test_model_is_analysed_where_it_is_lent_and_the_report_says_what_was_fetched(tmp_path: Path) -> None:
    pool = ProcessPool(1, 1, Limits(1 << 30, 20, 30.0))
    try:
        question = question_document(Question(Identity("object", "s3://b/m.json@e1"), {}, Options()))
        arguments = {"question": question, "created_at": "2026-11-30T00:00:00Z"}
        far = Far(MODEL.read_bytes())
        made = pool.wait(pool.submit(Call(tasks.REPORT, arguments, lent={"": far})), 30)
        lent = json.loads(made.content)
        here = json.loads(pool.wait(pool.submit(Call(tasks.REPORT, arguments, files={"": str(MODEL)})), 30).content)
        assert lent["model"].pop("bytes_fetched") == far.bytes_fetched >= LocalFile(MODEL).size
        assert here["model"].pop("bytes_fetched") is None
        assert lent == here
        far.refused = Refused("source", "source-failed", "It is away.")
        with pytest.raises(Refused) as caught:
            pool.wait(pool.submit(Call(tasks.REPORT, arguments, lent={"": far})), 30)
        assert caught.value.code == "source-failed"
    finally:
        pool.close()
