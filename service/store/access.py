"""What is kept of a token."""

from __future__ import annotations

import hashlib

from service.report.identity import Digest


def digest_of(token: str) -> Digest:
    """The SHA-256 of a token. It is random and long, so that nobody finds it from its digest, and a slow hash would gain nothing."""
    return Digest(hashlib.sha256(token.encode(errors="replace")).hexdigest())
