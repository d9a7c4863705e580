"""The commands as a user types them: formats, exit codes, messages."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper
from PIL import Image

from service import __version__
from service.cli import engine, progress
from service.cli.failures import FAILED, INTERRUPTED, NOT_GOOD_ENOUGH
from service.cli.main import COMPARISON_FORMATS, REPORT_FORMATS, receptive
from service.report.comparison import BUDGETS
from service.work import tasks
from tests.conftest import REPOSITORY
from tests.jobs import fakes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PHOTOGRAPHS, PRUNED = EXAMPLES / "photographs.onnx", EXAMPLES / "photographs-pruned.onnx"
SHIFT = EXAMPLES / "shift-example.json"


def run(*arguments: object) -> Result:
    """What the command does; an exception that is not click's own fails the test."""
    return CliRunner().invoke(receptive, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on the example network."""
    path = tmp_path_factory.mktemp("reports") / "photographs.json"
    assert run("analyze", PHOTOGRAPHS, "-o", path).exit_code == 0
    return path


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on the pruned example network."""
    path = tmp_path_factory.mktemp("reports") / "pruned.json"
    assert run("analyze", PRUNED, "-o", path).exit_code == 0
    return path


@pytest.fixture
def budgets(tmp_path: Path) -> Path:
    return tmp_path / "budgets.yaml"


# -- analyze -------------------------------------------------------------------------------------------------------------


def test_the_report_goes_to_standard_output_as_json() -> None:
    # 16 of 36 connections, 4 weights, each used 4 times: the README's own example.
    result = run("analyze", SHIFT)
    summary = json.loads(result.stdout)["summary"]
    assert (summary["connections"]["exact"], summary["connections"]["dense"], summary["sharing"]["factor"]) == (16, 36, 4)
    assert result.stderr == "", "nobody looks at the progress"


@pytest.mark.parametrize(
    ("suffix", "beginning"),
    [("json", b"{"), ("html", b"<!doctype html>"), ("md", b"## photographs"), ("csv", b"index,name"), ("txt", b"photographs\n")],
)
def test_the_suffix_chooses_the_format(suffix: str, beginning: bytes, report: Path, tmp_path: Path) -> None:
    output = tmp_path / f"report.{suffix}"
    result = run("analyze", report, "-o", output)
    assert (result.exit_code, result.output) == (0, "")
    assert output.read_bytes().lower().startswith(beginning.lower())


def test_format_wins_over_the_suffix(report: Path, tmp_path: Path) -> None:
    assert run("analyze", report, "--format", "csv", "-o", tmp_path / "layers.txt").exit_code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "layers.txt").read_text())))
    assert [row["name"] for row in rows] == [layer["name"] for layer in json.loads(report.read_text())["layers"]]


def test_a_suffix_that_says_nothing_is_refused_before_the_work(tmp_path: Path) -> None:
    result = run("analyze", PHOTOGRAPHS, "-o", tmp_path / "report.pdf")
    assert result.exit_code == FAILED
    assert "--format" in result.stderr and not (tmp_path / "report.pdf").exists()


def test_the_html_report_of_a_model_has_its_pictures_inside(tmp_path: Path) -> None:
    result = run("analyze", PHOTOGRAPHS, "--format", "html", "-o", tmp_path / "report.html")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 2


def test_the_text_answers_the_three_questions(report: Path) -> None:
    text = run("analyze", report, "--format", "text").stdout
    assert all(f"{question}?" in text for question in ("What does it share", "What does it skip", "How far does it see"))


def test_options_of_an_analysis_say_nothing_to_a_report(report: Path) -> None:
    result = run("analyze", report, "--read-weights", "none")
    assert result.exit_code == FAILED and "is a report already" in result.stderr


def test_fail_on_counts_the_severity_and_worse(report: Path, tmp_path: Path) -> None:
    document = json.loads(report.read_text())
    finding = {"code": "misaligned-join", "severity": "warning", "layer": None, "message": "one pixel apart", "data": {}}
    (tmp_path / "found.json").write_text(json.dumps({**document, "findings": [finding]}))
    codes = {
        severity: run("analyze", tmp_path / "found.json", "--fail-on", severity).exit_code for severity in ("error", "warning", "info")
    }
    assert codes == {"error": 0, "warning": NOT_GOOD_ENOUGH, "info": NOT_GOOD_ENOUGH}
    assert "misaligned-join (1)" in run("analyze", tmp_path / "found.json", "--fail-on", "info").stderr


def symbolic(folder: Path) -> Path:
    """A model of one convolution on images of any size."""
    kernel = helper.make_tensor("w", TensorProto.FLOAT, (1, 1, 3, 3), np.ones(9, np.float32))
    node = helper.make_node("Conv", ["x"[:1], "w"], ["y"], name="only")
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, "h", "w"]) for name in ("x", "y")]
    path = folder / "any.onnx"
    path.write_bytes(helper.make_model(helper.make_graph([node], "any", sides[:1], sides[1:], [kernel])).SerializeToString())
    return path


@pytest.mark.parametrize("shape", ["1,1,5,7", "x=1,1,5,7"])
def test_an_input_shape_fixes_open_axes(shape: str, tmp_path: Path) -> None:
    layer = json.loads(run("analyze", symbolic(tmp_path), "--input-shape", shape).stdout)["layers"][0]
    assert layer["output_shape"] == [1, 1, 3, 5]


@pytest.mark.parametrize("shape", ["", "1,x", "0,1", "1,,2", "=1,2,-3", "9999999999", ",".join(["1"] * 17)])
def test_what_is_no_shape_is_wrong_usage(shape: str) -> None:
    assert run("analyze", SHIFT, "--input-shape", shape).exit_code == FAILED


# -- external data -------------------------------------------------------------------------------------------------------


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A model in a folder of its own, with its kernel in the file weights.bin beside it."""
    folder = tmp_path / "parted"
    folder.mkdir()
    model = onnx.ModelProto.FromString(symbolic(folder).read_bytes())
    kernel = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(np.array([0, 1, 2] * 3, "<f4").tobytes())
    kernel.ClearField("float_data")
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="weights.bin")
    (folder / "any.onnx").write_bytes(model.SerializeToString())
    return folder / "any.onnx"


def zeros(*arguments: object) -> float | None:
    """The share of zero weights that a report says."""
    result = run("analyze", *arguments)
    assert result.exit_code == 0, result.stderr
    share: float | None = json.loads(result.stdout)["summary"]["sparsity"]["weight"]
    return share


def test_external_data_beside_the_model_is_found(parted: Path) -> None:
    assert zeros(parted) == pytest.approx(1 / 3)


def test_external_data_elsewhere_has_to_be_named(parted: Path, tmp_path: Path) -> None:
    moved = shutil.move(parted.parent / "weights.bin", tmp_path / "weights.bin")
    refused = run("analyze", parted)
    assert (refused.exit_code, refused.stdout) == (FAILED, "")
    assert "weights.bin" in refused.stderr and "--external" in refused.stderr and "[external-missing]" in refused.stderr
    assert zeros(parted, "--external", moved) == pytest.approx(1 / 3)
    assert zeros(parted, "--external-missing", "ignore") is None


def test_a_link_beside_the_model_is_not_followed(parted: Path, tmp_path: Path) -> None:
    moved = shutil.move(parted.parent / "weights.bin", tmp_path / "elsewhere.bin")
    (parted.parent / "weights.bin").symlink_to(moved)
    assert "[external-missing]" in run("analyze", parted).stderr


# -- compare -------------------------------------------------------------------------------------------------------------


def test_models_are_compared_and_a_held_budget_passes(budgets: Path) -> None:
    budgets.write_text("max_parameters: 91472\nmin_weight_sparsity: 0.5\nno_new_findings: [misaligned-join, unproductive-layer]\n")
    result = run("compare", PHOTOGRAPHS, PRUNED, "--budget", budgets)
    assert result.exit_code == 0
    assert result.stdout.startswith("photographs.onnx → photographs-pruned.onnx: all budgets hold")
    assert "weights equal to zero: 0 % → 60.0 %" in result.stdout


@pytest.mark.parametrize(("limit", "code"), [("91_472", 0), ("91_471", 1), ("9.2e+4", 0), ("92e3", 0), ("9e4", 1)])
def test_a_broken_budget_is_exit_code_1(limit: str, code: int, report: Path, pruned: Path, budgets: Path) -> None:
    budgets.write_text(f"max_parameters: {limit}\n")
    result = run("compare", report, pruned, "--budget", budgets)
    assert result.exit_code == code
    assert result.stderr == ("receptive: over budget: max_parameters\n" if code else "")


def test_junit_has_a_failure_for_each_broken_budget(report: Path, pruned: Path, budgets: Path, tmp_path: Path) -> None:
    budgets.write_text("max_parameters: 1\nmin_receptive_field: 55\n")
    assert run("compare", report, pruned, "--budget", budgets, "-o", tmp_path / "budgets.xml").exit_code == NOT_GOOD_ENOUGH
    cases = ElementTree.parse(tmp_path / "budgets.xml").getroot().findall("testcase")
    assert {case.get("name"): case.find("failure") is not None for case in cases} == {"max_parameters": True, "min_receptive_field": False}


@pytest.mark.parametrize("form", ["json", "html", "md", "text", "badge"])
def test_a_model_compared_with_itself_is_the_same_in_every_format(form: str, report: Path) -> None:
    result = run("compare", report, report, "--format", form)
    assert result.exit_code == 0
    expected = {"json": '"changed": 0', "text": "layers unchanged", "badge": "no budget"}
    assert expected.get(form, "nothing differs").lower() in result.stdout.lower()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_parameter: 1\n", "max_parameter is no budget"),
        ("max_parameters: many\n", "takes a number"),
        ("max_parameters: .inf\n", "finite"),
        ("- max_parameters\n", "mapping"),
        ("", "mapping"),
        ("1: 2\n", "mapping"),
        ("max_parameters: [1\n", "line 2"),
        ("max_parameters: !!python/object/apply:os.getcwd []\n", "line 1"),
    ],
)
def test_budgets_that_make_no_sense_are_exit_code_2(text: str, said: str, report: Path, budgets: Path) -> None:
    budgets.write_text(text)
    result = run("compare", report, report, "--budget", budgets)
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert said in result.stderr and result.stderr.endswith("[invalid-budget]\n") and "budgets.yaml: " in result.stderr


def test_every_budget_and_format_is_documented() -> None:
    text = (EXAMPLES.parent / "docs" / "command-line.md").read_text()
    assert [name for name in (*BUDGETS, *COMPARISON_FORMATS, *REPORT_FORMATS, *receptive.commands) if f"`{name}`" not in text] == []


# -- pictures ------------------------------------------------------------------------------------------------------------


def test_filters_are_drawn_as_a_grid(tmp_path: Path) -> None:
    result = run("filters", PHOTOGRAPHS, "-o", tmp_path / "grid.png", "--columns", "6", "--scale", "3", "--gap", "1")
    assert (result.exit_code, result.output) == (0, "")
    with Image.open(tmp_path / "grid.png") as grid:
        # 48 filters of 11×11 as 8 rows of 6, three pixels for each value, one between tiles and around them.
        assert grid.size == (6 * 34 + 1, 8 * 34 + 1)


def test_deeper_filters_are_drawn(tmp_path: Path) -> None:
    assert run("hierarchy", PHOTOGRAPHS, "2", "-o", tmp_path / "sheet.png").exit_code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    deep = run("hierarchy", PHOTOGRAPHS, "99", "-o", tmp_path / "sheet.png")
    assert deep.exit_code == FAILED and deep.stderr.endswith("[no-such-depth]\n")
    none = run("filters", EXAMPLES / "har.json", "-o", tmp_path / "grid.png")
    assert none.exit_code == FAILED and none.stderr.endswith("[no-filters]\n")
    assert list(tmp_path.iterdir()) == []


def test_charts_and_badges_of_a_report(report: Path, tmp_path: Path) -> None:
    for name, beginning in {"growth.svg": b"<svg", "growth.png": b"\x89PNG", "growth.vl.json": b'{"$schema"'}.items():
        assert run("chart", report, "-o", tmp_path / name).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(beginning)
    assert json.loads(run("badge", report, "--metric", "parameters", "--format", "json").stdout)["message"] == "91.5k"
    assert run("badge", report).stdout.startswith("<svg")


# -- what is wrong -------------------------------------------------------------------------------------------------------


def test_another_format_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"GGUF" + bytes(100))
    result = run("analyze", tmp_path / "model.onnx")
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert result.stderr.count("\n") == 1 and "GGUF" in result.stderr and result.stderr.endswith("[unsupported-format]\n")


def test_a_spec_with_errors_has_a_line_for_each(tmp_path: Path) -> None:
    layers = [{"type": "conv", "filters": 0, "kernel": 3}, {"type": "convolve"}]
    document = {"receptive": 1, "inputs": [{"name": "image", "shape": [1, 8, 8]}], "layers": layers}
    (tmp_path / "net.json").write_text(json.dumps(document, indent=1))
    result = run("analyze", tmp_path / "net.json")
    first, *places = result.stderr.splitlines()
    assert result.exit_code == FAILED and first.startswith(f"receptive: {tmp_path / 'net.json'}: ")
    text = (tmp_path / "net.json").read_text().splitlines()
    assert ["/layers/0/filters" in places[0], "/layers/1/type" in places[1]] == [True, True]
    numbers = [int(place.split()[1].rstrip(",")) for place in places]
    assert ['"filters": 0' in text[numbers[0] - 1], '"convolve"' in text[numbers[1] - 1]] == [True, True]


def test_text_from_a_model_cannot_steer_the_terminal(tmp_path: Path) -> None:
    document = {"receptive": 1, "inputs": [{"name": "image", "shape": [1, 8, 8]}], "layers": [{"type": "\x1b[2J", "name": "a\r\u202eb"}]}
    (tmp_path / "net.json").write_text(json.dumps(document))
    result = run("analyze", tmp_path / "net.json")
    assert result.exit_code == FAILED
    assert not {"\x1b", "\r", "\u202e"} & set(result.stderr)


@pytest.mark.parametrize("schema", ["receptive.comparison/1", "receptive.report/2"])
def test_a_document_of_another_schema_is_no_report(schema: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"schema": schema}))
    assert run("analyze", tmp_path / "other.json").stderr.endswith("[unknown-schema]\n")


def test_the_limits_of_the_service_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEPTIVE_JOB_WALL_SECONDS", "nothing")
    result = run("analyze", SHIFT)
    assert result.exit_code == FAILED and "RECEPTIVE_JOB_WALL_SECONDS" in result.stderr and result.stderr.endswith("[invalid-setting]\n")


def test_an_output_that_cannot_be_written_is_said(report: Path, tmp_path: Path) -> None:
    missing = run("analyze", report, "-o", tmp_path / "nowhere" / "report.html")
    assert missing.exit_code == FAILED and "nowhere" in missing.stderr
    full = run("analyze", report, "--format", "md", "-o", "/dev/full")
    assert full.exit_code == FAILED and full.stderr.endswith("[not-written]\n")


def test_a_terminal_sees_the_stages_and_nothing_of_them_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "watched", lambda: True)
    monkeypatch.setattr(progress, "QUIET_SECONDS", -1.0)
    monkeypatch.setattr(engine, "TURN_SECONDS", 0.001)
    result = CliRunner().invoke(receptive, ["analyze", str(SHIFT)], color=True)
    assert "Analysing shift-example.json" in result.stderr and "\n" not in result.stderr
    assert result.stderr.endswith("\r\x1b[K"), "the line is empty again"
    assert json.loads(result.stdout)["schema"] == "receptive.report/1"


def test_ctrl_c_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.Engine, "companions", interrupt)
    assert run("analyze", SHIFT).exit_code == INTERRUPTED


@pytest.mark.parametrize("command", [("analyze", "--format", "html"), ("analyze", "--format", "md"), ("chart",), ("badge",)])
def test_a_report_that_lacks_something_is_said(command: tuple[str, ...], report: Path, tmp_path: Path) -> None:
    document = json.loads(report.read_text())
    (tmp_path / "half.json").write_text(json.dumps({**document, "summary": {}, "layers": [{}]}))
    result = run(*command, tmp_path / "half.json")
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("[invalid-report]\n")


def test_a_fault_of_our_own_is_no_verdict(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "COMPARISON", fakes.BROKEN)
    result = run("compare", report, report)
    assert result.exit_code == FAILED and "[analysis-failed]" in result.stderr and "Traceback" not in result.stderr


# -- as a program --------------------------------------------------------------------------------------------------------


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, check=False)


def test_the_program_says_its_version_and_every_command() -> None:
    assert program("--version").stdout == f"receptive {__version__}\n"
    listed = receptive.list_commands(click.Context(receptive))
    documented = "".join(page.read_text() for page in (REPOSITORY / "docs").glob("*.md"))
    assert [name for name in listed if f"receptive {name}" not in documented] == []
    assert {"analyze", "compare", "filters", "hierarchy", "chart", "badge", "what-if", "propose", "token"} <= set(listed)
    for name in listed:
        assert run(name, "--help").stdout.startswith(f"Usage: receptive {name} ")


def test_the_program_ends_with_the_exit_code(budgets: Path) -> None:
    budgets.write_text("max_layers: 1\n")
    result = program("compare", SHIFT, EXAMPLES / "lenet-5.json", "--budget", budgets)
    assert (result.returncode, result.stderr) == (NOT_GOOD_ENOUGH, "receptive: over budget: max_layers\n")
