"""Access: one hook before every request, which finds out who asks and whether that may be done.

1. Every route states a scope in the table here; a route that is not in it is refused, and a test enumerates the whole URL map.
2. Where tokens are required, an address that does not exist wants one as well, so that nobody can probe.
3. Without tokens, which is the default, everybody works for one project and may do everything.
4. Whatever changes something is written into the log: who, what and how it ended.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Literal

import structlog
from flask import Flask, Response, g, request

from service.api.http.caller import NOBODYS, Caller
from service.api.http.oidc import Provider, UnknownToken
from service.api.http.problems import Problem
from service.report.identity import DEFAULT_PROJECT
from service.settings import Settings
from service.store.access import digest_of
from service.store.interfaces import Scope, Tokens

audit = structlog.get_logger("audit")
log = structlog.get_logger(__name__)

Stated = Scope | Literal["open"]
"""What a route wants of a caller; `open` is for everybody."""

BY_METHOD: dict[str, Stated] = {"GET": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "write"}
"""Reading wants `read`, changing wants `write`."""

OPEN: Mapping[str, Stated] = {"GET": "open"}

SCOPES: Mapping[str, Mapping[str, Stated]] = {
    "analyses": BY_METHOD,
    "layers": BY_METHOD,
    "metrics": BY_METHOD,
    "connectivity": BY_METHOD,
    "filters": BY_METHOD,
    "hierarchy": BY_METHOD,
    "overlay": {**BY_METHOD, "POST": "read"},  # an image that is sent is drawn on and not kept
    "charts": BY_METHOD,
    "badge": BY_METHOD,
    "sweep": BY_METHOD,
    "comparisons": {"POST": "read"},
    "jobs": BY_METHOD,
    "batches": BY_METHOD,
    "models": BY_METHOD,
    "model_versions": BY_METHOD,
    "history": BY_METHOD,
    "fleet": BY_METHOD,
    "events": BY_METHOD,
    "models_metrics": BY_METHOD,
    "oembed": OPEN,  # it says how an address is framed, and nothing of what is there
    "variants": BY_METHOD,
    "proposals": BY_METHOD,
    "operations": OPEN,
    "operations.read_metrics": {"GET": "admin"},  # it counts what all projects do
    "documentation": OPEN,
    "web": OPEN,
    "pages": BY_METHOD,
    "batch_pages": BY_METHOD,
    "analysis_pages": BY_METHOD,
    "compare_page": BY_METHOD,
    "learn_pages": BY_METHOD,
    "shape_pages": BY_METHOD,
    "model_pages": BY_METHOD,
}
"""What routes want, by blueprint or by endpoint, and by method."""

ASK_BROWSERS = ("pages", "batch_pages", "analysis_pages", "compare_page", "learn_pages", "shape_pages", "model_pages")
"""The blueprints of pages, whose readers are asked for a token by their browser (as the password of Basic authentication)."""

ANYBODY = "anybody"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def stated(endpoint: str | None, method: str) -> Stated | None:
    """The scope that a route states; None where it does not."""
    if endpoint is None:
        return "read"
    table = SCOPES.get(endpoint) or SCOPES.get(endpoint.partition(".")[0], {})
    if method == "OPTIONS":
        return "open" if table else None
    return table.get("GET" if method == "HEAD" else method)


class Access:
    """Lets requests of `app` in, or not."""

    def __init__(self, app: Flask, settings: Settings, tokens: Tokens) -> None:
        self._closed, self._tokens = settings.closed, tokens
        self._provider = Provider.of(settings)
        app.before_request(self._let_in)
        app.after_request(_note)

    def _let_in(self) -> None:
        scope = stated(request.endpoint, request.method)
        name = f"{ANYBODY}@{request.remote_addr}"[:128]
        if not self._closed:
            g.caller = Caller(DEFAULT_PROJECT, "admin", name)
            return
        if scope == "open":
            g.caller = Caller(NOBODYS, "read", name)
            return
        g.caller = self._caller()
        if scope is None or not g.caller.may(scope):
            raise Problem("scope-missing", f"This needs a token of the scope {scope or 'that is stated for it, and none is'}.")

    def _caller(self) -> Caller:
        text = _given()
        if text is None:
            raise Problem("token-missing", "Send a token: Authorization: Bearer …", headers=_challenge())
        token = self._tokens.find(digest_of(text))
        if token is not None:
            return Caller(token.project, token.scope, f"token:{token.id}")
        if self._provider is not None:
            try:
                return self._provider.caller(text)
            except UnknownToken as error:
                log.warning("token-invalid", reason=str(error))
        raise Problem("token-invalid", "The token is unknown, expired or revoked.", headers=_challenge('error="invalid_token"'))


def _given() -> str | None:
    """The token of this request, from `Authorization: Bearer`, or the password of `Basic`, which browsers can ask for."""
    authorization = request.authorization
    if authorization is None:
        return None
    if authorization.type == "basic":
        return authorization.password or None
    return authorization.token or None if authorization.type == "bearer" else None


def _challenge(more: str = "") -> dict[str, str]:
    """How to authenticate (RFC 6750)."""
    if request.blueprint in ASK_BROWSERS:
        return {"WWW-Authenticate": 'Basic realm="receptive", charset="UTF-8"'}
    return {"WWW-Authenticate": ", ".join(filter(None, ('Bearer realm="receptive"', more)))}


def _note(response: Response) -> Response:
    """Writes down who changed what, or was not let do so."""
    refused = response.status_code in (401, 403)
    if request.method in UNSAFE and (refused or stated(request.endpoint, request.method) not in (None, "read")):
        who = g.get("caller")
        name, project = (who.name, who.project) if isinstance(who, Caller) else ("unknown", None)
        made = response.headers.get("Location")
        what = {"action": request.endpoint or "none", "method": request.method, "path": request.path, "made": made}
        audit.info("audit", who=name, project=project, address=request.remote_addr, outcome=response.status_code, **what)
    return response


def warn_where_open(settings: Settings, hosts: Iterable[str]) -> None:
    """Says in the log that anybody on the network may do everything, where the server listens beyond this machine and wants no token."""
    beyond = [host for host in hosts if not _is_loopback(host)]
    if beyond and not settings.closed:
        advice = "set RECEPTIVE_REQUIRE_TOKEN=true or RECEPTIVE_OIDC_ISSUER, or let a proxy in front decide who is let in"
        log.warning("no-token-required", listening=beyond, meaning="whoever reaches this address may read, add and remove", advice=advice)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith(("/", "unix:"))
