"""A job's process can do nothing but its job, and what it needs for its job still works there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.faults import Refused
from service.jobs.local import sandbox, seccomp
from service.jobs.local.limits import Limits
from service.jobs.local.pool import ProcessPool
from service.jobs.local.system_calls import GUARDED, MACHINES, MEMORY, READING, SIGNALS, TELLING, THREADS, WAITING
from service.jobs.message import Call
from tests.jobs import fakes
from tests.jobs.intruder import ATTEMPT, ATTEMPTS, EVERY_ATTEMPT, HELD

LIMITS = Limits(1 << 30, 10, 20.0)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(2, 200, LIMITS)
    yield pool
    pool.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("of another client")
    return path


def test_this_machine_has_what_the_sandbox_is_made_of() -> None:
    """Where it has not, the tests below cannot hold, and the service says so when it starts."""
    assert sandbox.offered().missing == ""


@pytest.mark.parametrize(
    ("landlock", "filters", "words"), [(0, True, ["Landlock"]), (7, False, ["seccomp"]), (0, False, ["Landlock", "seccomp"])]
)
def test_what_a_platform_cannot_give_is_said_in_one_line(landlock: int, filters: bool, words: list[str]) -> None:
    missing = sandbox.Offer(landlock, filters).missing
    assert "\n" not in missing
    assert re.findall("Landlock|seccomp", missing) == words


@pytest.fixture(scope="module")
def answers(pool: ProcessPool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of every attempt, one after the other in one job, which leave the file of another client as it was."""
    path = tmp_path_factory.mktemp("others") / "secret"
    path.write_text("of another client")
    before = path.stat()
    call = Call(EVERY_ATTEMPT, {"server": os.getpid(), "secret": str(path)})
    answers: dict[str, str] = json.loads(pool.wait(pool.submit(call), 30).content)
    after = path.stat()
    assert os.listdir(path.parent) == ["secret"]
    assert (after.st_mode, after.st_uid, after.st_mtime, after.st_size) == (before.st_mode, before.st_uid, before.st_mtime, before.st_size)
    return answers


@pytest.mark.parametrize("name", ATTEMPTS)
def test_job_is_refused(answers: dict[str, str], name: str) -> None:
    assert answers[name].startswith("refused"), answers[name]


def test_job_reads_its_own_input_and_does_not_write_it(pool: ProcessPool, secret: Path) -> None:
    def attempt(name: str) -> str:
        call = Call(ATTEMPT, {"name": name, "server": os.getpid()}, files={"": str(secret)})
        answer: str = json.loads(pool.wait(pool.submit(call), 30).content)
        return answer

    assert attempt("read a file") == "done: b'of another client'"
    assert attempt("write a file").startswith("refused")
    assert attempt("list a directory").startswith("refused")
    assert secret.read_text() == "of another client"


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees into a sealed process")
def test_process_of_a_job_has_no_privilege_and_no_descriptor_but_its_line(pool: ProcessPool, tmp_path: Path) -> None:
    """Seen from outside, by root."""
    ticket = pool.submit(Call(fakes.SPIN))
    while ticket.worker is None or "Seccomp:\t2" not in status_of(ticket.worker.process.pid):
        time.sleep(0.01)
    pid = ticket.worker.process.pid
    status = status_of(pid)
    assert "NoNewPrivs:\t1" in status
    capabilities = {int(value, 16) & ~sandbox.CAP_DAC_READ_SEARCH for value in re.findall(r"Cap(?:Eff|Prm|Inh|Amb):\s+(\w+)", status)}
    assert capabilities == {0}
    descriptors = {int(number): os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    assert [descriptors.pop(standard) for standard in (0, 1, 2)] == [os.devnull] * 3
    assert [place.split(":")[0] for place in descriptors.values()] == ["socket"]
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
    pool.cancel(ticket)


def status_of(pid: int | None) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def test_limits_of_a_job_are_hard(pool: ProcessPool) -> None:
    limits = json.loads(pool.wait(pool.submit(Call(HELD)), 30).content)
    assert limits == {
        "RLIMIT_AS": [LIMITS.memory_bytes] * 2,
        "RLIMIT_CPU": [LIMITS.cpu_seconds, LIMITS.cpu_seconds + 1],
        "RLIMIT_FSIZE": [0, 0],
        "RLIMIT_CORE": [0, 0],
        "RLIMIT_NPROC": [0, 0],
    }


def test_job_that_runs_out_of_memory_can_say_so(pool: ProcessPool) -> None:
    """The limit cannot be raised to make room for the answer, so some memory is kept back for it."""
    with pytest.raises(Refused) as caught:
        pool.wait(pool.submit(Call(fakes.FILL_UP)), 30)
    assert caught.value.code == "limit-memory"


SERVER = """
import time
from service.jobs.local.pool import ProcessPool
from service.jobs.local.limits import Limits
from service.jobs.message import Call
from tests.jobs import fakes
pool = ProcessPool(1, 1, Limits(1 << 30, 50, 50.0))
ticket = pool.submit(Call(fakes.SPIN))
while ticket.worker is None:
    time.sleep(0.01)
print(ticket.worker.process.pid, flush=True)
time.sleep(50)
"""


def test_job_dies_with_a_server_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        job = int(server.stdout.readline())
        assert status_of(job)
        # Nobody but root looks into the server's memory or its environment.
        assert os.stat(f"/proc/{server.pid}/environ").st_uid == 0
        server.kill()
    deadline = time.monotonic() + 10
    while "State:\tZ" not in status_of(job) and status_of(job) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not status_of(job) or "State:\tZ" in status_of(job)


def test_filter_refuses_what_no_table_names() -> None:
    """A call that is in two tables would be allowed without its guard."""
    tables = [READING, MEMORY, WAITING, TELLING, SIGNALS, THREADS, GUARDED]
    assert sum(map(len, tables)) == len(set().union(*tables))
    for machine in MACHINES.values():
        numbers = [number for table in tables for number in machine.numbers(table).values()]
        assert len(numbers) == len(set(numbers))
        for threads in (False, True):
            program = seccomp.program(machine, 1, threads=threads)
            assert len(program) % 8 == 0
            assert len(program) // 8 < 4096  # BPF_MAXINSNS
            assert program[-8:] == b"\x06\x00\x00\x00\x01\x00\x05\x00"  # fail with EPERM


def test_sealed_process_belongs_to_root() -> None:
    code = "from service.jobs.local import sandbox; import os; sandbox.seal(); print(os.stat('/proc/self/mem').st_uid)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"
