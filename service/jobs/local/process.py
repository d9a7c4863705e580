"""Processes for work on what came from outside, the pool's and the drawer's alike: how one starts, how it answers, how it is ended."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from service.faults import Refused
from service.jobs.local import sandbox
from service.jobs.local.limits import BrokenAnalysisError

PRELOAD = ["service.jobs.local.fork_server"]

CONTEXT = multiprocessing.get_context("forkserver")

# multiprocessing looks at every child when it starts one, and reads an exit code only once, whoever looks first.
_CHILDREN = threading.Lock()


class PoolClosedError(RuntimeError):
    """The server is stopping; the work did not run to its end and may be run again elsewhere."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a function gave in another process."""

    value: Any


Outcome = Result | Refused | BrokenAnalysisError


def load_fork_server() -> None:
    """Starts the fork server, unless it runs. Loading takes it a second or two: better before the first job than in it.

    From then on, no other process of the same user looks into this one's memory.
    """
    sandbox.seal()
    CONTEXT.set_forkserver_preload(PRELOAD)
    forkserver.ensure_running()


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A new process that runs `target`. It ends with the server's."""
    process: BaseProcess = CONTEXT.Process(target=target, args=arguments, daemon=True)
    with _CHILDREN:
        process.start()
    return process


def outcome_of(work: Callable[[], Any]) -> Outcome:
    """The result of `work`, or why there is none, as something that another process can be told."""
    try:
        return Result(work())
    except (Refused, BrokenAnalysisError) as error:
        return error


def end(process: BaseProcess) -> int | None:
    """The exit code of a process, which is killed if it still lives."""
    with _CHILDREN:
        process.kill()
        process.join()
        return process.exitcode


def death(code: int | None, doing: str) -> Refused:
    """What is said of a process that ended with this exit code, minus the number of a signal, while it was `doing` something."""
    if code is not None and code < 0:
        return Refused("limit", "worker-died", f"The process that {doing} was ended by {signal.Signals(-code).name}.")
    return Refused("limit", "worker-died", f"The process that {doing} ended without an answer.")
