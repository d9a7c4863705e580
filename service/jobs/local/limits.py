"""What one job may use, and how a process is held to it."""

from __future__ import annotations

import mmap
import pkgutil
import resource
import signal
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass

from service.faults import Refused
from service.jobs.local import sandbox
from service.jobs.message import BrokenAnalysisError, Call, Outcome
from service.work.made import Made

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


def confine_fresh(limits: Limits, reads: Collection[str], line: int) -> None:
    """Holds this process, which is a job's own, to `limits` and to the sandbox: it reads the files `reads` and answers on `line`."""
    hold(RLIMIT_AS=limits.memory_bytes, RLIMIT_NOFILE=line + MAX_OPEN_FILES + len(reads), RLIMIT_NPROC=0)
    # One second between the signal and the kill, in case something blocks the signal.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    sandbox.enter(reads, [line])


def resolve(function: str) -> Callable[..., object]:
    """The function of that name (package.module:function). BrokenAnalysisError where there is none."""
    try:
        found: Callable[..., object] = pkgutil.resolve_name(function)
    except (ImportError, AttributeError, ValueError) as error:
        raise _broken(error) from None
    return found


def attempt(call: Call, limits: Limits) -> Outcome:
    """What a call gives in this process, which is held to `limits` already: a limit, a fault of the input, and a fault of ours included."""
    files = {"files": {**call.files, **call.lent}} if call.files or call.lent else {}
    # Given up where memory runs out, so that there is some to say it with: the limit itself cannot be raised.
    reserve = mmap.mmap(-1, RESERVE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        made = resolve(call.task.function)(**files, **call.documents, **call.arguments)
    except (Refused, BrokenAnalysisError) as error:
        return error
    except MemoryError:
        reserve.close()
        return Refused("limit", "limit-memory", f"The analysis needs more than {limits.memory_bytes} bytes of memory.")
    except RecursionError:
        return Refused("limit", "limit-depth", "The model is nested too deeply.")
    except (Exception, SystemExit) as error:  # noqa: BLE001 the worker boundary: nothing ends in silence
        reserve.close()
        return _broken(error)
    return made if isinstance(made, Made) else BrokenAnalysisError(f"{call.task.name} gave {type(made).__name__}; expected Made")


def _broken(error: BaseException) -> BrokenAnalysisError:
    return BrokenAnalysisError("".join(traceback.format_exception(error))[-20_000:])


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
