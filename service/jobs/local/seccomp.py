"""The filter of system calls: a program for the kernel's BPF machine (seccomp(2)), built from the tables of system_calls.

1. A call by the convention of another machine ends the process.
2. A call that is allowed for some arguments only is held to them.
3. A call in the tables is allowed.
4. Any other fails with EPERM. (clone3 fails with ENOSYS, so that the C library falls back to clone, whose flags a filter can see.)
"""

from __future__ import annotations

import errno
import os
import struct

from service.jobs.local.system_calls import GUARDED, MEMORY, READING, SIGNALS, TELLING, THREADS, WAITING, Machine

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
FAIL = 0x00050000

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06

# struct seccomp_data: number, architecture, instruction pointer, six arguments of 8 bytes.
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CLONE_THREAD = 0x00010000
AF_UNIX = 1
PR_SET_NAME, PR_SET_VMA = 15, 0x53564D41
# FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, and TCGETS, by which Python asks whether a file is a terminal.
CONTROLS = (0x541B, 0x5421, 0x5451, 0x5450, 0x5401)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. Not F_SETOWN, which has the kernel send signals to another process.
FILE_CONTROLS = (0, 1, 2, 3, 4, 1030)

Instruction = tuple[int, int, int, int]
"""Code, jump where true, jump where false, operand."""


def returns(action: int) -> Instruction:
    """Ends the program with this verdict."""
    return RETURN, 0, 0, action


def fails(number: int) -> Instruction:
    """Ends the program: the call fails with this errno."""
    return returns(FAIL | number)


REFUSE = fails(errno.EPERM)


def _argument(index: int, *, high: bool = False) -> Instruction:
    """Loads half an argument. Both machines are little-endian."""
    return LOAD, 0, 0, ARGUMENTS + 8 * index + (4 if high else 0)


def one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allows the call where the argument is one of the values (its lower half: the kernel takes these arguments as 32 bits)."""
    tests = [step for value in values for step in ((EQUAL, 0, 1, value), returns(ALLOW))]
    return [_argument(index), *tests, REFUSE]


def none_of(index: int, bits: int) -> list[Instruction]:
    """Allows the call where none of the bits are set in the argument."""
    return [_argument(index), (ANY_BIT, 0, 1, bits), REFUSE, returns(ALLOW)]


def some_of(index: int, bits: int) -> list[Instruction]:
    """Allows the call where one of the bits is set in the argument."""
    return [_argument(index), (ANY_BIT, 0, 1, bits), returns(ALLOW), REFUSE]


def null(index: int) -> list[Instruction]:
    """Allows the call where the argument is a null pointer."""
    return [_argument(index), (EQUAL, 1, 0, 0), REFUSE, _argument(index, high=True), (EQUAL, 1, 0, 0), REFUSE, returns(ALLOW)]


def guards(process: int, *, threads: bool) -> dict[str, list[Instruction]]:
    """What each guarded call is held to, in the process of that number."""
    rules = {
        "open": none_of(1, WRITING),
        "openat": none_of(2, WRITING),
        "ioctl": one_of(1, CONTROLS),
        "fcntl": one_of(1, FILE_CONTROLS),
        "prctl": one_of(0, (PR_SET_NAME, PR_SET_VMA)),
        "prlimit64": null(2),
        "clone3": [fails(errno.ENOSYS)],
        **{name: one_of(0, (process,)) for name in ("kill", "tkill", "tgkill")},
    }
    if threads:
        rules |= {"clone": some_of(0, CLONE_THREAD), "socketpair": one_of(0, (AF_UNIX,))}
    return rules


def program(machine: Machine, process: int, *, threads: bool) -> bytes:
    """The filter for the process of that number, as the kernel takes it. With `threads` it may start threads, and never processes."""
    steps: list[Instruction] = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, machine.audit), returns(KILL_PROCESS), (LOAD, 0, 0, NUMBER)]
    numbers = machine.numbers(GUARDED)
    for name, rule in guards(process, threads=threads).items():
        if name in numbers:
            steps += [(EQUAL, 0, len(rule), numbers[name]), *rule]
    calls = READING | MEMORY | WAITING | TELLING | SIGNALS | (THREADS if threads else {})
    for number in machine.numbers(calls).values():
        steps += [(EQUAL, 0, 1, number), returns(ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, REFUSE))
