"""what-if: a network is changed, analysed and compared with what it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.cli.failures import FAILED, NOT_GOOD_ENOUGH
from tests.cli.test_by_service import url, without_time
from tests.cli.test_commands import run
from tests.networks import conv, pool, spec_of

__all__ = ["url"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.json"
    path.write_text(json.dumps(spec_of([3, 32, 32], conv("stem.conv", 4, 5, 2), pool("pool1", 2, 2), conv("conv2", 8, 3), name="net")))
    return path


def test_variant_is_compared_with_its_base(model: Path, tmp_path: Path) -> None:
    kept = tmp_path / "variant.json"
    settings = ("--set", "stem.conv.stride=1", "--set", "stem.conv.padding=2:2,1:3", "--remove", "pool1", "--input", "64,64")
    result = run("what-if", model, *settings, "--format", "json", "--report", kept)
    assert result.exit_code == 0, result.stderr
    comparison = json.loads(result.stdout)
    assert (comparison["base"]["name"], comparison["head"]["name"]) == ("net", "net (what if)")
    assert [layer["status"] for layer in comparison["layers"]] == ["changed", "removed", "changed"]
    variant = json.loads(kept.read_text())
    assert variant["layers"][0]["attributes"]["pads"] == [[2, 2], [1, 3]]
    assert variant["layers"][-1]["output_shape"] == [1, 8, 64, 64]
    assert run("what-if", model, *settings).stdout.startswith("net → net (what if)")


def test_service_gives_the_same_variant(model: Path, tmp_path: Path, url: str) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    for kept, more in ((here, ()), (there, ("--url", url))):
        result = run("what-if", model, "--set", "-1.dilation=2", "--report", kept, *more)
        assert result.exit_code == 0, result.stderr
    assert without_time(there.read_text()) == without_time(here.read_text())


def test_broken_budget_has_an_exit_code(model: Path, tmp_path: Path) -> None:
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text("max_connections_change: 0.1\n")
    result = run("what-if", model, "--set", "0.stride=1", "--budget", budgets)
    assert (result.exit_code, result.stderr) == (NOT_GOOD_ENOUGH, "receptive: over budget: max_connections_change\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Nothing is to be changed"),
        (("--set", "stem.conv.strid=1"), "did you mean 'stride'?"),
        (("--set", "stem.conv.stride=x"), "must be a whole number"),
        (("--set", "stride=1"), "is no edit such as conv1.stride=1"),
        (("--set", "stem.conf.stride=1"), "did you mean 'stem.conv'?"),
        (("--set", "conv2.kernel=99", "--set", "conv2.padding=0"), "it spans 99 units, spatial axis 0 has 8"),
        (("--input", "image=8,8"), "the model has no input 'image'"),
    ],
)
def test_edit_that_is_not_possible_is_explained(model: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run("what-if", model, *arguments)
    assert result.exit_code == FAILED
    assert words in result.stderr
    assert "/edits" not in result.stderr


def test_proposals_are_told_in_words(tmp_path: Path, url: str) -> None:
    path = tmp_path / "tight.json"
    path.write_text(json.dumps(spec_of([1, 7, 7], conv("a", 2, 3), pool("p", 2, 2), conv("b", 2, 3), conv("c", 2, 3))))
    here, there = (run("propose", path, "--goal", "productive", *more) for more in ((), ("--url", url)))
    assert here.exit_code == 0, here.stderr
    assert here.stdout == there.stdout
    assert "Richter et al. 2021" in here.stdout
    assert "p: stride 2 → 1" in here.stdout
    assert "cannot promise accuracy" in here.stdout
    found = json.loads(run("propose", path, "--goal", "productive", "--format", "json").stdout)
    assert all(each["reaches"] for each in found["proposals"])


def test_goal_that_is_none_is_explained(model: Path) -> None:
    result = run("propose", model, "--goal", "faster")
    assert result.exit_code == FAILED
    assert "expected one of cover-input, productive" in result.stderr
