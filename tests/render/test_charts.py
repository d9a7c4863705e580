"""Charts show the report's own numbers, and the same bytes every time."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from service.render.figures import charts
from service.report.document import Depth, Sharing, Sparsity
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
    rows = charts.sharing(LENET)["data"]["values"]
    layers = [layer for layer in LENET.layers if layer.connections is not None]
    assert [row["layer"] for row in rows] == [layer.name for layer in layers]
    assert [row["sharing factor"] for row in rows] == [layer.sharing.factor for layer in layers]
    assert [row["sparsity"] for row in rows] == [layer.sparsity.connection for layer in layers]
    # LeCun et al. 1998, section II-B: every one of the 28·28 places of C1 uses the same weights.
    assert rows[0]["sharing factor"] == 784


def test_layers_of_which_nothing_is_known_have_no_bar() -> None:
    report = document_of(spec_of([1, 8, 8], conv("a", 1, 3), conv("b", 1, 3)))
    unknown = replace(report.layers[1], sharing=Sharing(None, 1), sparsity=Sparsity(None, None, None))
    chart = charts.sharing(replace(report, layers=(report.layers[0], unknown)))
    assert [row["layer"] for row in chart["data"]["values"]] == ["a"]
    assert charts.shares(report) and not charts.shares(replace(report, layers=(unknown,)))


def test_names_under_the_bars_are_few_short_and_apart() -> None:
    """Layers may have names that differ past what is shown; their indices keep the bars apart."""
    report = document_of(spec_of([1, 8, 8], *(conv(f"{'long' * 9}{number}", 1, 1) for number in range(100))))
    chart = charts.sharing(report)
    places = [row["place"] for row in chart["data"]["values"]]
    assert len(set(places)) == 100 and max(map(len, places)) <= charts.LONGEST_LABEL + 3
    assert chart["vconcat"][1]["encoding"]["x"]["axis"]["values"] == places[::3]


def test_colour_shows_the_hierarchy_where_it_is_known() -> None:
    chart = charts.colour(replace(LENET, hierarchy=(Depth(1, "a", 4, 0.25), Depth(2, "b", 4, None))))
    assert chart["data"]["values"] == [{"depth": 1, "layer": "a", "filters": 4, "colour_share": 0.25}]


@pytest.mark.parametrize("chart", [charts.growth, charts.sharing])
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
    drawn = charts.picture(charts.sharing(report), "svg").decode()
    assert "<script" not in drawn and "\u202e" not in drawn
