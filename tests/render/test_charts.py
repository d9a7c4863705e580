"""Charts show the report's own numbers, and the same bytes every time."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from service.render.figures import charts
from service.render.figures.chart_parts import MAX_LABEL, MAX_LABELS, short_names
from service.render.figures.sharing_chart import shares, sharing
from service.render.figures.sweep_chart import size_chart, sizes_of, sweeps
from service.report.document import Connections, Depth, Sharing
from tests import networks
from tests.networks import conv, spec_of
from tests.reports import document_of

LENET = document_of(networks.example("lenet-5"))
Points = list[dict[str, Any]]


def series(points: Points, name: str, axis: str) -> dict[int, float]:
    return {point["depth"]: point["pixels"] for point in points if (point["series"], point["axis"]) == (name, axis)}


def test_growth_shows_the_receptive_field_of_every_layer() -> None:
    report = document_of(spec_of([3, 40, 30], conv("a", 4, [3, 5]), conv("b", 4, 3, 2), conv("c", 4, [1, 3])))
    points = charts.growth(report)["data"]["values"]
    for number, axis in enumerate(("height", "width")):
        fields = [layer.receptive_field for layer in report.layers]
        assert list(series(points, "all paths", axis).values()) == [field.size[number] for field in fields]
        assert list(series(points, "narrowest path", axis).values()) == [field.min_size[number] for field in fields]
        effective = list(series(points, "effective, 95 % of the influence", axis).values())
        assert effective == pytest.approx([field.effective.width95[number] for field in fields], abs=5e-4)
    # By hand: 3, 3 + 2, then a kernel of one row adds nothing; 5, 5 + 2, 7 + 2·2.
    assert list(series(points, "all paths", "height").values()) == [3, 5, 5]
    assert list(series(points, "all paths", "width").values()) == [5, 7, 11]


def test_equal_axes_are_drawn_once() -> None:
    chart = charts.growth(LENET)
    assert {point["axis"] for point in chart["data"]["values"]} == {"height"}
    assert "vconcat" not in chart
    assert "the same along every axis" in chart["title"]["subtitle"]


def test_growth_marks_the_input_and_unproductive_layers() -> None:
    report = document_of(spec_of([1, 8, 8], *(conv(f"c{number}", 1, 3) for number in range(6))))
    unproductive = [layer.index for layer in report.layers if layer.receptive_field.unproductive]
    # By hand: the layers read 1, 3, 5, 7, 9 and 11 pixels of 8.
    assert unproductive == [4, 5]
    zones, _, size = charts.growth(report)["layer"]
    assert zones["data"]["values"] == [{"from": 3.5, "to": 5.5}]
    assert size["data"]["values"] == [{"axis": "height", "size": 8}]


def test_sharing_shows_every_layer_with_connections() -> None:
    rows = sharing(LENET)["data"]["values"]
    layers = [layer for layer in LENET.layers if layer.connections is not None]
    assert [row["layer"] for row in rows] == [layer.name for layer in layers]
    assert [row["sharing factor"] for row in rows] == [layer.sharing.factor for layer in layers]
    assert [row["one in"] for row in rows] == [layer.connections.dense / layer.connections.exact for layer in layers]
    assert [row["sparsity"] for row in rows] == [layer.sparsity.connection for layer in layers]
    # LeCun et al. 1998, section II-B: every one of the 28·28 places of C1 uses the same weights.
    assert rows[0]["sharing factor"] == 784


def test_layers_of_which_nothing_is_known_have_no_bar() -> None:
    report = document_of(spec_of([1, 8, 8], conv("a", 1, 3), conv("b", 1, 3)))
    uncounted = Connections(None, None, None, None, None)
    unknown = replace(report.layers[1], sharing=Sharing(None, 1), connections=uncounted)
    chart = sharing(replace(report, layers=(report.layers[0], unknown)))
    assert [row["layer"] for row in chart["data"]["values"]] == ["a"]
    assert shares(report) and not shares(replace(report, layers=(unknown,)))


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["/features/conv1", "/features/conv2"], ["conv1", "conv2"]),
        (["net.0.conv", "net.1.conv"], ["0.conv", "1.conv"]),
        (["conv1", "conv2"], ["conv1", "conv2"]),
        (["a/b", "a/"], ["a/b", "a/"]),
        (["alone/conv"], ["alone/conv"]),
        ([], []),
    ],
)
def test_names_are_shown_as_far_as_they_differ(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


@pytest.mark.parametrize("layers", [5, 400])
def test_names_along_the_edge_are_few_and_short(layers: int) -> None:
    report = document_of(spec_of([1, 8, 8], *(conv(f"{'long' * 9}{number}", 1, 1) for number in range(layers))))
    for axis in (
        charts.growth(report)["layer"][-1 if layers < 2 else 0]["encoding"]["x"]["axis"],
        sharing(report)["vconcat"][1]["encoding"]["x"]["axis"],
    ):
        assert 5 <= len(axis["values"]) <= MAX_LABELS
        names = json.loads(axis["labelExpr"].partition("[indexof")[0])
        assert len(names) == len(axis["values"]) and max(map(len, names)) <= MAX_LABEL


def test_one_connection_in_n_is_drawn_where_shares_would_all_look_like_one() -> None:
    """By hand: 9 of 64 connections of a 3×3 kernel at the one place of an 8×8 image with stride 8; everything of a dense layer."""
    report = document_of(spec_of([1, 8, 8], conv("c", 1, 3, 8), {"name": "d", "type": "dense", "units": 2}))
    chart = sharing(report)
    assert [row["one in"] for row in chart["data"]["values"]] == [pytest.approx(64 / 9), 1.0]
    assert chart["vconcat"][1]["encoding"]["y"]["scale"] == {"type": "log", "domain": [1, 10]}


def test_sizes_show_how_many_layers_add_context() -> None:
    """By hand: layers that read 1, 3, 5 and 7 pixels add context to inputs of that size or more."""
    report = document_of(spec_of([1, 8, 8], *(conv(f"c{number}", 1, 3) for number in range(4))))
    rows = {row["size"]: row["adding"] for row in size_chart(report)["data"]["values"]}
    assert {size: rows[size] for size in (1, 2, 3, 4, 6, 8)} == {1: 1, 2: 1, 3: 2, 4: 2, 6: 3, 8: 4}
    assert max(sizes_of(report)) > 8 and sweeps(report)
    assert not sweeps(document_of(spec_of([1, 8, 8], {"name": "r", "type": "activation", "function": "relu"})))


def test_colour_shows_the_hierarchy_where_it_is_known() -> None:
    chart = charts.colour(replace(LENET, hierarchy=(Depth(1, "a", 4, 0.25), Depth(2, "b", 4, None))))
    assert chart["data"]["values"] == [{"depth": 1, "layer": "a", "filters": 4, "colour_share": 0.25}]


@pytest.mark.parametrize("chart", [charts.growth, sharing, size_chart])
def test_pictures_are_deterministic(chart: Any) -> None:
    first, second = (charts.picture(chart(LENET), "svg") for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
    one, other = (charts.picture(chart(LENET), "png") for _ in range(2))
    assert one == other
    assert Image.open(io.BytesIO(one)).width > 640


def test_hostile_names_are_text() -> None:
    report = document_of(spec_of([1, 8, 8], conv("c", 1, 3)))
    report = replace(report, layers=(replace(report.layers[0], name="<script>alert(1)</script>\u202e"),))
    drawn = charts.picture(sharing(report), "svg").decode()
    assert "<script" not in drawn and "\u202e" not in drawn
