"""What one job may use, and how a process is held to it."""

from __future__ import annotations

import mmap
import pkgutil
import resource
import signal
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from service.faults import Refused
from service.jobs.local import sandbox

MAX_OPEN_FILES = 32
"""Files that a job may have open besides its input."""

RESERVE_BYTES = 8 << 20
"""Memory of a job that is kept back for saying that it ran out of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one job: address space in bytes, processor time and wall time in seconds."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Room:
    """What is left to a job in its sandbox: files to read, functions (package.module:function) to call, the descriptor it answers on."""

    reads: Collection[str]
    loads: Collection[str]
    line: int


class BrokenAnalysisError(RuntimeError):
    """The service's own code failed on this input; the message is the traceback, for the log only."""


def run_limited(task: str, arguments: tuple[Any, ...], limits: Limits, room: Room) -> Any:
    """Runs the function that `task` names in this process, which is a job's own, under `limits` and in the sandbox. Raises what `attempt`
    does."""
    for name in (task, *room.loads):
        resolve(name)  # before this process is confined: our own code, which it could not read afterwards
    hold(RLIMIT_AS=limits.memory_bytes, RLIMIT_NOFILE=room.line + MAX_OPEN_FILES + len(room.reads), RLIMIT_NPROC=0)
    # One second between the signal and the kill, in case something blocks the signal.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    sandbox.enter(room.reads, [room.line])
    set_alarm(limits.wall_seconds)
    return attempt(task, arguments, limits)


def resolve(task: str) -> Callable[..., Any]:
    """The function that `task` names (package.module:function). BrokenAnalysisError where there is none."""
    try:
        function: Callable[..., Any] = pkgutil.resolve_name(task)
    except (ImportError, AttributeError, ValueError) as error:
        raise BrokenAnalysisError("".join(traceback.format_exception(error))[-20_000:]) from None
    return function


def attempt(task: str, arguments: tuple[Any, ...], limits: Limits) -> Any:
    """What the function that `task` names (package.module:function) gives in this process, which is held to `limits` already.

    Raises Refused where the input is at fault or too much for the limits, BrokenAnalysisError where our code is.
    """
    function = resolve(task)
    # Given up where memory runs out, so that there is some to say it with: the limit itself cannot be raised.
    reserve = mmap.mmap(-1, RESERVE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        return function(*arguments)
    except Refused:
        raise
    except MemoryError:
        reserve.close()
        raise Refused("limit", "limit-memory", f"The analysis needs more than {limits.memory_bytes} bytes of memory.") from None
    except RecursionError:
        raise Refused("limit", "limit-depth", "The model is nested too deeply.") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 the worker boundary: nothing ends in silence
        reserve.close()
        raise BrokenAnalysisError("".join(traceback.format_exception(error))[-20_000:]) from None


def hold(**limits: int) -> None:
    """Holds this process to limits of setrlimit(2), by name, which it cannot raise again; it may write no file and dump no core."""
    for name, value in {**limits, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
    # Ctrl-C in a terminal is for the server, which ends its jobs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def set_alarm(wall_seconds: float) -> None:
    """Has this process ended some seconds after it should have been stopped: for work whose server died first."""
    # The default action ends native code too; a Python handler would wait for it to come back.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds + 5)


def cancel_alarm() -> None:
    """Takes back what `set_alarm` said."""
    signal.setitimer(signal.ITIMER_REAL, 0)
