"""The doors: under which names the service is asked, from which pages, how often, and how its answers are packed and framed.

1. A name that is not in `hosts` is refused (421), so that no other site's name can be made to mean this service (DNS rebinding).
2. A request that changes something and comes from the page of another site is refused (403): browsers say the origin of it.
3. How often a client may ask is counted by the caller's name: its token, or its address where there is none.
4. Health is asked by machines that know no name, and as often as they like.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_compress import Compress
from flask_cors import CORS
from flask_limiter import ApplicationLimit, Limiter
from limits import parse_many
from werkzeug.sansio.utils import host_is_trusted

from service.api.http.access import UNSAFE
from service.api.http.caller import caller
from service.api.http.problems import Problem
from service.settings import Settings

HEALTH = ("operations.livez", "operations.readyz", "operations.healthz")
EXPOSED = ("ETag", "Location", "Link", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID")
PACKED = (
    *("text/html", "text/css", "text/javascript", "text/markdown", "text/csv", "text/plain", "application/json", "application/xml"),
    *("application/yaml", "application/schema+json", "image/svg+xml", "application/openmetrics-text"),
)
"""The media types that are worth packing."""

FRAMED_BY_NOBODY = "frame-ancestors 'none'"


class Doors:
    """What stands between the network and the routes of `app`. Its hooks run after the one that finds out who asks."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._hosts, self._origins = _listed(settings.hosts), _listed(settings.cors_origins)
        self._frame_ancestors = settings.frame_ancestors
        self._limiter = _limiter(app, settings)
        app.before_request(self._pass)
        app.after_request(self._frame)
        app.after_request(self._tell_limit)
        if self._origins:
            CORS(app, origins=list(self._origins), expose_headers=list(EXPOSED), max_age=600)
        app.config.update(COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False, COMPRESS_ALGORITHM=["zstd", "br", "gzip"])
        app.config.update(COMPRESS_ALGORITHM_STREAMING=["zstd", "br", "gzip"], COMPRESS_MIMETYPES=list(PACKED))
        Compress(app)

    def _pass(self) -> None:
        if request.endpoint in HEALTH:
            return
        if self._hosts and not host_is_trusted(request.host, self._hosts):
            raise Problem("unknown-host", f"The request names the host {request.host[:100]!r}; this service has another name.")
        if request.method in UNSAFE and self._comes_from_elsewhere():
            raise Problem("cross-origin", "A page of another site asked for this. Ask from a page of this service, or without a browser.")

    def _comes_from_elsewhere(self) -> bool:
        """Whether a browser says that another site's page makes this request."""
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Sec-Fetch-Site") == "cross-site"
        return urlsplit(origin).netloc != request.host and origin not in self._origins

    def _frame(self, response: Response) -> Response:
        policy = response.headers.get("Content-Security-Policy", "")
        if FRAMED_BY_NOBODY in policy:
            response.headers["Content-Security-Policy"] = policy.replace(FRAMED_BY_NOBODY, f"frame-ancestors {self._frame_ancestors}")
        return response

    def _tell_limit(self, response: Response) -> Response:
        """Says what is left of the limit that is nearest (draft-ietf-httpapi-ratelimit-headers)."""
        limit = None if self._limiter is None or request.endpoint in HEALTH else self._limiter.current_limit
        if limit is not None:
            seconds = min(_seconds_until(limit.reset_at), limit.limit.get_expiry())
            response.headers["RateLimit-Policy"] = f'"requests";q={limit.limit.amount};w={limit.limit.get_expiry()}'
            response.headers["RateLimit"] = f'"requests";r={max(limit.remaining, 0)};t={seconds}'
            if limit.breached:
                response.headers["Retry-After"] = str(seconds)
        return response


def _limiter(app: Flask, settings: Settings) -> Limiter | None:
    """What counts the requests of each client; None where any number is taken. ValueError for what is no limit."""
    given = {"requests": (settings.rate_limit, _is_health), "changes": (settings.rate_limit_changes, _changes_nothing)}
    limits: list[str | Callable[[], str] | ApplicationLimit] = [
        ApplicationLimit(text, scope=name, exempt_when=exempt) for name, (text, exempt) in given.items() if text and parse_many(text)
    ]
    if not limits:
        return None
    return Limiter(
        lambda: caller().name,
        app=app,
        application_limits=limits,
        storage_uri=settings.rate_limit_storage,
        in_memory_fallback_enabled=True,
        strategy="moving-window",
    )


def _is_health() -> bool:
    return request.endpoint in HEALTH


def _changes_nothing() -> bool:
    return request.method not in UNSAFE


def _seconds_until(moment: float) -> int:
    return max(round(moment - time.time()), 1)


def _listed(text: str) -> Sequence[str]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))
