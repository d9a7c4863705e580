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
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from service.jobs.local.limits import Limits
from service.jobs.local.process import load_fork_server
from service.jobs.local.worker import Death, Keeping, Worker
from service.jobs.message import Call, Outcome, Stopped, result_of
from service.work.made import Made
from service.work.tasks import Task

MAX_DRAWINGS = 1000
"""Drawings after which the process is replaced."""

MAX_TRIES = 2

FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/etc/fonts")
"""Where Linux keeps the fonts of charts."""


class Drawer(Protocol):
    """Draws stored reports, somewhere else."""

    def start(self) -> None:
        """Get ready in the background, where that is not done or under way: for a server that wants its first drawing to be fast."""

    def revive(self) -> None:
        """Get ready again where that was done and undone."""

    def draw(self, call: Call, seconds: float) -> Made:
        """Return what was made; TimeoutError after `seconds`. Raises Refused, BrokenAnalysisError and Stopped."""

    def close(self) -> None:
        """End the drawing under way with Stopped and take no more."""


class KeptProcess:
    """A drawer on this machine, whose process first calls the task `warm`.

    `limits` bound its memory, and its wall time while it gets ready and for each drawing. Its processor time adds up over drawings and is
    not bounded. It can read `reads`, files or whole directories.
    """

    def __init__(self, limits: Limits, warm: Task, max_drawings: int = MAX_DRAWINGS, reads: tuple[str, ...] = FONTS) -> None:
        self._limits, self._keeping, self._most = limits, Keeping(Call(warm), reads), max_drawings
        self._worker: Worker | None = None
        self._drawings = 0
        self._turn = threading.Lock()
        self._wanted, self._closed = threading.Event(), threading.Event()
        # Runs before multiprocessing ends its children (last in, first out), so that their deaths are known to be our doing.
        atexit.register(self.close)

    @property
    def worker(self) -> Worker | None:
        """The process that is ready, or getting so."""
        return self._worker

    def start(self) -> None:
        """Start the process in the background, unless it lives or is being started."""
        self._wanted.set()
        if self._turn.locked() or self._closed.is_set():
            return
        worker = self._worker
        if worker is None or not worker.alive:
            threading.Thread(target=self._get_ready, name="drawer", daemon=True).start()

    def revive(self) -> None:
        """Start the process again where it was wanted once and died."""
        if self._wanted.is_set():
            self.start()

    def draw(self, call: Call, seconds: float) -> Made:
        """Return what was made, or raise why nothing was; TimeoutError after `seconds` of waiting or drawing."""
        deadline = time.monotonic() + seconds
        with self._own_turn(seconds):
            death = Death(None)
            for _ in range(MAX_TRIES):
                outcome = self._asked(call, deadline)
                if not isinstance(outcome, Death):
                    self._count()
                    return result_of(outcome)
                death = outcome
                self._drop()
                if self._closed.is_set():
                    raise Stopped("closed")
                if time.monotonic() >= deadline:
                    raise TimeoutError
            raise death.refused(self._limits, "drew the report")

    def close(self) -> None:
        """End the process; the drawing under way ends with Stopped."""
        self._closed.set()
        atexit.unregister(self.close)
        # Out of turn: whoever has it waits for this process, and gives it up when it is dead.
        worker = self._worker
        if worker is not None:
            worker.kill()
            worker.wait()

    @contextlib.contextmanager
    def _own_turn(self, seconds: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=seconds):
            raise TimeoutError
        try:
            yield
        finally:
            self._turn.release()

    def _asked(self, call: Call, deadline: float) -> Outcome | Death:
        """What the process answers, a new one where there is none."""
        worker = self._worker
        if worker is None:
            begun = self._begin()
            if isinstance(begun, Death):
                return begun
            worker = begun
        return worker.ask(call, min(self._limits.wall_seconds, deadline - time.monotonic()))

    def _begin(self) -> Worker | Death:
        """A new process that is ready. Getting ready counts for no drawing, so that any time to draw is enough for it."""
        load_fork_server()
        try:
            worker = self._worker = Worker(self._limits, self._keeping)
        except (EOFError, OSError):
            return Death(None)
        if self._closed.is_set():
            worker.kill()
        outcome = worker.get_ready(self._limits.wall_seconds)
        return outcome if isinstance(outcome, Death) else worker

    def _count(self) -> None:
        """Replaces a process that has made its drawings, in the background."""
        self._drawings += 1
        if self._drawings >= self._most:
            self._drop()
            threading.Thread(target=self._get_ready, name="drawer", daemon=True).start()

    def _drop(self) -> None:
        """Gives the process up."""
        worker, self._worker, self._drawings = self._worker, None, 0
        if worker is not None:
            worker.end()

    def _get_ready(self) -> None:
        """Starts the process where none lives. One that cannot get ready is left to the next drawing, which says why."""
        with self._turn:
            if self._worker is not None and not self._worker.alive:
                self._drop()
            if self._worker is None and not self._closed.is_set() and isinstance(self._begin(), Death):
                self._drop()
