"""An object of an HTTP server, read by ranges (RFC 9110, 14) of one version."""

from __future__ import annotations

import re
from urllib.parse import quote

from service.faults import Refused
from service.sources.address import Address
from service.sources.pinned import Answer, PinnedHost

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_GONE = (404, 410)
_SAFE = "/~!$&'()*+,;=:@%"


class HttpObject:
    """An object at an address, as it was when it was opened.

    Refused `source-not-found`, `source-changed` where it is another than `version`, and `source-failed` where the server does not send
    ranges, or does not say which version it sends.
    """

    def __init__(self, host: PinnedHost, address: Address, version: str | None = None) -> None:
        self._host, self._address = host, address
        self._target = "/" + quote(address.path, safe=_SAFE)
        self._version = version
        # One byte: some servers answer HEAD otherwise than GET.
        answer = self._checked(self._asked(0, 1))
        if answer.status == 416:
            raise Refused("malformed", "empty-body", f"{address} is empty.")
        self._size = self._range(answer)[2]
        self._version = version_of(answer, address)

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self._size

    @property
    def version(self) -> str:
        """The entity tag, or the date of the last change where the server gives none."""
        return self._version or ""

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`."""
        answer = self._checked(self._asked(start, stop))
        first, last, total = self._range(answer)
        if total != self._size:
            raise changed(self._address)
        if (first, last + 1) != (start, stop) or len(answer.content) != stop - start:
            got = f"{len(answer.content)} bytes as {first}-{last}"
            raise Refused("source", "source-failed", f"{self._address}: got {got}; expected the range {start}-{stop - 1}.")
        return answer.content

    def _asked(self, start: int, stop: int) -> Answer:
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self._version is not None and self._version.startswith('"'):
            headers["If-Match"] = self._version
        return self._host.get(self._target, headers, stop - start, (206,))

    def _checked(self, answer: Answer) -> Answer:
        """The answer, if it is a range of the version that was opened."""
        status = answer.status
        if status in _GONE:
            if self._version is not None:
                raise changed(self._address)
            raise Refused("source", "source-not-found", f"There is nothing at {self._address}.")
        if status == 412:
            raise changed(self._address)
        if status == 200:
            raise Refused("source", "source-failed", f"The server of {self._address} sends no ranges, only the whole.")
        if 300 <= status < 400:
            raise Refused("source", "source-failed", f"The server of {self._address} redirects ({status}); name where the model lies.")
        if status not in (206, 416):
            raise Refused("source", "source-failed", f"The server of {self._address} answered with status {status}.")
        if self._version is not None and version_of(answer, self._address) != self._version:
            raise changed(self._address)
        return answer

    def _range(self, answer: Answer) -> tuple[int, int, int]:
        """The first and the last byte of an answer and the size of the whole."""
        text = answer.headers.get("content-range", "")
        found = _RANGE.fullmatch(text)
        if found is None:
            detail = f"The server of {self._address} sent the Content-Range {text[:100]!r}; expected bytes FIRST-LAST/SIZE."
            raise Refused("source", "source-failed", detail)
        return int(found[1]), int(found[2]), int(found[3])


def version_of(answer: Answer, address: Address) -> str:
    """What tells the version of an object from others."""
    version = answer.headers.get("etag") or answer.headers.get("last-modified")
    if not version or len(version) > 300 or not version.isprintable():
        detail = f"The server of {address} gives neither an ETag nor a date, so a change would not be noticed."
        raise Refused("source", "source-failed", detail)
    return version


def changed(address: Address) -> Refused:
    """The error for an object that is not what it was when it was opened."""
    return Refused("source", "source-changed", f"{address} changed while it was read; ask again.")
