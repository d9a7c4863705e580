"""`receptive batch`: a folder without a server, and addresses through one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.api import create_app
from service.cli.failures import FAILED, NOT_GOOD_ENOUGH
from service.report.plain import read_report
from service.report.quantities import flat_numbers
from service.settings import Settings
from tests.api.test_sources import KERNEL, convolutional
from tests.cli.test_commands import run
from tests.serving import served
from tests.sources.servers import Site, site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models, one of them with external data in a folder below, and one file that is none."""
    made = tmp_path_factory.mktemp("models")
    (made / "below").mkdir()
    (made / "a.onnx").write_bytes(convolutional())
    (made / "b.onnx").write_bytes(convolutional(more=3))
    (made / "below" / "c.onnx").write_bytes(convolutional("k.bin"))
    (made / "below" / "k.bin").write_bytes(KERNEL.tobytes())
    (made / "=wrong.onnx").write_bytes(b"no model")
    (made / "notes.txt").write_text("no model")
    return made


def test_folder_makes_a_row_for_each_model(folder: Path) -> None:
    result = run("batch", folder)
    assert result.exit_code == NOT_GOOD_ENOUGH and "1 of 4 models failed" in result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout, newline="")))
    assert [Path(row["source"]).name for row in rows] == ["=wrong.onnx", "a.onnx", "b.onnx", "c.onnx"]
    assert rows[0]["problem"] and rows[0]["detail"] and not rows[0]["receptive.weights"]
    report = read_report(run("analyze", folder / "a.onnx", "--format", "json").stdout.encode())
    assert rows[1]["analysis"] == report.id
    numbers = {name: float(rows[1][name]) for name in rows[1] if name.startswith("receptive.") and rows[1][name]}
    assert numbers == pytest.approx(flat_numbers(report))
    assert rows[3]["receptive.weights"] == rows[1]["receptive.weights"] and not rows[3]["problem"]


def test_lines_of_json_leave_out_what_a_model_lacks(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "fleet.jsonl"
    assert run("batch", folder / "a.onnx", folder / "b.onnx", "--jobs", 2, "--read-weights", "none", "-o", out).exit_code == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["a.onnx", "b.onnx"]
    assert all("problem" not in row and None not in row.values() for row in rows)
    assert "receptive.weight_sparsity" not in rows[0]


@pytest.mark.parametrize("target", ["none.onnx", "s3://bucket/prefix/", "models:/"])
def test_target_that_is_not_there_is_named(target: str) -> None:
    result = run("batch", target)
    assert result.exit_code == FAILED and "no file and no folder" in result.stderr
    assert ("--url" in result.stderr) == (":/" in target)


def test_folder_without_models_is_said(tmp_path: Path) -> None:
    result = run("batch", tmp_path)
    assert result.exit_code == FAILED and "no-models" in result.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def url(server: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that may read from the server."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("service"), sources_allowed=server.origin, log_level="ERROR"))
    with served(app) as address:
        yield address
    app.extensions["receptive"].close()


def test_service_reads_addresses(server: Site, url: str, folder: Path) -> None:
    sources = [server.put("a.onnx", convolutional()), f"{server.origin}/none.onnx", f"{server.origin}/folder/"]
    result = run("batch", *sources, "--url", url, "--format", "jsonl", "--read-weights", "all")
    assert result.exit_code == NOT_GOOD_ENOUGH
    assert "1 of 2 models failed" in result.stderr and "/folder/ could not be listed" in result.stderr
    there, missing = map(json.loads, result.stdout.splitlines())
    here = json.loads(run("batch", folder / "a.onnx", "--format", "jsonl", "--read-weights", "all").stdout)
    assert {key: value for key, value in here.items() if key.startswith("receptive.")} == {
        key: value for key, value in there.items() if key.startswith("receptive.")
    }
    assert (missing["source"], missing["problem"]) == (sources[1], "source-not-found")


def test_service_that_refuses_an_address_says_which(url: str) -> None:
    result = run("batch", "s3://bucket/", "--url", url)
    assert result.exit_code == FAILED and "source-not-allowed" in result.stderr
