"""Proposals: what they say is what the network has when it is built anew, and they are the smallest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.faults import Refused
from service.options import Options
from service.report.identity import options_document
from service.report.plain import of_plain, plain_object
from service.report.proposals import NOTE, Measures, Proposals, measure, read_goal
from service.work.proposing import MAX_TRIES, proposals_document
from tests.analysis.proposed_networks import resnet_18, vgg_16
from tests.networks import Spec, conv, pool, spec_of
from tests.reports import document_of


def proposed(spec: Spec, goal: str, folder: Path, seconds: float = 60.0) -> Proposals:
    path = folder / "net.json"
    path.write_text(json.dumps(spec))
    found = of_plain(Proposals, json.loads(proposals_document({"": str(path)}, options_document(Options()), goal, seconds).content))
    assert found.tried <= MAX_TRIES
    assert (found.goal, found.note) == (goal, NOTE)
    return found


def rebuilt(spec: Spec, edits: Any, shapes: Any) -> Spec:
    """The spec with the edits of a proposal written into it."""
    layers, gone = [], {}
    previous = None
    for layer in spec["layers"]:
        own = [edit for edit in edits if edit["layer"] == layer["name"]]
        inputs = layer.get("inputs", [previous] if previous else [])
        previous = layer["name"]
        inputs = [gone.get(name, name) for name in inputs]
        if any(edit.get("remove") for edit in own):
            gone[layer["name"]] = inputs[0] if inputs else "input"
            continue
        changed = {**layer, **({"inputs": inputs} if inputs else {})}
        for edit in own:
            changed |= edit["set"]
        layers.append(changed)
    shape = shapes.get("input")
    lengths = spec["input"]["shape"] if shape is None else [spec["input"]["shape"][0], *shape[-2:]]
    return {**spec, "input": {"shape": lengths}, "layers": layers}


def check(spec: Spec, found: Proposals) -> None:
    """Hold what every proposal says to the network that is built anew."""
    assert found.base == measure(document_of(spec))
    for each in found.proposals:
        report = document_of(rebuilt(spec, each.edits, each.input_shapes))
        assert as_json(measure(report)) == as_json(each.measures)


def as_json(measures: Measures) -> Any:
    return json.loads(json.dumps(plain_object(measures)))


@pytest.mark.parametrize("size", [64, 96])
def test_resnet_18_is_made_productive(size: int, tmp_path: Path) -> None:
    """Richter et al. 2021: a network whose field grows past the image early has layers that add nothing."""
    spec = resnet_18(size)
    found = proposed(spec, "productive", tmp_path)
    check(spec, found)
    assert found.complete
    assert found.reached == (size == 96)
    if size == 64:
        words = ["; ".join(each.words) for each in found.proposals]
        assert words[0] == "input: size 75×75"
        assert "stem_pool: stride 2 → 1" in words
        assert "s4b1_1: stride 2 → 1; s4b1_short: stride 2 → 1" in words
        assert all(each.reaches and each.measures.unproductive_layers == 0 for each in found.proposals)


def test_search_that_is_ended_says_so(tmp_path: Path) -> None:
    found = proposed(vgg_16(32), "productive", tmp_path, seconds=0.2)
    assert not found.complete
    assert found.base.unproductive_layers == 6
    check(vgg_16(32), found)


SMALL = spec_of([1, 32, 32], conv("a", 2, 3, 1, 1), conv("b", 2, 3, 1, 1), conv("c", 2, 3, 1, 1))
DILATED = spec_of([1, 64, 64], conv("a", 2, 3, 1, 2, dilation=2), conv("b", 2, 3, 1, 4, dilation=4))
SHIFTED = spec_of(
    [1, 32, 32],
    conv("a", 2, 4, 1, [[1, 2], [1, 2]]),
    conv("b", 2, 3, 1, 1, inputs=["input"]),
    {"name": "sum", "type": "add", "inputs": ["a", "b"]},
)


def test_field_is_made_to_cover_the_input(tmp_path: Path) -> None:
    found = proposed(spec_of([1, 9, 9], *SMALL["layers"]), "cover-input", tmp_path)
    check(spec_of([1, 9, 9], *SMALL["layers"]), found)
    best = next(each for each in found.proposals if each.edits)
    assert len(best.edits) == 1
    assert best.reaches
    assert all(size >= 9 for size in best.measures.receptive_field or ())
    assert any(each.input_shapes == {"input": (7, 7)} for each in found.proposals)


def test_gaps_in_the_field_are_closed(tmp_path: Path) -> None:
    found = proposed(DILATED, "ungridded", tmp_path)
    check(DILATED, found)
    assert found.base.gridded_layers > 0
    assert found.proposals
    assert all(each.reaches and each.measures.gridded_layers == 0 for each in found.proposals)
    assert all(each.measures.map_shape == found.base.map_shape for each in found.proposals if "stride" not in each.words[0])


def test_joined_paths_are_aligned(tmp_path: Path) -> None:
    found = proposed(SHIFTED, "aligned", tmp_path)
    check(SHIFTED, found)
    assert found.base.misaligned_joins == 1
    assert [each.reaches for each in found.proposals] == [True] * len(found.proposals)
    assert found.proposals


def test_connections_are_halved(tmp_path: Path) -> None:
    spec = spec_of([1, 16, 16], conv("a", 4, 5), conv("b", 4, 5), pool("p", 2, 2))
    found = proposed(spec, "fewer-connections=0.5", tmp_path)
    check(spec, found)
    assert found.proposals
    for each in found.proposals:
        assert each.reaches
        assert (each.measures.connections or 0) <= (found.base.connections or 0) / 2


@pytest.mark.parametrize("goal", ["", "productiv", "productive=1", "fewer-connections", "fewer-connections=x", "fewer-connections=1"])
def test_goal_that_is_none_is_refused(goal: str) -> None:
    with pytest.raises(Refused) as caught:
        read_goal(goal)
    assert (caught.value.code, caught.value.errors[0].pointer) == ("invalid-goal", "/goal")


def test_network_without_fields_has_no_way_to_a_goal(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not say how far"):
        proposed(spec_of([8], {"name": "d", "type": "dense", "units": 3}), "cover-input", tmp_path)
