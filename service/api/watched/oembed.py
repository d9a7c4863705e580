"""The oEmbed answer (oembed.com, version 1.0): a wiki that is given the address of one of our pages shows it in a frame."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import current_app, request
from markupsafe import escape
from marshmallow import Schema, fields, validate
from werkzeug.exceptions import HTTPException

from service.api.http.problems import Problem
from service.api.http.specification import Chosen, Feature

blueprint = Feature("oembed", __name__, description="Pages inside other pages.")

PAGES = ("analysis_pages", "model_pages", "compare_page")
"""The blueprints whose pages may be shown so."""

WIDTH, HEIGHT = 960, 640


class OembedQuerySchema(Schema):
    """Which page, and how large it may be."""

    url = fields.String(required=True, validate=validate.Length(1, 2000), metadata={"description": "The address of one of our pages."})
    maxwidth = fields.Integer(load_default=WIDTH, validate=validate.Range(1, 10000))
    maxheight = fields.Integer(load_default=HEIGHT, validate=validate.Range(1, 10000))
    format = fields.String(load_default="json", validate=validate.Equal("json"))


class OembedSchema(Schema):
    """How to show the page."""

    version = fields.String(required=True)
    type = fields.String(required=True)
    provider_name = fields.String(required=True)
    title = fields.String(required=True)
    width = fields.Integer(required=True)
    height = fields.Integer(required=True)
    html = fields.String(required=True)


@blueprint.route("/oembed", methods=["GET"])
@blueprint.arguments(OembedQuerySchema, location="query")
@blueprint.response(200, OembedSchema, description="The page in a frame.")
@blueprint.problems(404)
def get_oembed(query: Chosen) -> Any:
    """Say how to show one of our pages inside another"""
    asked = urlsplit(query["url"])
    if asked.netloc not in ("", request.host) or asked.scheme not in ("", "http", "https") or not _is_page(asked.path):
        raise Problem("not-found", "This is the address of none of our pages.")
    width, height = min(query["maxwidth"], WIDTH), min(query["maxheight"], HEIGHT)
    embedded = urlencode([*(pair for pair in parse_qsl(asked.query) if pair[0] != "embed"), ("embed", "1")])
    source = escape(f"{request.host_url.rstrip('/')}{asked.path}?{embedded}")
    frame = f'<iframe src="{source}" width="{width}" height="{height}" title="Receptive" loading="lazy"></iframe>'
    common = {"version": "1.0", "type": "rich", "provider_name": "Receptive", "title": "Receptive"}
    return {**common, "width": width, "height": height, "html": frame}


def _is_page(path: str) -> bool:
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None
    try:
        endpoint, _ = adapter.match(path, "GET")
    except HTTPException:
        return False
    return str(endpoint).partition(".")[0] in PAGES
