"""Small bodies of requests: read whole, and bounded."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from flask import request

from service.api.http.connection import mark_read
from service.api.http.problems import Problem
from service.api.http.receive import Body, check_encoding, upload_place
from service.api.services import current
from service.work.made import JSON


def small_body(kinds: Collection[str], most_bytes: int) -> bytes:
    """The body of this request, of one of the media types and of so many bytes at the most."""
    check_encoding(request)
    if request.mimetype not in kinds:
        known = ", ".join(kinds)
        detail = f"Content-Type is {request.mimetype or 'missing'}; it must be one of {known}."
        raise Problem("unsupported-media-type", detail, headers={"Accept": known})
    service = current()
    request.max_content_length = min(most_bytes, service.settings.max_upload_bytes)
    with upload_place(service):
        content = Body(request).read()
    mark_read()
    if not content:
        raise Problem("empty-body", "The request has no body.")
    return content


def json_body(most_bytes: int) -> Any:
    """The JSON document that is the body of this request."""
    try:
        return json.loads(small_body((JSON,), most_bytes))
    except (ValueError, RecursionError):
        raise Problem("not-json", "The body is not JSON.") from None
