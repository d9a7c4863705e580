"""Every limit of the readers: documented, and tried at the bound and one past it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import ModelProto

from service.faults import Refused
from service.limits import LIMITS, MAX_AXIS, MAX_CALL_DEPTH, MAX_LAYERS, MAX_RANK, MAX_UNITS, Limit, Limits, limits_table
from service.options import Options
from service.readers.onnx.builder import Builder
from service.readers.spec.entry import read_spec
from service.settings import load_settings
from tests.bad_inputs.bombs import equal_names, nested_loops
from tests.bad_inputs.damaged_bytes import FLOODS
from tests.bad_inputs.documents import deep
from tests.bad_inputs.graphs import calling, function, with_functions
from tests.readers.onnx_models import model, node, read, reading
from tests.readers.wire_bytes import scan_bytes

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_limit_is_documented() -> None:
    assert limits_table() in (DOCS / "limits.md").read_text()
    known = "".join((DOCS / name).read_text() for name in ("problems.md", "layer-spec.md", "keras.md"))
    assert [limit.code for limit in LIMITS if f"`{limit.code}`" not in known and not limit.code.startswith("limit-")] == []


def code_of(flood: str, count: int, limits: Limits) -> str:
    try:
        scan_bytes(b"\x08\x08" + FLOODS[flood](count), limits)
    except Refused as refused:
        return refused.code
    return ""


@pytest.mark.parametrize(
    ("flood", "limit"), [("nodes", "nodes"), ("tensors", "tensors"), ("strings", "strings"), ("dims", "values"), ("name", "name_bytes")]
)
def test_the_structure_of_a_file_at_the_bound_and_one_past_it(flood: str, limit: str) -> None:
    limits = Limits(**{limit: 2000})
    codes = [code_of(flood, count, limits) for count in range(1990, 2011)]
    refused = [code.startswith("limit-") for code in codes]
    assert refused == sorted(refused)
    assert set(refused) == {False, True}
    assert {code for code in codes if code.startswith("limit-")} == {f"limit-{limit.replace('_', '-')}"}


def test_nodes_and_rounds_of_loops() -> None:
    builder = Builder((), budget=5, unrolled=2)
    builder.spend(repeated=True, nodes=2)
    builder.spend(nodes=3)
    for repeated in (False, True):
        with pytest.raises(Refused) as caught:
            Builder((), budget=5 if repeated else 1, unrolled=1).spend(repeated, 2)
        assert caught.value.code == "too-many-nodes"


def test_loops_in_loops_up_to_the_bound() -> None:
    assert len(read(ModelProto.FromString(nested_loops(2))).layers) == 256
    with pytest.raises(Refused) as caught:
        read(ModelProto.FromString(nested_loops(4)))
    assert caught.value.code == "too-many-nodes"


@pytest.mark.parametrize("depth", [MAX_CALL_DEPTH, MAX_CALL_DEPTH + 1])
def test_calls_inside_one_another(depth: int) -> None:
    functions = [function(f"F{level}", calling(f"F{level + 1}")) for level in range(depth - 1)]
    proto = ModelProto.FromString(with_functions(*functions, function(f"F{depth - 1}", node("Relu", "x"))))
    if depth == MAX_CALL_DEPTH:
        assert len(read(proto).layers) == 1
        return
    with pytest.raises(Refused) as caught:
        reading(proto)
    assert caught.value.code == "too-deep"


@pytest.mark.parametrize(
    ("inside", "beyond"),
    [([MAX_AXIS - 1], [MAX_AXIS]), ([1 << 26, 1 << 26], [1 << 26, (1 << 26) + 1]), ([1] * MAX_RANK, [1] * (MAX_RANK + 1))],
)
def test_the_size_of_an_input(inside: list[int], beyond: list[int]) -> None:
    assert MAX_UNITS == 1 << 52
    assert read(model([node("Relu", "x")], {"x": inside})).inputs[0].shape == tuple(inside)
    with pytest.raises(Refused) as caught:
        read(model([node("Relu", "x")], {"x": beyond}))
    assert caught.value.code == "input-too-large"


def test_layers_of_a_spec() -> None:
    graph, _ = read_spec(equal_names(MAX_LAYERS), Options())
    assert len(graph.layers) == MAX_LAYERS
    with pytest.raises(Refused) as caught:
        read_spec(equal_names(MAX_LAYERS + 1), Options())
    assert "too-many-layers" in [detail.code for detail in caught.value.errors]


def test_depth_of_a_document() -> None:
    codes = []
    for depth in (63, 64):  # inside one object
        with pytest.raises(Refused) as caught:
            read_spec(deep(depth), Options())
        codes.append(caught.value.code)
    assert codes == ["invalid-spec", "too-deep"]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_every_limit_is_a_setting(limit: Limit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limit.read({}) == limit.default
    assert limit.read({limit.variable: " 7 "}) == 7
    (tmp_path / "value").write_text("9\n")
    assert limit.read({f"{limit.variable}_FILE": str(tmp_path / "value")}) == 9
    for wrong in ("0", "-1", "many", "1.5", "9" * 30, *([] if limit.greatest is None else [str(limit.greatest + 1)])):
        monkeypatch.setenv(limit.variable, wrong)
        with pytest.raises(SystemExit, match=f"{limit.variable}: got"):
            load_settings()
    monkeypatch.setenv(limit.variable, "8")
    load_settings()


def test_file_with_a_limit_that_is_not_there_stops_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEPTIVE_MAX_LAYERS_FILE", "/nowhere/limit")
    with pytest.raises(SystemExit, match="RECEPTIVE_MAX_LAYERS_FILE"):
        load_settings()


def test_misspelt_limit_stops_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEPTIVE_MAX_LAYER", "8")
    with pytest.raises(SystemExit, match="RECEPTIVE_MAX_LAYERS"):
        load_settings()


def test_processes_have_the_limits_of_their_environment() -> None:
    """A job's process is started with the environment of the service, and reads the table anew."""
    code = (
        "from service.limits import *\n"
        "from service.readers.spec.entry import read_spec\nfrom service.options import Options\nfrom service.faults import Refused\n"
        "from tests.bad_inputs.bombs import equal_names\n"
        "print(MAX_LAYERS, Limits().nodes, MAX_NODES, len(read_spec(equal_names(3), Options())[0].layers))\n"
        "try:\n    read_spec(equal_names(4), Options())\nexcept Refused as refused:\n    print(refused.errors[0].code)\n"
    )
    environment = os.environ | {"RECEPTIVE_MAX_LAYERS": "3", "RECEPTIVE_MAX_FILE_NODES": "5"}
    done = subprocess.run([sys.executable, "-c", code], cwd=DOCS.parent, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "5", "250000", "3", "too-many-layers"]
