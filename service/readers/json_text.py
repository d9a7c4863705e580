"""Strict JSON (RFC 8259, and the names of I-JSON, RFC 7493) from untrusted bytes, within bounds on size and depth."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from service.faults import Refused
from service.limits import MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH

MAX_DIGITS = 40
"""An integer of more digits reads as infinity, which no field accepts: converting a million digits takes quadratic time."""

# A string (its closing quote may be missing: then it is the rest of the text) or a bracket. Possessive, so that it never backtracks.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: bytes) -> object:
    """The value that a JSON text denotes.

    Refused `not-json` for anything but UTF-8 JSON without a byte order mark, NaN or lone surrogates, `duplicate-key`, `too-deep` and
    `document-too-large`. A number beyond the range of its type reads as an infinity.
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise Refused("limit", "document-too-large", f"a JSON document may have {MAX_DOCUMENT_BYTES:,} bytes, this one has {len(text):,}")
    characters = _decode(text)
    _check_depth(characters)
    try:
        value = json.loads(characters, object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise _not_json(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    if _ESCAPED_SURROGATE.search(characters):
        _check_surrogates(value)
    return value


def _not_json(reason: str) -> Refused:
    return Refused("malformed", "not-json", f"the document is not JSON: {reason}")


def _decode(text: bytes) -> str:
    if text.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _not_json("it starts with a byte order mark; JSON is UTF-8 without one")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from error


def _check_depth(characters: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(characters):
        character = match.group()[0]
        if character in "[{":
            depth += 1
            if depth > MAX_DOCUMENT_DEPTH:
                raise Refused("limit", "too-deep", f"values may be nested {MAX_DOCUMENT_DEPTH} deep")
        elif character != '"':
            depth -= 1


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Refused("malformed", "duplicate-key", f"the name {twice[:100]!r} stands twice in one object")
    return result


def _integer(digits: str) -> int | float:
    if len(digits) > MAX_DIGITS:
        return -math.inf if digits.startswith("-") else math.inf
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise _not_json(f"{name} is no JSON number")


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _not_json("a string holds half of a surrogate pair") from error
