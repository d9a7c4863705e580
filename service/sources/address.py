"""The address of a model that lies elsewhere: what it may look like, and whether the operator's list allows it.

An address is compared as text, so it has one spelling only:
1. A host is a name in lower-case ASCII, an IPv4 address of four decimal numbers, or an IPv6 address as RFC 5952 writes it. Other spellings
   of an address (0x7f.1, 2130706433, 127.1) and names in other alphabets are refused, not translated.
2. There is no user, no query and no fragment: each may hold a secret, and the address stands in reports. Credentials come from the
   service's environment.
3. A path has no empty, `.` or `..` part, plain or percent-encoded, so that a prefix of it is a folder.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import unquote

from service.faults import Refused, refused_at

Scheme = Literal["https", "http", "s3", "gs", "az", "models"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
OBJECTS: tuple[Scheme, ...] = ("s3", "gs", "az")

MAX_ADDRESS_LENGTH = 1500
"""What an address may have: keys of objects have up to 1,024 bytes."""

_SPLIT = re.compile(r"([a-z][a-z0-9+.-]{0,30}):(.*)", re.DOTALL)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@/]+)(?::([1-9][0-9]{0,4}))?")
_MARK = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@ -]|%[0-9A-Fa-f]{2}|[^\x00-\x7f])"
_PATH = re.compile(rf"(?:{_MARK}+(?:/{_MARK}+)*/?)?")
_REGISTERED = re.compile(r"[^/:\x00-\x1f\x7f]{1,250}")
_DEFAULT_PORTS = {"https": 443, "http": 80}

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model lies: a scheme, a place (a host with its port, a bucket, or "" for the registry), and the path or key in it."""

    scheme: Scheme
    place: str
    path: str

    def __str__(self) -> str:
        if self.scheme == "models":
            return f"models:/{self.path}"
        return f"{self.scheme}://{self.place}/{self.path}"

    @property
    def host(self) -> str:
        """The host, without its port and without brackets."""
        return self.place.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.place.rpartition(":")[2])

    @property
    def is_folder(self) -> bool:
        """Whether this is the beginning of addresses, and none itself."""
        return not self.path or self.path.endswith("/")

    def beside(self, name: str) -> Address:
        """The address of a file in the same folder."""
        folder = self.path.rpartition("/")[0]
        return Address(self.scheme, self.place, f"{folder}/{name}" if folder else name)


def parse_address(text: str, pointer: str = "/source") -> Address:
    """The address that a text is.

    Refused `source-address` where it is none or is not written in the one way, `source-unsupported` where its scheme is another.
    """
    if len(text) > MAX_ADDRESS_LENGTH:
        raise _wrong(pointer, f"An address has at most {MAX_ADDRESS_LENGTH:,} characters; this one has {len(text):,}.")
    split = _SPLIT.fullmatch(text)
    if split is None:
        raise _wrong(pointer, f"got {text[:100]!r}; expected an address such as s3://bucket/model.onnx or https://host/model.onnx.")
    scheme = next((each for each in SCHEMES if each == split[1]), None)
    if scheme is None:
        detail = f"The scheme {split[1]!r} is not supported; expected one of {', '.join(SCHEMES)}."
        raise refused_at(pointer, "source-unsupported", detail)
    if scheme == "models":
        return _registered(split[2], pointer)
    if not split[2].startswith("//"):
        raise _wrong(pointer, f"got {text[:100]!r}; expected {scheme}:// and a place.")
    place, _, path = split[2][2:].partition("/")
    return Address(scheme, _place(scheme, place, pointer), _checked_path(path, scheme, pointer))


def _place(scheme: Scheme, place: str, pointer: str) -> str:
    """The bucket, or the host with its port."""
    if scheme in OBJECTS:
        if not _BUCKET.fullmatch(place):
            raise _wrong(pointer, f"{place[:100]!r} is no name of a bucket.")
        return place
    if "@" in place:
        raise _wrong(pointer, "An address holds no user and no password; credentials come from the service's environment.")
    found = _HOST.fullmatch(place)
    if found is None:
        raise _wrong(pointer, f"{place[:100]!r} is no host with an optional port.")
    port = int(found[2] or _DEFAULT_PORTS[scheme])
    if port > 65535:
        raise _wrong(pointer, f"{port} is no port.")
    return f"{_checked_host(found[1], pointer)}:{port}"


def _checked_host(host: str, pointer: str) -> str:
    if literal(host) is not None:
        return host
    if not host.isascii():
        raise _wrong(pointer, f"The host {host[:100]!r} is not ASCII; write it in its ASCII form (xn--…).")
    last = host.rpartition(".")[2]
    if not _NAME.fullmatch(host) or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
        expected = "expected a name in lower case, an IPv4 address of four decimal numbers, or an IPv6 address in brackets"
        raise _wrong(pointer, f"got the host {host[:100]!r}; {expected}.")
    return host


def literal(host: str) -> IpAddress | None:
    """The address that a host is, written in the one way; None for a name."""
    try:
        if host.startswith("["):
            found = ipaddress.IPv6Address(host[1:-1])
            return found if str(found) == host[1:-1] else None
        return ipaddress.IPv4Address(host)
    except ValueError:
        return None


def _checked_path(path: str, scheme: Scheme, pointer: str) -> str:
    if any(mark in path for mark in "?#"):
        raise _wrong(pointer, "An address has no query and no fragment: either may hold a secret, and the address stands in the report.")
    if not _PATH.fullmatch(path):
        raise _wrong(pointer, f"The path {path[:100]!r} has an empty part or a character that must be percent-encoded.")
    parts = [unquote(part) if scheme in _DEFAULT_PORTS else part for part in path.split("/")]
    if any(part in (".", "..") or "/" in part or "\\" in part or "\0" in part for part in parts):
        raise _wrong(pointer, f"The path {path[:100]!r} has a part that means another folder.")
    return path


def _registered(rest: str, pointer: str) -> Address:
    """models:/name/version, models:/name@alias; models:/ and models:/name/ are the registry and all versions of a name."""
    path = rest[1:]
    name, separator, version = path.partition("/") if "/" in path else path.partition("@")
    whole = not name and not separator
    all_versions = separator == "/" and not version
    fits = whole or bool(_REGISTERED.fullmatch(name) and separator and (all_versions or _REGISTERED.fullmatch(version)))
    if not rest.startswith("/") or not fits:
        raise _wrong(pointer, f"got {('models:' + rest)[:100]!r}; expected models:/name/version, models:/name/alias or models:/name@alias.")
    return Address("models", "", path.replace("@", "/", 1) if "/" not in path else path)


def _wrong(pointer: str, detail: str) -> Refused:
    return refused_at(pointer, "source-address", detail)
