"""The files that a command is given: several, folders of them, or standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from service.cli.failures import Failure
from service.cli.output import STANDARD
from service.render.formats import Format

MODELS = click.Path(exists=True, readable=True, allow_dash=True, path_type=Path)
"""A model, a folder of models, or `-`."""

SUFFIXES = (".onnx", ".json")


@contextmanager
def opened_files(given: Sequence[Path]) -> Iterator[list[Path]]:
    """The models that are meant: those of a folder in the order of their names, standard input as a file that lives as long as this."""
    if given.count(STANDARD) > 1:
        raise click.UsageError("Got - twice; standard input can be read once.")
    with tempfile.TemporaryDirectory(prefix="receptive-") as folder:
        yield [file for path in given for file in ([_received(Path(folder))] if path == STANDARD else _files_of(path))]


def _files_of(path: Path) -> list[Path]:
    """The models of a folder; a file by itself."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith("."))
    if not found:
        raise Failure("no-models", f"Got a folder with no model in it; expected files that end in {' or '.join(SUFFIXES)}.", path)
    return found


def _received(folder: Path) -> Path:
    """What comes from standard input, in a file whose name says whether it is JSON."""
    file = folder / "standard-input"
    with file.open("wb") as out:
        shutil.copyfileobj(sys.stdin.buffer, out)
    with file.open("rb") as head:
        text = head.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise Failure("empty-body", "Got nothing from standard input; expected a model.")
    # No ONNX file begins with a brace.
    return file.rename(file.with_suffix(".json" if text.startswith(b"{") else ".onnx"))


def places_of(files: Sequence[Path], output: Path, form: Format[Any]) -> list[Path]:
    """Where the report on each of several models goes: into a folder, under the model's name, or one behind the other."""
    if output == STANDARD:
        return [STANDARD] * len(files)
    if not output.is_dir():
        raise click.UsageError(f"Got {len(files)} models and the file {output.name!r}; expected -o with a folder that exists.")
    names = [f"{file.stem}{form.suffixes[0]}" for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise click.UsageError(f"Two models would both be written to {twice!r}; give files whose names differ.")
    return [output / name for name in names]
