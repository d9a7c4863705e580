"""What commands are given: several models, folders, standard input; and what is written where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli.failures import FAILED
from service.cli.main import receptive
from service.render.words.terminal import MIN_WIDTH, WIDTH, report_text
from tests.networks import conv, spec_of
from tests.reports import document_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHIFT, HAR = EXAMPLES / "shift-example.json", EXAMPLES / "har.json"


def run(*arguments: object, given: bytes | None = None) -> Result:
    """What the command does; an exception that is not click's own fails the test."""
    return CliRunner().invoke(receptive, [str(argument) for argument in arguments], input=given, catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two models, and with what is none."""
    models = tmp_path / "models"
    models.mkdir()
    for path in (SHIFT, HAR):
        shutil.copy(path, models)
    (models / "notes.txt").write_text("no model")
    return models


def test_a_folder_stands_for_the_models_in_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    out.mkdir()
    assert run("analyze", folder, "--format", "md", "-o", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["har.md", "shift-example.md"]
    assert (out / "har.md").read_text().startswith("## har")


def test_several_models_go_one_behind_the_other() -> None:
    said = run("analyze", SHIFT, HAR, "--format", "text").stdout
    assert said.index("shift-example\n") < said.index("har\n")


def test_a_model_comes_from_standard_input() -> None:
    result = run("analyze", "-", "--format", "md", given=SHIFT.read_bytes())
    assert result.exit_code == 0
    assert result.stdout.startswith("## shift-example")
    photographs = run("analyze", "-", "--format", "md", given=(EXAMPLES / "photographs.onnx").read_bytes())
    assert "| conv1 | convolution |" in photographs.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "-"], "Got - twice"),
        (["{empty}"], "Got a folder with no model in it; expected files that end in .onnx or .json."),
        (["{shift}", "{har}", "-o", "{empty}/one.md"], "Got 2 models and the file 'one.md'; expected -o with a folder that exists."),
        (["{shift}", "{shift}", "-o", "{empty}"], "Two models would both be written to 'shift-example.json'"),
        (["-"], "Got nothing from standard input"),
    ],
)
def test_what_cannot_be_is_told_with_what_is_expected(tmp_path: Path, arguments: list[str], said: str) -> None:
    names = {"empty": tmp_path, "shift": SHIFT, "har": HAR}
    result = run("analyze", *(argument.format(**names) for argument in arguments), given=b"")
    assert result.exit_code == FAILED
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", [("filters", "{photographs}"), ("hierarchy", "{photographs}", "2")])
def test_a_picture_is_a_png(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = run(*(word.format(photographs=EXAMPLES / "photographs.onnx") for word in command), "-o", tmp_path / "grid.jpg")
    assert result.exit_code == FAILED
    assert "Got the name 'grid.jpg'; the picture is a PNG" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_report_has_no_filters_and_the_message_says_that_it_is_one(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run("analyze", SHIFT, "-o", report).exit_code == 0
    result = run("filters", report, "-o", tmp_path / "grid.png")
    assert result.exit_code == FAILED
    assert "Got a report (on 'shift-example'), which holds no weights; expected the model itself. [not-a-model]" in result.stderr


@pytest.mark.parametrize("columns", [20, 80, 100, 300])
def test_the_table_of_layers_keeps_within_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Long names are cut, with a mark; numbers never are."""
    monkeypatch.setenv("COLUMNS", str(columns))
    report = document_of(spec_of([3, 300, 300], conv("a/very/long/name/" * 9, 64, 7), conv("second", 64, 3)))
    lines = report_text(report).decode().splitlines()
    assert max(map(len, lines)) <= min(max(columns, MIN_WIDTH), WIDTH)
    table = "\n".join(lines)
    assert "…" in table
    assert f"{64 * 3 * 49 + 64:,}" in table and "9×9" in table
