"""What one job may use, and how a process is held to it."""

from __future__ import annotations

import contextlib
import pkgutil
import resource
import signal
import traceback
from dataclasses import dataclass
from typing import Any

from service.faults import Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one job: address space in bytes, processor time and wall time in seconds."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float


class BrokenAnalysisError(RuntimeError):
    """The service's own code failed on this input; the message is the traceback, for the log only."""


def run_limited(task: str, arguments: tuple[Any, ...], limits: Limits) -> Any:
    """Runs the function that `task` names in this process, which is a job's own, under `limits`. Raises what `attempt` does."""
    confine(limits.memory_bytes)
    # One second between the signal and the kill, in case something blocks the signal.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    set_alarm(limits.wall_seconds)
    return attempt(task, arguments, limits)


def attempt(task: str, arguments: tuple[Any, ...], limits: Limits) -> Any:
    """What the function that `task` names (package.module:function) gives in this process, which is held to `limits` already.

    Raises Refused where the input is at fault or too much for the limits, BrokenAnalysisError where our code is.
    """
    try:
        return pkgutil.resolve_name(task)(*arguments)
    except Refused:
        raise
    except MemoryError:
        _lift_memory_limit()
        raise Refused("limit", "limit-memory", f"The analysis needs more than {limits.memory_bytes} bytes of memory.") from None
    except RecursionError:
        raise Refused("limit", "limit-depth", "The model is nested too deeply.") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 the worker boundary: nothing ends in silence
        _lift_memory_limit()
        raise BrokenAnalysisError("".join(traceback.format_exception(error))[-20_000:]) from None


def confine(memory_bytes: int) -> None:
    """Holds this process to so much address space from now on; it may write no file and dump no core."""
    for name, value in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(name)
        resource.setrlimit(name, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    # Ctrl-C in a terminal is for the server, which ends its jobs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Where the machine itself runs out of memory, the kernel should end a job and not the server (see proc(5)).
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def set_alarm(wall_seconds: float) -> None:
    """Has this process ended some seconds after it should have been stopped: for work whose server died first."""
    # The default action ends native code too; a Python handler would wait for it to come back.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds + 5)


def cancel_alarm() -> None:
    """Takes back what `set_alarm` said."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def count_written_memory() -> None:
    """Holds this process to the memory that it may write to, in place of its address space, most of which some engines only reserve."""
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    _lift_memory_limit()


def _lift_memory_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
