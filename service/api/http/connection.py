"""The connection under a request: how long it may pause, and what becomes of a body that nobody read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from service.server.client import Client

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# Where the environment of a request keeps what makes the server close its connection afterwards.
CLOSE = "receptive.close"


def register(app: Flask) -> None:
    """Makes `app` hang up on what it did not want to read."""
    app.after_request(_leave)
    app.wsgi_app = _closable(app.wsgi_app)  # type: ignore[assignment, method-assign]


def _closable(serve: WSGIApplication) -> WSGIApplication:
    """Gives each request the means to close its connection. WSGI has none: gunicorn drops a header `Connection`, but its `start_response`
    is a method of the response that it writes."""

    def closable(environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environment[CLOSE] = getattr(getattr(start_response, "__self__", None), "force_close", None)
        return serve(environment, start_response)

    return closable


def limit_pauses(seconds: float) -> None:
    """Ends the reading of this request's body when nothing comes for so long."""
    client = connection()
    if client is not None:
        client.settimeout(seconds)


def mark_read() -> None:
    """Notes that this request's body was read to its end."""
    g.body_read = True


def _leave(response: Response) -> Response:
    """Ends the connection where the body was not read, and says so in the answer, else the client would send its next request there. The
    server drops what still comes of the body (service.server.worker)."""
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    close = request.environ.get(CLOSE)
    if has_body and "body_read" not in g and close is not None:
        close()
    return response


def connection() -> Client | None:
    """The connection of this request; None under a server that does not say."""
    client = request.environ.get("gunicorn.socket")
    return client if isinstance(client, Client) else None
