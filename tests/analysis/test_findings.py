"""Each finding on the smallest network that deserves it, and on its neighbour that does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.graph.model import Model, ModelFacts
from service.readers.spec.values import InlineWeights
from tests.networks import conv, pool, spec_of
from tests.reports import analyzed, graph_of, report_of

REPOSITORY = Path(__file__).resolve().parents[2]

Spec = dict[str, Any]


def codes(spec: Spec) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in report_of(spec)["findings"]:
        found.setdefault(finding["code"], []).append(finding)
    return found


def alignment(size: int, *right: dict[str, Any]) -> Spec:
    return spec_of(
        [1, size, size],
        conv("shortcut", 1, 1, 4, padding="same", inputs=["input"]),
        *right,
        {"name": "join", "type": "add", "inputs": ["shortcut", right[-1]["name"]]},
    )


PADDED = (
    {"name": "pad", "type": "pad", "padding": [[1, 0], [1, 0]], "inputs": ["input"]},
    conv("k3", 1, 3, 2, padding="valid"),
    conv("k1", 1, 1, 2, padding="valid"),
)
SAME = (conv("k3", 1, 3, 2, inputs=["input"]), conv("k1", 1, 1, 2))


def test_the_aligned_join_of_the_reference() -> None:
    """google-research/receptive_field's own test: [pad(1,0), k3 s2, k1 s2] beside a 1×1 of stride 4 gives 3/4/1, aligned."""
    report = report_of(alignment(24, *PADDED))
    field = report["layers"][-1]["receptive_field"]
    assert (field["size"], field["stride"], field["padding"]) == ([3, 3], [4, 4], [1, 1])
    assert not [finding for finding in report["findings"] if finding["code"] == "misaligned-join"]


def test_with_same_padding_the_size_of_the_input_decides() -> None:
    """The same with SAME: aligned at 9×9, centres one pixel apart at 8×8."""
    assert "misaligned-join" not in codes(alignment(9, *SAME))
    (height, width) = codes(alignment(8, *SAME))["misaligned-join"]
    assert (height["data"]["axis"], width["data"]["axis"]) == ("height", "width")
    assert height["data"]["shift"] == width["data"]["shift"] == 1
    assert height["data"]["paths"] == ["shortcut", "k1"]


def test_tensors_laid_end_to_end_do_not_meet() -> None:
    """Rows joined to other rows (a roll) keep their places; the same tensors side by side as channels are misaligned."""
    parts = (
        conv("left", 1, 3, 1, padding=[[0, 2], [1, 1]], inputs=["input"]),
        conv("right", 1, 3, 1, padding=[[2, 0], [1, 1]], inputs=["input"]),
    )
    rows = spec_of([1, 9, 9], *parts, {"name": "join", "type": "concat", "axis": 1, "inputs": ["left", "right"]})
    channels = spec_of([1, 9, 9], *parts, {"name": "join", "type": "concat", "inputs": ["left", "right"]})
    assert "misaligned-join" not in codes(rows)
    (height,) = codes(channels)["misaligned-join"]
    assert (height["data"]["axis"], height["data"]["shift"]) == ("height", -2)


def test_strides_that_differ() -> None:
    """[k5 s2] beside [k3, k3] of the same output size along one axis: the strides differ."""
    spec = spec_of(
        [1, 9, 9],
        conv("k5", 1, [5, 5], [2, 2], padding="valid", inputs=["input"]),
        {"name": "crop", "type": "crop", "cropping": [[3, 3], [3, 3]], "inputs": ["input"]},
        {"name": "join", "type": "add", "inputs": ["k5", "crop"]},
    )
    spec["layers"][1] = conv("narrow", 1, 7, 1, padding="valid", inputs=["input"])
    spec["layers"][2]["inputs"] = ["k5", "narrow"]
    (height, _) = codes(spec)["misaligned-join"]
    assert height["data"]["strides"] == [2, 1]


def test_two_joins_in_a_row() -> None:
    """The first case, then [k1 s2] + [pad(1,0), k3 s2] added: 11/8/5."""
    spec = alignment(24, *PADDED)
    spec["layers"] += [
        conv("left", 1, 1, 2, padding="valid", inputs=["join"]),
        {"name": "pad2", "type": "pad", "padding": [[1, 0], [1, 0]], "inputs": ["join"]},
        conv("right", 1, 3, 2, padding="valid"),
        {"name": "end", "type": "add", "inputs": ["left", "right"]},
    ]
    field = report_of(spec)["layers"][-1]["receptive_field"]
    assert (field["size"], field["stride"], field["padding"]) == ([11, 11], [8, 8], [5, 5])


def test_gridding() -> None:
    """Two dilated layers, 2 then 4, read 49 of 169 pixels."""
    (first, second) = codes(spec_of([1, 32, 32], conv("d2", 1, 3, dilation=2), conv("d4", 1, 3, dilation=4)))["gridding"]
    assert first["data"]["density"] == pytest.approx(9 / 25)
    assert second["data"]["density"] == pytest.approx(49 / 169)
    assert "gridding" not in codes(spec_of([1, 32, 32], conv("a", 1, 3), conv("b", 1, 3, dilation=2)))


def test_pixels_never_read() -> None:
    """A 1×1 at stride 2 reads a quarter of the image; a 2×2 at stride 2 all of it."""
    (finding,) = codes(spec_of([1, 8, 8], conv("hop", 1, 1, 2)))["pixels-never-read"]
    assert finding["data"]["skipped"] == [0.5, 0.5]
    assert "pixels-never-read" not in codes(spec_of([1, 8, 8], pool("pool", 2, 2)))


def test_checkerboard() -> None:
    """Odena, Dumoulin and Olah 2016: kernel 3 at stride 2 overlaps unevenly, kernel 4 does not."""

    def up(kernel: int) -> Spec:
        return spec_of([1, 8, 8], {"name": "up", "type": "conv_transpose", "filters": 1, "kernel": kernel, "stride": 2})

    assert "checkerboard" in codes(up(3))
    assert "checkerboard" not in codes(up(4))


def test_mostly_padding() -> None:
    """A 5×5 on a single pixel with padding 2 has one real tap of 25."""
    (finding,) = codes(spec_of([1, 1, 1], conv("border", 1, 5, padding=2)))["mostly-padding"]
    assert finding["data"]["share"] == pytest.approx(24 / 25)
    assert "mostly-padding" not in codes(spec_of([1, 8, 8], conv("inner", 1, 3)))


def test_unproductive_layers_and_the_smallest_productive_input() -> None:
    """Richter et al. 2021: behind three 3×3 layers on 5×5 the fourth has an input that already sees 7×7."""
    layers = [conv(f"c{i}", 1, 3) for i in range(4)]
    (finding,) = codes(spec_of([1, 5, 5], *layers))["unproductive-layer"]
    assert (finding["layer"], finding["data"]["needed"]) == ("c3", [7, 7])
    assert "receptive field of 7×7 pixels on every path, more than the input of 5×5" in finding["message"]
    summary = report_of(spec_of([1, 5, 5], *layers))["summary"]["receptive_field"]
    assert (summary["unproductive_layers"], summary["smallest_productive_input"]) == (1, [7, 7])
    assert "unproductive-layer" not in codes(spec_of([1, 7, 7], *layers))


def test_tied_weights() -> None:
    """One stored tensor of two layers: named by both, counted once."""
    spec = spec_of([2, 8, 8], conv("one", 2, 3), conv("two", 2, 3, share_with="one"))
    (finding,) = [f for f in codes(spec)["tied-weights"] if f["data"]["tensor"].endswith("kernel")]
    assert finding["data"]["layers"] == ["one", "two"]
    report = report_of(spec)
    assert [layer["parameters"]["tied_to"] for layer in report["layers"]] == [["two"], ["one"]]
    assert report["summary"]["parameters"]["stored"] * 2 == report["summary"]["parameters"]["referenced"]


def stated(name: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return conv(name, len(values), 1, weights=values, bias=False, **more)


def test_dead_and_duplicate_weights() -> None:
    """Filters of nothing but zeros; kernels that are stored apart but equal."""
    found = codes(spec_of([1, 4, 4], stated("a", [[[[1.0]]], [[[0.0]]]]), stated("b", [[[[1.0]]], [[[0.0]]]], inputs=["input"])))
    assert [finding["data"]["filters"] for finding in found["dead-filters"]] == [[1], [1]]
    (twins,) = found["duplicate-weights"]
    assert twins["data"]["layers"] == ["a", "b"]
    assert "duplicate-weights" not in codes(spec_of([1, 4, 4], stated("a", [[[[1.0]]]]), stated("b", [[[[2.0]]]])))


def test_filters_that_repeat_an_earlier_one() -> None:
    (finding,) = codes(spec_of([1, 4, 4], stated("a", [[[[1.0]]], [[[2.0]]], [[[1.0]]]])))["duplicate-filters"]
    assert finding["data"]["pairs"] == [[0, 2]]
    assert "duplicate-filters" not in codes(spec_of([1, 4, 4], stated("a", [[[[1.0]]], [[[2.0]]]])))


def test_structured_sparsity() -> None:
    """Mishra et al. 2021: two of four neighbouring weights are zero."""
    row = [[[1.0]], [[0.0]], [[2.0]], [[0.0]]]
    (finding,) = codes(spec_of([4, 4, 4], stated("a", [row])))["structured-sparsity"]
    assert finding["data"]["pattern"] == "2:4"
    assert "structured-sparsity" not in codes(spec_of([4, 4, 4], stated("a", [[*row[:3], [[1.0]]]])))


def test_weights_that_are_not_finite() -> None:
    """A layer spec cannot state them, a model can: values that a WeightReader gives as NaN and infinity."""
    graph, _ = graph_of(spec_of([1, 4, 4], stated("a", [[[[1.0]]], [[[2.0]]], [[[3.0]]]])))
    values = InlineWeights({graph.layers[0].kernel[0].stored: np.array([np.nan, np.inf, 1.0]).reshape(3, 1, 1, 1)})
    report = analyzed(Model((graph,), values, ModelFacts(None, "spec", 1, (), ())))
    (finding,) = [finding for finding in report["findings"] if finding["code"] == "weights-not-finite"]
    assert (finding["severity"], finding["data"]["weights"]) == ("error", 2)
    assert report["layers"][0]["values"]["not_finite"] == 2


def test_every_code_is_documented() -> None:
    """docs/findings.md lists the codes that the sources give: those of `Finding(…)` and those of a reader's `note(…)`."""
    given = set()
    for path in (REPOSITORY / "service").rglob("*.py"):
        given |= set(re.findall(r"""(?:\bFinding|\.note)\(\s*"([a-z-]+)",""", path.read_text()))
    documented = re.findall(r"^\| `([a-z-]+)` \|", (REPOSITORY / "docs" / "findings.md").read_text(), re.MULTILINE)
    assert len(given) > 15
    assert documented == sorted(given)
