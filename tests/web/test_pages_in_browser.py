"""The pages as a reader uses them, in Chromium under their content security policy; a console message fails the test."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from service.render.figures.png import encode_png
from service.render.html import report_html
from tests.reports import document_of
from tests.web.conftest import EXAMPLES, settled, until, watched

pytestmark = pytest.mark.browser


def test_a_model_is_uploaded_watched_read_filtered_and_opened(live: str, page: Page) -> None:
    page.goto(live)
    # A name of its own makes it a new analysis, and a slow line leaves time to see it move, whatever ran before and however fast.
    model = (EXAMPLES / "photographs.onnx").read_bytes()
    page.set_input_files("#model", {"name": "uploaded.onnx", "mimeType": "application/octet-stream", "buffer": model})
    line = {"offline": False, "latency": 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
    page.click("#upload button.main")
    expect(page.locator("#progress")).to_be_visible()
    page.wait_for_url("**/analyses/sha256-*", wait_until="commit")
    expect(page.locator("h1")).to_have_text("uploaded")
    expect(page.locator(".answer")).to_have_count(3)
    page.click("text=Layers")
    rows = page.locator("table.layers tbody")
    everything = rows.count()
    page.fill(".tools input[type=search]", "conv")
    expect(page.locator(".tools output")).to_contain_text(f"of {everything} layers")
    visible = page.locator("table.layers tbody:visible")
    assert 0 < visible.count() < everything
    page.select_option(".tools select >> nth=0", "convolution")
    assert set(page.locator("table.layers tbody:visible th i").all_inner_texts()) == {"convolution"}
    visible.first.locator("th a").click()
    expect(page.locator("h1")).to_have_text("conv1")
    expect(page.locator(".derivations").filter(has_text="connections").first).to_be_visible()


def test_progress_goes_from_bytes_to_stages(live: str, page: Page, tmp_path: Path) -> None:
    spec = json.loads((EXAMPLES / "lenet-5.json").read_text())
    path = tmp_path / "another.json"
    path.write_text(json.dumps({**spec, "name": "another"}) + " " * 300_000)
    page.goto(live)
    page.evaluate("""() => {
        window.stages = [];
        new MutationObserver(() => window.stages.push(document.querySelector('.stages [aria-current]')?.dataset.stage))
            .observe(document.querySelector('.stages'), {subtree: true, attributes: true});
        window.addEventListener('pagehide', () => sessionStorage.setItem('stages', JSON.stringify(window.stages)));
    }""")
    page.set_input_files("#model", path)
    page.click("#upload button.main")
    expect(page.locator("#sent")).to_contain_text("of 30")
    page.wait_for_url("**/analyses/sha256-*", wait_until="commit")
    stages = json.loads(page.evaluate("sessionStorage.getItem('stages')"))
    assert stages[0] == "sending"
    assert stages[-1] == "done"


def test_a_bad_model_is_refused_with_its_reason(live: str, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"receptive": 1, "input": {"shape": [1, 8, 8]}, "layers": [{"type": "conv", "filters": -1, "kernel": 3}]}')
    page = browser.new_page()
    page.goto(live)
    page.set_input_files("#model", path)
    page.click("#upload button.main")
    expect(page.locator("#failed")).to_contain_text("/layers/0/filters")
    expect(page.locator("#upload button.main")).to_be_enabled()
    page.close()


def test_a_dropped_file_is_analysed(live: str, page: Page) -> None:
    text = (EXAMPLES / "har.json").read_text()
    page.goto(live)
    transfer = page.evaluate_handle(
        "text => { const t = new DataTransfer(); t.items.add(new File([text], 'har.json')); return t; }",
        text.replace('"har"', '"dropped"', 1),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    page.wait_for_url("**/analyses/sha256-*", wait_until="commit")
    expect(page.locator("h1")).to_have_text("dropped")


def test_a_dropped_model_brings_its_external_data(live: str, page: Page) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 1, 2, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [1, 1, 3, 3]), ("y", [1, 1, 2, 2]))]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "c")], "brought", ports[:1], ports[1:], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    page.goto(live)
    transfer = page.evaluate_handle(
        """model => {
            const t = new DataTransfer();
            t.items.add(new File([new Uint8Array(16)], 'weights.bin'));
            t.items.add(new File([new Uint8Array(model)], 'brought.onnx'));
            return t;
        }""",
        list(model),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    page.wait_for_url("**/analyses/sha256-*", wait_until="commit")
    expect(page.locator(".skips")).to_contain_text("All of the 4 weights are zero, which leaves 0 connections in effect")


def test_a_spec_is_analysed_by_keyboard_alone(live: str, page: Page) -> None:
    page.goto(live)
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == "spec":
            break
        page.keyboard.press("Tab")
    page.keyboard.insert_text('{"receptive": 1, "name": "typed", "input": {"shape": [1, 8, 8]}, "layers": [{"type": "flatten"}]}')
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/analyses/sha256-*", wait_until="commit")
    expect(page.locator("h1")).to_have_text("typed")


def test_an_example_is_one_click(live: str, page: Page) -> None:
    page.goto(live)
    page.click("button:text-is('lenet-5')")
    expect(page.locator("h1")).to_have_text("lenet-5")


def test_the_table_sorts_explains_and_opens_its_derivations(live: str, analyses: dict[str, str], page: Page) -> None:
    page.goto(f"{live}/analyses/{analyses['lenet-5']}/layers")
    page.click("thead button:has-text('connections') >> nth=0")
    assert page.locator("thead th[aria-sort=descending]").inner_text().startswith("connections")
    assert page.locator("table.layers tbody th a").first.inner_text() == "c3"
    row = page.locator("#layer-0")
    row.locator("td >> nth=3").hover()
    expect(page.locator(".tip")).to_have_text("5·5·1·6·28·28 = 117,600")
    expect(row.locator(".how")).to_be_hidden()
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(row.locator(".how")).to_be_visible()
    expect(row.locator(".how")).to_contain_text("(5·5·1 + 1)·6·28·28 = 122,304")


def test_the_growth_chart_becomes_interactive(live: str, analyses: dict[str, str], page: Page) -> None:
    page.goto(f"{live}/analyses/{analyses['alexnet-2012']}/receptive-field")
    chart = page.locator("[data-chart] canvas").first
    chart.wait_for()
    box = chart.bounding_box()
    assert box is not None and box["width"] > 300
    expect(page.locator("[data-chart] img")).to_have_count(0)


def test_a_chart_is_a_picture_where_its_library_does_not_come(live: str, analyses: dict[str, str], browser: Browser) -> None:
    page = browser.new_page()
    page.route("**/vega.js", lambda route: route.abort())
    page.goto(f"{live}/analyses/{analyses['lenet-5']}/receptive-field")
    expect(page.locator("[data-chart] img").first).to_be_visible()
    page.close()


def test_the_animation_of_a_layer_plays(live: str, analyses: dict[str, str], page: Page) -> None:
    page.goto(f"{live}/analyses/{analyses['shift-example']}/layers/0")
    page.click("#play")
    page.wait_for_url("**animate=true*")
    drawing = page.locator("object.drawing")
    drawing.scroll_into_view_if_needed()
    until(page, "document.querySelector('object.drawing').contentDocument?.getAnimations().length > 0")
    lit = """() => [...document.querySelector('object.drawing').contentDocument.querySelectorAll('.u')]
        .findIndex(u => getComputedStyle(u).opacity === '1')"""
    first = page.evaluate(lit)
    until(page, f"first => ({lit})() !== first", first)


def test_the_field_is_drawn_on_the_readers_image(live: str, analyses: dict[str, str], page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (90, 90), (10, 200, 30)).save(tmp_path / "mine.png")
    page.goto(f"{live}/analyses/{analyses['lenet-5']}/layers/3")
    picture = page.locator("#overlay-picture")
    before = picture.get_attribute("src")
    page.set_input_files("#overlay input[type=file]", tmp_path / "mine.png")
    expect(page.locator("#overlay-status")).to_have_text("drawn on your image")
    assert picture.get_attribute("src") != before
    until(page, "document.getElementById('overlay-picture').complete")
    shown = Image.open(io.BytesIO(picture.screenshot())).convert("RGB")
    red, green, _ = shown.getpixel((5, 5))
    assert green > 3 * red, "the corner shows the green image, dimmed"


def test_two_models_are_compared(live: str, analyses: dict[str, str], page: Page) -> None:
    page.goto(f"{live}/compare")
    page.select_option("#base", analyses["photographs"])
    page.select_option("#head", analyses["photographs-pruned"])
    page.click("summary:text-is('Budgets')")
    page.fill("#min_weight_sparsity", "50")
    page.fill("#max_parameters", "10")
    page.click("button:text-is('Compare')")
    expect(page.locator(".verdict")).to_contain_text("A budget is broken")
    assert page.locator("tr.pass code").all_inner_texts() == ["min_weight_sparsity"]
    assert page.locator("tr.fail code").all_inner_texts() == ["max_parameters"]
    expect(page.locator("table.changed")).to_contain_text("weights equal to zero")


def test_graph_matrix_and_sum_of_the_lesson_move_together(live: str, page: Page) -> None:
    page.goto(f"{live}/learn")
    player = page.locator(".player")
    expect(player).to_be_visible()
    page.click(".run")
    page.locator(".player input").fill("2")
    expect(page.locator(".sum")).to_have_text("f3 = w1·x4 + w2·x5 + w3·x7 + w4·x8")
    lit = """() => [...document.querySelectorAll('object')].map(o => [...o.contentDocument.querySelectorAll('.u')]
        .findIndex(u => getComputedStyle(u).opacity === '1'))"""
    assert page.evaluate(lit) == [2, 2]
    page.click("[aria-label='Next unit']")
    expect(page.locator(".sum")).to_have_text("f4 = w1·x5 + w2·x6 + w3·x8 + w4·x9")
    assert page.evaluate(lit) == [3, 3]


def test_every_choice_of_the_lesson_moves_drawings_and_numbers(live: str, page: Page) -> None:
    """Connections by hand: places times taps along each axis, without those on padding, squared."""
    page.goto(f"{live}/learn?size=5")
    steps = [
        ("kernel", "3", 9 * 9),  # 3 places of 3 taps
        ("stride", "2", 6 * 6),  # 2 places of 3
        ("padding", "1", 7 * 7),  # 3 places, the outer ones with 2 real taps
        ("dilation", "2", 4 * 4),  # 2 places from -1 to 3 and from 1 to 5, each with 2 real taps
        ("channels", "2", 2 * 16),
        ("filters", "2", 4 * 16),
        ("groups", "2", 2 * 16),
        ("size", "6", 2 * 25),  # 2 places, with 2 and with 3 real taps
    ]
    for name, value, connections in steps:
        page.fill(f"#{name}", value)
        expect(page.locator("#ideas table").first.locator("tr:has(th:text-is('connections')) td").last).to_have_text(str(connections))
        drawn = "o => o.data.includes(choice) && o.contentDocument?.getAnimations().length > 0"
        until(page, f"choice => [...document.querySelectorAll('object')].filter({drawn}).length === 2", f"{name}={value}")


def test_the_lesson_changes_in_place(live: str, page: Page) -> None:
    page.goto(f"{live}/learn")
    page.fill("#size", "4")
    page.fill("#kernel", "3")
    # A 3×3 filter at 2×2 places: 4·9 connections of 16·4.
    expect(page.locator("#ideas table").first).to_contain_text("36")
    expect(page.locator("#ideas .skips p.figure")).to_contain_text("43.8 %")
    page.wait_for_url("**/learn?size=4*kernel=3*")
    page.fill("#depth", "2")
    page.fill("#kernel", "5")
    expect(page.locator("#lesson")).to_contain_text("error")


@pytest.mark.parametrize(
    "address",
    [
        "/analyses/{}",
        "/analyses/{}/findings",
        "/analyses/{}/layers",
        "/analyses/{}/layers/0",
        "/analyses/{}/receptive-field",
        "/learn/worksheet/{}?key=true",
        "/compare?base={0}&head={0}",
        "/",
    ],
)
def test_hostile_names_stay_text(live: str, analyses: dict[str, str], page: Page, address: str) -> None:
    page.goto(live + address.format(analyses["hostile"]))
    settled(page)
    assert "taken" not in page.title() or "<script>" in page.title()
    assert page.locator("main script, main img[src=x]").count() == 0
    text = page.inner_text("body")
    assert "\u202e" not in text
    assert "<script>document" in text
    assert "n" * 600 not in text


PAGES = (
    "/",
    "/analyses/{0}",
    "/analyses/{0}/layers",
    "/analyses/{0}/findings",
    "/analyses/{0}/filters",
    "/analyses/{0}/layers/0",
    "/analyses/{0}/receptive-field",
    "/compare?base={0}&head={0}",
    "/learn?size=8&kernel=3",
    "/learn/worksheet/{0}",
)


@pytest.mark.parametrize("model", ["photographs", "hostile"])
def test_no_page_scrolls_sideways(live: str, analyses: dict[str, str], browser: Browser, model: str) -> None:
    """Not on a telephone (390 pixels), and not on a tablet."""
    for page in watched(browser, viewport={"width": 390, "height": 844}):
        wider = {}
        for address in PAGES:
            page.goto(live + address.format(analyses[model]))
            settled(page)
            wider[address] = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            page.set_viewport_size({"width": 820, "height": 1180})
            wider[f"{address} tablet"] = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            page.set_viewport_size({"width": 390, "height": 844})
        assert max(wider.values()) <= 0, wider


def test_pages_can_be_read_without_scripts(live: str, analyses: dict[str, str], browser: Browser) -> None:
    for page in watched(browser, java_script_enabled=False):
        page.goto(live)
        page.fill("#spec", (EXAMPLES / "lenet-5.json").read_text())
        page.click("text=Analyse the spec")
        expect(page.locator("h1")).to_have_text("lenet-5")
        expect(page.locator("[data-chart] img").first).to_be_visible()
        page.click("text=Layers")
        expect(page.locator("table.layers tbody")).to_have_count(12)
        page.click("#layer-0 summary")
        expect(page.locator("#layer-0 .how")).to_be_visible()
        page.goto(f"{live}/learn?size=5&kernel=3&stride=2")
        expect(page.locator("#ideas table").first).to_contain_text("36")
        page.goto(live)
        page.set_input_files("#model", EXAMPLES / "photographs.onnx")
        page.click("#upload button.main")
        page.wait_for_url("**/analyses/sha256-*", wait_until="commit")


def test_a_report_is_complete_without_a_network(browser: Browser, tmp_path: Path) -> None:
    layers = [{"name": f"unit {number}", "type": "conv", "filters": 4, "kernel": 3, "padding": 1} for number in range(250)]
    report = document_of({"receptive": 1, "name": "deep", "input": {"shape": [3, 32, 32]}, "layers": layers})
    path = tmp_path / "report.html"
    path.write_bytes(report_html(report, {"filters": encode_png(np.zeros((40, 40, 3), np.uint8), {})}))
    for page in watched(browser, offline=True):
        page.goto(path.as_uri())
        assert page.locator(".chart svg").count() == 2
        assert page.evaluate("document.querySelector('#filters img').naturalWidth") == 40
        shown = page.locator("table.layers tbody:visible")
        expect(shown).to_have_count(100)
        expect(page.locator(".tools output")).to_have_text("1 to 100 of 250 layers")
        page.click("text=next →")
        expect(shown.first.locator("th")).to_contain_text("unit 100")
        page.fill(".tools input", "unit 24")
        expect(page.locator(".tools output")).to_have_text("11 of 250 layers")
        page.fill(".tools input", "")
        page.select_option("select >> nth=1", "unproductive-layer")
        expect(shown).to_have_count(100)
        # A finding's link opens the derivations of its layer, whatever page of the table it is on.
        page.click(".finding a >> nth=0")
        opened = page.locator("tbody:has(details[open])")
        expect(opened.locator(".how")).to_be_visible()
        # On paper all layers are there, and nothing to press.
        page.emulate_media(media="print")
        expect(shown).to_have_count(250)
        expect(page.locator(".tools")).to_be_hidden()


def test_a_reader_who_wants_less_motion_gets_none(live: str, browser: Browser) -> None:
    for page in watched(browser, reduced_motion="reduce"):
        page.goto(f"{live}/learn")
        settled(page)
        moving = page.evaluate("[...document.querySelectorAll('object')].flatMap(o => o.contentDocument.getAnimations()).length")
        assert moving == 0
        expect(page.locator(".player")).to_be_hidden()
