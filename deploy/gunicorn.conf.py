"""How gunicorn serves Receptive. GUNICORN_CMD_ARGS overrides any line of it; every setting is in gunicorn's documentation."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from service.jobs.local import sandbox
from service.settings import load_settings

MAX_FILES = 16384
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

# This machine alone, unless it is said: whoever reaches the service may use it. A container has a network of its own and says so.
_address = os.environ.get("RECEPTIVE_BIND", "127.0.0.1")
bind = f"{f'[{_address}]' if ':' in _address else _address}:{os.environ.get('PORT', '8080')}"

# gunicorn's threads, which only requests that have arrived take: a slow client holds a few kilobytes and no thread (see there).
worker_class = "service.server.worker.PatientWorker"
# One process, because its threads only move bytes: models are analysed in processes of the job pool, and each server process has a pool
# of its own. More throughput is a larger RECEPTIVE_POOL_SIZE here, or more containers.
workers = 1
# Most threads wait for a client or for a job, and cost little memory until they work; uploads beyond this number wait in the backlog.
threads = 32
# Connections of a process at the same time, half of its open files at the most; a new one takes the place of one that only waits.
worker_connections = 4000

# Watches the worker's main loop, not its requests: a worker that has not beaten for this long is stuck and is replaced.
timeout = 60
# On SIGTERM, requests in flight may end. Longer than a request waits for its job (RECEPTIVE_WAIT_SECONDS), shorter than the time a
# container is given to stop. Jobs of the pool that are still running then are ended by the pool itself when the worker exits.
graceful_timeout = 30
# Longer than the idle time of common load balancers (60 s), so that they, not we, close idle connections; else they see resets.
keepalive = 65
# The heartbeat file: on a disk, a slow sync would look like a stuck worker, and a read-only root has no place for it.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# What the service writes is for its user alone.
umask = 0o077
# A control socket would be written to the home directory, which a container with a read-only root does not have.
control_socket_disable = True

# Options may stand in the query string as JSON (input_shapes of many inputs).
limit_request_line = 8190

# The application logs each request itself, as one structured line; gunicorn's own messages go to standard error.
accesslog = None


M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
ARENAS, LARGE_BYTES = 2, 256 * 1024


def give_memory_back() -> None:
    """Has glibc keep two arenas instead of eight per core, and give every large buffer back to the system when it is freed, in this process
    and those it forks: otherwise a server of many threads keeps for ever what the largest answers needed (mallopt(3))."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def on_starting(_: Any) -> None:
    """Looks at the settings, so that a wrong one ends the start with one line and not every worker anew. Keeps jobs, which run as the same
    user, out of the memory and the environment of this process and of the workers it forks."""
    load_settings()
    give_memory_back()
    # Before prometheus_client is loaded, which then keeps its counts there: each worker answers for all of them.
    os.environ[DIRECTORY] = tempfile.mkdtemp(prefix="receptive-metrics-", dir=worker_tmp_dir)
    sandbox.seal()
    # As many open files as the machine allows; the bound of connections follows from it.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, MAX_FILES), most))


def post_worker_init(worker: Any) -> None:
    """Leaves Ctrl-C to the master, which answers it with SIGQUIT, and starts the job pool, which takes a second or two to load.

    The terminal sends SIGINT to the worker as well. gthread handles both signals by ThreadPoolExecutor.shutdown, and the second, arriving
    within the first, waits for ever for a lock that the first one holds (python/cpython#121649).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    service = worker.app.callable.extensions["receptive"]
    # Not before: it loads prometheus_client.
    from service.api.http.access import warn_where_open

    warn_where_open(service.settings, (address[0] if isinstance(address, tuple) else address for address in worker.cfg.address))
    worker.body_seconds = service.settings.upload_idle_seconds
    service.start()


def worker_exit(_: Any, worker: Any) -> None:
    """Stops the job pool of a worker that exits, while its store is still open: jobs under way go back to the queue."""
    application = worker.app.callable
    # None where the application could not be imported.
    if application is not None:
        application.extensions["receptive"].close()


def child_exit(_: Any, worker: Any) -> None:
    """Takes the worker's part out of what is measured of living processes."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(_: Any) -> None:
    """Removes the files of what was counted."""
    shutil.rmtree(os.environ[DIRECTORY], ignore_errors=True)
