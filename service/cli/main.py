"""The command `receptive` and its subcommands on reports: analyze and compare."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from service import __version__
from service.cli.asked import FILE, Asked, model_options, open_report, reading_options, start_engine
from service.cli.budgets import read_budgets
from service.cli.engine import Model
from service.cli.failures import INTERRUPTED, NOT_GOOD_ENOUGH, Failure
from service.cli.output import format_of, output_option, write
from service.cli.pictures import badge, chart, filters, hierarchy
from service.cli.text import comparison_text, report_text
from service.render.figures.badge import badge_svg, verdict
from service.render.html import comparison_html, report_html
from service.render.junit import comparison_junit
from service.render.tables import layers_csv
from service.render.words.markdown import comparison_markdown, report_markdown
from service.render.words.view import SEVERITIES
from service.report.comparison import Comparison
from service.report.document import Report
from service.report.plain import plain_object

REPORT_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html", ".md": "md", ".csv": "csv", ".txt": "text"}
COMPARISON_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html", ".md": "md", ".xml": "junit", ".txt": "text", ".svg": "badge"}


def as_json(document: Report | Comparison) -> bytes:
    """A document as JSON text of many lines, ASCII only, so that no name in it can do anything to a terminal."""
    return json.dumps(plain_object(document), indent=2).encode() + b"\n"


REPORT_FORMATS: dict[str, Callable[[Report], bytes]] = {
    "json": as_json,
    "md": report_markdown,
    "csv": layers_csv,
    "text": report_text,
}
COMPARISON_FORMATS: dict[str, Callable[[Comparison], bytes]] = {
    "json": as_json,
    "html": comparison_html,
    "md": comparison_markdown,
    "junit": comparison_junit,
    "text": comparison_text,
    "badge": lambda comparison: badge_svg(verdict(comparison)),
}
DRAWN_DEPTH, STRONGEST = 2, 16
"""The deeper filters in an HTML report: those of the second convolution, following so many channels."""


class Commands(click.Group):
    """The group; Ctrl-C ends it with an exit code of its own, because 1 says that a budget is broken."""

    def invoke(self, ctx: click.Context) -> Any:
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
@click.argument("model", type=FILE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "html", "md", "csv", "text"]),
    help="Default: by the suffix of the output; without one, text on a terminal and json elsewhere.",
)
@output_option("report.html")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    metavar="SEVERITY",
    help="Exit with 1 where there is a finding of this severity (error, warning, info) or worse.",
)
@model_options
@click.pass_context
def analyze(ctx: click.Context, model: Path, form: str | None, output: Path, fail_on: str | None, asked: Asked) -> None:
    """Write the report on MODEL.

    MODEL may be a report too (JSON, made by this command or by the service); then it is only written in another format.

    \b
    receptive analyze model.onnx
    receptive analyze model.onnx --format html -o report.html
    receptive analyze model.onnx --input-shape 1,3,224,224 -o layers.csv
    receptive analyze model.onnx --fail-on warning --format md >> "$GITHUB_STEP_SUMMARY"
    """
    default = "text" if sys.stdout.isatty() else "json"
    form = format_of(form, output, REPORT_SUFFIXES, default)
    with start_engine() as engine:
        report, opened = open_report(engine, model, asked)
        content = report_html(report, pictures(report, opened, asked)) if form == "html" else REPORT_FORMATS[form](report)
    write(content, output)
    if fail_on is not None:
        judge_findings(ctx, report, [each for place, each in enumerate(SEVERITIES) if fail_on in SEVERITIES[place:]])


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
    form = format_of(form, output, COMPARISON_SUFFIXES, "text")
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
    write(COMPARISON_FORMATS[form](comparison), output)
    if comparison.verdict == "fail":
        broken = ", ".join(budget.budget for budget in comparison.budgets if not budget.passed)
        click.echo(f"receptive: over budget: {broken}", err=True)
        ctx.exit(NOT_GOOD_ENOUGH)


def _renamed(report: Report, name: str) -> Report:
    return replace(report, model=replace(report.model, name=name))


for picture in (filters, hierarchy, chart, badge):
    receptive.add_command(picture)


def pictures(report: Report, model: Model | None, asked: Asked) -> dict[str, bytes]:
    """The pictures of an HTML report: the filters of the first layer and those of a deeper one, where there are any to draw."""
    drawn: dict[str, bytes] = {}
    if model is None or asked.options.read_weights == "none" or not report.first_layers:
        return drawn
    wanted: dict[str, Callable[[], bytes]] = {"filters": lambda: model.filters({})}
    if any(row.depth == DRAWN_DEPTH for row in report.hierarchy):
        wanted["hierarchy"] = lambda: model.hierarchy(DRAWN_DEPTH, STRONGEST, {})
    for name, draw in wanted.items():
        try:
            drawn[name] = draw()
        except Failure as failure:
            # The report is good without it; a model that stores no filters is nothing to speak of.
            if failure.code != "no-filters":
                click.echo(f"receptive: without the picture of {name}: {failure.format_message()}", err=True)
    return drawn


def judge_findings(ctx: click.Context, report: Report, severities: Sequence[str]) -> None:
    """Ends the command with NOT_GOOD_ENOUGH where the report has findings of these severities."""
    codes = [finding.code for finding in report.findings if finding.severity in severities]
    if codes:
        said = ", ".join(f"{code} ({codes.count(code)})" for code in dict.fromkeys(codes))
        click.echo(f"receptive: findings: {said}", err=True)
        ctx.exit(NOT_GOOD_ENOUGH)
