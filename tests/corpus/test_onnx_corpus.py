"""Real models, and all models that the onnx package ships: each is read, and nearly every node is followed exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx
import pytest

from service.faults import Refused
from service.options import Options
from service.readers.model import read_model
from tests.readers.onnx_models import status

SHIPPED = Path(onnx.__file__).parent / "backend" / "test" / "data"
NOT_ANALYSED = {
    "ort_add_opset_314159": "unsupported-opset",
    "ort_corrupt_model": "not-protobuf",
    "ort_mul_noopset": "missing-opset",
    "trt_bad_graph_no_import_domains": "missing-opset",
    "trt_empty": "empty-graph",
    "winml_yolov4_lfs_pointer": "git-lfs-pointer",
}


def statuses(paths: Iterable[Path]) -> tuple[Counter[str], dict[str, str]]:
    """How many layers of all these models are exact, a bound or unknown, and the codes of those that are refused."""
    found: Counter[str] = Counter()
    refused: dict[str, str] = {}
    for path in paths:
        externals = {part.name: part for part in path.parent.iterdir() if part.is_file()}
        try:
            model = read_model(path, Options(external_missing="ignore"), externals)
        except Refused as error:
            refused[path.stem] = error.code
        else:
            found.update(status(layer) for layer in model.graphs[0].layers)
    return found, refused


@pytest.mark.corpus
def test_every_real_model(corpus: Path) -> None:
    found, refused = statuses(sorted(path for path in corpus.rglob("*.onnx") if not path.stem.startswith("bad_")))
    assert refused == NOT_ANALYSED
    assert found["exact"] >= 0.97 * found.total()
    assert found.total() > 3000


@pytest.mark.corpus
def test_broken_models_are_refused_or_read(corpus: Path) -> None:
    _, refused = statuses(sorted(corpus.rglob("bad_*.onnx")))
    assert refused == {
        "bad_cycle": "graph-cycle",
        "bad_dims_huge": "tensor-size",
        "bad_empty": "empty-body",
        "bad_ext_traversal": "external-path",
        "bad_random_bytes": "not-protobuf",
        "bad_raw_short": "tensor-size",
        "bad_truncated_half": "truncated-model",
    }


def test_every_model_that_onnx_ships() -> None:
    found, refused = statuses(sorted(SHIPPED.rglob("*.onnx")))
    assert not refused
    assert found["exact"] >= 0.97 * found.total()
    assert found.total() > 1000
