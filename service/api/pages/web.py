"""What the pages share: how a page is answered, its content security policy, and the style sheet and scripts it loads."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import vl_convert
from flask import Blueprint, Response, request
from swagger_ui_bundle import swagger_ui_path

from service import __version__
from service.api.http.negotiation import REVALIDATE, tagged, unchanged
from service.api.http.problems import Problem
from service.api.services import current
from service.render.templating import WEB, framing, render

# Nothing from anywhere else and nothing inline; pictures of the reader's own are blobs, vectorised connections are objects.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "object-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
    )
)
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
VEGA = "vega.js"
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
"""The page that tries the interface, as the swagger-ui-bundle package brings it."""

blueprint = Blueprint("web", __name__)


def page(template: str, status: int = 200, **values: object) -> Response:
    """A page: the template with these values."""
    return as_page(render(template, version=__version__, here=request.path, **framing(request.args), **values), status)


def as_page(text: str, status: int = 200) -> Response:
    """HTML as a page under the policy of all pages."""
    policy = f"{POLICY}; frame-ancestors {current().settings.frame_ancestors}"
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
    headers["Cache-Control"] = REVALIDATE
    return Response(text, status, headers, content_type="text/html; charset=utf-8")


def problem_page(problem: Problem) -> Response:
    """A problem as a page, for readers who came by a link."""
    response = page("problem.html", problem.status, problem=problem)
    response.headers.update(problem.headers)
    return response


@blueprint.route("/static/<name>")
def static_file(name: str) -> Response:
    """A style sheet or a script of ours, or one that a package brings: the charts of vl-convert, the try-out page of Swagger UI."""
    found = _files().get(name)
    if found is None:
        raise Problem("not-found", "There is no such file.")
    content, kind, etag = (_vega(), _KINDS[".js"], _vega_etag()) if name == VEGA else found
    response = unchanged(etag, REVALIDATE)
    if response is None:
        response = tagged(Response(content, content_type=kind), etag, REVALIDATE)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Content, media type and entity tag of every static file. They do not change while the server runs."""
    paths = [*(WEB / "static").iterdir(), *(Path(swagger_ui_path) / name for name in SWAGGER)]
    files = {path.name: path.read_bytes() for path in paths if path.suffix in _KINDS}
    known = {name: (content, _KINDS[name[name.rindex(".") :]], hashlib.sha256(content).hexdigest()) for name, content in files.items()}
    return {**known, VEGA: (b"", _KINDS[".js"], "")}


@cache
def _vega() -> bytes:
    """vega-embed with all it needs, as one script. Bundling takes seconds, so it is done when a page first asks, and kept."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).encode()


@cache
def _vega_etag() -> str:
    return hashlib.sha256(_vega()).hexdigest()
