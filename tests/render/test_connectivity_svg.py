"""The connection picture: the idea's example exactly, and windows of real layers that say which part they are."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from service.faults import Refused
from service.render.figures.connections import MOST_CONNECTIONS, MOST_INPUTS, MOST_OUTPUTS, window
from service.render.figures.connectivity_svg import connectivity_svg
from service.report.document import Spread, Units
from tests import networks
from tests.networks import conv, spec_of
from tests.reports import document_of

SVG = "{http://www.w3.org/2000/svg}"


def edges(svg: bytes) -> list[tuple[str, str]]:
    """(title, colour) of every drawn connection."""
    root = ElementTree.fromstring(svg)
    paths = [path for path in root.iter(f"{SVG}path") if path.get("class") == "e"]
    return [(path.findtext(f"{SVG}title", ""), path.get("stroke", "")) for path in paths]


def test_the_idea_exactly() -> None:
    """Design section 1: x1…x9, f1…f4, w1…w4; f1 reads x1 x2 x4 x5, and each weight has one colour that it keeps."""
    layer = document_of(networks.example("shift-example")).layers[0]
    drawn = edges(connectivity_svg(layer))
    assert len(drawn) == 16
    wanted = {1: (1, 2, 4, 5), 2: (2, 3, 5, 6), 3: (4, 5, 7, 8), 4: (5, 6, 8, 9)}
    titles = [f"x{x} → f{f} by w{w}" for f, pixels in wanted.items() for w, x in enumerate(pixels, start=1)]
    assert [title for title, _ in drawn] == titles
    colours = {title.rsplit(" ", 1)[1]: colour for title, colour in drawn}
    assert len(set(colours.values())) == 4
    assert all(colour == colours[title.rsplit(" ", 1)[1]] for title, colour in drawn)


def test_the_matrix_is_coloured_where_connected() -> None:
    layer = document_of(networks.example("shift-example")).layers[0]
    svg = connectivity_svg(layer, "matrix").decode()
    assert svg.count(" by w") == 16
    assert "9 input units × 4 hidden units = 36 possible connections, 16 exist, 4 weights" in svg


def test_a_whole_small_layer_has_the_reports_own_connections() -> None:
    """With strides, dilation and padding: as many edges as the report counts."""
    for more in ({}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2}):
        layer = document_of(networks.spec_of([1, 6, 6], networks.conv("c", 1, 3, **{"padding": 0, **more}))).layers[0]
        part = window(layer)
        assert part.part == "the whole layer"
        assert len(part.connections) == layer.connections.exact


def test_transposed_and_local_layers() -> None:
    up = {"name": "up", "type": "conv_transpose", "filters": 1, "kernel": 3, "stride": 2, "padding": 1}
    local = {"name": "local", "type": "local", "filters": 1, "kernel": 2}
    for layer in document_of(networks.spec_of([1, 3, 3], up, local)).layers:
        part = window(layer)
        assert len(part.connections) == layer.connections.exact
        assert part.weights == layer.parameters.weights


def test_tied_inputs_share_a_colour() -> None:
    """HAR: 22 lags in three colours."""
    part = window(document_of(networks.example("har")).layers[0])
    assert (len(part.connections), part.weights) == (22, 3)


def test_a_large_layer_is_cut_and_says_so() -> None:
    layer = next(layer for layer in document_of(networks.example("lenet-5")).layers if layer.name == "c1")
    part = window(layer)
    assert part.part == "input channel 1 of 1, filter 1 of 6; the first 8×8 of 32×32 inputs and 4×4 of 28×28 units"
    assert len(part.connections) == 16 * 25
    assert part.inputs[0] * part.inputs[1] <= MOST_INPUTS
    assert part.outputs[0] * part.outputs[1] <= MOST_OUTPUTS


def test_every_layer_of_the_examples_has_a_picture_or_none() -> None:
    drawn = 0
    for name in ("lenet-5", "alexnet-2012", "har"):
        for layer in document_of(networks.example(name)).layers:
            if layer.connections is None:
                with pytest.raises(Refused):
                    window(layer)
                continue
            for view in ("graph", "matrix"):
                ElementTree.fromstring(connectivity_svg(layer, view, animate=True))  # type: ignore[arg-type]
                drawn += 1
    assert drawn == 2 * (7 + 8 + 1)


def test_a_hostile_name_is_text() -> None:
    layer = replace(document_of(networks.example("shift-example")).layers[0], name="</text><script>alert(1)</script>\u202e")
    svg = connectivity_svg(layer)
    root = ElementTree.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "\u202e" not in svg.decode()


def test_without_motion_nothing_is_hidden() -> None:
    """Animation is an addition under prefers-reduced-motion: no-preference; the frames that slide are hidden without it."""
    layer = document_of(networks.example("shift-example")).layers[0]
    still, moving = connectivity_svg(layer).decode(), connectivity_svg(layer, animate=True).decode()
    assert "@keyframes" not in still
    assert "@media (prefers-reduced-motion:no-preference)" in moving
    assert 'type="checkbox"' in moving


def test_single_place_that_is_too_large_is_refused() -> None:
    """By hand: 3 taps at a distance of 100 reach over 201 pixels; a 70×70 kernel has 4,900 weights."""
    wide = conv("wide", 1, 3, 1, 0, dilation=100)
    for layer in (wide, conv("large", 1, 70, 1, 0)):
        record = document_of(spec_of([1, 300, 300], layer)).layers[0]
        with pytest.raises(Refused, match="more than a picture can show"):
            window(record)


def test_layer_of_unknown_size_has_no_picture() -> None:
    """Sizes are null where a model leaves an axis open; an open batch does no harm."""
    record = document_of(spec_of([1, 9, 9], conv("c", 1, 3), {"name": "f", "type": "flatten"}, {"name": "d", "type": "dense", "units": 2}))
    first, dense = record.layers[0], record.layers[2]
    assert window(replace(first, input_shape=(None, *(first.input_shape or ())[1:]))) == window(first)
    for wrong in (
        replace(first, input_shape=(1, 1, None, None)),
        replace(first, output_shape=None),
        replace(first, attributes={**first.attributes, "pads": [None, [1, 1]]}),
        replace(dense, units=Units(None, None)),
        replace(dense, fan_in=Spread(None, None, None)),
    ):
        with pytest.raises(Refused):
            window(wrong)


def test_lines_stay_few_enough_to_follow() -> None:
    """A 7×7 kernel of stride 2, as ResNet's first: at 2×2 places, where the weights repeat, and not at as many as there is room for."""
    part = window(document_of(networks.spec_of([3, 64, 64], networks.conv("c", 4, 7, stride=2, padding=3))).layers[0])
    assert (part.outputs, part.inputs) == ((2, 2), (6, 6))
    assert len(part.connections) <= MOST_CONNECTIONS


def test_heading_and_names_fit_the_picture() -> None:
    """Narrow pictures are as wide as their words; the browser tests measure the text itself."""
    layer = document_of(networks.spec_of([1, 11, 11], networks.conv("n" * 70, 1, 11))).layers[0]
    for view in ("graph", "matrix"):
        width = int(ElementTree.fromstring(connectivity_svg(layer, view)).attrib["width"])  # type: ignore[arg-type]
        assert width >= 32 + 6 * len("121 input units × 1 hidden units = 121 possible connections, 121 exist, 121 weights")
