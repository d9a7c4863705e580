"""What the pages say of watched models, and the chart of a history."""

from __future__ import annotations

import pytest

from service.render.figures.charts import picture
from service.render.figures.history import Point, history
from service.render.words.watched import SHOWN, bars, cells, sparkline


def points(**numbers: list[float]) -> list[Point]:
    count = max(map(len, numbers.values()))
    rows = ({f"receptive.{name.replace('__', '.')}": values[place] for name, values in numbers.items()} for place in range(count))
    return [Point(f"v{place}", "none", row) for place, row in enumerate(rows)]


def test_cell_says_the_number_the_change_and_the_line() -> None:
    made = dict(
        zip(SHOWN, cells(points(parameters=[100, 150], connection_sparsity=[0.5, 0.25], receptive_field__height=[7, 7])), strict=True)
    )
    assert (made["parameters"].text, made["parameters"].change) == ("150", "+50 %")
    assert (made["connection_sparsity"].text, made["connection_sparsity"].change) == ("25.0 %", "−50 %")
    assert (made["receptive_field"].text, made["receptive_field"].change) == ("7", "")
    assert (made["sharing_factor"].text, made["sharing_factor"].line) == ("–", "")


@pytest.mark.parametrize(("before", "after", "change"), [(0, 3, "+3"), (3, 0, "−100 %"), (0, 0, ""), (-2, -1, "+50 %")])
def test_change_from_nothing_is_no_share(before: float, after: float, change: str) -> None:
    made = dict(zip(SHOWN, cells(points(unproductive_layers=[before, after])), strict=True))
    assert made["unproductive_layers"].change == change


def test_sparkline_goes_up_where_numbers_do_and_skips_what_is_not_known() -> None:
    heights = [float(pair.split(",")[1]) for pair in sparkline([1, None, 2, 3]).split()]
    assert len(heights) == 3 and heights == sorted(heights, reverse=True)
    assert len({pair.split(",")[1] for pair in sparkline([5, 5]).split()}) == 1
    assert sparkline([None, 4]) == sparkline([]) == ""


def test_bars_are_named_by_their_edges() -> None:
    made = bars([(None, 0.1, 2), (0.1, 0.2, 4), (1.0, None, 0)], "share")
    assert [(each.label, each.length) for each in made] == [("below 10 %", 50.0), ("10 % to 20 %", 100.0), ("100 % or more", 0.0)]
    assert bars([(1e6, 1e9, 1)], "count")[0].label == "1 million to 1 billion"
    assert [each.length for each in bars([(None, 1.0, 0)], "count")] == [0.0]


HOSTILE = ["' + alert(1) + '", "\\", "</svg><script>", "\u202eabc", "a" * 300, '"']


def test_versions_of_any_name_are_drawn_as_text() -> None:
    made = history("</text><script>", [Point(version, "fail", {"receptive.layers": place}) for place, version in enumerate(HOSTILE)])
    assert made is not None
    drawn = picture(made, "svg").decode()
    assert "<script" not in drawn and "alert(1)" in drawn


def test_history_shows_what_changes_first_and_says_shares_as_such() -> None:
    made = history("m", points(layers=[3, 3], connection_sparsity=[0.1, 0.2]))
    assert made is not None
    titles = [panel["title"]["text"] for panel in made["concat"]]
    assert titles == ["connections left out", "layers"]
    assert made["concat"][0]["layer"][0]["encoding"]["y"]["axis"]["format"].endswith("%")
    assert history("m", points(layers=[3]), ["receptive.parameters"]) is None
    assert history("m", []) is None
