"""What ends a command: one clear line on stderr, a line for each place in the input, and exit code 2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

from service.faults import Detail, Refused
from service.render.json_lines import line_of
from service.render.words.text import shown

NOT_GOOD_ENOUGH = 1
"""The exit code of a command that did its work and found that a budget is broken, or findings that were asked not to be there."""
FAILED = 2
"""The exit code of a command that could not do its work, which is click's own for wrong usage."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""

LONGEST_TEXT = 2000
"""Characters of one message that are shown; names in a model may have megabytes."""


class Failure(click.ClickException):
    """A command that cannot do its work: the stable `code` of the problem, what is wrong, with which file, and where in it."""

    exit_code = FAILED

    def __init__(self, code: str, detail: str, file: Path | None = None, errors: Sequence[Detail] = ()) -> None:
        super().__init__(detail)
        self.code, self.detail, self.file, self.errors = code, detail, file, tuple(errors)

    def format_message(self) -> str:
        """The lines to show. Text from a model or a service cannot move the cursor or colour the terminal."""
        lines = [_line(self.file, self.detail, self.code)]
        numbers = _line_numbers(self.file, self.errors)
        for error, number in zip(self.errors, numbers, strict=True):
            if error.detail == self.detail and (not error.pointer or repr(error.pointer) in self.detail):
                continue  # the line above, once more
            place = f"line {number}, {error.pointer}" if number else error.pointer or "the whole document"
            detail = "" if error.detail == self.detail else f": {error.detail}"
            code = "" if error.code == self.code else f" [{error.code}]"
            lines.append(shown(f"  {place}{detail}{code}", LONGEST_TEXT))
        return "\n".join(lines)

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes the lines to stderr."""
        click.echo(f"receptive: {self.format_message()}", file=file, err=file is None)


def failure_of(error: Refused, file: Path | None = None) -> Failure:
    """The failure that a reader's error is."""
    hint = " Name it with --external." if error.code == "external-missing" else ""
    return Failure(error.code, error.detail + hint, file, error.errors)


def _line(file: Path | None, detail: str, code: str) -> str:
    return shown("" if file is None else f"{file}: ", LONGEST_TEXT) + shown(detail, LONGEST_TEXT) + f" [{shown(code)}]"


def _line_numbers(file: Path | None, errors: Sequence[Detail]) -> list[int | None]:
    """For each error the line of a JSON document that its pointer points to; None where there is no such thing."""
    if file is None or file.suffix != ".json" or not any(error.pointer.startswith("/") for error in errors):
        return [None] * len(errors)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return [None] * len(errors)
    return [line_of(text, error.pointer) if error.pointer.startswith("/") else None for error in errors]
