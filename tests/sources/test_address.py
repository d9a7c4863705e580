"""Addresses of models: one spelling for each, nothing that hides another place, and no secret."""

from __future__ import annotations

import pytest

from service.faults import Refused
from service.sources.address import parse_address

GOOD = [
    ("https://models.example.org/a/b.onnx", ("https", "models.example.org:443", "a/b.onnx")),
    ("https://models.example.org:8443/b.onnx", ("https", "models.example.org:8443", "b.onnx")),
    ("http://127.0.0.1:9000/b.onnx", ("http", "127.0.0.1:9000", "b.onnx")),
    ("https://[2001:db8::1]/b.onnx", ("https", "[2001:db8::1]:443", "b.onnx")),
    ("https://xn--bcher-kva.example/b%20c.onnx", ("https", "xn--bcher-kva.example:443", "b%20c.onnx")),
    ("s3://bucket/key with space/é.onnx", ("s3", "bucket", "key with space/é.onnx")),
    ("gs://my-bucket.x/net.onnx", ("gs", "my-bucket.x", "net.onnx")),
    ("az://container/net.onnx", ("az", "container", "net.onnx")),
    ("s3://bucket/prefix/", ("s3", "bucket", "prefix/")),
    ("s3://bucket", ("s3", "bucket", "")),
    ("models:/net/3", ("models", "", "net/3")),
    ("models:/net/champion", ("models", "", "net/champion")),
    ("models:/net@champion", ("models", "", "net/champion")),
    ("models:/", ("models", "", "")),
    ("models:/net/", ("models", "", "net/")),
]


@pytest.mark.parametrize(("text", "parts"), GOOD)
def test_address_is_read(text: str, parts: tuple[str, str, str]) -> None:
    address = parse_address(text)
    assert (address.scheme, address.place, address.path) == parts
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "model.onnx", "/etc/passwd", "https:/host/a", "https:host/a", "s3:bucket/a", "//host/a", "https://", "https:///a",
        # Users, queries and fragments.
        "https://user@host.example/a", "https://user:secret@host.example/a", "https://good.example@evil.example/a", "https://@host.example/a",
        "https://host.example/a?token=secret", "https://host.example/a#b", "s3://bucket/a#b", "s3://bucket/a?versionId=1",
        # Other spellings of addresses of this machine.
        "http://0x7f.1/a", "http://127.1/a", "http://127.0.1/a", "http://2130706433/a", "http://0x7f000001/a", "http://0177.0.0.1/a",
        "http://127.0.0.1./a", "http://127.000.000.001/a", "http://１２７.0.0.1/a", "http://[0:0:0:0:0:0:0:1]/a", "http://[::1%eth0]/a",
        "http://[::ffff:127.0.0.1]x/a", "http://[::FFFF:7F00:1]/a", "http://[]/a", "http://::1/a", "http://[127.0.0.1]/a",
        # Names in other alphabets, or that are none.
        "https://bücher.example/a", "https://exаmple.org/a", "https://host。example/a", "https://HOST.example/a", "https://host..example/a",
        "https://-host.example/a", "https://host.example./a", "https://ho st/a", "https://host_name/a", "https://%6c%6fcalhost/a",
        "https://host\t.example/a", "https://host\n.example/a", "https://host.example\\@evil.example/a",
        "https://" + "a" * 64 + ".example/a",
        # Ports.
        "https://host.example:/a", "https://host.example:0/a", "https://host.example:65536/a", "https://host.example:-1/a",
        "https://host.example:80:80/a", "https://host.example:٣/a",
        # Paths that leave their folder.
        "https://host.example/a/../b", "https://host.example/a/%2e%2e/b", "https://host.example/a/%2E./b", "https://host.example/./b",
        "https://host.example//b", "https://host.example/a//b", "https://host.example/a%2f..%2fb", "https://host.example/a\\b",
        "https://host.example/a%5cb", "https://host.example/a%00b", "https://host.example/a\0b", "https://host.example/a\r\nHost: b",
        "https://host.example/%zz", "s3://bucket/../other/a", "s3://bucket/a/./b", "s3://bucket//a", "s3://BUCKET/a", "s3://b/a", "s3://b@c/a",
        "s3://bucket:80/a", "az://con%74ainer/a",
        # The registry.
        "models:net/1", "models://net/1", "models:/net", "models:/net/1/2", "models:/net@", "models:/net\n/1", "models:/net/1@a/b",
        "s3://bucket/" + "k" * 1500,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_address(text, "/sources/3")
    assert (caught.value.fault, caught.value.code) == ("invalid", "source-address")
    assert [error.pointer for error in caught.value.errors] == ["/sources/3"]


@pytest.mark.parametrize(
    "text", ["gopher://host/a", "file:///etc/passwd", "ftp://host/a", "data:,x", "jar:file:///a", "dbfs:/a", "mlflow-artifacts:/a"]
)
def test_other_schemes_are_named(text: str) -> None:
    with pytest.raises(Refused, match="is not supported") as caught:
        parse_address(text)
    assert caught.value.code == "source-unsupported"


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("s3://bucket/a/m.onnx", "s3://bucket/a/w.bin"),
        ("s3://bucket/m.onnx", "s3://bucket/w.bin"),
        ("https://h.example/m", "https://h.example:443/w.bin"),
    ],
)
def test_file_beside_is_in_the_same_folder(text: str, beside: str) -> None:
    assert str(parse_address(text).beside("w.bin")) == beside


@pytest.mark.parametrize(
    ("text", "folder"), [("s3://bucket/a/", True), ("s3://bucket", True), ("models:/", True), ("models:/n/", True), ("models:/n/1", False)]
)
def test_folder_is_told_from_a_model(text: str, folder: bool) -> None:
    assert parse_address(text).is_folder == folder
