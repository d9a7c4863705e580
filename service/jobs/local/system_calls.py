"""The system calls of Linux that a job's process and the kept process may make, by their numbers on each machine.

Everything else is refused, so a call that a new kernel brings is refused too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# name: (x86_64, aarch64); None where the machine has no such call. Files are read, memory is taken, time is told, signals are handled.
READING = {
    "read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "preadv": (295, 69), "write": (1, 64), "writev": (20, 66),
    "close": (3, 57), "lseek": (8, 62), "dup": (32, 23), "fadvise64": (221, 223),
    "fstat": (5, 80), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78),
    "getcwd": (79, 17), "getdents64": (217, 61),
}  # fmt: skip
MEMORY = {
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "mincore": (27, 232), "membarrier": (324, 283),
}  # fmt: skip
WAITING = {
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "futex": (202, 98),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "sched_yield": (24, 124), "restart_syscall": (219, 128),
}  # fmt: skip
TELLING = {
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getpgrp": (111, None),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getrlimit": (97, 163), "getrusage": (98, 165), "getrandom": (318, 278), "sysinfo": (99, 179), "uname": (63, 160),
    "sched_getaffinity": (204, 123), "getcpu": (309, 168),
}  # fmt: skip
SIGNALS = {
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "setitimer": (38, 103), "getitimer": (36, 102), "alarm": (37, None), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# What the threads of the JavaScript engine in the kept process need besides.
THREADS = {
    "set_robust_list": (273, 99), "rseq": (334, 293), "set_tid_address": (218, 96), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "pkey_alloc": (330, 289), "pkey_mprotect": (329, 288), "pkey_free": (331, 290),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19),
    "pipe2": (293, 59), "timerfd_create": (283, 85), "timerfd_settime": (286, 86),
}  # fmt: skip
# Allowed for some of their arguments only.
GUARDED = {
    "open": (2, None), "openat": (257, 56), "ioctl": (16, 29), "fcntl": (72, 25), "prctl": (157, 167), "prlimit64": (302, 261),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "clone": (56, 220), "clone3": (435, 435), "socketpair": (53, 199),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor architecture: its name for audit(7), and which column of the tables holds its numbers."""

    audit: int
    column: int

    def numbers(self, calls: Mapping[str, tuple[int, int | None]]) -> dict[str, int]:
        """The numbers of those calls that this machine has."""
        found = {name: pair[self.column] for name, pair in calls.items()}
        return {name: number for name, number in found.items() if number is not None}


MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}
"""By platform.machine()."""
