"""HTTP to one address that was looked up once and vetted: no second look-up (DNS rebinding), no redirect, no proxy, no endless wait."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpcore

from service.faults import Refused
from service.sources.address import Address, IpAddress

CONNECT_SECONDS = 10.0
PAUSE_SECONDS = 20.0
"""How long a server may send nothing."""

REQUEST_SECONDS = 120.0
"""How long one request may take in all, however steadily a server sends."""

MAX_TRIES = 2
"""A connection that was kept may be closed by now, so a request is sent once more."""

FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
)

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
Resolve = Callable[[str, int], Sequence[IpAddress]]
Sink = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: headers have lower-case names."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def look_up(host: str, port: int) -> list[IpAddress]:
    """The addresses of a host. Refused `source-failed` where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused("source", "source-failed", f"The host {host} is not known.") from None
    return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


class _Clock:
    """The time that is left for a request."""

    def __init__(self) -> None:
        self._until = 0.0

    def start(self) -> None:
        """Begins a request."""
        self._until = time.monotonic() + REQUEST_SECONDS

    def bounded(self, seconds: float | None) -> float:
        """A wait that ends with the request. ReadTimeout where that is over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the request takes too long")
        return left if seconds is None else min(seconds, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose waits end with the request."""

    def __init__(self, inner: httpcore.NetworkStream, clock: _Clock) -> None:
        self._inner, self._clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.bounded(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.bounded(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._clock.bounded(timeout)), self._clock)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to the one address, whatever name a request has."""

    def __init__(self, address: IpAddress, clock: _Clock) -> None:
        self._address, self._clock, self._inner = address, clock, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(str(self._address), port, self._clock.bounded(timeout), local_address, socket_options)
        return _Stream(stream, self._clock)


class PinnedHost:
    """A host behind one address that was vetted; TLS verifies its name. It is closed when nobody refers to it any more."""

    def __init__(self, address: Address, vetted: IpAddress) -> None:
        self._origin = f"{address.scheme}://{address.place}"
        self._clock = _Clock()
        backend = _Backend(vetted, self._clock)
        tls = ssl.create_default_context() if address.scheme == "https" else None
        self._pool = httpcore.ConnectionPool(ssl_context=tls, max_connections=1, network_backend=backend)
        weakref.finalize(self, self._pool.close)

    def get(self, target: str, headers: Mapping[str, str], max_bytes: int, statuses: Sequence[int] = (200,)) -> Answer:
        """What the server has at a percent-encoded target. The body is read where the status is one of `statuses`.

        Refused `source-failed` where the server does not answer in time, or with more than `max_bytes`.
        """
        failure: Exception = TimeoutError()
        for _ in range(MAX_TRIES):
            pieces: list[bytes] = []
            try:
                status, received = self._asked(target, headers, max_bytes, statuses, pieces.append)
                return Answer(status, received, b"".join(pieces))
            except FAILURES as error:
                failure = error
                if isinstance(error, httpcore.TimeoutException):
                    break
        raise self._refused(failure)

    def save(self, target: str, headers: Mapping[str, str], max_bytes: int, sink: Sink) -> Answer:
        """As `get`, with the body of status 200 given to `sink` piece by piece, and none in the answer."""
        try:
            status, received = self._asked(target, headers, max_bytes, (200,), sink)
        except FAILURES as error:
            raise self._refused(error) from None
        return Answer(status, received, b"")

    def _refused(self, error: Exception) -> Refused:
        if isinstance(error, httpcore.TimeoutException):
            return Refused("source", "source-failed", f"{self._origin} did not answer in time.")
        return Refused("source", "source-failed", f"{self._origin} failed: {str(error)[:200] or type(error).__name__}.")

    def _asked(
        self, target: str, headers: Mapping[str, str], max_bytes: int, statuses: Sequence[int], sink: Sink
    ) -> tuple[int, Mapping[str, str]]:
        self._clock.start()
        sent = {"Accept-Encoding": "identity", "User-Agent": "receptive", **headers}
        waits = {"connect": CONNECT_SECONDS, "read": PAUSE_SECONDS, "write": PAUSE_SECONDS, "pool": PAUSE_SECONDS}
        with self._pool.stream("GET", self._origin + target, headers=list(sent.items()), extensions={"timeout": waits}) as response:
            received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            left = max_bytes
            for piece in response.iter_stream() if response.status in statuses else ():
                left -= len(piece)
                if left < 0:
                    raise Refused("source", "source-failed", f"{self._origin} sent more than the {max_bytes} bytes that were asked for.")
                sink(piece)
            return response.status, received
