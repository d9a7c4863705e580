"""What a terminal shows while something takes long: on stderr, gone when it is done, and nothing where nobody looks."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from service.render.words.text import shown

TURN_SECONDS = 0.1
"""How often a line is drawn anew."""
QUIET_SECONDS = 0.3
"""What is done within this time shows nothing."""

Tick = Callable[[], None]


def watched() -> bool:
    """Whether stderr is a terminal that can draw over a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def stage(name: str) -> Iterator[Tick]:
    """A stage of the work; the function that it gives is to be called now and then while the stage lasts."""
    if not watched():
        yield lambda: None
        return
    began, marks, drawn = time.monotonic(), itertools.cycle("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"), False

    def tick() -> None:
        """Draws the line anew, once the stage has lasted long enough to be shown."""
        nonlocal drawn
        seconds = time.monotonic() - began
        if seconds > QUIET_SECONDS:
            click.echo(f"\r{next(marks)} {shown(name, 60)} {seconds:.0f} s\x1b[K", err=True, nl=False)
            drawn = True

    try:
        yield tick
    finally:
        if drawn:
            click.echo("\r\x1b[K", err=True, nl=False)
