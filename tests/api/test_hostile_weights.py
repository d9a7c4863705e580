"""Weights that are no ordinary numbers: a report without NaN, and every picture of it, or the problem that says why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from tests.readers.onnx_models import model, node

PATHS = [
    *(".html", ".md", ".csv", "/layers", "/layers/0", "/layers/0/connectivity.svg", "/receptive-field.svg", "/receptive-field.vl.json"),
    *("/filters", "/filters.csv", "/filters.png", "/filters.png?normalize=layer&sort=norm", "/filters.png?normalize=symmetric&sort=colour"),
    *("/filters.png?sort=orientation", "/filters.map.json", "/hierarchy/1.png", "/hierarchy/2.png", "/receptive-field/overlay.png?layer=2"),
    *("/badge.svg?metric=weight-sparsity", "/colour.vl.json"),
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("hostile") / "data", wait_seconds=120.0, log_level="ERROR"))
    yield app.test_client()
    app.extensions[EXTENSION].close()


def weights(value: float, dtype: type, share: float) -> tuple[Any, Any]:
    """Two kernels of which that share has that value."""
    random = np.random.default_rng(0)
    shapes = ((4, 3, 3, 3), (4, 4, 3, 3))
    first, second = (np.where(random.random(shape) < share, value, random.standard_normal(shape)).astype(dtype) for shape in shapes)
    return first, second


def refused(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize("share", [0.1, 1.0], ids=["some", "all"])
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        *((value, np.float32) for value in (np.nan, np.inf, 0.0, 1e-42, 3e38)),
        *((value, np.float64) for value in (1e300, 1e-200, 5e-324)),
        (-np.inf, np.float16),
    ],
)
def test_values_out_of_range_are_reported_and_drawn(http: FlaskClient, value: float, dtype: type, share: float) -> None:
    first, second = weights(value, dtype, share)
    nodes = [
        node("Conv", "x", "w1", outputs=["a"], name="a"),
        node("Relu", "a", outputs=["b"], name="b"),
        node("Conv", "b", "w2", outputs=["y"], name="y"),
    ]
    body = model(nodes, {"x": [1, 3, 12, 12]}, {"w1": first, "w2": second}).SerializeToString()
    answer = http.post("/v1/analyses", data=body, content_type="application/onnx")
    assert answer.status_code == 201, answer.text
    report = json.loads(answer.data, parse_constant=refused)
    unfinite = int((~np.isfinite(first)).sum())
    assert report["layers"][0]["values"]["not_finite"] == unfinite
    for path in PATHS:
        drawn = http.get(report["links"]["self"] + path)
        code = drawn.get_json()["code"] if drawn.status_code == 404 else "no-"
        assert drawn.status_code in (200, 404) and code.startswith("no-"), (path, drawn.text[:500])
        if drawn.mimetype == "application/json":
            json.loads(drawn.data, parse_constant=refused)
