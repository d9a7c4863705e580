"""What a hostile model would try from inside a job's process, each as a function that the pool can run."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from multiprocessing import shared_memory
from pathlib import Path

from service.jobs.local import sandbox
from service.work.made import Made, made_json
from service.work.tasks import Task

LIBRARY = ctypes.CDLL(None, use_errno=True)


ATTEMPT = Task("intruder-attempt", "tests.jobs.intruder:one_attempted", files=True)
EVERY_ATTEMPT = Task("intruder-attempts", "tests.jobs.intruder:all_attempted")
HELD = Task("intruder-held", "tests.jobs.intruder:held")


def one_attempted(files: Mapping[str, str], name: str, server: int) -> Made:
    """What became of one attempt on a file that the job was given."""
    return made_json(attempted(name, server, files[""]))


def attempted(name: str, server: int, secret: str) -> str:
    """What became of one attempt: `refused`, or what it gave."""
    try:
        return f"done: {ATTEMPTS[name](server, secret)!r}"
    except (OSError, ValueError, RuntimeError) as error:
        return f"refused {type(error).__name__}"


def all_attempted(server: int, secret: str) -> Made:
    """What became of every attempt."""
    return made_json({name: attempted(name, server, secret) for name in ATTEMPTS})


def held() -> Made:
    """The limits of this process."""
    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NPROC")
    return made_json({name: list(resource.getrlimit(getattr(resource, name))) for name in names})


def asked(function: str, *arguments: int | bytes) -> int:
    """A function of the C library; OSError where it fails."""
    answer: int = getattr(LIBRARY, function)(*(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), function)
    return answer


def start_thread() -> None:
    """Starts a thread and waits for it."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def own_signals(server: int) -> int:
    """Has the kernel send signals for a pipe of its own to another process (F_SETOWN)."""
    return fcntl.fcntl(0, fcntl.F_SETOWN, server)


ATTEMPTS: dict[str, Callable[[int, str], object]] = {
    "read a file": lambda _, secret: Path(secret).read_bytes(),
    "read by another name": lambda _, secret: Path(f"/proc/self/root{secret}").read_bytes(),
    "list a directory": lambda _, secret: os.listdir(Path(secret).parent),
    "list descriptors": lambda *_: os.listdir("/proc/self/fd"),
    "read its own code": lambda *_: Path(sandbox.__file__).read_bytes(),
    "read accounts": lambda *_: Path("/etc/passwd").read_bytes(),
    "write a file": lambda _, secret: Path(secret).write_bytes(b"x"),
    "make a file": lambda _, secret: Path(secret + ".new").touch(),
    "make a directory": lambda _, secret: os.mkdir(secret + ".new"),
    "make a pipe": lambda _, secret: os.mkfifo(secret + ".new"),
    "remove": lambda _, secret: os.unlink(secret),
    "rename": lambda _, secret: os.rename(secret, secret + ".new"),
    "link": lambda _, secret: os.link(secret, secret + ".new"),
    "symlink": lambda _, secret: os.symlink(secret, secret + ".new"),
    "truncate": lambda _, secret: os.truncate(secret, 0),
    "change mode": lambda _, secret: os.chmod(secret, 0o777),
    "change owner": lambda _, secret: os.chown(secret, 1, 1),
    "change times": lambda _, secret: os.utime(secret, (0, 0)),
    "set attribute": lambda _, secret: os.setxattr(secret, "user.x", b"x"),
    "change root": lambda _, secret: os.chroot(Path(secret).parent),
    "nameless file": lambda *_: os.memfd_create("x"),
    "shared memory": lambda *_: shared_memory.SharedMemory(create=True, size=1),
    "raise memory": lambda *_: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2),
    "raise files": lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)),
    "set the same limit": lambda *_: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    "limit the server": lambda server, _: resource.prlimit(server, resource.RLIMIT_CORE, (0, 0)),
    "signal the server": lambda server, _: os.kill(server, 0),
    "signal everybody": lambda *_: os.kill(-1, 0),
    "signal its parent": lambda *_: os.kill(os.getppid(), signal.SIGTERM),
    "descriptor of the server": lambda server, _: os.pidfd_open(server),
    "signals by the kernel": lambda server, _: own_signals(server),
    "memory of the server": lambda server, _: os.close(os.open(f"/proc/{server}/mem", os.O_RDWR)),
    "memory of its parent": lambda *_: os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY)),
    "environment of the server": lambda server, _: Path(f"/proc/{server}/environ").read_bytes(),
    "trace the server": lambda server, _: asked("ptrace", 16, server, 0, 0),
    "files of the server": lambda server, _: os.readlink(f"/proc/{server}/fd/0"),
    "be dumped": lambda *_: asked("prctl", 4, 1, 0, 0, 0),
    "outlive its parent": lambda *_: asked("prctl", 1, 0, 0, 0, 0),
    "connect": lambda *_: socket.create_connection(("127.0.0.1", 9), 1),
    "datagrams": lambda *_: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "local sockets": lambda *_: socket.socket(socket.AF_UNIX),
    "pair of sockets": lambda *_: socket.socketpair(),
    "fork": lambda *_: os.fork(),
    "spawn": lambda *_: os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "8"),
    "run a program": lambda *_: os.execv("/bin/true", ["true"]),
    "subprocess": lambda *_: subprocess.run(["true"], check=False),
    "thread": lambda *_: start_thread(),
    "own session": lambda *_: os.setsid(),
    "other user": lambda *_: os.setuid(1),
    "new namespaces": lambda *_: asked("unshare", 0x10000000),
    "priority": lambda *_: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "processors": lambda *_: os.sched_setaffinity(0, {0}),
    "io_uring": lambda *_: asked("syscall", 425, 1, bytes(120)),
    "keys of the kernel": lambda *_: asked("syscall", 250, 0, -3, 1),
}
"""Each is given the number of the server's process and the path of a file that is none of the job's."""
