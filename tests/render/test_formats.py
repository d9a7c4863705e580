"""The table of formats: every format writes, and the API, the command line and the pages offer those of the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.api import create_app
from service.api.services import EXTENSION
from service.cli.main import receptive
from service.render.figures import charts
from service.render.figures.badge import endpoint
from service.render.formats import BADGE_FORMATS, CHART_FORMATS, COMPARISON_FORMATS, REPORT_FORMATS, served
from service.report.comparison import compare
from service.report.quantities import flat_numbers
from service.settings import Settings
from tests import networks
from tests.reports import document_of

LENET = document_of(networks.example("lenet-5"))


@pytest.mark.parametrize("name", REPORT_FORMATS)
def test_every_format_of_a_report_writes_it(name: str) -> None:
    assert LENET.layers[0].name in REPORT_FORMATS[name].write(LENET).decode() or name in ("text", "metrics", "openmetrics")
    assert len(REPORT_FORMATS[name].write(LENET)) > 400


def test_flat_numbers_are_a_format_too() -> None:
    assert json.loads(REPORT_FORMATS["metrics"].write(LENET)) == flat_numbers(LENET)


@pytest.mark.parametrize("name", COMPARISON_FORMATS)
def test_every_format_of_a_comparison_writes_it(name: str) -> None:
    assert COMPARISON_FORMATS[name].write(compare(LENET, LENET, {"max_layers": 3}))


def test_charts_and_badges_are_written_in_their_formats() -> None:
    for name, start in {"svg": b"<svg", "png": b"\x89PNG", "vl.json": b'{"$schema"'}.items():
        assert CHART_FORMATS[name].write(charts.growth(LENET)).startswith(start)
    assert json.loads(BADGE_FORMATS["json"].write(endpoint(LENET, "parameters")))["message"] == "60k"
    assert BADGE_FORMATS["svg"].write(endpoint(LENET, "parameters")).startswith(b"<svg")


def test_no_suffix_means_two_formats() -> None:
    for formats in (REPORT_FORMATS, COMPARISON_FORMATS, CHART_FORMATS, BADGE_FORMATS):
        suffixes = [suffix for each in formats.values() for suffix in each.suffixes]
        assert len(set(suffixes)) == len(suffixes)


def test_the_api_answers_with_every_served_format(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, log_level="ERROR"))
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    app.extensions[EXTENSION].close()
    assert {f"/v1/analyses/<report:report_id>.{name}" for name in served(REPORT_FORMATS)} <= rules
    charted = {f"/v1/analyses/<report:report_id>/receptive-field.{name}" for name in CHART_FORMATS}
    badges = {f"/v1/analyses/<report:report_id>/badge.{name}" for name in BADGE_FORMATS}
    assert charted | badges <= rules


@pytest.mark.parametrize(
    ("command", "formats"),
    [("analyze", REPORT_FORMATS), ("compare", COMPARISON_FORMATS), ("chart", CHART_FORMATS), ("badge", BADGE_FORMATS)],
)
def test_the_command_line_offers_every_format(command: str, formats: dict[str, object]) -> None:
    help_text = CliRunner().invoke(receptive, [command, "--help"]).output
    assert f"[{'|'.join(formats)}]" in "".join(help_text.split())
