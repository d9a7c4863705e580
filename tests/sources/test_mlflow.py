"""Models of a registry, whose server is a double (see registry): a version, an alias, the newest; files elsewhere or handed out by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.faults import Refused
from service.sources.address import parse_address
from service.sources.opening import Sources
from tests.sources.registry import MLMODEL, Mlflow, mlflow
from tests.sources.servers import site

MODEL = b"model" * 1000


@pytest.fixture
def registry() -> Iterator[Mlflow]:
    with mlflow() as made:
        made.log("net", 1, "run1", MODEL)
        made.log("net", 2, "run2", MODEL[::-1])
        made.aliases["net", "champion"] = 1
        yield made


@pytest.fixture
def sources(registry: Mlflow, tmp_path: Path) -> Sources:
    return Sources("models:/", registry.url, tmp_path / "spool", 1 << 16)


@pytest.mark.parametrize(
    ("text", "run"),
    [("models:/net/1", "run1"), ("models:/net/champion", "run1"), ("models:/net@champion", "run1"), ("models:/net/latest", "run2")],
)
def test_version_is_found_by_number_alias_and_age(sources: Sources, text: str, run: str) -> None:
    found = sources.find(sources.check(text))
    assert (found.identity.kind, found.identity.value.partition("#")[0]) == ("run", run)
    assert found.source.read(0, found.source.size) == (MODEL if run == "run1" else MODEL[::-1])
    assert sources.open(found.identity).read(5, 5) == found.source.read(5, 5)


def test_two_names_of_one_run_are_one_model(registry: Mlflow, sources: Sources) -> None:
    registry.log("other", 7, "run1", MODEL)
    assert sources.find(sources.check("models:/other/7")).identity == sources.find(sources.check("models:/net/1")).identity


def test_file_beside_is_handed_out_too(registry: Mlflow, sources: Sources) -> None:
    registry.artifacts["1/run1/artifacts/model/w.bin"] = b"weights"
    found = sources.find(sources.check("models:/net/1"))
    beside = sources.beside(found.identity, "w.bin")
    assert beside is not None and beside.source.read(0, 7) == b"weights"
    assert sources.beside(found.identity, "v.bin") is None


def test_files_elsewhere_are_read_there_if_that_is_allowed(registry: Mlflow, tmp_path: Path) -> None:
    with site() as server:
        server.put("run3/model/MLmodel", MLMODEL.encode())
        server.put("run3/model/model.onnx", MODEL)
        server.put("run3/model/w.bin", b"weights")
        registry.register("far", 1, "run3", f"{server.origin}/run3/model")
        allowing = Sources(f"models:/ {server.origin}/run3/", registry.url, tmp_path, 1 << 16)
        found = allowing.find(allowing.check("models:/far/1"))
        assert found.identity.value == f'run3#{server.origin}/run3/model/model.onnx#"1"'
        assert found.source.read(7, 7) == MODEL[7:14]
        beside = allowing.beside(found.identity, "w.bin")
        assert beside is not None and beside.identity.value.startswith("run3#")
        assert allowing.open(found.identity).read(0, 3) == MODEL[:3]
        server.asked.clear()
        refusing = Sources(f"models:/ {server.origin}/run4/", registry.url, tmp_path, 1 << 16)
        with pytest.raises(Refused) as caught:
            refusing.find(refusing.check("models:/far/1"))
        assert caught.value.code == "source-not-allowed" and server.asked == []


@pytest.mark.parametrize(
    "place",
    ["file:///etc", "/etc", "dbfs:/a", "http://169.254.169.254/latest", "mlflow-artifacts:/../../etc", "gopher://h/a", "s3://other/a"],
)
def test_place_that_a_registry_names_is_not_trusted(registry: Mlflow, sources: Sources, place: str) -> None:
    registry.register("odd", 1, "run", place)
    with pytest.raises(Refused) as caught:
        sources.find(sources.check("models:/odd/1"))
    assert caught.value.code in ("source-unsupported", "source-address", "source-not-allowed", "source-failed")


@pytest.mark.parametrize("text", ["models:/none/1", "models:/net/9", "models:/net/none", "models:/none/latest"])
def test_version_that_is_not_there(sources: Sources, text: str) -> None:
    with pytest.raises(Refused) as caught:
        sources.find(sources.check(text))
    assert (caught.value.fault, caught.value.code) == ("source", "source-not-found")


@pytest.mark.parametrize(
    ("description", "code"),
    [
        (b"flavors:\n  sklearn: {}\n  python_function: {}\n", "source-no-onnx"),
        (b"flavors:\n  onnx:\n    data: ../../secret\n", "source-failed"),
        (b"flavors:\n  onnx:\n    data: [1]\n", "source-failed"),
        (b"flavors: [onnx]\n", "source-failed"),
        (b"a: &a [*a]\nflavors: !!python/object/apply:os.system [id]\n", "source-failed"),
        (b"\xff\xfe", "source-failed"),
        (b"", "source-failed"),
    ],
)
def test_description_that_names_no_onnx_file(registry: Mlflow, sources: Sources, description: bytes, code: str) -> None:
    registry.artifacts["1/run1/artifacts/model/MLmodel"] = description
    with pytest.raises(Refused) as caught:
        sources.find(sources.check("models:/net/1"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"model_version": 3}', b'{"model_version": {"version": "x", "name": "net"}}', b"[" * 9999]
)
def test_answer_that_is_none_is_a_failure(registry: Mlflow, sources: Sources, answer: bytes) -> None:
    registry.answer = answer
    with pytest.raises(Refused) as caught:
        sources.find(sources.check("models:/net/1"))
    assert (caught.value.fault, caught.value.code) == ("source", "source-failed")


def test_file_that_is_too_large_to_be_taken_whole(registry: Mlflow, sources: Sources) -> None:
    registry.artifacts["1/run1/artifacts/model/model.onnx"] = bytes((1 << 16) + 1)
    with pytest.raises(Refused, match="more than the 65536 bytes"):
        sources.find(sources.check("models:/net/1"))


def test_registry_is_listed_a_page_at_a_time(registry: Mlflow, sources: Sources) -> None:
    registry.log("other", 1, "run4", MODEL)
    pages, after = [], None
    while True:
        found, after = sources.page(parse_address("models:/"), after)
        pages.append([str(address) for address in found])
        if after is None:
            break
    assert pages == [["models:/net/1", "models:/other/1"], ["models:/net/2"]]
    assert [str(each) for each in sources.page(parse_address("models:/other/"), None)[0]] == ["models:/other/1"]


def test_credentials_come_from_the_environment(registry: Mlflow, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "it")
    sources.find(sources.check("models:/net/1"))
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    before = len(registry.asked)
    sources.find(sources.check("models:/net/1"))
    assert {header for _, header in registry.asked[:before]} == {"Basic bWU6aXQ="}
    assert {header for _, header in registry.asked[before:]} == {"Bearer token"}


def test_service_without_a_registry_says_so(tmp_path: Path) -> None:
    sources = Sources("models:/", "", tmp_path, 1 << 16)
    with pytest.raises(Refused) as caught:
        sources.find(sources.check("models:/net/1"))
    assert caught.value.code == "source-unsupported"


def test_names_with_quotation_marks_are_asked_for_as_they_are(registry: Mlflow, sources: Sources) -> None:
    registry.log("it's", 3, "run5", MODEL)
    assert sources.find(sources.check("models:/it's/latest")).identity.value.startswith("run5#")
    with pytest.raises(Refused):
        sources.find(sources.check('models:/it\'s "odd"/latest'))
