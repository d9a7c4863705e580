"""The options that commands on models have in common, and the model that they open."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import click

from service.cli.engine import Engine, LocalModel, Model, stored_report
from service.cli.failures import Failure
from service.cli.remote import RemoteModel, Service
from service.options import LARGEST_AXIS, ChannelOrder, ExternalMissing, Options, ReadWeights, whole_numbers
from service.report.document import Report
from service.settings import load_settings

Command = Callable[..., object]

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a model is to be analysed: the options of the analysis, files of external data, and the service that is to do it, if any."""

    options: Options = field(default_factory=Options)
    externals: tuple[Path, ...] = ()
    url: str | None = None


class InputShape(click.ParamType[tuple[str, tuple[int, ...]]]):
    """1,3,224,224 for the only input, or NAME=1,3,224,224; as a pair of the name ("" for the only one) and the shape."""

    name = "shape"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, tuple[int, ...]]:
        """The name and the shape."""
        name, _, axes = str(value).rpartition("=")
        shape = tuple(whole_numbers(axes))
        if not shape:
            self.fail(f"{value!r} is no shape such as 1,3,224,224 or image=1,3,224,224.", param, ctx)
        if not all(1 <= axis <= LARGEST_AXIS for axis in shape):
            self.fail(f"An axis of a shape lies between 1 and {LARGEST_AXIS:,}.", param, ctx)
        return name, shape


class Address(click.ParamType[str]):
    """The address of a service."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address."""
        try:
            parts = urlsplit(str(value))
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            self.fail(f"{value!r} is no address such as http://localhost:8080.", param, ctx)
        return str(value)


def _tolerance(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("A tolerance is a finite number.", ctx, param)
    return value


_READING = (
    click.option(
        "--input-shape",
        "input_shapes",
        type=InputShape(),
        multiple=True,
        metavar="[NAME=]SHAPE",
        help="Fix the axes of an input that the model leaves open, such as 1,3,224,224. For several inputs, once for each, with its name.",
    ),
    click.option(
        "--read-weights",
        type=click.Choice(get_args(ReadWeights)),
        default="auto",
        show_default=True,
        help="Which weights' values are read; auto: all of them up to a certain size of the files, else those of the first layer.",
    ),
    click.option(
        "--zero-tolerance",
        type=click.FloatRange(min=0),
        default=0.0,
        callback=_tolerance,
        metavar="NUMBER",
        help="A weight up to this absolute value counts as zero.",
    ),
    click.option(
        "--channel-order", type=click.Choice(get_args(ChannelOrder)), default="rgb", show_default=True, help="How the model reads colours."
    ),
    click.option(
        "--external-missing",
        type=click.Choice(get_args(ExternalMissing)),
        default="error",
        show_default=True,
        help="What to do where a file of external data is missing; ignore: go without its values.",
    ),
    click.option(
        "--url",
        type=Address(),
        metavar="URL",
        help="Let the service at this address do the work. The model is sent to it. RECEPTIVE_TOKEN holds a bearer token.",
    ),
)
_OF_ONE_MODEL = (
    click.option(
        "--external",
        "externals",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="A file of external data that lies elsewhere. Those beside the model are found by the names in it.",
    ),
    click.option("--name", metavar="TEXT", help="A label for the report, instead of the name in the model."),
)


def reading_options(command: Command) -> Command:
    """Gives a command the options of an analysis, as one argument `asked`."""

    @functools.wraps(command)
    def collected(*arguments: Any, **given: Any) -> Any:
        """The command with the options put together in `asked`."""
        url, externals = given.pop("url"), given.pop("externals", ())
        names = ("name", "read_weights", "zero_tolerance", "channel_order", "external_missing")
        chosen = {name: given.pop(name) for name in names if name in given}
        shapes = given.pop("input_shapes")
        if len({name for name, _ in shapes}) < len(shapes):
            raise click.BadParameter("Two shapes are for the same input.", param_hint="'--input-shape'")
        if len({file.name for file in externals}) < len(externals):
            raise click.BadParameter("Two files have the same name; a model knows them by that.", param_hint="'--external'")
        asked = Asked(Options(**chosen, input_shapes=dict(shapes)), externals, url)
        return command(*arguments, asked=asked, **given)

    for option in reversed(_READING):
        collected = option(collected)
    return collected


def model_options(command: Command) -> Command:
    """As `reading_options`, for a command on one model: its external data and its label too."""
    described = reading_options(command)
    for option in reversed(_OF_ONE_MODEL):
        described = option(described)
    return described


def start_engine(size: int = 1) -> Engine:
    """The engine under the limits that the environment sets, for so many calls at a time."""
    try:
        return Engine(load_settings(), size)
    except SystemExit as error:
        raise Failure("invalid-setting", str(error).removeprefix("receptive: ")) from None


def open_model(engine: Engine, path: Path, asked: Asked) -> Model:
    """The model in a file, to be analysed here or by the service that was asked for."""
    externals = engine.companions(path, asked.externals)
    if asked.url is None:
        return LocalModel(engine, path, asked.options, externals)
    return RemoteModel(Service(asked.url, os.environ.get("RECEPTIVE_TOKEN")), path, asked.options, externals)


def open_drawable(engine: Engine, path: Path, asked: Asked) -> Model:
    """The model in a file, whose weights are to be drawn. Failure where the file is a report, which has none."""
    known = stored_report(path)
    if known is not None:
        name = known.model.name or known.model.digest
        raise Failure("not-a-model", f"Got a report (on {name[:100]!r}), which holds no weights; expected the model itself.", path)
    return open_model(engine, path, asked)


def open_report(engine: Engine, path: Path, asked: Asked) -> tuple[Report, Model | None]:
    """The report on the model in a file, and the model; or the report that the file is, and None."""
    known = stored_report(path)
    if known is None:
        model = open_model(engine, path, asked)
        return model.report(), model
    if asked != Asked():
        raise click.UsageError(f"{path.name!r} is a report already, so the options of an analysis would change nothing.")
    return known, None
