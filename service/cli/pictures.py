"""The subcommands that draw: filters, hierarchy, chart and badge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from service.cli.asked import FILE, Asked, model_options, open_drawable, open_report, start_engine
from service.cli.failures import Failure
from service.cli.output import expect_png, format_of, output_option, write
from service.render.figures import charts
from service.render.figures.badge import METRICS, endpoint
from service.render.formats import BADGE_FORMATS, CHART_FORMATS
from service.render.grid.options import MAX_COLUMNS, MAX_GAP, MAX_SCALE, Colormap, Normalize, Sort

_GRID = (
    click.option("--columns", type=click.IntRange(1, MAX_COLUMNS), metavar="N", help="Tiles in a row. Default: near square."),
    click.option("--scale", type=click.IntRange(1, MAX_SCALE), metavar="N", help="Pixels for each value. Default: a tile has at least 32."),
    click.option("--gap", type=click.IntRange(0, MAX_GAP), metavar="N", help="Pixels between tiles."),
    click.option("--normalize", type=click.Choice(get_args(Normalize)), help="What white and black stand for. Default: filter."),
    click.option("--channels", metavar="WHICH", help="rgb, mean, each, or three channels such as 0,2,1."),
    click.option("--colormap", type=click.Choice(get_args(Colormap)), help="For single channels. Default: grey."),
    click.option("--labels", is_flag=True, default=None, help="Write each filter's index under its tile."),
    click.option("--background", metavar="COLOUR", help="A CSS colour. Default: #ffffff."),
)


def grid_options(command: Callable[..., object]) -> Callable[..., object]:
    """Gives a command the options of a weight grid."""
    for option in reversed(_GRID):
        command = option(command)
    return command


@click.command(no_args_is_help=True)
@click.argument("model", type=FILE)
@output_option("grid.png")
@click.option("--layer", metavar="LAYER", help="Name or index of a convolution. Default: the first that reads the image.")
@click.option("--sort", type=click.Choice(get_args(Sort)), help="The order of the filters. Default: index.")
@grid_options
@model_options
def filters(model: Path, output: Path, asked: Asked, **chosen: object) -> None:
    """Draw the filters of MODEL's first layer as a grid (PNG).

    \b
    receptive filters model.onnx -o grid.png
    receptive filters model.onnx --sort orientation --labels -o grid.png
    """
    expect_png(output)
    with start_engine() as engine:
        picture = open_drawable(engine, model, asked).filters(_given(chosen))
    write(picture, output)


@click.command(no_args_is_help=True)
@click.argument("model", type=FILE)
@click.argument("depth", type=click.IntRange(min=1))
@output_option("sheet.png")
@click.option("--strongest", type=click.IntRange(1, 256), default=16, show_default=True, help="Channels that are followed at each layer.")
@grid_options
@model_options
def hierarchy(model: Path, depth: int, output: Path, strongest: int, asked: Asked, **chosen: object) -> None:
    """Draw the filters of a deeper convolution in pixels (PNG).

    Each is the weighted sum of the filters below it, activations taken as the identity. Convolutions are counted from 1, which is the
    first one on the image.

    \b
    receptive hierarchy model.onnx 2 -o sheet.png
    """
    expect_png(output)
    with start_engine() as engine:
        picture = open_drawable(engine, model, asked).hierarchy(depth, strongest, _given(chosen))
    write(picture, output)


@click.command(no_args_is_help=True)
@click.argument("model", type=FILE)
@output_option("growth.svg")
@click.option(
    "--kind",
    type=click.Choice(list(charts.CHARTS)),
    default="growth",
    show_default=True,
    help="Of every layer: the receptive field; what it shares and skips. Layers that add context, by input size. Colour by depth.",
)
@click.option("--format", "form", type=click.Choice(list(CHART_FORMATS)), help="Default: by the suffix of the output, else svg.")
@model_options
def chart(model: Path, output: Path, kind: str, form: str | None, asked: Asked) -> None:
    """Draw a chart of MODEL, or of a report (JSON) on it.

    \b
    receptive chart model.onnx -o growth.svg
    receptive chart report.json --kind sharing -o sharing.png
    receptive chart report.json -o growth.vl.json
    """
    form = format_of(form, output, CHART_FORMATS, "svg")
    if form == "png":
        expect_png(output)
    with start_engine() as engine:
        report, _ = open_report(engine, model, asked)
    draw, has_data = charts.CHARTS[kind]
    if not has_data(report):
        raise Failure("nothing-to-draw", f"The report has nothing for the chart {kind}.", model)
    write(CHART_FORMATS[form].write(draw(report)), output)


@click.command(no_args_is_help=True)
@click.argument("model", type=FILE)
@output_option("badge.svg")
@click.option("--metric", type=click.Choice(list(METRICS)), default="receptive-field", show_default=True, help="The number that it shows.")
@click.option("--format", "form", type=click.Choice(list(BADGE_FORMATS)), help="Default: by the suffix of the output, else svg.")
@model_options
def badge(model: Path, output: Path, metric: str, form: str | None, asked: Asked) -> None:
    """Write one number of MODEL as a badge.

    MODEL may be a report too (JSON). The badge is an SVG picture, or JSON for an endpoint badge of shields.io.

    \b
    receptive badge model.onnx --metric parameters -o parameters.svg
    """
    form = format_of(form, output, BADGE_FORMATS, "svg")
    with start_engine() as engine:
        report, _ = open_report(engine, model, asked)
    shown = endpoint(report, metric)
    write(BADGE_FORMATS[form].write(shown), output)


def _given(chosen: dict[str, object]) -> dict[str, object]:
    """The options that were given."""
    return {name: value for name, value in chosen.items() if value is not None}
