"""Models in an object store, which is a real S3 server of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from service.faults import Refused
from service.sources import buckets
from service.sources.opening import Sources
from tests.machine import Bucket, new_bucket, s3_server

CONTENT = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = new_bucket(endpoint)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def put(bucket: Bucket, key: str, content: bytes) -> str:
    obstore.put(S3Store(bucket.name), key, content)
    return f"s3://{bucket.name}/{key}"


def sources_of(bucket: Bucket, tmp_path: Path) -> Sources:
    return Sources(f"s3://{bucket.name}/team/", "", tmp_path, 1 << 20)


def test_ranges_of_one_version_are_read(bucket: Bucket, tmp_path: Path) -> None:
    sources = sources_of(bucket, tmp_path)
    address = put(bucket, "team/a folder/é.onnx", CONTENT)
    found = sources.find(sources.check(address))
    assert found.identity.kind == "object" and found.identity.value.startswith(f"{address}#")
    assert found.source.size == len(CONTENT)
    assert found.source.read(7000, 5000) == CONTENT[7000:12_000]
    assert found.source.bytes_fetched < 20_000
    assert sources.open(found.identity).read(0, 3) == CONTENT[:3]


def test_change_is_noticed_while_reading_and_when_it_is_opened_again(bucket: Bucket, tmp_path: Path) -> None:
    sources = sources_of(bucket, tmp_path)
    address = put(bucket, "team/m.onnx", CONTENT)
    found = sources.find(sources.check(address))
    found.source.read(0, 10)
    put(bucket, "team/m.onnx", CONTENT[::-1])
    for attempt in (lambda: found.source.read(50_000, 10), lambda: sources.open(found.identity)):
        with pytest.raises(Refused) as caught:
            attempt()
        assert (caught.value.fault, caught.value.code) == ("source", "source-changed")
    changed = sources.find(sources.check(address))
    assert changed.identity != found.identity
    obstore.delete(S3Store(bucket.name), "team/m.onnx")
    with pytest.raises(Refused) as caught:
        changed.source.read(0, 10)
    assert caught.value.code == "source-changed"


@pytest.mark.parametrize(
    ("key", "fault"), [("team/none.onnx", ("source", "source-not-found")), ("team/empty.onnx", ("malformed", "empty-body"))]
)
def test_object_that_is_not_there_or_empty(bucket: Bucket, tmp_path: Path, key: str, fault: tuple[str, str]) -> None:
    sources = sources_of(bucket, tmp_path)
    put(bucket, "team/empty.onnx", b"")
    with pytest.raises(Refused) as caught:
        sources.find(sources.check(f"s3://{bucket.name}/{key}"))
    assert (caught.value.fault, caught.value.code) == fault


def test_bucket_that_is_not_there_fails(bucket: Bucket, tmp_path: Path) -> None:
    sources = Sources("s3://no-such-bucket/", "", tmp_path, 1 << 20)
    with pytest.raises(Refused) as caught:
        sources.find(sources.check("s3://no-such-bucket/m.onnx"))
    assert caught.value.fault == "source"


def test_file_beside_is_found(bucket: Bucket, tmp_path: Path) -> None:
    sources = sources_of(bucket, tmp_path)
    found = sources.find(sources.check(put(bucket, "team/m.onnx", CONTENT)))
    put(bucket, "team/w.bin", b"weights")
    beside = sources.beside(found.identity, "w.bin")
    assert beside is not None and beside.source.read(0, 7) == b"weights"
    assert sources.beside(found.identity, "v.bin") is None


def test_folder_is_listed_a_page_at_a_time(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PAGE_OBJECTS", 3)
    sources = sources_of(bucket, tmp_path)
    names = ["a.onnx", "b.bin", "c.onnx", "d/e.onnx", "f.txt", "g.onnx", "h.onnx"]
    for name in (f"team/{name}" for name in names):
        put(bucket, name, b"x")
    put(bucket, "teams/z.onnx", b"x")
    folder = sources.check(f"s3://{bucket.name}/team/")
    pages, after = [], None
    while True:
        found, after = sources.page(folder, after)
        pages.append([address.path.removeprefix("team/") for address in found])
        if after is None:
            break
    assert pages == [["a.onnx", "c.onnx"], ["d/e.onnx", "g.onnx"], ["h.onnx"]]


def test_list_of_a_store_that_is_away_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr(buckets, "RETRIES", {"max_retries": 0})
    sources = Sources("s3://away/", "", tmp_path, 1 << 20)
    for attempt in (lambda: sources.page(sources.check("s3://away/"), None), lambda: sources.find(sources.check("s3://away/m.onnx"))):
        with pytest.raises(Refused) as caught:
            attempt()
        assert caught.value.code == "source-failed"
