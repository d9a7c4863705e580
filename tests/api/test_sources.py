"""Models that lie elsewhere, over HTTP: what is fetched, what the report says of it, and every way in which it can go wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from flask.testing import FlaskClient
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from tests.sources.registry import Mlflow, mlflow
from tests.sources.servers import Site, site

KERNEL = np.random.default_rng(1).standard_normal((8, 3, 5, 5)).astype(np.float32)


def convolutional(external: str | None = None, more: int = 0) -> bytes:
    """A convolution on an image, then a dense layer of `more` weights; the kernel may lie in another file."""
    kernel = numpy_helper.from_array(KERNEL, "kernel")
    if external is not None:
        kernel.ClearField("raw_data")
        kernel.data_location = TensorProto.EXTERNAL
        kernel.external_data.add(key="location", value=external)
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["y"], name="conv")]
    tensors = [kernel]
    if more:
        nodes.append(helper.make_node("Mul", ["y", "large"], ["z"], name="scale"))
        tensors.append(numpy_helper.from_array(np.ones((more, 1, 1, 1), np.float32), "large"))
    shape = [max(more, 1), 3, 32, 32]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("z" if more else "y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def registry() -> Iterator[Mlflow]:
    with mlflow() as made:
        yield made


@pytest.fixture(scope="module")
def client(server: Site, registry: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    data = tmp_path_factory.mktemp("sources") / "data"
    app = create_app(
        Settings(data_dir=data, sources_allowed=f"{server.origin}/open/ models:/", mlflow_url=registry.url, wait_seconds=120.0)
    )
    yield app.test_client()
    app.extensions[EXTENSION].close()


@pytest.fixture(autouse=True)
def well_behaved(server: Site) -> None:
    server.misbehave = None


def ask(client: FlaskClient, source: object, **options: object) -> Any:
    return client.post("/v1/analyses", json={"source": source, **({"options": options} if options else {})})


def test_model_is_analysed_where_it_lies(client: FlaskClient, server: Site) -> None:
    address = server.put("open/a.onnx", convolutional())
    answer = ask(client, address, read_weights="all", name="far away")
    assert answer.status_code == 201, answer.json
    model = answer.json["model"]
    assert (model["name"], model["digest"], model["size_bytes"]) == ("far away", f'object:{address}#"1"', len(server.files["open/a.onnx"]))
    assert 0 < model["bytes_fetched"] <= model["size_bytes"]
    sent = client.post("/v1/analyses?read_weights=all", data=convolutional(), content_type="application/onnx").json
    assert sent["layers"] == answer.json["layers"] and sent["summary"] == answer.json["summary"]
    assert sent["model"]["bytes_fetched"] is None
    again = ask(client, address, read_weights="all")
    assert (again.status_code, again.json["id"]) == (200, answer.json["id"])
    entry = next(each for each in client.get("/v1/analyses").json["items"] if each["id"] == answer.json["id"])
    assert entry["sources"] == {"": f'object:{address}#"1"'} and len(entry["digest"]) <= 71


def test_another_version_is_another_question(client: FlaskClient, server: Site) -> None:
    address = server.put("open/b.onnx", convolutional())
    first = ask(client, address)
    server.put("open/b.onnx", convolutional(), '"2"')
    second = ask(client, address)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["id"] != second.json["id"]


def test_pictures_read_what_they_need_where_it_lies(client: FlaskClient, server: Site) -> None:
    address = server.put("open/c.onnx", convolutional())
    report = ask(client, address, read_weights="none").json
    requests = len(server.asked)
    grid = client.get(f"/v1/analyses/{report['id']}/filters.png")
    assert grid.status_code == 200 and Image.open(io.BytesIO(grid.data)).format == "PNG"
    assert len(server.asked) > requests
    server.put("open/c.onnx", convolutional(), '"2"')
    changed = client.get(f"/v1/analyses/{report['id']}/filters.png?scale=3")
    assert (changed.status_code, changed.json["code"]) == (424, "source-changed")


def test_variant_is_made_of_the_model_where_it_lies(client: FlaskClient, server: Site) -> None:
    server.put("open/v/k.bin", KERNEL.tobytes())
    report = ask(client, server.put("open/v/m.onnx", convolutional("k.bin"))).json
    edits = [{"layer": "conv", "set": {"stride": 2}}]
    variant = client.post(f"/v1/analyses/{report['id']}/variants", json={"edits": edits})
    assert variant.status_code == 201, variant.json
    assert variant.json["model"]["digest"] == report["model"]["digest"]
    assert variant.json["layers"][0]["attributes"]["strides"] == [2, 2]


def test_external_data_lies_beside_the_model(client: FlaskClient, server: Site) -> None:
    server.put("open/net/k.bin", KERNEL.tobytes())
    address = server.put("open/net/m.onnx", convolutional("k.bin"))
    report = ask(client, address, read_weights="all")
    assert report.status_code == 201, report.json
    here = client.post("/v1/analyses?read_weights=all", data=convolutional(), content_type="application/onnx").json
    assert report.json["layers"][0]["sparsity"] == here["layers"][0]["sparsity"]
    entry = next(each for each in client.get("/v1/analyses").json["items"] if each["id"] == report.json["id"])
    assert set(entry["sources"]) == {"", "k.bin"}
    assert client.get(f"/v1/analyses/{report.json['id']}/filters.png").status_code == 200
    server.put("open/net/k.bin", bytes(KERNEL.nbytes), '"2"')
    assert ask(client, address, read_weights="all").json["id"] != report.json["id"]


@pytest.mark.parametrize(
    ("name", "code"), [("missing.bin", "external-missing"), ("../k.bin", "external-path"), (".hidden", "external-missing")]
)
def test_external_data_that_is_not_beside_the_model(client: FlaskClient, server: Site, name: str, code: str) -> None:
    server.put("open/.hidden", KERNEL.tobytes())
    answer = ask(client, server.put("open/external.onnx", convolutional(name), f'"{name}"'))
    assert (answer.status_code, answer.json["code"]) == (422, code)


def test_report_without_values_fetches_little(client: FlaskClient, server: Site) -> None:
    address = server.put("open/large.onnx", convolutional(more=2_000_000))
    server.bytes_sent = 0
    report = ask(client, address, read_weights="none").json
    assert report["model"]["size_bytes"] > 8_000_000
    assert server.bytes_sent < 0.01 * report["model"]["size_bytes"]
    assert server.bytes_sent - 1 == report["model"]["bytes_fetched"]


def test_registered_model_is_analysed(client: FlaskClient, registry: Mlflow) -> None:
    registry.log("net", 1, "run1", convolutional())
    registry.log("other", 4, "run1", convolutional())
    first = ask(client, "models:/net/1")
    assert first.status_code == 201 and first.json["model"]["digest"].startswith("run:run1#")
    assert ask(client, "models:/other/4").json["id"] == first.json["id"]
    assert client.get(f"/v1/analyses/{first.json['id']}/filters.png").status_code == 200


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("http://127.0.0.1:1/open/a.onnx", "source-not-allowed"),
        ("http://[::1]/open/a.onnx", "source-not-allowed"),
        ("http://0x7f.1/open/a.onnx", "source-address"),
        ("http://2130706433/a", "source-address"),
        ("http://169.254.169.254/latest/meta-data/iam", "source-not-allowed"),
        ("https://metadata.google.internal/", "source-not-allowed"),
        ("s3://bucket/m.onnx", "source-not-allowed"),
        ("gopher://127.0.0.1/x", "source-unsupported"),
        ("file:///etc/passwd", "source-unsupported"),
        ("https://bücher.example/m.onnx", "source-address"),
        ("https://user:secret@models.example.org/m.onnx", "source-address"),
        ("no address", "source-address"),
        ("models:/", "source-address"),
    ],
)
def test_source_that_is_not_allowed_is_refused(client: FlaskClient, source: str, code: str) -> None:
    answer = ask(client, source)
    assert (answer.status_code, answer.json["code"]) == (422, code)


@pytest.mark.parametrize("path", ["closed/a.onnx", "open/../closed/a.onnx", "open/%2e%2e/closed/a.onnx", "opened/a.onnx"])
def test_what_lies_outside_the_folder_is_refused(client: FlaskClient, server: Site, path: str) -> None:
    server.put("closed/a.onnx", convolutional())
    requests = len(server.asked)
    answer = ask(client, f"{server.origin}/{path}")
    assert answer.status_code == 422 and answer.json["code"] in ("source-not-allowed", "source-address")
    assert len(server.asked) == requests


@pytest.mark.parametrize(
    "body", [{"source": 3}, {"source": ""}, {"source": None}, {"source": "x" * 2000}, {"source": "s3://b/a", "other": 1}]
)
def test_document_that_names_no_source(client: FlaskClient, body: dict[str, object]) -> None:
    answer = client.post("/v1/analyses", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid-arguments")
    assert answer.json["errors"]


def test_options_are_checked_as_always(client: FlaskClient, server: Site) -> None:
    address = server.put("open/d.onnx", convolutional())
    answer = ask(client, address, read_weights="some")
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/options/read_weights")


def test_source_that_fails_is_a_problem_of_its_own(client: FlaskClient, server: Site) -> None:
    missing = ask(client, f"{server.origin}/open/none.onnx")
    assert (missing.status_code, missing.json["code"]) == (424, "source-not-found")
    address = server.put("open/e.onnx", convolutional())
    server.misbehave = lambda handler, start, stop: handler.reply(200, server.files["open/e.onnx"])
    whole = ask(client, address)
    assert (whole.status_code, whole.json["code"]) == (424, "source-failed")


def test_source_that_changes_while_it_is_read(client: FlaskClient, server: Site) -> None:
    address = server.put("open/f.onnx", convolutional(more=2_000_000))
    asked = 0

    def change(handler: Any, start: int, stop: int) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            server.tags["open/f.onnx"] = '"2"'
        handler.range(server.files["open/f.onnx"], start, stop)

    server.misbehave = change
    answer = ask(client, address, read_weights="all")
    assert (answer.status_code, answer.json["code"]) == (424, "source-changed")


@pytest.mark.parametrize("content", [b"not a model", b"\x80\x02PK", onnx.ModelProto().SerializeToString() or b"\x08\x08"])
def test_what_is_no_model_is_refused_as_always(client: FlaskClient, server: Site, content: bytes) -> None:
    answer = ask(client, server.put("open/g.onnx", content, f'"{content[:2].hex()}"'))
    assert answer.status_code in (400, 415, 422) and not answer.json["code"].startswith("source-")


def test_layer_spec_may_lie_elsewhere_too(client: FlaskClient, server: Site) -> None:
    spec = Path("examples/lenet-5.json").read_bytes()
    answer = ask(client, server.put("open/lenet.json", spec))
    assert answer.status_code == 201 and answer.json["model"]["format"] == "spec"


def test_service_without_a_list_takes_nothing(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path / "data"))
    answer = app.test_client().post("/v1/analyses", json={"source": "https://example.org/m.onnx"})
    app.extensions[EXTENSION].close()
    assert (answer.status_code, answer.json["code"]) == (422, "source-unsupported")


def test_list_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="RECEPTIVE_SOURCES_ALLOWED"):
        create_app(Settings(data_dir=tmp_path / "data", sources_allowed="ftp://host/"))
