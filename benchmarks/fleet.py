"""Runs a fleet on this machine and breaks it: a worker, a web process, Redis and PostgreSQL's connections, in the middle of a batch.

PYTHONPATH=. python benchmarks/fleet.py [--models 300] [--throughput 60]

It starts a Redis, an S3 server, two web tiers and two workers of its own on loopback, and uses a new database of the tests' PostgreSQL.
It says how long each recovery took, and fails unless every model ends in exactly one report that both web tiers answer alike. Then it
compares one worker with two, and both with the pool of a single server.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.machine import new_bucket, postgres_database, s3_server
from tests.serving import REPOSITORY, members

WAIT_SECONDS = 300.0
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def say(line: str) -> None:
    """A line of what is found, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Process:
    """A program in a session of its own, which can be killed whole and started again."""

    command: list[str]
    environment: Mapping[str, str]
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, **self.environment}
        self.running = subprocess.Popen(self.command, cwd=REPOSITORY, env=environment, start_new_session=True, **quiet)  # type: ignore[call-overload]

    def kill(self) -> None:
        if self.running is not None:
            for pid in members(self.running.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.running.wait()


@dataclass
class Fleet:
    """What runs: the addresses, and the processes by name."""

    directory: Path
    database: str
    redis_port: int
    environment: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Starts a program that stopped, or a new one: redis, web-1, worker-1 …"""
        if name not in self.processes:
            self.processes[name] = self._program(name)
        self.processes[name].start()

    def _program(self, name: str) -> Process:
        if name == "redis":
            options = [
                "--port",
                str(self.redis_port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                str(self.directory),
            ]
            return Process(["redis-server", *options], {})
        self.ports[name] = free_port()
        environment = {**self.environment, "PORT": str(self.ports[name]), "RECEPTIVE_DATA_DIR": str(self.directory / name)}
        web = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.api:create_app()"]
        return Process(web if name.startswith("web") else [sys.executable, "-m", "service.worker"], environment)

    def ask(self, web: str, method: str, path: str, body: bytes | None = None, seconds: float = 30.0) -> tuple[int, dict[str, str], bytes]:
        """An answer of a web tier."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.ports[web], timeout=seconds)) as connection:
            headers = {"Content-Type": "application/json", "Prefer": "respond-async"} if body else {}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def wait_until_alive(self, name: str, path: str = "/livez") -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask(name, "GET", path, seconds=5)[0] == 200:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{name} did not start")

    def count(self, sql: str) -> int:
        with psycopg.connect(self.database, autocommit=True) as connection:
            row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
            return int(row[0])

    def done(self) -> int:
        return self.count("SELECT count(*) FROM jobs WHERE state = 'done'")


def model(number: int, run: str) -> bytes:
    """A small network that no other run has."""
    conv = {"type": "conv", "kernel": 3, "padding": 1}
    layers = [{"name": f"{run}-{number}-{depth}", "filters": 8 + depth, **conv} for depth in range(24)]
    return json.dumps({"receptive": 1, "inputs": [{"name": "image", "shape": [3, 32 + number, 32]}], "layers": layers}).encode()


def submit(fleet: Fleet, webs: list[str], number: int, run: str) -> None:
    """Has a web tier take a model; another where one is away or busy."""
    deadline, turn = time.monotonic() + WAIT_SECONDS, number
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status = fleet.ask(webs[turn % len(webs)], "POST", "/v1/analyses", model(number, run))[0]
            if status in (200, 201, 202):
                return
            if status != 503:
                raise SystemExit(f"POST answered {status}")
        turn += 1
        time.sleep(0.1)
    raise SystemExit("no web tier takes a model")


def wait_for(so: Callable[[], bool]) -> float:
    """How long it took until something was so."""
    begun = time.monotonic()
    while not so():
        if time.monotonic() - begun > WAIT_SECONDS:
            raise SystemExit("it did not recover")
        time.sleep(0.05)
    return time.monotonic() - begun


def break_worker(fleet: Fleet) -> float:
    """kill -9 of a worker in the middle of a job, with no replacement; until the jobs that it had have ended."""
    wait_for(lambda: fleet.count("SELECT count(*) FROM jobs WHERE state = 'running'") >= 2)
    with psycopg.connect(fleet.database, autocommit=True) as connection:
        running = [row[0] for row in connection.execute("SELECT id FROM jobs WHERE state = 'running'")]
    fleet.processes["worker-1"].kill()
    ids = ",".join(f"'{job}'" for job in running) or "''"
    return wait_for(lambda: fleet.count(f"SELECT count(*) FROM jobs WHERE id IN ({ids}) AND state NOT IN ('done')") == 0)


def break_web(fleet: Fleet) -> float:
    """kill -9 of a web tier; until one that was started again answers."""
    fleet.processes["web-1"].kill()
    begun = time.monotonic()
    fleet.start("web-1")
    fleet.wait_until_alive("web-1", "/readyz")
    return time.monotonic() - begun


def break_redis(fleet: Fleet) -> float:
    """A Redis that is killed, away for five seconds, and back without what it had; until jobs are done again."""
    fleet.processes["redis"].kill()
    time.sleep(5)
    before, begun = fleet.done(), time.monotonic()
    fleet.start("redis")
    wait_for(lambda: fleet.done() > before + 2)
    return time.monotonic() - begun


def break_postgres(fleet: Fleet) -> float:
    """Every connection to PostgreSQL is ended, ten times; until jobs are done again."""
    with psycopg.connect(fleet.database, autocommit=True) as connection:
        for _ in range(10):
            connection.execute(TERMINATE)
            time.sleep(0.1)
    before = fleet.done()
    return wait_for(lambda: fleet.done() > before)


def survive(fleet: Fleet, models: int) -> None:
    """A batch in the middle of which everything breaks once."""
    breaks = {"worker": break_worker, "web": break_web, "redis": break_redis, "postgres": break_postgres}
    webs = ["web-1", "web-2"]
    for number in range(models):
        submit(fleet, webs, number, "batch")
    say(f"{models} models taken, {fleet.done()} done")
    for step, (name, act) in enumerate(breaks.items()):
        wait_for(lambda step=step: fleet.done() >= models * (step + 1) // 6)  # type: ignore[misc]
        say(f"{name}: recovered after {act(fleet):.1f} s, {fleet.done()} done")
        if name == "worker":
            fleet.start("worker-1")
    wait_for(lambda: fleet.done() >= models)
    reports, jobs = fleet.count("SELECT count(*) FROM reports"), fleet.count("SELECT count(*) FROM jobs WHERE state <> 'done'")
    for web in webs:
        fleet.wait_until_alive(web)
    ids = [item["id"] for item in json.loads(fleet.ask("web-1", "GET", "/v1/analyses?limit=20")[2])["items"]]
    alike = all(
        fleet.ask("web-1", "GET", path)[::2] == fleet.ask("web-2", "GET", path)[::2] for path in (f"/v1/analyses/{each}" for each in ids)
    )
    say(f"{models} models, {reports} reports, {jobs} jobs that are not done; both web tiers answer alike: {alike}")
    if (reports, jobs, alike) != (models, 0, True):
        raise SystemExit("a model was lost, or ended twice")


def throughput(fleet: Fleet, web: str, models: int, run: str, done: Callable[[], int]) -> float:
    """Models a second, from the first that is taken to the last that is done."""
    before, begun = done(), time.monotonic()
    for number in range(models):
        submit(fleet, [web], number, run)
    wait_for(lambda: done() >= before + models)
    return models / (time.monotonic() - begun)


def compare(fleet: Fleet, models: int) -> None:
    """One worker, two, and a server that works on its jobs itself, with as many processes as one worker has."""
    rates = {"two workers": throughput(fleet, "web-1", models, "two", fleet.done)}
    fleet.processes["worker-1"].kill()
    time.sleep(1)
    rates["one worker"] = throughput(fleet, "web-1", models, "one", fleet.done)
    fleet.environment = {"RECEPTIVE_POOL_SIZE": "1", "RECEPTIVE_QUEUE_SIZE": "1000"}
    fleet.start("web-alone")
    fleet.wait_until_alive("web-alone", "/readyz")

    def done() -> int:
        with contextlib.closing(sqlite3.connect(fleet.directory / "web-alone" / "receptive.sqlite3")) as connection:
            return int(connection.execute("SELECT count(*) FROM jobs WHERE state = 'done'").fetchone()[0])

    rates["one process of a server alone"] = throughput(fleet, "web-alone", models, "alone", done)
    for name, rate in rates.items():
        say(f"{name}: {rate:.2f} models/s, {1000 / rate:.0f} ms a model")
    say(f"two workers against one: {rates['two workers'] / rates['one worker']:.2f}")
    overhead = 1000 / rates["one worker"] - 1000 / rates["one process of a server alone"]
    say(f"queue, PostgreSQL and S3 against SQLite and disk: {overhead:+.0f} ms a model")


@contextlib.contextmanager
def running() -> Iterator[Fleet]:
    """A fleet, of which nothing is left when the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="receptive-fleet-"))
    with postgres_database() as database, s3_server() as endpoint:
        bucket, port = new_bucket(endpoint), free_port()
        environment = {
            **bucket.environment,
            "RECEPTIVE_DATABASE_URL": database,
            "RECEPTIVE_BROKER_URL": f"redis://127.0.0.1:{port}/0",
            "RECEPTIVE_BLOBS_URL": bucket.url,
            "RECEPTIVE_POOL_SIZE": "1",
        }
        fleet = Fleet(directory, database, port, environment)
        try:
            for name in ("redis", "web-1", "web-2", "worker-1", "worker-2"):
                fleet.start(name)
            for name in ("web-1", "web-2", "worker-1", "worker-2"):
                fleet.wait_until_alive(name)
            yield fleet
        finally:
            for process in fleet.processes.values():
                process.kill()
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--throughput", type=int, default=60)
    chosen = parser.parse_args()
    with running() as fleet:
        survive(fleet, chosen.models)
        compare(fleet, chosen.throughput)
