"""Whatever the kernel and the options: a grid whose twin is true, or a refusal that says why."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as extra
from PIL import Image

from service.faults import Refused
from service.render.grid.grid import GridOptions, draw_grid
from service.render.grid.layout import MAX_PIXELS

pytestmark = pytest.mark.property

KERNELS = extra.arrays(
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    shape=extra.array_shapes(min_dims=3, max_dims=5, max_side=6),
    elements=st.floats(width=16, allow_nan=True, allow_infinity=True),
)
OPTIONS: Any = st.builds(
    GridOptions,
    columns=st.none() | st.integers(1, 12),
    scale=st.none() | st.integers(1, 6),
    gap=st.none() | st.integers(0, 7),
    normalize=st.sampled_from(["filter", "layer", "symmetric"]),
    channels=st.sampled_from([None, "rgb", "mean", "each", "2,0,1"]),
    colormap=st.sampled_from(["grey", "diverging", "cubehelix"]),
    sort=st.sampled_from(["index", "norm", "orientation", "frequency", "colour"]),
    labels=st.booleans(),
    channel_order=st.sampled_from(["rgb", "bgr"]),
)


@settings(max_examples=60, deadline=None)
@given(kernel=KERNELS, options=OPTIONS, split=st.booleans())
def test_a_grid_is_what_its_twin_says(kernel: np.ndarray, options: GridOptions, split: bool) -> None:
    groups = 2 if split and len(kernel) % 2 == 0 else 1
    try:
        grid = draw_grid(kernel, options, groups=groups)
    except Refused as refused:
        assert (refused.code, refused.errors[0].pointer) == ("invalid-option", "/channels") and kernel.shape[1] != 3
        return
    twin = json.loads(json.dumps(grid.describe(), allow_nan=False))
    image = Image.open(io.BytesIO(grid.png))
    assert image.size == (twin["width"], twin["height"]) and image.width * image.height <= MAX_PIXELS
    assert sorted(twin["order"]) == list(range(len(kernel)))
    assert [tile["filter"] for tile in twin["tiles"]] == twin["order"]
    places = {(tile["row"], tile["column"]) for tile in twin["tiles"]}
    assert len(places) == len(kernel) and max(places)[0] < grid.rows
    covered = np.zeros((image.height, image.width), int)
    for tile in twin["tiles"]:
        covered[tile["y"] : tile["y"] + grid.tile[0], tile["x"] : tile["x"] + grid.tile[1]] += 1
    assert covered.max() == 1 and covered.sum() == len(kernel) * grid.tile[0] * grid.tile[1]
    assert sum(twin["not_finite"].values()) == (~np.isfinite(kernel)).sum()
    assert draw_grid(kernel, options, groups=groups).png == grid.png
