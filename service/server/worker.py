"""The worker: gunicorn's threaded one, in which a client takes a thread only while there is work to do for it.

1. Headers, and small bodies, are read by the poller (see beginning); a thread is taken when they are there.
2. What a client does not take of its answer is sent by the poller (see client).
3. A connection that ends is told so; what still arrives is dropped for a while, so that the client can read the answer to what it sends.
4. Each phase has a time-out. The number of connections is bounded; one more takes the place of the one that has waited longest, and
   where all are at work it is answered with 503.
5. Whoever asks whether the process lives is answered by threads of their own.

The main loop never waits for a client. TLS and HTTP/2 end in front of this server.
"""

from __future__ import annotations

import errno
import os
import resource
import selectors
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.errors import ConfigError
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from service.server.answers import answer
from service.server.beginning import Verdict, path, verdict
from service.server.client import MAX_WAITING_BYTES, STALL_SECONDS, Client, Room
from service.server.connection import READING, Connection, Phase

HEAD_SECONDS = 10.0
"""How long a header may take, from its first byte; and how long a new connection may be silent."""

LEAVING_SECONDS = 5.0
MAX_DROPPED_BYTES = 64 * 1024 * 1024
"""How long, and how much, a client may go on sending after its answer."""

MAX_QUEUED_SECONDS = 10.0
"""How long a request may wait for a thread; after that it is answered with 503."""

STOP_SECONDS = 2.0
"""How long a stopping worker waits for a request on a connection that it kept."""

MAX_ACCEPTED = 64
"""New connections in one turn of the loop."""

MAX_TURNED_AWAY = 32
"""Connections beyond the bound that are being told so."""

PROBES = frozenset({b"/livez", b"/readyz", b"/healthz"})
PROBE_THREADS = 2
TURN_SECONDS = 0.5
FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

STATUSES = (
    (errors.LimitRequestLine, 414),
    (errors.LimitRequestHeaders, 431),
    (errors.ExpectationFailed, 417),
    (errors.UnsupportedTransferCoding, 501),
    (errors.ParseException, 400),
)
"""What gunicorn's parser raises, by the status that says it; anything else is a fault of ours."""


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """A worker with threads, none of which a slow client can hold."""

    body_seconds = 60.0
    """How long a body may pause."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.connections: set[Connection] = set()
        self.room = Room(MAX_WAITING_BYTES)
        self._scrap = bytearray(256 * 1024)
        self._bound = self.worker_connections

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuses what this worker does not do."""
        if cfg.is_ssl:
            raise ConfigError("TLS ends in front of this server; remove certfile and keyfile.")

    def init_process(self) -> None:
        """Starts serving, in the worker's process."""
        self._probes = ThreadPoolExecutor(PROBE_THREADS, "probe")
        self._spare = os.open(os.devnull, os.O_RDONLY)
        # Half of the descriptors that are left are for connections, the others for what is done for them.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._bound = max(1, min(self.worker_connections, (files - len(os.listdir("/dev/fd"))) // 2))
        super().init_process()

    def run(self) -> None:
        """The main loop, until the worker is told to stop."""
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        self.set_accept_enabled(True)
        while self.alive:
            self._turn()
            if not self.is_parent_alive():
                break
        self.set_accept_enabled(False)
        self._stop()

    def _turn(self) -> None:
        """One turn of the loop: what has happened, and what has taken too long."""
        self.notify()
        self.wait_for_and_dispatch_events(timeout=TURN_SECONDS)
        now = time.monotonic()
        for connection in [each for each in self.connections if each.deadline <= now and each.phase is not Phase.BUSY]:
            self._guarded(self._expire, connection)

    def _stop(self) -> None:
        """Lets requests under way end, and gives kept connections a moment for one that may be on its way."""
        begun = time.monotonic()
        for connection in self.connections:
            if connection.phase in (Phase.IDLE, Phase.HEAD, Phase.LEAVING):
                connection.deadline = min(connection.deadline, begun + STOP_SECONDS)
        while self.connections and time.monotonic() < begun + self.cfg.graceful_timeout:
            self._turn()
        for connection in tuple(self.connections):
            connection.sock.abandon()
            if connection.phase is not Phase.BUSY:
                self._close(connection)
        for pool in (self.tpool, self._probes):
            pool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()
        for listener in self.sockets:
            listener.close()

    # Connections come.

    def accept(self, listener: Any) -> None:
        """Takes the connections that wait, some at a time."""
        for _ in range(MAX_ACCEPTED):
            try:
                sock, address = listener.accept()
            except OSError as error:
                if error.errno in FULL:
                    self._accept_without_files(listener)
                elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                    self.log.warning("A connection could not be accepted: %s", error)
                return
            self._welcome(sock, address, listener.getsockname())

    def _welcome(self, sock: socket.socket, address: object, server: object) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) >= self._bound and not self._make_room():
            if len(self.connections) < self._bound + MAX_TURNED_AWAY:
                connection = self._add(sock, address, server)
                self._guarded(partial(self._refuse, status=503), connection)
            else:
                sock.close()
            return
        connection = self._add(sock, address, server)
        connection.enter(Phase.IDLE, HEAD_SECONDS)
        self._watch(connection, selectors.EVENT_READ)
        self._guarded(self._read, connection)

    def _add(self, sock: socket.socket, address: object, server: object) -> Connection:
        connection = Connection(self.cfg, Client(sock, self.room), address, server)
        self.connections.add(connection)
        return connection

    def _make_room(self) -> bool:
        """Closes the connection that has waited longest for its client, whether that leaves, is silent or is slow; whether there is one."""
        waiting = [each for each in self.connections if each.phase is not Phase.BUSY]
        if not waiting:
            return False
        self._close(min(waiting, key=lambda each: (each.phase in (Phase.BODY, Phase.SENDING), each.since)))
        return True

    def _accept_without_files(self, listener: Any) -> None:
        """No file can be opened, so none for this connection: a spare one is given up to tell the client so."""
        os.close(self._spare)
        try:
            sock, _ = listener.accept()
            with sock:
                sock.setblocking(False)
                sock.send(answer(503))
                sock.recv(len(self._scrap))  # what is unread would turn the answer into a reset
        except OSError as error:
            self.log.debug("A connection could not be refused: %s", error)
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY)

    # The poller has them.

    def _guarded(self, act: Any, connection: Connection) -> None:
        """Whatever a client does to its connection ends that connection and nothing else."""
        try:
            act(connection)
        except OSError as error:
            self.log.debug("A connection ended: %s", error)
            self._close(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        connection.watched = True
        self.poller.register(connection.sock, events, lambda _: self._guarded(self._happened, connection))

    def _happened(self, connection: Connection) -> None:
        """The client sent or took something."""
        if connection.phase in READING:
            self._read(connection)
        elif connection.phase is Phase.SENDING:
            self._send(connection)
        elif connection.phase is Phase.LEAVING:
            self._drop(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.receive(len(self._scrap))
        except BlockingIOError:
            return
        connection.arrived += data
        if data:
            self._judge(connection)
        elif connection.phase is Phase.BODY:
            connection.sock.whole = False
            self._serve(connection)  # the application says what is wrong with a body that ends early
        else:
            self._close(connection)

    def _judge(self, connection: Connection) -> None:
        """What to do with what has arrived of a request."""
        # An empty line before a request is ignored (RFC 9112, 2.2).
        while connection.arrived[:2] == b"\r\n":
            del connection.arrived[:2]
        match verdict(connection.arrived):
            case Verdict.SERVE:
                connection.sock.whole = True
                self._serve(connection)
            case Verdict.SERVE_AND_READ:
                connection.sock.whole = False
                self._serve(connection)
            case Verdict.TOO_LARGE:
                self._refuse(connection, 431)
            case Verdict.WAIT_FOR_BODY:
                connection.enter(Phase.BODY, self.body_seconds)
            case Verdict.WAIT_FOR_HEAD:
                if connection.phase is not Phase.HEAD:
                    connection.enter(Phase.HEAD, HEAD_SECONDS)

    def _send(self, connection: Connection) -> None:
        if connection.sock.flush():
            self._unwatch(connection)
            self._go_on(connection)
        else:
            connection.deadline = time.monotonic() + STALL_SECONDS

    def _drop(self, connection: Connection) -> None:
        try:
            size = connection.sock.drop(self._scrap)
        except BlockingIOError:
            return
        connection.droppable -= size
        if not size or connection.droppable <= 0:
            self._close(connection)

    def _expire(self, connection: Connection) -> None:
        """The time of a phase is over."""
        if connection.phase is Phase.HEAD:
            self._refuse(connection, 408)
        elif connection.phase is Phase.BODY:
            connection.sock.whole = False
            connection.sock.abandon()
            self._serve(connection)  # the application says so
        elif connection.phase is Phase.SENDING:
            self._unwatch(connection)
            self.connections.discard(connection)
            connection.sock.reset()
        else:
            self._close(connection)

    def _refuse(self, connection: Connection, status: int) -> None:
        connection.sock.sendall(answer(status))
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        """Ends the connection as RFC 9112, 9.6 asks: no reset while the client may still read its answer."""
        connection.sock.shutdown(socket.SHUT_WR)
        connection.enter(Phase.LEAVING, LEAVING_SECONDS)
        connection.droppable = MAX_DROPPED_BYTES
        self._unwatch(connection)
        self._watch(connection, selectors.EVENT_READ)

    def _unwatch(self, connection: Connection) -> None:
        if connection.watched:
            connection.watched = False
            self.poller.unregister(connection.sock)

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        self.connections.discard(connection)
        connection.sock.close()

    # A thread has them.

    def _serve(self, connection: Connection) -> None:
        self._unwatch(connection)
        connection.enter(Phase.BUSY, 0.0)
        pool = self._probes if path(connection.arrived) in PROBES else self.tpool
        pool.submit(self.handle, connection).add_done_callback(partial(self.method_queue.defer, self.finish_request, connection))

    def handle(self, connection: Connection) -> bool:
        """Answers one request, in a thread; whether the connection stays."""
        client = connection.sock
        connection.init()
        connection.parser.unreader.unread(bytes(connection.arrived))
        connection.arrived.clear()
        connection.data_ready = True
        if time.monotonic() - connection.since > MAX_QUEUED_SECONDS:
            client.sendall(answer(503))
            return False
        client.begin()
        stays = super().handle(connection)
        client.settle()
        return bool(stays)

    def handle_request(self, request: Any, connection: Connection) -> bool:
        """As gunicorn does, but asks for a body only when the application reads it."""
        if request._expected_100_continue:
            request._expected_100_continue = False
            connection.sock.expect()
        return bool(super().handle_request(request, connection))

    def handle_error(self, request: object, client: Client, address: object, error: Exception) -> None:
        """Answers what is no request."""
        status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
        if status == 500:
            self.log.error("A request failed", exc_info=error)
        client.sendall(answer(status))

    def finish_request(self, connection: Connection, future: Future[bool]) -> None:
        """Takes the connection back from its thread."""
        error = future.exception()
        if error is not None or connection.sock.closed:
            self.log.debug("A connection ended: %s", error)
            self._close(connection)
            return
        connection.stays = future.result()
        if connection.sock.backlog_bytes:
            connection.enter(Phase.SENDING, STALL_SECONDS)
            self._watch(connection, selectors.EVENT_WRITE)
        else:
            self._guarded(self._go_on, connection)

    def _go_on(self, connection: Connection) -> None:
        """The answer is sent: the next request, or the end."""
        if not connection.stays:
            self._leave(connection)
            return
        connection.enter(Phase.IDLE, self.cfg.keepalive if self.alive else min(self.cfg.keepalive, STOP_SECONDS))
        self._watch(connection, selectors.EVENT_READ)
        connection.arrived += connection.parser.unreader.take_buffered()
        if connection.arrived:
            self._judge(connection)
