"""The pages without a browser: what each answers, its policy, and what is said about bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from onnx import TensorProto, helper, numpy_helper
from werkzeug.test import TestResponse

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from tests.reports import report_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data"), log_level="ERROR"))
    yield app.test_client()
    app.extensions[EXTENSION].close()


@pytest.fixture(scope="module")
def lenet(client: FlaskClient) -> str:
    """The address of the report on LeNet-5."""
    return report_address(client, client.post("/examples/lenet-5.json"))


def report_address(client: FlaskClient, answer: TestResponse) -> str:
    """Where a started analysis leads to, after the page that waits for it where it takes longer."""
    assert answer.status_code == 303
    address: str = answer.headers["Location"]
    while address.startswith("/jobs/"):
        # The stream of events ends when the job does.
        client.get(f"/v1{address}/events").get_data()
        address = client.get(address).headers.get("Location", address)
    return address


def text_of(page: str) -> str:
    """The text of a page without its markup."""
    return unescape(re.sub(r"<[^>]+>", " ", page))


def test_an_example_leads_to_its_report(client: FlaskClient, lenet: str) -> None:
    page = client.get(lenet)
    assert page.status_code == 200
    assert "332,824 connections are made by 59,752 weights" in text_of(page.text)
    assert lenet in client.get("/").text


@pytest.mark.parametrize(
    "tab", ["", "/findings", "/layers", "/receptive-field", "/filters", "/what-if", "/layers/0", "/layers/c3", "/layers/3?view=matrix"]
)
def test_every_tab_has_an_address(client: FlaskClient, lenet: str, tab: str) -> None:
    page = client.get(lenet + tab)
    assert page.status_code == 200
    assert "lenet-5" in page.text


@pytest.mark.parametrize("address", ["/", "/compare", "/learn", "/analyses/sha256-" + "0" * 64])
def test_pages_allow_nothing_from_elsewhere_and_nothing_inline(client: FlaskClient, address: str) -> None:
    page = client.get(address)
    policy = dict(entry.split(" ", 1) for entry in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=\"/static/)|<style|\son[a-z]+=|\sstyle=", page.text)
    assert re.findall(r"(?:src|href|data)=\"(?:https?:)?//", page.text) == []


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/analyses/sha256-" + "0" * 64, 404),
        ("/jobs/none", 404),
        ("/static/none.css", 404),
        ("/learn/worksheet/sha256-" + "0" * 64, 404),
        ("/compare?base=x&head=y", 422),
        ("/compare?base=sha256-{0}&head=sha256-{0}".format("0" * 64), 404),
    ],
)
def test_what_is_not_there_is_a_page_too(client: FlaskClient, address: str, status: int) -> None:
    page = client.get(address)
    assert page.status_code == status
    assert page.mimetype == "text/html"


def test_an_unknown_address_is_a_page_for_a_browser_only(client: FlaskClient) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = client.get("/nowhere", headers=browser)
    assert (page.status_code, page.mimetype) == (404, "text/html")
    page = client.get("/examples/lenet-5.json", headers=browser)
    assert (page.status_code, page.mimetype, set(page.headers["Allow"].split(", "))) == (405, "text/html", {"POST", "OPTIONS"})
    for address, headers in (("/nowhere", {}), ("/v1/nowhere", browser)):
        answer = client.get(address, headers=headers)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_missing_layer_is_a_page_too(client: FlaskClient, lenet: str) -> None:
    assert client.get(f"{lenet}/layers/none").status_code == 404
    assert client.post("/examples/none.json").status_code == 404


def test_messages_stand_at_the_line_of_a_pasted_spec(client: FlaskClient) -> None:
    spec = '{"receptive": 1,\n "input": {"shape": [1, 8, 8]},\n "layers": [\n  {"type": "conv", "filters": 2,\n   "kernel": 0}]}'
    page = client.post("/specs", data={"spec": spec.replace("\n", "\r\n")})
    assert page.status_code == 422
    assert "\\u000d" not in page.text
    (wrong,) = re.findall(r'<li value="(\d+)" class="wrong">(.*?)</li>', page.text)
    assert wrong[0] == "5"
    assert "/layers/0/kernel" in wrong[1]
    assert unescape(spec) in unescape(page.text), "the text stays in the form"


def test_a_pasted_text_that_is_no_json_says_where(client: FlaskClient) -> None:
    page = client.post("/specs", data={"spec": '{"receptive": 1,\n "input" }'})
    assert page.status_code == 400
    assert "line 2" in text_of(page.text)


@pytest.mark.parametrize("spec", ["", "   ", "</textarea><script>alert(1)</script>", "{" * 1000])
def test_a_pasted_text_is_only_text(client: FlaskClient, spec: str) -> None:
    page = client.post("/specs", data={"spec": spec})
    assert page.status_code in (400, 422)
    assert "<script>alert" not in page.text


def test_only_our_files_are_served(client: FlaskClient) -> None:
    for name in ("..%2f..%2fsettings.py", "../templates/base.html", "%2e%2e/settings.py", ".css", "none.js"):
        assert client.get(f"/static/{name}").status_code == 404


def test_files_have_strong_tags(client: FlaskClient) -> None:
    for name in ("style.css", "table.js", "vega.js"):
        first = client.get(f"/static/{name}")
        tag = first.headers["ETag"]
        assert tag.startswith('"')
        assert client.get(f"/static/{name}", headers={"If-None-Match": tag}).status_code == 304
    assert b"vegaEmbed" in client.get("/static/vega.js").data


def test_the_lesson_shows_the_numbers_of_the_engine(client: FlaskClient) -> None:
    page = text_of(client.get("/learn?size=6&channels=2&filters=4&kernel=3&stride=2&padding=1&groups=2&depth=2").text)
    layer = {"type": "conv", "filters": 4, "kernel": 3, "stride": 2, "padding": 1, "groups": 2, "bias": False}
    report = report_of(
        {"receptive": 1, "name": "n", "input": {"shape": [2, 6, 6]}, "layers": [{"name": "a", **layer}, {"name": "b", **layer}]}
    )
    first = report["layers"][0]
    assert f"{first['parameters']['weights']} weights make {first['connections']['exact']} connections" in page
    size = report["layers"][1]["receptive_field"]["size"]
    assert f"{size[0]}×{size[1]}" in page


def test_the_smallest_lesson_is_that_of_the_textbook(client: FlaskClient) -> None:
    """A 3×3 image and one 2×2 filter: 36, 16 and 16 connections; 36, 16 and 4 weights."""
    page = client.get("/learn").text
    rows = {
        unescape(name): re.findall(r'class="n">([^<]+)<', cells)
        for name, cells in re.findall(r'<th scope="row">([^<]+)</th>(.*?)</tr>', page)
    }
    assert rows["connections"] == ["36", "16", "16"]
    assert rows["weights"] == ["36", "16", "4"]
    assert rows["connections per hidden unit"] == ["9", "4", "4"]
    assert rows["uses per weight"] == ["1", "1", "4"]
    assert "9 times fewer weights: 2.25 from skipping × 4 from sharing" in text_of(page)


@pytest.mark.parametrize(
    "query", ["size=999999", "size=-1", "kernel=a", "depth=%F0%9F%98%80", "groups=3&channels=2&filters=2", "size=2&kernel=5"]
)
def test_a_lesson_that_cannot_be_says_so(client: FlaskClient, query: str) -> None:
    page = client.get(f"/learn?{query}")
    assert page.status_code == 200
    assert "<h1>" in page.text


def test_the_drawing_of_a_lesson_stands_in_our_pages(client: FlaskClient) -> None:
    drawing = client.get("/learn/connections.svg?view=matrix&animate=true")
    assert drawing.mimetype == "image/svg+xml"
    assert drawing.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert b"<svg" in drawing.data and b"script" not in drawing.data


def test_a_worksheet_keeps_its_key_to_itself(client: FlaskClient, lenet: str) -> None:
    address = f"/learn/worksheet/{lenet.removeprefix('/analyses/')}"
    assert "(5·5·1 + 1)·6 = 156" not in client.get(address).text
    assert "(5·5·1 + 1)·6 = 156" in client.get(f"{address}?key=true").text


def test_a_model_compared_with_itself_is_the_same(client: FlaskClient, lenet: str) -> None:
    name = lenet.removeprefix("/analyses/")
    page = text_of(client.get(f"/compare?base={name}&head={name}&max_layers=12&max_parameters_change=0").text)
    assert "All budgets hold" in page
    assert "12 layers unchanged" in page


def test_a_budget_takes_a_number(client: FlaskClient, lenet: str) -> None:
    name = lenet.removeprefix("/analyses/")
    page = client.get(f"/compare?base={name}&head={name}&max_layers=many")
    assert page.status_code == 422
    assert "takes a number" in page.text


def test_an_upload_without_a_script_leads_to_the_report(client: FlaskClient) -> None:
    model = json.loads((EXAMPLES / "shift-example.json").read_text())
    path = EXAMPLES / "shift-example.json"
    address = report_address(client, client.post("/analyses", data={"model": (path.open("rb"), path.name)}))
    assert model["name"] in client.get(address).text
    assert client.post("/analyses", data={"model": (path.open("rb"), path.name), "other": "x"}).status_code == 400


@pytest.fixture(scope="module")
def trained(client: FlaskClient) -> str:
    """The address of the report on a model with learned filters."""
    return report_address(client, client.post("/examples/photographs.onnx"))


def test_the_overview_shows_the_filters_and_reads_them(client: FlaskClient, lenet: str, trained: str) -> None:
    page = client.get(trained).text
    assert f'src="/v1{trained}/filters.png"' in page and f'src="/v1{trained}/hierarchy/3.png' in page
    assert "48 filters of 11×11×3 weights read the input image. 19.4 % of the energy" in text_of(page)
    assert "filters.png" not in client.get(lenet).text


def test_filters_that_were_not_read_are_drawn_all_the_same(client: FlaskClient) -> None:
    """Sequences, volumes and what was analysed without its weights have a grid too."""
    for shape in ((8, 2, 9), (8, 1, 3, 3, 3)):
        content = small_network(shape)
        for options in ("", "?read_weights=none"):
            place = client.post(f"/v1/analyses{options}", data=content, content_type="application/onnx").headers["Location"]
            assert client.get(f"{place}/filters.png").status_code == 200
            assert f'src="{place}/filters.png"' in client.get(f"{place.removeprefix('/v1')}/filters").text


def small_network(weights: tuple[int, ...], **shapes: str) -> bytes:
    """One convolution with weights of that shape, on an input that is open where `shapes` names an axis."""
    lengths = [1, weights[1], *(shapes.get(f"axis{axis}", 12) for axis in range(len(weights) - 2))]
    kernel = numpy_helper.from_array(np.arange(np.prod(weights), dtype=np.float32).reshape(weights), "w")
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, lengths), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "conv")], "small", ports[:1], ports[1:], [kernel])
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def test_an_open_shape_is_asked_for_where_the_page_says_that_it_is_open(client: FlaskClient) -> None:
    content = small_network((2, 3, 3, 3), axis0="height", axis1="width")
    place = client.post("/v1/analyses", data=content, content_type="application/onnx").headers["Location"].removeprefix("/v1")
    page = client.get(place).text
    assert f'action="{place}/shapes"' in page and 'value="1,3,224,224"' in page
    closed = client.get(report_address(client, client.post(f"{place}/shapes", data={"shape:x": "1, 3, 10, 12"})))
    assert "/shapes" not in closed.text
    assert "shape of x: 1×3×10×12" in text_of(closed.text)
    refused = client.post(f"{place}/shapes", data={"shape:x": "1,3,wide"})
    assert refused.status_code == 422
    assert "got '1,3,wide', expected numbers such as 1,3,224,224" in text_of(refused.text)


def test_the_field_of_any_layer_is_shown(client: FlaskClient, lenet: str) -> None:
    page = client.get(f"{lenet}/receptive-field?layer=2").text
    assert re.search(r'<option value="2" selected>2 \w+</option>', page)
    assert f'src="/v1{lenet}/receptive-field/overlay.png?layer=2"' in page
    assert f'data-chart="/v1{lenet}/sweep"' in page


def test_a_layer_opens_on_its_matrix(client: FlaskClient, lenet: str) -> None:
    assert "connectivity.svg?view=matrix" in client.get(f"{lenet}/layers/0").text
    assert "connectivity.svg?view=graph&animate=true" in unescape(client.get(f"{lenet}/layers/0?animate=true").text)


def test_recent_analyses_are_found_by_a_part_of_their_name(client: FlaskClient, lenet: str, trained: str) -> None:
    found = client.get("/?name=Photo").text
    assert trained in found and f'href="{lenet}"' not in found
    assert "No analysis has “nowhere” in its name." in client.get("/?name=nowhere").text


def test_a_report_is_deleted_after_a_question(client: FlaskClient) -> None:
    spec = '{"receptive": 1, "name": "doomed", "input": {"shape": [3]}, "layers": [{"type": "dense", "units": 2}]}'
    place = report_address(client, client.post("/specs", data={"spec": spec}))
    assert "Delete the report on doomed?" in client.get(f"{place}/delete").text
    assert client.post(f"{place}/delete", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get(place).status_code == 200
    assert client.post(f"{place}/delete").headers["Location"] == "/"
    assert client.get(place).status_code == 404


def test_a_comparison_shows_both_sides_and_has_links_to_its_other_forms(client: FlaskClient, lenet: str, trained: str) -> None:
    base, head = (address.removeprefix("/analyses/") for address in (lenet, trained))
    query = f"base={base}&head={head}&max_layers=12"
    page = unescape(client.get(f"/compare?{query}").text)
    assert f'data-chart="/v1{lenet}/receptive-field"' in page and f'data-chart="/v1{trained}/receptive-field"' in page
    assert f'src="/v1{trained}/filters.png"' in page and f'src="/v1{lenet}/filters.png"' not in page
    kinds = {"md": "text/markdown", "junit": "application/xml", "badge": "image/svg+xml", "html": "text/html", "json": "application/json"}
    for form, media_type in kinds.items():
        assert f'href="/compare.{form}?{query}"' in page
        answer = client.get(f"/compare.{form}?{query}")
        assert (answer.status_code, answer.mimetype) == (200, media_type)
    assert client.get(f"/compare.docx?{query}").status_code == 404


def test_a_lesson_says_that_its_drawings_show_one_channel_and_one_filter(client: FlaskClient) -> None:
    said = "the tables count all of them, 3 × 2."
    assert said in client.get("/learn?channels=3&filters=2").text
    assert "the tables count all of them" not in client.get("/learn").text
