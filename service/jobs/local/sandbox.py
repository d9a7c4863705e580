"""The sandbox: a process that reads what came from outside can do nothing but that. Linux only; elsewhere the limits of `limits` remain.

1. It holds no descriptor but its own line to the server; standard input and output lead nowhere.
2. It can gain no privilege (PR_SET_NO_NEW_PRIVS), and drops those it has.
3. It opens only the files that it was started for, to read them (Landlock); it makes no socket, no process and no file, sends no signal,
   and changes no limit (seccomp).
4. It dies with the process that started it (PR_SET_PDEATHSIG).
5. Nobody but root looks into its memory or the server's (PR_SET_DUMPABLE).

What Landlock and seccomp do not cover: it can ask whether a file exists and how large it is, where it knows the path (stat).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

from service.jobs.local import seccomp
from service.jobs.local.system_calls import MACHINES

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
SECCOMP_GET_ACTION_AVAIL = 2

# Landlock has the same numbers on every machine.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
LANDLOCK_VERSION = 1
PATH_BENEATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# By version of Landlock: how many kinds of access to files it knows. Binding and connecting TCP came with 4, signals and abstract sockets
# with 6.
FILE_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
NET_VERSION, NET_ACCESSES = 4, 0b11
SCOPE_VERSION, SCOPES = 6, 0b11

MAX_DESCRIPTOR = 1 << 20
"""More than a process has in practice; the kernel closes a range in one step."""

CAPABILITY_VERSION = 0x20080522
CAP_DAC_READ_SEARCH = 1 << 2


@dataclass(frozen=True, slots=True)
class Offer:
    """What this kernel offers: the version of Landlock (0 for none), and whether it filters system calls on this machine."""

    landlock: int
    seccomp: bool

    @property
    def missing(self) -> str:
        """What a job could do here that it should not, in words; empty where nothing is missing."""
        gaps = [] if self.landlock else ["a job can read whatever the server can read (no Landlock)"]
        if not self.seccomp:
            gaps.append("a job can open sockets, start processes and send signals (no seccomp)")
        return "; ".join(gaps)


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _asked(function: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """What a function of the C library gives; OSError where it fails. Numbers go as long: its variable arguments are read as such."""
    wide = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    answer: int = getattr(_library(), function)(*wide)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)
    return answer


@cache
def offered() -> Offer:
    """What this kernel offers; asks it once and changes nothing."""
    if not sys.platform.startswith("linux"):
        return Offer(0, False)
    landlock = filters = 0
    with contextlib.suppress(OSError):
        landlock = _asked("syscall", CREATE_RULESET, None, 0, LANDLOCK_VERSION)
    if platform.machine() in MACHINES:
        number = 317 if platform.machine() == "x86_64" else 277
        with contextlib.suppress(OSError):
            filters = 1 + _asked("syscall", number, SECCOMP_GET_ACTION_AVAIL, 0, struct.pack("=I", seccomp.FAIL))
    return Offer(landlock, bool(filters))


def seal() -> None:
    """Keeps others of the same user out of this process's memory, also after it forks. Not after it runs another program."""
    if sys.platform.startswith("linux"):
        _asked("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def enter(reads: Iterable[str], keep: Collection[int], *, threads: bool = False) -> None:
    """Confines this process for the rest of its life to reading the files and directories `reads` and to the descriptors `keep`.

    `threads` says whether it may start threads. Everything that it will need to import is imported by now, unless it lies in `reads`.
    """
    _hold_only(keep)
    if not sys.platform.startswith("linux"):
        return
    _offer_to_the_killer()
    _asked("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _asked("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    offer = offered()
    if offer.landlock:
        _restrict_files(reads, offer.landlock)
    _drop_capabilities(CAP_DAC_READ_SEARCH if offer.landlock else 0)
    if offer.seccomp:
        _filter_calls(seccomp.program(MACHINES[platform.machine()], os.getpid(), threads=threads))


def _hold_only(keep: Collection[int]) -> None:
    """Closes every descriptor but `keep`; the standard ones lead nowhere, because lines that a job writes are no log of the server's."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    begin = 3
    for descriptor in sorted(each for each in keep if each > 2):
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, MAX_DESCRIPTOR)


def _offer_to_the_killer() -> None:
    """Where the machine itself runs out of memory, the kernel should end a job and not the server (see proc(5))."""
    # A sealed process's own files in /proc belong to root.
    _asked("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    seal()


def _restrict_files(reads: Iterable[str], version: int) -> None:
    handled = (1 << FILE_ACCESSES.get(version, 16)) - 1
    net = NET_ACCESSES if version >= NET_VERSION else 0
    scopes = SCOPES if version >= SCOPE_VERSION else 0
    # An older kernel refuses a longer structure only where the rest is not zero.
    ruleset = _asked("syscall", CREATE_RULESET, struct.pack("=QQQ", handled, net, scopes), 24, 0)
    try:
        for path in reads:
            _allow(ruleset, path)
        _asked("syscall", RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str) -> None:
    """Allows reading a file, or everything beneath a directory. What does not exist is nothing to allow."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        access = READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE
        _asked("syscall", ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", access, place), 0)
    finally:
        os.close(place)


def _drop_capabilities(kept: int) -> None:
    """Gives up what root may do, but for `kept`: reading files of other users, for a command that root runs on them."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION, 0))
    held = ctypes.create_string_buffer(24)
    _asked("capget", header, held)
    permitted = struct.unpack("=6I", held.raw[:24])[1] & kept
    _asked("capset", header, struct.pack("=6I", permitted, permitted, 0, 0, 0, 0))


def _filter_calls(program: bytes) -> None:
    """Has the kernel hold this process to a filter."""
    content = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, of 8 bytes each, and where they are.
    filter_program = struct.pack("HP", len(program) // 8, ctypes.addressof(content))
    _asked("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_program)
