"""The command `receptive` and its subcommands on reports: analyze and compare."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click

from service import __version__
from service.cli.asked import FILE, Asked, model_options, open_report, reading_options, start_engine
from service.cli.batch import batch
from service.cli.budgets import read_budgets
from service.cli.engine import Engine
from service.cli.failures import INTERRUPTED, NOT_GOOD_ENOUGH, Failure
from service.cli.files import MODELS, opened_files, places_of
from service.cli.output import format_of, output_option, write
from service.cli.pictures import badge, chart, filters, hierarchy
from service.cli.what_if import COMMANDS as WHAT_IF
from service.render.formats import COMPARISON_FORMATS, REPORT_FORMATS
from service.render.words.view import SEVERITIES
from service.report.document import Report

OPERATIONS = ("config", "store", "token")
"""The subcommands of operators (operations)."""


class Commands(click.Group):
    """The group; Ctrl-C ends it with an exit code of its own, because 1 says that a budget is broken."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all subcommands."""
        return sorted([*super().list_commands(ctx), *OPERATIONS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name. Those of operators load the store, which takes a while: only when one of them is meant."""
        if cmd_name not in OPERATIONS:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module("service.cli.operations"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Runs the subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 all is well, 1 a budget is broken or --fail-on found something, 2 the command could not do its work.",
)
@click.version_option(__version__, prog_name="receptive", message="%(prog)s %(version)s")
def receptive() -> None:
    """What every layer of a neural network shares, what it skips and how far it sees.

    A model is an ONNX file or a JSON layer spec. It is never run, and it is read in a process of its own with limits on memory and time.
    """


@receptive.command(no_args_is_help=True)
@click.argument("models", type=MODELS, nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(REPORT_FORMATS)),
    help="Default: by the suffix of the output; without one, text on a terminal and json elsewhere.",
)
@output_option("report.html", folders=True)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    metavar="SEVERITY",
    help="Exit with 1 where there is a finding of this severity (error, warning, info) or worse.",
)
@model_options
@click.pass_context
def analyze(ctx: click.Context, models: tuple[Path, ...], form: str | None, output: Path, fail_on: str | None, asked: Asked) -> None:
    """Write the report on MODEL, or on each of several.

    MODEL may be a report too (JSON, made by this command or by the service); then it is only written in another format. It may be - for
    standard input, or a folder, which stands for the .onnx files and layer specs in it. Reports on several models go into a folder (-o
    FOLDER/), or one behind the other to the terminal.

    \b
    receptive analyze model.onnx
    receptive analyze model.onnx --format html -o report.html
    receptive analyze model.onnx --input-shape 1,3,224,224 -o layers.csv
    receptive analyze model.onnx --fail-on warning --format md >> "$GITHUB_STEP_SUMMARY"
    receptive analyze models/ --format md -o reports/
    cat model.onnx | receptive analyze -
    """
    with opened_files(models) as files, start_engine() as engine:
        default = "text" if sys.stdout.isatty() else "json"
        several = len(files) > 1 or output.is_dir()
        form = form or "json" if output.is_dir() else format_of(form, output, REPORT_FORMATS, default)
        places = places_of(files, output, REPORT_FORMATS[form]) if several else [output]
        reports = [_analyzed(engine, file, place, form, asked) for file, place in zip(files, places, strict=True)]
    if fail_on is not None:
        judged = [each for place, each in enumerate(SEVERITIES) if fail_on in SEVERITIES[place:]]
        judge_findings(ctx, [finding.code for report in reports for finding in report.findings if finding.severity in judged])


@receptive.command(no_args_is_help=True)
@click.argument("base", type=FILE)
@click.argument("head", type=FILE)
@click.option("--budget", "budgets", type=FILE, metavar="FILE", help="A YAML file of limits; exit with 1 where one of them is broken.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(COMPARISON_FORMATS)),
    help="Default: by the suffix of the output, else text.",
)
@output_option("comparison.md")
@reading_options
@click.pass_context
def compare(ctx: click.Context, base: Path, head: Path, budgets: Path | None, form: str | None, output: Path, asked: Asked) -> None:
    """Compare HEAD with BASE, layer by layer, and hold it to budgets.

    Both may be models or reports (JSON). Options on how models are read hold for both. To write several formats, make reports first
    and compare those: it takes no time.

    \b
    receptive compare base.onnx head.onnx --budget budgets.yaml
    receptive compare base.json head.onnx --budget budgets.yaml --format junit -o budgets.xml
    """
    form = format_of(form, output, COMPARISON_FORMATS, "text")
    limits = {} if budgets is None else read_budgets(budgets)
    with start_engine() as engine:
        before, after = (open_report(engine, path, asked)[0] for path in (base, head))
        if before.model.name == after.model.name and base.name != head.name:
            # Two versions of a model often have one name inside; those of the files tell them apart.
            before, after = _renamed(before, base.name), _renamed(after, head.name)
        try:
            comparison = engine.compare(before, after, limits)
        except Failure as failure:
            if failure.code == "invalid-budget":
                # The message names the budget; a pointer into a request says nothing here.
                raise Failure(failure.code, failure.detail, budgets) from None
            raise
    write(COMPARISON_FORMATS[form].write(comparison), output)
    if comparison.verdict == "fail":
        broken = ", ".join(budget.budget for budget in comparison.budgets if not budget.passed)
        click.echo(f"receptive: over budget: {broken}", err=True)
        ctx.exit(NOT_GOOD_ENOUGH)


def _renamed(report: Report, name: str) -> Report:
    return replace(report, model=replace(report.model, name=name))


for command in (batch, filters, hierarchy, chart, badge, *WHAT_IF):
    receptive.add_command(command)


def _analyzed(engine: Engine, file: Path, output: Path, form: str, asked: Asked) -> Report:
    """The report on a model, which is written."""
    report, opened = open_report(engine, file, asked)
    # Pictures are drawn from the model; a report that was made before has none.
    write(opened.page(report) if form == "html" and opened is not None else REPORT_FORMATS[form].write(report), output)
    return report


def judge_findings(ctx: click.Context, codes: Sequence[str]) -> None:
    """Ends the command with NOT_GOOD_ENOUGH where there are findings: their codes."""
    if codes:
        said = ", ".join(f"{code} ({codes.count(code)})" for code in dict.fromkeys(codes))
        click.echo(f"receptive: findings: {said}", err=True)
        ctx.exit(NOT_GOOD_ENOUGH)
