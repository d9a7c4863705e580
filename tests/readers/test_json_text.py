"""Strict JSON from untrusted bytes: bad inputs 36 to 39 and 45."""

from __future__ import annotations

import math

import pytest

from service.faults import Refused
from service.readers import json_text
from service.readers.json_text import parse_json


def test_it_reads_what_json_can_say() -> None:
    text = '{"a": [1, -2.5, "ü\\ud83d\\ude00", true, null], "\\u0041": {}}'.encode()
    assert parse_json(text) == {"a": [1, -2.5, "ü😀", True, None], "A": {}}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1] 2",
        b"{'a': 1}",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        "{}".encode("utf-32"),
        b'"\xed\xa0\x80"',
        b'"\xff"',
        rb'"\ud800"',
        rb'{"\udc00": 1}',
        b'"\x00"',
        b'"' + b'\\"' * 10**6,
        b"\x08\x07\x12",
    ],
)
def test_what_is_not_json_is_malformed(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_json(text)
    assert (caught.value.fault, caught.value.code) == ("malformed", "not-json")


def test_a_name_stands_once_in_an_object() -> None:
    with pytest.raises(Refused, match="'kernel'") as caught:
        parse_json(b'{"layers": [{"kernel": 3, "x": 1, "kernel": 3}]}')
    assert (caught.value.fault, caught.value.code) == ("malformed", "duplicate-key")


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 65 + b"]" * 65])
def test_depth_is_bounded(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_json(text)
    assert (caught.value.fault, caught.value.code) == ("limit", "too-deep")


def test_brackets_in_strings_are_no_depth() -> None:
    assert parse_json(b'["' + b"[" * 1000 + rb'\"[[", "]]"]') == ["[" * 1000 + '"[[', "]]"]
    assert parse_json(b"[" * 64 + b"]" * 64)


def test_numbers_without_bound_become_infinite() -> None:
    assert parse_json(b"[1e400, -1e400]") == [math.inf, -math.inf]
    assert parse_json(b"[1" + b"0" * 10**6 + b", -1" + b"0" * 10**6 + b"]") == [math.inf, -math.inf]
    assert parse_json(b"1180591620717411303424") == 2**70


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_DOCUMENT_BYTES", 10)
    assert parse_json(b" " * 8 + b"[]") == []
    with pytest.raises(Refused) as caught:
        parse_json(b" " * 9 + b"[]")
    assert (caught.value.fault, caught.value.code) == ("limit", "document-too-large")
