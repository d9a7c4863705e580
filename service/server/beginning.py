"""What has arrived of a request, before a thread is taken for it: enough, or not yet.

A request goes to a thread when its header is complete and either its whole body has arrived or more than a thread should not wait for. So
whoever sends half a header, or half of a small body, holds a few kilobytes and no thread.
"""

from __future__ import annotations

import re
from enum import Enum

MAX_HEAD_BYTES = 64 * 1024
"""The longest header; one more byte is answered with 431."""

MAX_HELD_BYTES = 64 * 1024
"""How much of a body is waited for without a thread."""

END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,19})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:[^\r\n]*chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect[ \t]*:", re.IGNORECASE)
_LAST_CHUNK = re.compile(rb"(?:\A|\r\n)0+[ \t]*(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n", re.ASCII)


class Verdict(Enum):
    """What to do with a request of which this much has arrived."""

    WAIT_FOR_HEAD = "wait for the rest of the header"
    WAIT_FOR_BODY = "wait for the rest of the body"
    SERVE = "give it to a thread: it is all there"
    SERVE_AND_READ = "give it to a thread, which reads the rest"
    TOO_LARGE = "refuse it"


def verdict(data: bytes | bytearray) -> Verdict:
    """What to do when `data` is all that has arrived of a request. What is malformed goes to a thread, whose parser refuses it."""
    end = data.find(END)
    if end < 0:
        return Verdict.TOO_LARGE if len(data) > MAX_HEAD_BYTES else Verdict.WAIT_FOR_HEAD
    if end > MAX_HEAD_BYTES:
        return Verdict.TOO_LARGE
    head, held = bytes(data[: end + 2]), len(data) - end - len(END)
    # Who expects 100 Continue sends nothing before it, and only the application knows whether it wants the body.
    if _EXPECT.search(head):
        return Verdict.SERVE_AND_READ
    if _CHUNKED.search(head):
        whole = _LAST_CHUNK.search(bytes(data[end + len(END) :])) is not None
    else:
        length = _LENGTH.search(head)
        whole = length is None or held >= int(length[1])
    if whole:
        return Verdict.SERVE
    return Verdict.WAIT_FOR_BODY if held < MAX_HELD_BYTES else Verdict.SERVE_AND_READ


def path(data: bytes | bytearray) -> bytes:
    """The path of a request, without its query; empty where its first line is none."""
    words = bytes(data[: data.find(b"\r\n")]).split(b" ")
    return words[1].partition(b"?")[0] if len(words) == 3 else b""
