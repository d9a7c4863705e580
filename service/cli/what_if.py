"""The commands that change a network: what-if and propose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from service.cli.asked import FILE, Asked, InputShape, model_options, open_model, start_engine
from service.cli.budgets import read_budgets
from service.cli.failures import NOT_GOOD_ENOUGH, Failure
from service.cli.output import Destination, format_of, output_option, write
from service.edits import GEOMETRY, Edit, read_edits
from service.faults import Refused
from service.render.formats import COMPARISON_FORMATS
from service.render.words.proposals import proposals_text
from service.report.document import Report
from service.report.plain import plain_object, write_report
from service.report.proposals import GOALS, read_goal


class Setting(click.ParamType[Edit]):
    """LAYER.FIELD=VALUE, such as conv1.stride=2, conv1.kernel=3,5, conv1.padding=same or conv1.padding=0:1,0:1."""

    name = "edit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Edit:
        """The edit."""
        place, is_set, text = str(value).rpartition("=")
        layer, _, name = place.rpartition(".")
        if not is_set or not layer:
            self.fail(f"{value!r} is no edit such as conv1.stride=1.", param, ctx)
        try:
            (edit,) = read_edits([{"layer": layer, "set": {name: _value(text)}}])
        except Refused as refused:
            self.fail(f"{value!r}: {refused.errors[0].detail}.", param, ctx)
        return edit


def _value(text: str) -> object:
    """A number, numbers, pairs of numbers (before:after), or a word."""
    entries = text.split(",")
    if any(":" in entry for entry in entries):
        return [[_number(each) for each in entry.split(":")] for entry in entries]
    return [_number(entry) for entry in entries] if len(entries) > 1 else _number(text)


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


@click.command("what-if", no_args_is_help=True)
@click.argument("model", type=FILE)
@click.option(
    "--set", "settings", type=Setting(), multiple=True, metavar="LAYER.FIELD=VALUE", help=f"Set {', '.join(GEOMETRY)} of a layer."
)
@click.option("--remove", "removed", multiple=True, metavar="LAYER", help="Leave a layer out.")
@click.option(
    "--input",
    "shapes",
    type=InputShape(),
    multiple=True,
    metavar="[NAME=]SIZE",
    help="Another size of an input: 96,96, or its whole shape.",
)
@click.option("--budget", "budgets", type=FILE, metavar="FILE", help="A YAML file of limits; exit with 1 where the variant breaks one.")
@click.option("--format", "form", type=click.Choice(list(COMPARISON_FORMATS)), help="Default: by the suffix of the output, else text.")
@click.option("--report", "kept", type=Destination(), metavar="FILE", help="Also write the report on the variant (JSON) to FILE.")
@output_option("what-if.md")
@model_options
@click.pass_context
def what_if(
    ctx: click.Context,
    model: Path,
    settings: tuple[Edit, ...],
    removed: tuple[str, ...],
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    budgets: Path | None,
    form: str | None,
    kept: Path | None,
    output: Path,
    asked: Asked,
) -> None:
    """Change MODEL, analyse it, and compare it with what it was.

    LAYER is the name of a layer in the report, or its index; -1 is the last. Weights whose shape no longer fits count by shape.

    \b
    receptive what-if model.onnx --set conv1.stride=1 --remove pool1 --input 96,96
    receptive what-if model.onnx --set conv1.kernel=3 --set conv1.padding=same --format md
    receptive what-if model.onnx --set conv5.dilation=2 --budget budgets.yaml --report variant.json
    """
    edits = (*settings, *(Edit(layer, remove=True) for layer in removed))
    if not edits and not shapes:
        raise click.UsageError("Nothing is to be changed: give --set, --remove or --input.")
    form = format_of(form, output, COMPARISON_FORMATS, "text")
    limits = {} if budgets is None else read_budgets(budgets)
    with start_engine() as engine:
        opened = open_model(engine, model, asked)
        base = opened.report()
        try:
            variant = opened.variant(base, edits, dict(shapes))
        except Failure as failure:
            raise _without_pointers(failure, model) from None
        comparison = engine.compare(base, _named(variant, base), limits)
    write(COMPARISON_FORMATS[form].write(comparison), output)
    if kept is not None:
        write(write_report(variant), kept)
    if comparison.verdict == "fail":
        broken = ", ".join(budget.budget for budget in comparison.budgets if not budget.passed)
        click.echo(f"receptive: over budget: {broken}", err=True)
        ctx.exit(NOT_GOOD_ENOUGH)


@click.command(no_args_is_help=True)
@click.argument("model", type=FILE)
@click.option("--goal", required=True, metavar="GOAL", help=f"{', '.join(GOALS)}=SHARE (of the connections that may be left).")
@click.option("--seconds", type=click.FloatRange(min=0.1, max=600), default=30.0, show_default=True, help="Search for so long, at most.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@output_option("proposals.json")
@model_options
def propose(model: Path, goal: str, seconds: float, form: str, output: Path, asked: Asked) -> None:
    """Find the smallest edits with which MODEL reaches a goal.

    cover-input: the output's local field reaches the input. productive: no unproductive layers. aligned: no misaligned joins. ungridded: no
    layer with gaps in its field. fewer-connections=0.5: half of the connections, at most. Nothing is said of accuracy.

    \b
    receptive propose model.onnx --goal productive
    receptive propose model.onnx --goal fewer-connections=0.5 --format json
    """
    try:
        read_goal(goal)
    except Refused as refused:
        raise click.BadParameter(f"{refused.detail}.", param_hint="'--goal'") from None
    with start_engine() as engine:
        opened = open_model(engine, model, asked)
        found = opened.proposals(opened.report(), goal, seconds)
    content = json.dumps(plain_object(found), indent=2).encode() + b"\n" if form == "json" else proposals_text(found).encode()
    write(content, output)


def _without_pointers(failure: Failure, model: Path) -> Failure:
    """An edit that is not possible, in words: a pointer into a request says nothing here."""
    if failure.code != "invalid-edit" or not failure.errors:
        return failure
    return Failure(failure.code, "; ".join(error.detail for error in failure.errors), model)


def _named(variant: Report, base: Report) -> Report:
    """The variant under a name that tells it from its base."""
    return replace(variant, model=replace(variant.model, name=f"{base.model.name or 'model'} (what if)"))


COMMANDS: Sequence[click.Command] = (what_if, propose)
"""The commands of this file, for the group."""
