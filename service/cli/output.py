"""Where a result goes, and in which format."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from service.cli.failures import Failure
from service.render.formats import Format

STANDARD = Path("-")
"""Standard output."""


class Destination(click.Path):
    """A file to write, `-` for standard output. Its folder must be there before the work begins, not after it."""

    def __init__(self, folders: bool = False) -> None:
        super().__init__(dir_okay=folders, writable=True, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"The folder {str(path.parent)!r} does not exist.", param, ctx)
        return path


def output_option(example: str, folders: bool = False) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """The option `-o FILE`."""
    return click.option(
        "-o",
        "--output",
        type=Destination(folders),
        default="-",
        metavar="FILE",
        help=f"Write to FILE, such as {example}; - is standard output.",
    )


def format_of(chosen: str | None, output: Path, formats: Mapping[str, Format[Any]], default: str) -> str:
    """The format that was chosen, else that of the output's suffix, `default` for standard output. UsageError where neither says."""
    if chosen is not None:
        return chosen
    if output == STANDARD:
        return default
    name = output.name.lower()
    suffixes = {suffix: form for form, each in formats.items() for suffix in each.suffixes}
    # The longest first: .vl.json is no .json.
    for suffix in sorted(suffixes, key=len, reverse=True):
        if name.endswith(suffix):
            return suffixes[suffix]
    raise click.UsageError(f"The name {output.name!r} does not say the format: end it in {', '.join(suffixes)}, or give --format.")


def expect_png(output: Path) -> None:
    """UsageError where a picture would go to a terminal, or into a file whose name says another format."""
    if output != STANDARD and output.suffix.lower() not in (".png", ""):
        raise click.UsageError(f"Got the name {output.name!r}; the picture is a PNG, so expected a name that ends in .png.")
    if output == STANDARD and sys.stdout.isatty():
        raise click.UsageError("A picture on a terminal is no use: give -o FILE.")


def write(content: bytes, output: Path) -> None:
    """Writes a result. Failure where the file cannot be written."""
    if output == STANDARD:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise Failure("not-written", f"The file cannot be written: {error.strerror}.", output) from None
