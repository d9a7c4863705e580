"""Everything that is drawn of a report over HTTP, by the real service on small models."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from service.render.figures.connectivity_svg import connectivity_svg
from service.render.tables import LayerTable
from service.render.words.explain import explain
from service.report.document import Report
from service.report.plain import of_plain

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UNKNOWN = "/v1/analyses/sha256-" + "0" * 64

# A dense layer only: nothing of it is an image.
VECTOR = {"receptive": 1, "name": "vector", "input": {"shape": [5]}, "layers": [{"name": "d", "type": "dense", "units": 2}]}


def analysed(http: FlaskClient, body: bytes, kind: str) -> dict[str, Any]:
    response = http.post("/v1/analyses", data=body, content_type=kind)
    assert response.status_code == 201
    report: dict[str, Any] = response.get_json()
    return report


@pytest.fixture(scope="module")
def report(http: FlaskClient) -> dict[str, Any]:
    """A trained network on 3×32×32 images, four convolutions deep."""
    return analysed(http, (EXAMPLES / "photographs.onnx").read_bytes(), "application/onnx")


@pytest.fixture(scope="module")
def vector(http: FlaskClient) -> dict[str, Any]:
    return analysed(http, json.dumps(VECTOR).encode(), "application/json")


def place(report: dict[str, Any]) -> str:
    return str(report["links"]["self"])


def problem(response: TestResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, response.get_json()["code"]


GOOD = [
    (".html", "text/html"),
    (".md", "text/markdown"),
    (".csv", "text/csv"),
    ("/layers", "application/json"),
    ("/layers.csv", "text/csv"),
    ("/layers/0", "application/json"),
    ("/layers/0/connectivity.svg", "image/svg+xml"),
    ("/receptive-field.svg", "image/svg+xml"),
    ("/receptive-field.png", "image/png"),
    ("/receptive-field.vl.json", "application/json"),
    ("/sharing.svg", "image/svg+xml"),
    ("/colour.vl.json", "application/json"),
    ("/receptive-field/overlay.png", "image/png"),
    ("/filters", "application/json"),
    ("/filters.csv", "text/csv"),
    ("/filters.map.json", "application/json"),
    ("/hierarchy/2.png", "image/png"),
    ("/badge.json", "application/json"),
    ("/badge.svg", "image/svg+xml"),
    ("/sweep", "application/json"),
]


@pytest.mark.parametrize(("path", "media_type"), GOOD)
def test_answer_has_its_type_and_a_strong_entity_tag(http: FlaskClient, report: dict[str, Any], path: str, media_type: str) -> None:
    url = place(report) + path
    first = http.get(url)
    assert (first.status_code, first.mimetype) == (200, media_type)
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    again = http.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert problem(http.get(UNKNOWN + path)) == (404, "analysis-not-found")


def test_entity_tags_differ_by_what_was_asked(http: FlaskClient, report: dict[str, Any]) -> None:
    queries = ["/badge.svg", "/badge.svg?metric=sharing", "/badge.json", "/sweep?sizes=8", "/sweep?sizes=9", "/layers", "/layers?limit=1"]
    tags = [http.get(place(report) + query).headers["ETag"] for query in queries]
    assert len(set(tags)) == len(tags)


def test_links_of_a_report_lead_somewhere(http: FlaskClient, report: dict[str, Any]) -> None:
    assert {"self", "html", "filters", "receptive_field", "layers", "badge"} <= set(report["links"])
    for link in report["links"].values():
        assert http.get(link).status_code == 200, link


# -- the report in other forms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "suffix"), [("text/markdown", ".md"), ("text/csv", ".csv"), ("text/html, */*;q=0.1", ".html")])
def test_accept_and_suffix_give_the_same(http: FlaskClient, report: dict[str, Any], accept: str, suffix: str) -> None:
    chosen = http.get(place(report), headers={"Accept": accept})
    assert (chosen.status_code, chosen.vary.as_set()) == (200, {"accept", "accept-encoding"})
    assert chosen.data == http.get(place(report) + suffix).data
    assert chosen.headers["ETag"] != http.get(place(report)).headers["ETag"]


def test_html_holds_charts_and_pictures(http: FlaskClient, report: dict[str, Any]) -> None:
    page = http.get(place(report) + ".html").text
    assert page.count("<svg") >= 2
    assert page.count("data:image/png;base64,") == 2


def test_html_of_a_model_without_pictures(http: FlaskClient, vector: dict[str, Any]) -> None:
    page = http.get(place(vector) + ".html")
    assert page.status_code == 200
    assert "data:image/png" not in page.text


# -- layers -------------------------------------------------------------------------------------------------------------


def test_layers_are_flat_rows_in_both_forms(http: FlaskClient, report: dict[str, Any]) -> None:
    rows = http.get(place(report) + "/layers").get_json()
    document = of_plain(Report, report)
    layers = LayerTable.of(document)
    assert rows == [layers.row(layer) for layer in document.layers]
    for url, headers in (("/layers.csv", {}), ("/layers", {"Accept": "text/csv"})):
        table = list(csv.DictReader(io.StringIO(http.get(place(report) + url, headers=headers).data.decode(), newline="")))
        assert list(table[0]) == layers.columns
        assert [row["connections_exact"] for row in table] == [str(row["connections_exact"] or "") for row in rows]
    assert problem(http.get(place(report) + "/layers", headers={"Accept": "image/png"})) == (406, "not-acceptable")


def test_rows_go_on_in_the_same_form(http: FlaskClient, report: dict[str, Any]) -> None:
    link = http.get(place(report) + "/layers.csv?limit=1&kind=convolution").headers["Link"]
    following = link.removeprefix("<").split(">")[0]
    assert following.startswith(place(report) + "/layers.csv?") and "kind=convolution" in following
    assert problem(http.get(place(report) + "/layers?kind=convolutions")) == (422, "invalid-arguments")
    (row,) = csv.DictReader(io.StringIO(http.get(following).data.decode(), newline=""))
    assert row["kind"] == "convolution" and int(row["index"]) > 0


def test_layer_comes_with_the_derivation_of_its_numbers(http: FlaskClient, report: dict[str, Any]) -> None:
    layer = http.get(place(report) + "/layers/0").get_json()
    document = of_plain(Report, report)
    assert layer.pop("explain") == explain(document, document.layers[0])
    assert layer == report["layers"][0]


def test_connectivity_is_the_layers_picture(http: FlaskClient, report: dict[str, Any]) -> None:
    layer = of_plain(Report, report).layers[0]
    url = f"{place(report)}/layers/{quote(layer.name, safe='')}/connectivity.svg"
    for query, arguments in (("", ("graph", False)), ("?view=matrix", ("matrix", False)), ("?animate=true", ("graph", True))):
        response = http.get(url + query)
        assert response.data == connectivity_svg(layer, *arguments)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert problem(http.get(url + "?view=tree")) == (422, "invalid-arguments")


def test_layer_without_connections_has_no_picture(http: FlaskClient, report: dict[str, Any]) -> None:
    without = next(layer["index"] for layer in report["layers"] if layer["connections"] is None)
    assert problem(http.get(f"{place(report)}/layers/{without}/connectivity.svg")) == (404, "no-connections")
    assert problem(http.get(f"{place(report)}/layers/none/connectivity.svg")) == (404, "layer-not-found")


# -- charts -------------------------------------------------------------------------------------------------------------


def test_chart_without_data_is_told(http: FlaskClient, vector: dict[str, Any]) -> None:
    for form in ("svg", "png", "vl.json"):
        assert problem(http.get(f"{place(vector)}/colour.{form}")) == (404, "no-chart")
    assert http.get(f"{place(vector)}/sharing.vl.json").status_code == 200


def test_chart_is_one_in_every_form(http: FlaskClient, report: dict[str, Any]) -> None:
    specification = http.get(place(report) + "/colour.vl.json").get_json()
    assert [row["colour_share"] for row in specification["data"]["values"]] == [row["colour_share"] for row in report["hierarchy"]]
    assert ElementTree.fromstring(http.get(place(report) + "/colour.svg").data).tag.endswith("svg")
    assert Image.open(io.BytesIO(http.get(place(report) + "/colour.png").data)).width > 480


# -- filters and hierarchy ----------------------------------------------------------------------------------------------


def test_grid_options_reach_the_picture_and_its_map(http: FlaskClient, report: dict[str, Any]) -> None:
    query = "?labels=true&sort=norm&channels=mean&colormap=diverging&background=%23123456&gap=4&scale=8"
    picture = http.get(place(report) + "/filters.png" + query)
    plan = http.get(place(report) + "/filters.map.json" + query).get_json()
    image = Image.open(io.BytesIO(picture.data))
    assert image.size == (plan["width"], plan["height"])
    assert image.getpixel((0, 0)) == (0x12, 0x34, 0x56)
    assert (plan["sort"], plan["colormap"], plan["channels"]) == ("norm", "diverging", "mean")
    norms = {row["index"]: row["norm"] for row in http.get(place(report) + "/filters").get_json()["filters"]}
    assert [norms[index] for index in plan["order"]] in (sorted(norms.values()), sorted(norms.values(), reverse=True))
    assert picture.headers["Receptive-Tile"] == f"{plan['tile']['height']}x{plan['tile']['width']}"


def test_measurements_are_the_same_as_json_and_csv(http: FlaskClient, report: dict[str, Any]) -> None:
    measured = http.get(place(report) + "/filters").get_json()
    assert (measured["layer"], measured["count"]) == (report["first_layers"][0]["layer"], report["first_layers"][0]["filters"])
    for url, headers in (("/filters.csv", {}), ("/filters", {"Accept": "text/csv"})):
        rows = list(csv.DictReader(io.StringIO(http.get(place(report) + url, headers=headers).data.decode(), newline="")))
        assert [row["label"] for row in rows] == [row["label"] for row in measured["filters"]]
        assert [float(row["norm"]) for row in rows] == [row["norm"] for row in measured["filters"]]


def test_measurements_of_another_layer(http: FlaskClient, report: dict[str, Any]) -> None:
    second = [layer for layer in report["layers"] if layer["kind"] == "convolution"][1]
    assert http.get(f"{place(report)}/filters?layer={second['index']}").get_json()["layer"] == second["name"]
    assert problem(http.get(f"{place(report)}/filters?layer=none")) == (404, "layer-not-found")


def test_model_without_filters_says_so_everywhere(http: FlaskClient, vector: dict[str, Any]) -> None:
    for path in ("filters.png", "filters", "filters.csv", "filters.map.json"):
        assert problem(http.get(f"{place(vector)}/{path}")) == (404, "no-filters")


def test_option_that_does_not_fit_the_layer(http: FlaskClient, report: dict[str, Any]) -> None:
    assert problem(http.get(place(report) + "/filters.png?channels=0,1,9")) == (422, "invalid-option")


def test_hierarchy_draws_filters_of_a_depth(http: FlaskClient, report: dict[str, Any]) -> None:
    response = http.get(place(report) + "/hierarchy/2.png?strongest=4&columns=8")
    assert response.headers["Receptive-Columns"] == "8"
    filters = [layer for layer in report["layers"] if layer["kind"] == "convolution"][1]["output_shape"][1]
    assert len(response.headers["Receptive-Filters"].split(",")) == filters
    assert Image.open(io.BytesIO(response.data)).format == "PNG"
    for depth in (0, 99):
        assert problem(http.get(f"{place(report)}/hierarchy/{depth}.png")) == (404, "no-such-depth")
    assert problem(http.get(place(report) + "/hierarchy/2.png?strongest=0")) == (422, "invalid-arguments")


# -- overlay ------------------------------------------------------------------------------------------------------------


def picture_bytes(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (50, 40), (0, 0, 255)).save(out, kind)
    return out.getvalue()


def test_overlay_of_a_unit(http: FlaskClient, report: dict[str, Any]) -> None:
    url = f"{place(report)}/receptive-field/overlay.png?layer=0"
    middle, corner = http.get(url), http.get(url + "&unit=0,0")
    assert corner.headers["Receptive-Unit"] == "0,0"
    assert middle.headers["Receptive-Unit"] != "0,0"
    assert corner.data != middle.data
    for wrong in ("0", "x,y", "1,2,3,4", "-1,0"):
        assert http.get(f"{url}&unit={wrong}").status_code == 422
    assert problem(http.get(f"{url}&unit=9999,0")) == (422, "no-field")


def test_overlay_on_an_image_of_the_readers_own(http: FlaskClient, report: dict[str, Any]) -> None:
    url = f"{place(report)}/receptive-field/overlay.png?layer=0"
    neutral = http.get(url).data
    for kind in ("png", "jpeg"):
        response = http.post(url, data=picture_bytes(kind), content_type=f"image/{kind}")
        assert (response.status_code, response.mimetype, response.headers["Cache-Control"]) == (200, "image/png", "no-store")
        assert response.data != neutral
        red, green, blue = Image.open(io.BytesIO(response.data)).convert("RGB").getpixel((0, 0))  # type: ignore[misc]
        assert blue > 90 and max(red, green) < 20


def test_overlay_refuses_what_is_no_image(http: FlaskClient, report: dict[str, Any]) -> None:
    url = f"{place(report)}/receptive-field/overlay.png?layer=0"
    assert problem(http.post(url, data=b"nothing", content_type="image/png")) == (422, "no-picture")
    assert problem(http.post(url, data=b"", content_type="image/png")) == (400, "empty-body")
    assert problem(http.post(url, data=b"x", content_type="text/plain")) == (415, "unsupported-media-type")
    assert problem(http.post(url, data=bytes(17 << 20), content_type="image/png")) == (413, "body-too-large")


def test_overlay_without_a_local_field(http: FlaskClient, vector: dict[str, Any]) -> None:
    assert problem(http.get(place(vector) + "/receptive-field/overlay.png")) == (422, "no-field")


# -- badges and sweep ---------------------------------------------------------------------------------------------------


def test_badge_shows_the_metric(http: FlaskClient, report: dict[str, Any]) -> None:
    badge = http.get(place(report) + "/badge.json?metric=findings").get_json()
    warnings = sum(finding["severity"] != "info" for finding in report["findings"])
    assert (badge["schemaVersion"], badge["message"]) == (1, str(warnings))
    assert problem(http.get(place(report) + "/badge.svg?metric=beauty")) == (422, "invalid-arguments")


def test_sweep_judges_the_sizes_in_order(http: FlaskClient, report: dict[str, Any]) -> None:
    answer = http.get(place(report) + "/sweep?sizes=64,4,64,32").get_json()
    assert [row["size"] for row in answer["sizes"]] == [4, 32, 64]
    counts = [row["unproductive"] for row in answer["sizes"]]
    assert counts[0] > 0 and counts == sorted(counts, reverse=True)
    for wrong in ("0", "a", "1,,2", "-5", ",".join(["9"] * 65), "1" * 9):
        assert problem(http.get(f"{place(report)}/sweep?sizes={wrong}")) == (422, "invalid-arguments")
