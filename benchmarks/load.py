"""The service under load, which this program starts for itself on this machine: `make load` (ARGS="--seconds 20" for a short look).

1. mixed: many clients who read reports, lists, tables and badges, and sometimes post a new model.
2. slow: 500 clients of each slow kind, beside which the process must answer.
3. overload: four times as many new models a second as it can analyse.
4. large: what is asked of an 18 MB report, which 143 bytes of a spec make, by 24 clients at once.

Every loop is bounded in time. Only the loopback address is ever asked.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MODEL = json.loads((REPOSITORY / "examples" / "lenet-5.json").read_text())
JSON = {"Content-Type": "application/json"}
SLOW_CLIENTS = 500
MAX_FILES = 8192
NUMBERS = itertools.count()


@dataclass
class Tally:
    """What clients were answered: statuses, and seconds for each answer. A status of 0 is no answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> None:
        """Asks once and notes what came of it."""
        begun = time.monotonic()
        try:
            connection.request(method, path, body, JSON if body else {})
            response = connection.getresponse()
            response.read()
            self.statuses[response.status] += 1
        except (OSError, http.client.HTTPException):
            connection.close()
            self.statuses[0] += 1
        self.seconds.append(time.monotonic() - begun)

    def percentile(self, share: float) -> float:
        """The seconds within which that share was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def line(self, name: str, duration: float) -> str:
        """One row of the table."""
        counts = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        rate = len(self.seconds) / duration
        return f"| {name} | {rate:.0f}/s | {self.percentile(0.5):.3f} s | {self.percentile(0.99):.3f} s | {counts} |"


def new_model() -> bytes:
    """A small spec that is new to the service: its identity is that of its bytes."""
    units = 2 + next(NUMBERS)
    layers = [{"type": "conv", "filters": 4, "kernel": 3}, {"type": "flatten"}, {"type": "dense", "units": units}]
    return json.dumps({"receptive": 1, "name": "load", "input": {"shape": [1, 16, 16]}, "layers": layers}).encode()


@contextlib.contextmanager
def serving(folder: str) -> Iterator[tuple[int, int]]:
    """The port and the process of a server of our own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"PORT": str(port), "RECEPTIVE_DATA_DIR": folder, "RECEPTIVE_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.api:create_app()"]
    with subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **settings}, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                probe = Tally()
                probe.ask(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "GET", "/readyz")
                if probe.statuses[200]:
                    break
                time.sleep(0.2)
            yield port, server.pid
        finally:
            server.terminate()


def memory(master: int) -> float:
    """The largest memory so far of the worker of a server, in megabytes."""
    worker = Path(f"/proc/{master}/task/{master}/children").read_text().split()[0]
    peak = next(line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1000


def together(actions: list[Callable[[], None]]) -> None:
    """Runs every action in a thread of its own, to its end."""
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def loop(port: int, seconds: float, pause: float, tally: Tally, asked: Callable[[], tuple[str, str, bytes | None]]) -> Callable[[], None]:
    """A client on one connection who asks one thing after the other."""

    def run() -> None:
        end = time.monotonic() + seconds
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < end:
            tally.ask(connection, *asked())
            time.sleep(random.uniform(0, 2 * pause))
        connection.close()

    return run


def place_of_report(port: int) -> str:
    """The address of a stored report."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/analyses", json.dumps(MODEL).encode(), JSON)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.headers["Location"]


def mixed(port: int, clients: int, seconds: float) -> dict[str, Tally]:
    """Clients of every sort, and one who asks whether the process lives."""
    place = place_of_report(port)
    reads = [place, place + ".md", place + "/layers.csv", place + "/badge.json", "/v1/analyses?limit=20", "/"]
    tallies = {"reads": Tally(), "new models": Tally(), "/livez": Tally()}

    def read() -> tuple[str, str, bytes | None]:
        return "GET", random.choice(reads), None

    readers = [loop(port, seconds, 1.0, tallies["reads"], read) for _ in range(clients * 9 // 10)]
    posters = [loop(port, seconds, 5.0, tallies["new models"], lambda: ("POST", "/v1/analyses", new_model())) for _ in range(clients // 10)]
    together([*readers, *posters, loop(port, seconds, 0.1, tallies["/livez"], lambda: ("GET", "/livez", None))])
    return tallies


def slow(port: int, seconds: float) -> dict[str, Tally]:
    """Slow clients of every kind, and beside them normal ones."""
    place = place_of_report(port).encode()
    head = b"POST /v1/analyses HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    kinds = {
        "half a header": b"GET /livez HTTP/1.1\r\nX",
        "half a body": head + b"Content-Length: 1000\r\n\r\n{",
        "half a large body": head + b"Content-Length: 9999999\r\n\r\n" + b" " * 100_000,
        "half a chunk": head + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
        "answer not read": b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % place,
        "idle": b"",
        "reset": b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % place,
    }
    held: list[socket.socket] = []

    def come() -> None:
        for kind, text in kinds.items():
            for _ in range(SLOW_CLIENTS):
                held.append(slow_client(port, text, reset=kind == "reset"))

    tallies = {"reads": Tally(), "new models": Tally(), "/livez": Tally()}
    normal = [
        loop(port, seconds, 0.1, tallies["/livez"], lambda: ("GET", "/livez", None)),
        loop(port, seconds, 0.1, tallies["reads"], lambda: ("GET", place.decode(), None)),
        loop(port, seconds, 0.1, tallies["new models"], lambda: ("POST", "/v1/analyses", new_model())),
    ]
    together([come, *normal])
    for client in held:
        client.close()
    return tallies


def slow_client(port: int, text: bytes, *, reset: bool) -> socket.socket:
    """A client that sends so much and then nothing; with `reset` it goes away at once."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    with contextlib.suppress(OSError):
        client.connect(("127.0.0.1", port))
        client.sendall(text)
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return client


def overload(port: int, seconds: float) -> dict[str, Tally]:
    """As many new models as can be analysed, and then four times as many clients."""
    tallies = {}
    for name, clients in (("at capacity", 16), ("at four times capacity", 64)):
        tallies[name] = Tally()
        before = stored(port)
        together([loop(port, seconds, 0.0, tallies[name], lambda: ("POST", "/v1/analyses", new_model())) for _ in range(clients)])
        print(f"| overload: analyses done {name} | {(stored(port) - before) / seconds:.1f}/s | | | |", flush=True)
    return tallies


def large(port: int, seconds: float) -> dict[str, Tally]:
    """24 clients who ask for the documents, tables, badges and pages of a large report, and one who asks whether the process lives."""
    spec = {"receptive": 1, "name": "r", "inputs": [{"name": "i", "shape": [3, 8, 8]}]}
    layer = {"type": "conv", "filters": 3, "kernel": 3, "padding": 1, "repeat": 10_000}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/analyses", json.dumps({**spec, "layers": [layer]}).encode(), {**JSON, "Prefer": "wait=100"})
    response = connection.getresponse()
    response.read()
    place = response.headers["Location"]
    ends = (".csv", ".md", ".json", "/layers", "/badge.json", "/badge.svg", "/metrics", "/layers/9999")
    tallies = {"small answers": Tally(), "documents": Tally(), "/livez": Tally()}

    def ask(end: str) -> Callable[[], None]:
        tally = tallies["documents" if end in (".csv", ".md", ".json") else "small answers"]
        return loop(port, seconds, 0.0, tally, lambda: ("GET", place + end, None))

    together([*(ask(ends[number % len(ends)]) for number in range(24)), loop(port, seconds, 0.05, tallies["/livez"], live)])
    return tallies


def live() -> tuple[str, str, bytes | None]:
    """Whether the process lives."""
    return "GET", "/livez", None


def stored(port: int) -> int:
    """How many reports there are."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    count, place = 0, "/v1/analyses?limit=100"
    while place:
        connection.request("GET", place)
        page = json.loads(connection.getresponse().read())
        count += len(page["items"])
        place = f"/v1/analyses?limit=100&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    connection.close()
    return count


def main() -> None:
    """Runs what is asked for and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=["mixed", "slow", "overload", "large"], help="mixed, slow, overload, large")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each takes")
    parser.add_argument("--clients", type=int, default=200, help="clients of the mixed load")
    chosen = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MAX_FILES), hard))
    runs: dict[str, Callable[[int], dict[str, Tally]]] = {
        "mixed": lambda port: mixed(port, chosen.clients, chosen.seconds),
        "slow": lambda port: slow(port, chosen.seconds),
        "overload": lambda port: overload(port, chosen.seconds),
        "large": lambda port: large(port, chosen.seconds),
    }
    print("| what | rate | half within | 99 % within | answers |\n|---|---|---|---|---|")
    for experiment in chosen.experiments:
        with tempfile.TemporaryDirectory() as folder, serving(folder) as (port, server):
            for name, tally in runs[experiment](port).items():
                print(tally.line(f"{experiment}: {name}", chosen.seconds), flush=True)
            print(f"| {experiment}: memory of the server | {memory(server):.0f} MB | | | |", flush=True)


if __name__ == "__main__":
    main()
