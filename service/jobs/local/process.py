"""Processes and the fork server that they come from: how one starts and how it is ended."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess

from service.jobs.local import sandbox

PRELOAD = ["service.jobs.local.fork_server"]

CONTEXT = multiprocessing.get_context("forkserver")

# multiprocessing looks at every child when it starts one, and reads an exit code only once, whoever looks first.
CHILDREN = threading.Lock()


def load_fork_server() -> None:
    """Starts the fork server, unless it runs. Loading takes it a second or two: better before the first job than in it.

    From then on, no other process of the same user looks into this one's memory.
    """
    sandbox.seal()
    CONTEXT.set_forkserver_preload(PRELOAD)
    forkserver.ensure_running()


def start(target: Callable[..., None], *arguments: object) -> BaseProcess:
    """A new process that runs `target`. It ends with the server's."""
    process: BaseProcess = CONTEXT.Process(target=target, args=arguments, daemon=True)
    with CHILDREN:
        process.start()
    return process


def end(process: BaseProcess) -> int | None:
    """The exit code of a process, which is killed if it still lives."""
    with CHILDREN:
        process.kill()
        process.join()
        return process.exitcode
