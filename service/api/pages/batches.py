"""The page of a batch: how far it is, and what became of each model."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service.api.features.batches import batch_document, find_batch, item_document
from service.api.pages.web import page
from service.api.services import current

ITEMS = 200
"""Models on one page."""

blueprint = Blueprint("batch_pages", __name__)


@blueprint.route("/batches/<batch_id>")
def batch(batch_id: str) -> Response:
    """How far a batch is."""
    found = find_batch(batch_id)
    after = request.args.get("after", "")
    begin = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else -1
    items = current().store.batches.items(found.project, found.id, ITEMS + 1, begin)
    following = items[ITEMS - 1].number if len(items) > ITEMS else None
    return page("batch.html", batch=batch_document(found), items=[item_document(item) for item in items[:ITEMS]], following=following)
