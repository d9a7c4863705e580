"""HTTP matters that several features share: choosing a representation, conditional requests, the Prefer header."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Response, g, request

from service.api.http.problems import Problem

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
NEXT_LINK = {"Link": {"schema": {"type": "string"}, "description": "Where the list goes on (rel=next)."}}


def choose(offered: Mapping[str, str]) -> str:
    """The name in `offered` (name to media type) of what the Accept header likes best; the first where it does not say."""
    if not request.accept_mimetypes:
        return next(iter(offered))
    best = request.accept_mimetypes.best_match(list(offered.values()))
    for name, media_type in offered.items():
        if media_type == best:
            return name
    raise Problem("not-acceptable", f"This is available as {', '.join(offered.values())}.")


def unchanged(etag: str, cache_control: str) -> Response | None:
    """304 Not Modified where If-None-Match names `etag`, else None: then the answer has to be made (RFC 9110, 13.1.2)."""
    # A compressed answer has an entity tag of its own: ours, and behind a colon how it was compressed.
    asked = request.if_none_match
    if not asked.star_tag and etag not in {known.partition(":")[0] for known in asked.as_set(include_weak=True)}:
        return None
    return tagged(Response(status=304), etag, cache_control)


def tagged(response: Response, etag: str, cache_control: str) -> Response:
    """`response` with a strong entity tag."""
    response.set_etag(etag)
    response.headers["Cache-Control"] = REVALIDATE if "abbreviated" in g else cache_control
    response.headers["Vary"] = "Accept"
    return response


def preferred_wait(default: float, longest: float) -> float:
    """How many seconds to wait for a job: Prefer: wait=N, 0 for Prefer: respond-async (RFC 7240), else `default`."""
    preferences = ",".join(request.headers.getlist("Prefer")).lower()
    wait = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\b", preferences)
    if wait:
        return min(float(wait[1]), longest)
    return 0.0 if re.search(r"(?:^|[,;\s])respond-async\b", preferences) else default
