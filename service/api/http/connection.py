"""The connection under a request: how long it may pause, and what becomes of a body that nobody read."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

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
    connection = _connection()
    if connection is not None:
        connection.settimeout(seconds)


def mark_read() -> None:
    """Notes that this request's body was read to its end."""
    g.body_read = True


def _leave(response: Response) -> Response:
    """Stops listening where the body was not read. gunicorn would wait several seconds for the rest of it, in a thread and then in its main
    loop, and a few slow clients that were turned away would hold up everybody. The answer says that the connection ends, else the client
    would send its next request there."""
    connection = _connection()
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if connection is not None and has_body and "body_read" not in g:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)
        close = request.environ.get(CLOSE)
        if close is not None:
            close()
    return response


def _connection() -> socket.socket | None:
    """The socket of this request; None under a server that does not say."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    return connection
