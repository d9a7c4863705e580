"""The drawer: one process that is kept, for what is drawn of stored reports.

A model is read in a process that dies with its job (see pool). A stored report is data of our own making, and what draws it, a JavaScript
engine, takes a second to start: so that process is kept for the next report.

1. It makes one drawing at a time; who comes later waits.
2. It is held to limits of memory and of wall time for each drawing, and to the sandbox: it can read code and fonts and nothing else.
3. When it dies or takes too long, another takes its place and makes the drawing again; a drawing that has ended two is refused.
4. After so many drawings it is replaced, whatever it has leaked.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sysconfig
import threading
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import service
from service.faults import Refused
from service.jobs.local import sandbox
from service.jobs.local.limits import Limits, attempt, cancel_alarm, hold, resolve, set_alarm
from service.jobs.local.process import CONTEXT, PoolClosedError, Result, death, end, load_fork_server, outcome_of, start

MOST_DRAWINGS = 1000
"""Drawings after which the process is replaced."""

ATTEMPTS = 2

FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/etc/fonts")
"""Where Linux keeps the fonts of charts."""


class Drawer(Protocol):
    """Draws stored reports, somewhere else. Functions go by name (package.module:function): the server never calls them."""

    def start(self) -> None:
        """Gets ready in the background, for a server that wants the first drawing to be as fast as the second."""

    def draw(self, task: str, seconds: float, *arguments: Any) -> Any:
        """What that function gives; TimeoutError after `seconds`. Raises Refused, BrokenAnalysisError and PoolClosedError."""

    def close(self) -> None:
        """Ends the drawing under way with PoolClosedError and takes no more."""


class KeptProcess:
    """A drawer on this machine, whose process first calls the function that `warm` names.

    `limits` bound its memory, and its wall time while it gets ready and for each drawing. Its processor time adds up over drawings and is
    not bounded. It can read `reads`, files or whole directories.
    """

    def __init__(self, limits: Limits, warm: str, most_drawings: int = MOST_DRAWINGS, reads: tuple[str, ...] = FONTS) -> None:
        self.process: BaseProcess | None = None
        self._limits, self._warm, self._most, self._reads = limits, warm, most_drawings, reads
        self._line: Connection | None = None
        self._drawings = 0
        self._turn = threading.Lock()
        self._started, self._closed = threading.Event(), threading.Event()
        # Runs before multiprocessing ends its children (last in, first out), so that their deaths are known to be our doing.
        atexit.register(self.close)

    def start(self) -> None:
        """Starts the process in the background; does nothing the second time."""
        if not self._started.is_set():
            self._started.set()
            threading.Thread(target=self._get_ready, name="drawer", daemon=True).start()

    def draw(self, task: str, seconds: float, *arguments: Any) -> Any:
        """What the function that `task` names gives, or what it raised; TimeoutError after `seconds` of waiting or drawing."""
        deadline = time.monotonic() + seconds
        if not self._turn.acquire(timeout=seconds):
            raise TimeoutError
        try:
            return self._drawn(task, arguments, deadline)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Ends the process; the drawing under way ends with PoolClosedError."""
        self._closed.set()
        atexit.unregister(self.close)
        # Out of turn: whoever has it waits for this process, and gives it up when it is dead.
        process = self.process
        if process is not None:
            end(process)

    def _drawn(self, task: str, arguments: tuple[Any, ...], deadline: float) -> Any:
        error: Refused | None = None
        for _ in range(ATTEMPTS):
            try:
                outcome = self._asked(task, arguments, deadline)
            except (EOFError, OSError, _Late) as reason:  # the process is dead, or died while it drew, or is as good as dead
                code = self._drop()
                if self._closed.is_set():
                    raise PoolClosedError from None
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                error = _too_long(self._limits) if isinstance(reason, _Late) else death(code, "drew the report")
            else:
                self._count()
                if isinstance(outcome, Result):
                    return outcome.value
                raise outcome
        assert error is not None
        raise error

    def _asked(self, task: str, arguments: tuple[Any, ...], deadline: float) -> Any:
        """What the process answers; EOFError or OSError where it dies, _Late where it takes too long."""
        line = self._line or self._begin()
        seconds = min(self._limits.wall_seconds, deadline - time.monotonic())
        with self._clock(seconds):
            line.send((task, arguments))
            return line.recv()

    def _begin(self) -> Connection:
        """The line to a new process that is ready. Getting ready counts for no drawing, so that any time to draw is enough for it."""
        load_fork_server()
        self._line, theirs = CONTEXT.Pipe()
        with theirs:
            self.process = start(_serve, theirs, self._warm, self._limits, self._reads)
        if self._closed.is_set():
            self._kill()
        with self._clock(self._limits.wall_seconds):
            self._line.recv()
        return self._line

    @contextlib.contextmanager
    def _clock(self, seconds: float) -> Iterator[None]:
        """Kills the process after so many seconds: whoever waits for it, on either end of the line, hears of its death."""
        late = threading.Event()

        def strike() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(max(seconds, 0.0), strike)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (EOFError, OSError):
            if late.is_set():
                raise _Late from None
            raise
        finally:
            timer.cancel()

    def _kill(self) -> None:
        process = self.process
        if process is not None:
            process.kill()

    def _count(self) -> None:
        """Replaces a process that has made its drawings, in the background."""
        self._drawings += 1
        if self._drawings >= self._most:
            self._drop()
            threading.Thread(target=self._get_ready, name="drawer", daemon=True).start()

    def _drop(self) -> int | None:
        """Gives the process up; its exit code."""
        process, line = self.process, self._line
        self.process = self._line = None
        self._drawings = 0
        if line is not None:
            line.close()
        return end(process) if process is not None else None

    def _get_ready(self) -> None:
        """Starts the process where there is none. One that cannot get ready is left to the next drawing, which says why."""
        with self._turn:
            if self._line is None and not self._closed.is_set():
                try:
                    self._begin()
                except (EOFError, OSError, _Late):
                    self._drop()


class _Late(Exception):
    """The process took too long and was killed for it."""


def _too_long(limits: Limits) -> Refused:
    return Refused("limit", "limit-time", f"Drawing the report took more than {limits.wall_seconds:g} seconds.")


def _serve(line: Connection, warm: str, limits: Limits, reads: tuple[str, ...]) -> None:
    """What the process does: gets ready and says so, then answers one question after the other until the server hangs up."""
    resolve(warm)
    # The memory that it may write to, in place of its address space, most of which the JavaScript engine only reserves.
    hold(RLIMIT_DATA=limits.memory_bytes)
    sandbox.enter((*code_places(), *reads), [line.fileno()], threads=True)
    line.send(outcome_of(partial(_timed, warm, (), limits)))
    with contextlib.suppress(EOFError):
        while True:
            task, arguments = line.recv()
            line.send(outcome_of(partial(_timed, task, arguments, limits)))


def code_places() -> tuple[str, ...]:
    """The directories of Python and of this package, from which the process may import what it has not loaded yet."""
    paths = sysconfig.get_paths()
    return (*(paths[name] for name in ("stdlib", "platlib", "purelib")), os.path.dirname(service.__file__))


def _timed(task: str, arguments: tuple[Any, ...], limits: Limits) -> Any:
    set_alarm(limits.wall_seconds)
    try:
        return attempt(task, arguments, limits)
    finally:
        cancel_alarm()
