"""Stand-ins for the analysis that run in a job's process: what they do is written in the "model"."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.faults import Detail, Refused
from service.report.document import SCHEMA, Analyzer, Model, Report, ReportOptions, Summary, TotalParameters, TotalSharing
from service.report.identity import read_question
from service.work.document import MAX_REPORT_BYTES, complete
from service.work.made import PNG, Made, made_json
from service.work.tasks import Task

REPORT = Task("fake-report", "tests.jobs.fakes:make_report", files=True)
PICTURE = Task("fake-picture", "tests.jobs.fakes:picture", files=True)
READY = Task("fake-ready", "tests.jobs.fakes:ready", place="kept")
DRAWING = Task("fake-drawing", "tests.jobs.fakes:drawing", place="kept")
SPIN = Task("fake-spin", "tests.jobs.fakes:spin")
FILL_UP = Task("fake-fill-up", "tests.jobs.fakes:fill_up")
FILL = Task("fake-fill", "tests.jobs.fakes:fill", place="kept")
BROKEN = Task("fake-broken", "tests.jobs.fakes:broken")
MODULES = Task("fake-modules", "tests.jobs.fakes:modules", files=True)


def make_report(files: Mapping[str, str], question: Mapping[str, Any], created_at: str, max_bytes: int = MAX_REPORT_BYTES) -> Made:
    """A small report, or the misfortune that the first word of the model names."""
    return complete(analyze(files), read_question(question), created_at, max_bytes)


def analyze(files: Mapping[str, str]) -> Report:
    """A small report, or the misfortune that the first word of the model names."""
    path = files[""]
    content = Path(path).read_bytes()
    misfortunes = {
        b"crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        b"kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        b"leave": lambda: os._exit(3),
        b"exit": lambda: exit(4),
        b"bomb": lambda: bytearray(1 << 40),
        b"sleep": lambda: time.sleep(600),
        b"burn": burn,
        b"signal": lambda: os.kill(os.getpid(), 40),
        b"lie": lie,
        b"write": lambda: Path(path + ".written").write_text("x"),
        b"recurse": recurse,
        b"broken": lambda: 1 // 0,
        b"malformed": lambda: fail("malformed"),
        b"unsupported": lambda: fail("unsupported"),
        b"invalid": lambda: fail("invalid"),
        b"limit": lambda: fail("limit"),
    }
    word = content.split(maxsplit=1)[0] if content.strip() else b""
    if word in misfortunes:
        misfortunes[word]()
    if word == b"slow":
        time.sleep(float(content.split()[1]))
    return small_report(len(content), len(files) - 1, float("nan") if word == b"nan" else 1.0)


def small_report(size_bytes: int, parameters: int, factor: float) -> Report:
    """A report of no layers."""
    return Report(
        id="",
        schema=SCHEMA,
        created_at="",
        analyzer=Analyzer("", ""),
        model=Model("fake", "onnx", "", "", size_bytes, None, None, {}, (), ()),
        options=ReportOptions(None, {}, "all", 0.0, "rgb", "error"),
        summary=Summary(0, 0, TotalParameters(parameters, 0, 0, 0, 0), None, None, TotalSharing(factor), None, {}, None),
        layers=(),
        findings=(),
        first_layers=(),
        hierarchy=(),
        ledger=(),
        links={},
    )


def broken(**_: object) -> Made:
    """A fault of our own."""
    return Made(b"x" * (1 // 0), "text/plain")


def fail(fault: Any) -> None:
    """Refuses the model."""
    raise Refused(fault, f"fake-{fault}", "It is no model.", [Detail("/layers/3", "This place.", "fake-place")])


def burn() -> None:
    """Uses up processor time."""
    while True:
        pass


def recurse() -> None:
    """Uses up the stack."""
    recurse()


def lie() -> None:
    """Answers on the line to the server with what would run code there if it were unpickled, and ends."""
    answer = pickle.dumps(Exploit())
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, struct.pack("!i", len(answer)) + answer)
    os._exit(0)


class Exploit:
    """An object that leaves the marker in the environment of whoever unpickles it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("import os; os.environ['RECEPTIVE_UNPICKLED'] = 'yes'",)


def picture(files: Mapping[str, str], options: Mapping[str, Any], chosen: Mapping[str, Any]) -> Made:
    """The question as a picture."""
    text = f"{Path(files['']).read_text()} {sorted(chosen.items())} {sorted(name for name in files if name)}"
    return Made(text.encode(), PNG, {"Receptive-Rows": "1"})


def modules(files: Mapping[str, str]) -> Made:
    """The modules that this process has loaded."""
    return made_json(sorted(sys.modules))


def ready() -> Made:
    """What a drawer's process does to get ready: nothing."""
    return made_json(None)


def drawing(omens: str, misfortune: str) -> Made:
    """A drawing that ends the process once for each byte in the pipe `omens`, and then says in which process it is made."""
    if omen(omens):
        {"die": lambda: os.kill(os.getpid(), signal.SIGSEGV), "hang": lambda: time.sleep(600)}[misfortune]()
    return made_json(os.getpid())


def omen(omens: str) -> bytes:
    """Takes one byte from a named pipe; none where it is empty or not there."""
    try:
        pipe = os.open(omens, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    try:
        return os.read(pipe, 1)
    except BlockingIOError:
        return b""
    finally:
        os.close(pipe)


def spin() -> Made:
    """Uses up processor time."""
    burn()
    return made_json(None)


def fill_up() -> Made:
    """Takes memory in small pieces until there is none left."""
    pieces: list[bytearray] = []
    while True:
        pieces.append(bytearray(1 << 12))


def fill(size: int) -> Made:
    """Takes so many bytes."""
    return made_json(len(bytearray(b"x") * size))
