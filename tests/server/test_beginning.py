"""When a request is given to a thread: not before its header is there, and where it can be, its body too."""

from __future__ import annotations

import pytest

from service.server.beginning import MAX_HEAD_BYTES, MAX_HELD_BYTES, Verdict, path, verdict

POST = b"POST /v1/analyses?name=a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def sized(length: int, body: bytes) -> bytes:
    return POST + b"content-LENGTH : %d \r\n\r\n" % length + body


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Verdict.WAIT_FOR_HEAD),
        (b"GET / HTTP/1.1\r\nX", Verdict.WAIT_FOR_HEAD),
        (b"GET / HTTP/1.1\nHost: a\n\n", Verdict.WAIT_FOR_HEAD),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Verdict.SERVE),
        (b"\x16\x03\x01\r\n\r\n", Verdict.SERVE),
        (b"x" * MAX_HEAD_BYTES, Verdict.WAIT_FOR_HEAD),
        (b"x" * (MAX_HEAD_BYTES + 1), Verdict.TOO_LARGE),
        (b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n", Verdict.TOO_LARGE),
        (sized(5, b"1234"), Verdict.WAIT_FOR_BODY),
        (sized(5, b"12345"), Verdict.SERVE),
        (sized(5, b"12345GET"), Verdict.SERVE),
        (sized(10**18, b""), Verdict.WAIT_FOR_BODY),
        (sized(10**18, b"x" * MAX_HELD_BYTES), Verdict.SERVE_AND_READ),
        (POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", Verdict.SERVE_AND_READ),
        (POST + b"Content-Length: many\r\n\r\n", Verdict.SERVE),
        (CHUNKED, Verdict.WAIT_FOR_BODY),
        (CHUNKED + b"5\r\n12345\r\n", Verdict.WAIT_FOR_BODY),
        (CHUNKED + b"5\r\n12345\r\n0\r\n", Verdict.WAIT_FOR_BODY),
        (CHUNKED + b"5\r\n12345\r\n0\r\n\r\n", Verdict.SERVE),
        (CHUNKED + b"0\r\n\r\n", Verdict.SERVE),
        (CHUNKED + b"5\r\n12345\r\n000;a=b\r\nTrailer: x\r\n\r\n", Verdict.SERVE),
        (CHUNKED + b"5\r\n12345\r\n0\r\n\r\nGET / HTTP/1.1\r\n", Verdict.SERVE),
        (CHUNKED + b"fffff\r\n" + b"x" * MAX_HELD_BYTES, Verdict.SERVE_AND_READ),
    ],
)
def test_verdict(data: bytes, expected: Verdict) -> None:
    assert verdict(data) is expected
    assert verdict(bytearray(data)) is expected


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_of_a_request_are_served_once_it_is_whole(size: int) -> None:
    data = sized(40, b"0\r\n\r\n" * 8)
    for end in range(0, len(data), size):
        assert verdict(data[:end]) in (Verdict.WAIT_FOR_HEAD, Verdict.WAIT_FOR_BODY)
    assert verdict(data) is Verdict.SERVE


@pytest.mark.parametrize(
    ("data", "expected"), [(POST, b"/v1/analyses"), (b"GET /livez HTTP/1.1\r\n", b"/livez"), (b"\r\n", b""), (b"GET /livez", b"")]
)
def test_path(data: bytes, expected: bytes) -> None:
    assert path(data) == expected
