"""A client's connection: reading ends in time, and writing never waits unless memory is short."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from service.server.client import CONTINUE, MAX_BACKLOG_BYTES, MIN_RATE, Client, Room

LARGE = bytes(8 * MAX_BACKLOG_BYTES)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    yield ours, theirs
    ours.close()
    theirs.close()


def taken(theirs: socket.socket, size: int) -> None:
    left = size
    while left:
        left -= len(theirs.recv(min(left, 1 << 20)))


def test_what_is_not_taken_is_kept_and_sent_later(pair: tuple[socket.socket, socket.socket]) -> None:
    client, room = Client(pair[0], room := Room(len(LARGE))), room
    client.sendall(LARGE)
    assert 0 < client.backlog_bytes < len(LARGE)
    client.settle()
    assert not room.take(len(LARGE))
    reader = threading.Thread(target=taken, args=(pair[1], len(LARGE)))
    reader.start()
    while not client.flush():
        time.sleep(0.001)
    reader.join()
    assert room.take(len(LARGE)), "what is sent gives its room back"


def test_answer_in_pieces_waits_for_a_client_that_is_behind(pair: tuple[socket.socket, socket.socket]) -> None:
    client = Client(pair[0], Room(1 << 30))
    reader = threading.Timer(0.2, taken, args=(pair[1], 2 * len(LARGE)))
    reader.start()
    begun = time.monotonic()
    client.sendall(LARGE)
    assert time.monotonic() - begun < 0.15
    client.sendall(LARGE)
    assert time.monotonic() - begun > 0.15
    while not client.flush():
        time.sleep(0.001)
    reader.join()


def test_where_memory_is_short_a_client_that_takes_nothing_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.server.client.CROWDED_SECONDS", 0.1)
    client = Client(pair[0], room := Room(1))
    client.sendall(LARGE)
    with pytest.raises(ConnectionResetError):
        client.settle()
    client.close()
    assert room.take(1) and client.backlog_bytes == 0


def test_closing_gives_the_room_back(pair: tuple[socket.socket, socket.socket]) -> None:
    client = Client(pair[0], room := Room(len(LARGE)))
    client.sendall(LARGE)
    client.settle()
    client.close()
    client.close()
    assert room.take(len(LARGE)) and not room.take(1)


def test_pause_of_a_body_is_bounded(pair: tuple[socket.socket, socket.socket]) -> None:
    client = Client(pair[0], Room(0))
    client.settimeout(0.1)
    pair[1].sendall(b"abc")
    assert client.recv(10) == b"abc"
    with pytest.raises(TimeoutError):
        client.recv(10)


def test_body_that_trickles_for_ever_ends(pair: tuple[socket.socket, socket.socket]) -> None:
    """Each pause is short enough, the whole is not."""
    client = Client(pair[0], Room(0))
    client.settimeout(0.3)
    client.begin()
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.02):
            pair[1].sendall(b"x")

    slow = threading.Thread(target=trickle)
    slow.start()
    received = 0
    with pytest.raises(TimeoutError):
        while True:
            received += len(client.recv(10))
    stop.set()
    slow.join()
    assert 5 < received < MIN_RATE


def test_client_that_is_abandoned_stalls_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    client = Client(pair[0], Room(0))
    client.settimeout(60.0)
    threading.Timer(0.1, client.abandon).start()
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        client.recv(10)
    assert time.monotonic() - begun < 5


def test_body_is_asked_for_when_it_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    client = Client(pair[0], Room(0))
    client.expect()
    pair[1].sendall(b"body")
    assert client.recv(10) == b"body"
    assert pair[1].recv(100) == CONTINUE
    pair[1].sendall(b"more")
    assert client.recv(10) == b"more"
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(100)
