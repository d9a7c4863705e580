"""Stand-ins for the analysis that run in a job's process: what they do is written in the "model"."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.faults import Detail, Refused
from service.options import Options
from service.report.document import SCHEMA, Analyzer, Model, Report, ReportOptions, Summary, TotalParameters, TotalSharing


def analyze(path: str, options: Options, externals: Mapping[str, str]) -> Report:
    """A small report, or the misfortune that the first word of the model names."""
    content = Path(path).read_bytes()
    misfortunes = {
        b"crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        b"kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        b"leave": lambda: os._exit(3),
        b"exit": lambda: exit(4),
        b"bomb": lambda: bytearray(1 << 40),
        b"sleep": lambda: time.sleep(600),
        b"burn": burn,
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
    return small_report(len(content), len(externals), float("nan") if word == b"nan" else 1.0)


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


def picture(path: str, options: Options, externals: Mapping[str, str], grid: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The question as a picture."""
    text = f"{Path(path).read_text()} {sorted(grid.items())} {sorted(externals)}"
    return text.encode(), {"Receptive-Rows": "1"}


def ready() -> None:
    """What a drawer's process does to get ready: nothing."""


def drawing(omens: str, misfortune: str) -> str:
    """A drawing that ends the process once for each byte in the pipe `omens`, and then says in which process it is made."""
    if omen(omens):
        {"die": lambda: os.kill(os.getpid(), signal.SIGSEGV), "hang": lambda: time.sleep(600)}[misfortune]()
    return str(os.getpid())


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


def fill(size: int) -> int:
    """Takes so many bytes."""
    return len(bytearray(b"x") * size)


def fill_up() -> None:
    """Takes memory in small pieces, until there is none left for a single one."""
    pieces = []
    while True:
        pieces.append(bytearray(4096))
