"""The operator's list: nothing without it, nothing beside it, and no address that is not public unless it is named."""

from __future__ import annotations

import ipaddress

import pytest

from service.faults import Refused
from service.sources.address import parse_address
from service.sources.allowed import Allowed, is_public

LIST = "s3://models/team/, https://models.example.org/public, gs://whole models:/ 127.0.0.1:9000, 10.1.0.0/16 other.example"


@pytest.mark.parametrize(
    "text",
    [
        "s3://models/team/a.onnx", "s3://models/team/", "https://models.example.org/public", "https://models.example.org/public/a/b.onnx",
        "gs://whole/a.onnx", "models:/net/1", "models:/", "http://127.0.0.1:9000/a", "https://127.0.0.1:9000/a", "https://other.example/a",
    ],
)  # fmt: skip
def test_what_the_list_names_is_allowed(text: str) -> None:
    Allowed.parsed(LIST).check(parse_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "s3://models/teams/a.onnx", "s3://models/a.onnx", "s3://model/team/a.onnx", "gs://models/team/a.onnx", "s3://models/team2/a.onnx",
        "https://models.example.org/a", "https://models.example.org/publicity", "http://models.example.org/public/a",
        "https://models.example.org:8443/public/a", "https://models.example.org.evil.example/public/a", "https://sub.other.example/a",
        "http://other.example/a", "http://127.0.0.1/a", "http://127.0.0.1:9001/a", "http://127.0.0.2:9000/a", "https://10.1.2.3/a",
        "http://localhost:9000/a", "http://[::1]:9000/a", "http://169.254.169.254/latest/meta-data",
    ],
)  # fmt: skip
def test_what_it_does_not_name_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        Allowed.parsed(LIST).check(parse_address(text))
    assert caught.value.code == "source-not-allowed"


@pytest.mark.parametrize("text", ["s3://models/a", "https://example.org/a", "models:/n/1"])
def test_nothing_is_allowed_without_a_list(text: str) -> None:
    with pytest.raises(Refused) as caught:
        Allowed.parsed("").check(parse_address(text))
    assert caught.value.code == "source-unsupported"


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255", "192.0.0.192", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_public(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not is_public(address)
    with pytest.raises(Refused) as caught:
        Allowed.parsed("https://host.example/").vetted("host.example", [ipaddress.ip_address("93.184.216.34"), address])
    assert caught.value.code == "source-not-allowed"


@pytest.mark.parametrize("text", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert Allowed.parsed("https://host.example/").vetted("host.example", [address]) == address


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("10.0.0.0/8", "10.2.3.4"), ("10.2.3.4", "10.2.3.4"), ("http://10.2.3.4:81/a/", "10.2.3.4"), ("10.2.3.4:81", "10.2.3.4"),
        ("fd00::/8", "fd00::1"),
        ("http://localhost:9", "127.0.0.1"), ("http://localhost:9", "::1"), ("http://[::1]:9/", "::1"), ("[::1]:9", "::1"),
    ],
)  # fmt: skip
def test_list_names_addresses_that_are_not_public(entry: str, address: str) -> None:
    found = ipaddress.ip_address(address)
    assert Allowed.parsed(entry).vetted("host", [found]) == found


def test_host_without_an_address_has_failed() -> None:
    with pytest.raises(Refused) as caught:
        Allowed.parsed("https://host/").vetted("host", [])
    assert (caught.value.fault, caught.value.code) == ("source", "source-failed")


@pytest.mark.parametrize("entry", ["ftp://host/", "https://user@host/", "https://host/a/../b", "ho st$", "s3://B/", "*.example.org", "*"])
def test_entry_that_is_none_ends_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="RECEPTIVE_SOURCES_ALLOWED"):
        Allowed.parsed(entry)
