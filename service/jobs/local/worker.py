"""One process for work on what came from outside: how it starts, how it is asked, how long it may take, and why it died.

A fresh worker answers one call and ends; a kept one gets ready first, by a call of its own, and answers one call after the other.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import service
from service.faults import Refused
from service.jobs.local import sandbox
from service.jobs.local.channel import receive_call, receive_outcome, send_call, send_outcome
from service.jobs.local.limits import Limits, attempt, cancel_alarm, confine_fresh, hold, resolve, set_alarm
from service.jobs.local.process import CHILDREN, CONTEXT, end, start
from service.jobs.message import BrokenAnalysisError, Call, Outcome

LOST = 255
"""The exit code that multiprocessing makes up where the fork server died, which alone knew it."""

OWN_SIGNALS = frozenset(
    getattr(signal, f"SIG{name}") for name in ("SEGV", "BUS", "FPE", "ILL", "ABRT", "TRAP", "SYS", "XCPU", "XFSZ", "ALRM")
)
"""The signals by which a process ends itself; any other comes from outside: an operator, or the kernel where memory is short."""


@dataclass(frozen=True, slots=True)
class Death:
    """Why a process gave no answer: its exit code (minus the number of a signal; None where it did not start), or that it was too late."""

    code: int | None
    late: bool = False

    @property
    def from_outside(self) -> bool:
        """Whether another process may do better: this one did not end itself."""
        if self.late:
            return False
        return self.code is None or self.code == LOST or (self.code < 0 and -self.code not in OWN_SIGNALS)

    def refused(self, limits: Limits, doing: str) -> Refused:
        """What whoever asked is told of a process that died while it was `doing` something."""
        if self.code is None and not self.late:
            return Refused("unavailable", "too-busy", "No process could be started for this.")
        if self.late or self.code == -signal.SIGALRM:
            return Refused("limit", "limit-time", f"The process that {doing} took more than {limits.wall_seconds:g} seconds.")
        if self.code == -signal.SIGXCPU:
            seconds = f"{limits.cpu_seconds} seconds of processor time"
            return Refused("limit", "limit-time", f"The process that {doing} took more than {seconds}.")
        if self.code is not None and self.code < 0:
            return Refused("limit", "worker-died", f"The process that {doing} was ended by {signal_name(-self.code)}.")
        return Refused("limit", "worker-died", f"The process that {doing} ended without an answer.")


def signal_name(number: int) -> str:
    """The name of a signal; that of a real-time signal is its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a kept worker gets ready: the call that warms it up, and the files or directories that it can read besides code."""

    warm: Call
    reads: tuple[str, ...] = ()


class Worker:
    """A process held to `limits`; `keeping` makes it a kept one. OSError or EOFError where it cannot be started."""

    def __init__(self, limits: Limits, keeping: Keeping | None = None) -> None:
        self._limits = limits
        self._line, theirs = CONTEXT.Pipe()
        with theirs:
            self.process = start(serve, theirs, limits, keeping)

    def ask(self, call: Call, seconds: float) -> Outcome | Death:
        """The answer to a call, or why there is none: the process is dead then."""
        return self._within(seconds, partial(self._exchange, call))

    def get_ready(self, seconds: float) -> Outcome | Death:
        """What came of a kept worker's getting ready."""
        return self._within(seconds, partial(receive_outcome, self._line))

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        with CHILDREN:
            return self.process.is_alive()

    def wait(self) -> None:
        """Return when a process that was killed is gone."""
        end(self.process)

    def kill(self) -> None:
        """Ends the process, from any thread: whoever waits for its answer hears of its death."""
        self.process.kill()

    def end(self) -> int | None:
        """Ends the process and hangs up; its exit code."""
        self._line.close()
        return end(self.process)

    def _exchange(self, call: Call) -> Outcome:
        send_call(self._line, call)
        return receive_outcome(self._line, call.lent)

    def _within(self, seconds: float, exchange: Callable[[], Outcome]) -> Outcome | Death:
        late = threading.Event()

        def strike() -> None:
            """Ends a process that takes too long, which ends the exchange."""
            late.set()
            self.kill()

        clock = threading.Timer(max(seconds, 0.0), strike)
        clock.daemon = True
        clock.start()
        with contextlib.ExitStack() as undo:
            undo.callback(clock.cancel)
            # Half a call may be on its way where a document could not be read: nothing can be asked of the process any more.
            undo.callback(self.end)
            try:
                outcome = exchange()
            except (EOFError, OSError):
                return Death(self.end(), late.is_set())
            undo.pop_all()
            clock.cancel()
            return outcome


def serve(line: Connection, limits: Limits, keeping: Keeping | None) -> None:
    """What a worker's process does."""
    with contextlib.suppress(EOFError):
        if keeping is None:
            send_outcome(line, _fresh(line, receive_call(line), limits))
            return
        send_outcome(line, _kept(line, keeping, limits))
        while True:
            send_outcome(line, _timed(receive_call(line), limits))


def _fresh(line: Connection, call: Call, limits: Limits) -> Outcome:
    try:
        resolve(call.task.function)  # before this process is confined: our own code, which it could not read afterwards
    except BrokenAnalysisError as error:
        return error
    confine_fresh(limits, call.files.values(), line.fileno())
    set_alarm(limits.wall_seconds)
    return attempt(call, limits)


def _kept(line: Connection, keeping: Keeping, limits: Limits) -> Outcome:
    resolve(keeping.warm.task.function)
    # The memory that it may write to, in place of its address space, most of which the JavaScript engine only reserves.
    hold(RLIMIT_DATA=limits.memory_bytes)
    sandbox.enter((*code_places(), *keeping.reads), [line.fileno()], threads=True)
    return _timed(keeping.warm, limits)


def _timed(call: Call, limits: Limits) -> Outcome:
    set_alarm(limits.wall_seconds)
    try:
        return attempt(call, limits)
    finally:
        cancel_alarm()


def code_places() -> tuple[str, ...]:
    """The directories of Python and of this package, from which a kept worker may import what it has not loaded yet."""
    paths = sysconfig.get_paths()
    return (*(paths[name] for name in ("stdlib", "platlib", "purelib")), os.path.dirname(service.__file__))
