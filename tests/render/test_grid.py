"""The weight grid against a reference that is written down here anew: plain loops, one value at a time."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.faults import Refused
from service.render.grid.grid import Grid, GridOptions, draw_grid
from service.render.grid.layout import MAX_PIXELS


def pixels_of(grid: Grid) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = Image.open(io.BytesIO(grid.png))
    assert image.mode == "RGB"
    return np.asarray(image)


def panel_of(grid: Grid, filter_index: int, row: int = 0, column: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One enlarged panel of a filter, cut out of the picture by the JSON twin alone."""
    twin = grid.describe()
    tile = next(entry for entry in twin["tiles"] if entry["filter"] == filter_index)
    y = tile["y"] + row * (twin["panel"]["height"] + twin["panels"]["seam"])
    x = tile["x"] + column * (twin["panel"]["width"] + twin["panels"]["seam"])
    return pixels_of(grid)[y : y + twin["panel"]["height"], x : x + twin["panel"]["width"]]


def reference_level(value: float, filter_values: list[float], layer_values: list[float], normalize: str) -> int:
    """The level of one weight by the definition in docs/filters.md; Python's round() takes ties to even, as the definition does."""
    if normalize == "symmetric":
        largest = max(abs(other) for other in layer_values)
        return 128 if largest == 0 else round(127.5 + 127.5 * (value / largest))
    values = filter_values if normalize == "filter" else layer_values
    low, high = min(values), max(values)
    return 128 if low == high else round(255 * ((value - low) / (high - low)))


@pytest.fixture
def kernel() -> np.ndarray[Any, np.dtype[np.float32]]:
    drawn = np.random.default_rng(7).normal(size=(6, 3, 5, 4)).astype(np.float32)
    drawn[2] *= 0.2
    drawn[4] = 0.25  # constant
    return drawn


@pytest.mark.parametrize("normalize", ["filter", "layer", "symmetric"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_every_pixel_of_every_tile_is_the_reference(kernel: np.ndarray[Any, Any], normalize: Any, order: Any) -> None:
    grid = draw_grid(kernel, GridOptions(normalize=normalize, channel_order=order, scale=3))
    layer_values = [float(value) for value in kernel.ravel()]
    for index in range(6):
        filter_values = [float(value) for value in kernel[index].ravel()]
        panel = panel_of(grid, index)
        assert panel.shape == (15, 12, 3)
        for y, x, channel in np.ndindex(panel.shape):
            stored = channel if order == "rgb" else 2 - channel
            value = float(kernel[index, stored, y // 3, x // 3])
            assert panel[y, x, channel] == reference_level(value, filter_values, layer_values, normalize)


@pytest.mark.parametrize("normalize", ["filter", "layer", "symmetric"])
def test_single_channels_are_drawn_in_grey_by_the_same_rule(normalize: Any) -> None:
    kernel = np.random.default_rng(3).normal(size=(4, 1, 3, 3))
    grid = draw_grid(kernel, GridOptions(normalize=normalize, scale=1))
    assert grid.channels == "grey"
    layer_values = [float(value) for value in kernel.ravel()]
    for index, _, y, x in np.ndindex(kernel.shape):
        level = reference_level(float(kernel[index, 0, y, x]), [float(value) for value in kernel[index].ravel()], layer_values, normalize)
        assert panel_of(grid, index)[y, x].tolist() == [level] * 3


def test_symmetric_draws_zero_as_mid_grey_and_the_extremes_as_black_and_white() -> None:
    kernel = np.array([[[[0.0, 2.0, -2.0, 1.0]]], [[[0.0, 0.5, -0.5, 0.0]]]])
    grid = draw_grid(kernel, GridOptions(normalize="symmetric", scale=1))
    assert panel_of(grid, 0)[0, :, 0].tolist() == [128, 255, 0, 191]
    assert panel_of(grid, 1)[0, :, 0].tolist() == [128, 159, 96, 128]  # the layer's scale, not the filter's


def test_filter_normalisation_is_joint_over_channels_so_that_colour_stays_true() -> None:
    kernel = np.zeros((1, 3, 1, 2))
    kernel[0, :, 0, 0] = [1.0, 0.5, 0.0]
    assert panel_of(draw_grid(kernel, GridOptions(scale=1)), 0)[0, 0].tolist() == [255, 128, 0]


def test_a_channel_triple_names_stored_channels_whatever_the_order() -> None:
    kernel = np.random.default_rng(0).normal(size=(2, 5, 3, 3))
    one = panel_of(draw_grid(kernel, GridOptions(channels="4,0,2", channel_order="bgr")), 1)
    picked = draw_grid(kernel[:, [4, 0, 2]], GridOptions(channels="rgb"))
    assert np.array_equal(one, panel_of(picked, 1))


def test_mean_draws_the_mean_over_channels() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 40, 3, 3))
    grid = draw_grid(kernel, GridOptions(channels="mean"))
    same = draw_grid(kernel.mean(axis=1, keepdims=True))
    assert grid.channels == "mean"
    assert all(np.array_equal(panel_of(grid, index), panel_of(same, index)) for index in range(5))


def test_each_draws_one_panel_per_channel_on_a_common_scale() -> None:
    kernel = np.arange(2 * 4 * 2 * 2, dtype=np.float64).reshape(2, 4, 2, 2)
    grid = draw_grid(kernel, GridOptions(channels="each", scale=1))
    assert grid.panels == (2, 2)
    for channel in range(4):
        expected = [round(255 * value / 15) for value in range(4 * channel, 4 * channel + 4)]
        assert panel_of(grid, 1, channel // 2, channel % 2)[..., 0].ravel().tolist() == expected


@pytest.mark.parametrize(
    ("shape", "groups", "shown", "panels"),
    [
        ((8, 3, 3, 3), 1, "rgb", (1, 1)),
        ((8, 1, 3, 3), 1, "grey", (1, 1)),
        ((8, 1, 3, 3), 8, "grey", (1, 1)),  # depthwise
        ((8, 2, 3, 3), 1, "each", (1, 2)),
        ((8, 12, 3, 3), 1, "each", (3, 4)),  # the space-to-depth stem of YOLOv5
        ((8, 17, 3, 3), 1, "mean", (1, 1)),
        ((512, 4, 3, 3), 1, "mean", (1, 1)),  # 2048 panels
        ((8, 3, 3, 3), 2, "rgb", (1, 1)),  # two images side by side
        ((8, 64, 9), 1, "each", (1, 1)),
        ((8, 65, 9), 1, "mean", (1, 1)),
        ((8, 3, 9), 1, "each", (1, 1)),
        ((8, 3, 5, 3, 3), 1, "rgb", (1, 5)),
        ((8, 2, 5, 3, 3), 1, "each", (2, 5)),
        ((8, 40, 5, 3, 3), 1, "mean", (1, 5)),
    ],
)
def test_default_channels_follow_the_kernel(shape: tuple[int, ...], groups: int, shown: str, panels: tuple[int, int]) -> None:
    grid = draw_grid(np.random.default_rng(0).normal(size=shape), groups=groups)
    assert (grid.channels, grid.panels) == (shown, panels)
    assert grid.describe()["channels"] == shown


def test_one_dimensional_filters_are_strips_with_a_row_per_channel() -> None:
    kernel = np.random.default_rng(0).normal(size=(4, 2, 7))
    grid = draw_grid(kernel, GridOptions(scale=2))
    assert grid.tile == (4, 14)
    flat = draw_grid(kernel[:, None], GridOptions(scale=2))
    assert np.array_equal(panel_of(grid, 3), panel_of(flat, 3))


def test_three_dimensional_filters_are_film_strips() -> None:
    kernel = np.random.default_rng(0).normal(size=(4, 3, 5, 3, 3))
    grid = draw_grid(kernel, GridOptions(normalize="layer", scale=4))
    assert grid.tile == (12, 5 * 12 + 4)
    low, high = kernel.min(), kernel.max()
    for frame in range(5):
        expected = np.rint(255 * ((kernel[2, :, frame] - low) / (high - low))).transpose(1, 2, 0)
        assert np.array_equal(panel_of(grid, 2, 0, frame)[::4, ::4], expected)


def test_a_colour_map_paints_single_channels_only() -> None:
    grey = np.array([[[[-1.0, 0.0, 1.0]]]])
    painted = panel_of(draw_grid(grey, GridOptions(normalize="symmetric", colormap="diverging", scale=1)), 0)
    assert painted[0].tolist() == [[20, 50, 120], [245, 245, 245], [120, 15, 30]]
    rising = panel_of(draw_grid(np.linspace(0, 1, 256).reshape(1, 1, 16, 16), GridOptions(colormap="cubehelix", scale=1)), 0)
    luma = rising.reshape(-1, 3) @ [0.30, 0.59, 0.11]  # the weights of Green 2011
    assert rising[0, 0].tolist() == [0, 0, 0] and rising[-1, -1].tolist() == [255, 255, 255]
    assert np.abs(luma - np.arange(256)).max() < 2.5, "perceived brightness rises evenly (Green 2011, section 2)"
    colour = np.random.default_rng(0).normal(size=(2, 3, 3, 3))
    assert draw_grid(colour, GridOptions(colormap="cubehelix")).png == draw_grid(colour).png


def test_values_that_are_not_finite_are_hatched_and_counted_and_spare_the_rest() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 4))
    kernel[1, 0, 0, 0], kernel[1, 2, 1, 1], kernel[1, 1, 3, 3] = np.nan, np.inf, -np.inf
    grid = draw_grid(kernel, GridOptions(scale=4))
    twin = grid.describe()
    assert twin["not_finite"] == {"nan": 1, "positive_infinity": 1, "negative_infinity": 1}
    assert twin["tiles"][1]["marks"] == ["not-finite"]
    panel = panel_of(grid, 1)
    colours = [{tuple(pixel) for pixel in panel[y : y + 4, x : x + 4].reshape(-1, 3).tolist()} for y, x in ((0, 0), (4, 4), (12, 12))]
    magenta = (255, 0, 255)
    assert colours == [{magenta, (0, 0, 0)}, {magenta, (255, 255, 255)}, {magenta, (0, 0, 255)}]
    finite = kernel[1][np.isfinite(kernel[1])]
    expected = [round(255 * float((value - finite.min()) / (finite.max() - finite.min()))) for value in kernel[1, :, 2, 2]]
    assert panel[8, 8].tolist() == expected
    assert (twin["tiles"][1]["black"], twin["tiles"][1]["white"]) == (finite.min(), finite.max())


@pytest.mark.parametrize("normalize", ["filter", "layer", "symmetric"])
def test_a_layer_without_a_finite_value_is_still_drawn(normalize: Any) -> None:
    grid = draw_grid(np.full((2, 1, 3, 3), np.nan), GridOptions(normalize=normalize))
    assert [tile.marks for tile in grid.tiles] == [("not-finite",)] * 2


@pytest.mark.parametrize("normalize", ["filter", "layer", "symmetric"])
def test_constant_and_zero_layers_are_mid_grey(normalize: Any) -> None:
    assert (panel_of(draw_grid(np.zeros((2, 3, 3, 3)), GridOptions(normalize=normalize)), 0) == 128).all()
    if normalize != "symmetric":
        assert (panel_of(draw_grid(np.full((2, 3, 3, 3), 0.3), GridOptions(normalize=normalize)), 0) == 128).all()


def test_the_largest_doubles_do_not_overflow() -> None:
    largest = np.finfo(np.float64).max
    kernel = np.array([[[[-largest, 0.0, largest]]]])
    for normalize in ("filter", "layer", "symmetric"):
        assert panel_of(draw_grid(kernel, GridOptions(normalize=normalize, scale=1)), 0)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_half_and_double_weights_are_drawn_alike(dtype: Any) -> None:
    exact = np.arange(54).reshape(2, 3, 3, 3) / 64
    assert draw_grid(exact.astype(dtype)).png == draw_grid(exact).png


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"columns": 0}, "columns"),
        ({"scale": 257}, "scale"),
        ({"gap": -1}, "gap"),
        ({"normalize": "global"}, "normalize"),
        ({"channels": "0,1"}, "channels"),
        ({"channels": "0,1,²"}, "channels"),
        ({"colormap": "jet"}, "colormap"),
        ({"sort": "size"}, "sort"),
        ({"background": "no colour"}, "background"),
        ({"channel_order": "gbr"}, "channel_order"),
    ],
)
def test_an_option_out_of_range_is_named(options: dict[str, Any], option: str) -> None:
    with pytest.raises(Refused) as caught:
        GridOptions(**options)
    assert (caught.value.code, caught.value.errors[0].pointer) == ("invalid-option", f"/{option}")


@pytest.mark.parametrize(("channels", "detail"), [("rgb", "has 4"), ("0,1,4", "channel 4")])
def test_channels_that_the_kernel_does_not_have_are_refused(channels: str, detail: str) -> None:
    with pytest.raises(Refused, match=detail):
        draw_grid(np.ones((2, 4, 3, 3)), GridOptions(channels=channels))


@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 3), 1), ((2, 1, 1, 1, 1, 1), 1), ((0, 3, 3, 3), 1), ((2, 3, 0, 3), 1), ((3, 1, 3, 3), 2)]
)
def test_what_is_no_convolution_kernel_is_refused(shape: tuple[int, ...], groups: int) -> None:
    with pytest.raises(Refused) as caught:
        draw_grid(np.zeros(shape), groups=groups)
    assert caught.value.code == "no-filters"


def test_the_picture_is_bounded_whatever_the_model() -> None:
    many = np.zeros((8192, 1, 3, 3), np.float32)
    grid = draw_grid(many)  # the default enlargement gives way
    assert grid.layout.size[0] * grid.layout.size[1] <= MAX_PIXELS and grid.layout.scale < (11, 11)
    for kernel, options in [
        (many, GridOptions(scale=16)),
        (np.zeros((8193, 1, 1, 1)), GridOptions()),
        (np.zeros((512, 64, 3, 3)), GridOptions(channels="each")),
    ]:
        with pytest.raises(Refused) as caught:
            draw_grid(kernel, options)
        assert caught.value.code == "grid-too-large"
    with pytest.raises(Refused) as refused:
        draw_grid(np.broadcast_to(np.float32(0), (2, 3, 4096, 4096)))
    assert refused.value.code == "kernel-too-large"
