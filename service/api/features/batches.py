"""Batches: many models that lie elsewhere, analysed with nobody waiting."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, stream_with_context
from marshmallow import ValidationError

from service.api.features.analyses import unsettled
from service.api.features.jobs import EVENT_SECONDS, QUIET_TURNS, RETRY_MILLISECONDS
from service.api.features.source_schemas import BatchItemsQuerySchema, BatchItemsSchema, BatchRequestSchema, BatchSchema
from service.api.http.bodies import json_body
from service.api.http.caller import project
from service.api.http.problems import Problem, argument_errors, kept_problem
from service.api.http.specification import Chosen, Feature
from service.api.services import Service, current
from service.faults import pointer_to
from service.store.batches import Batch, Item
from service.work.made import JSON

MAX_BYTES = 16 * 1024 * 1024

blueprint = Feature("batches", __name__, url_prefix="/v1/batches", description="Many models that lie elsewhere.")

_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}


@blueprint.route("", methods=["POST"])
@blueprint.response(202, BatchSchema, description="The batch, which goes on by itself.", headers=_LOCATION)
@blueprint.problems(400, 408, 413, 415, 422)
@blueprint.doc(requestBody={"required": True, "content": {JSON: {"schema": BatchRequestSchema}}})
def create_batch() -> Response:
    """Analyse many models that lie elsewhere

    Folders and registries are listed while the batch runs. Every model ends with a report or with its problem; one that is named twice is
    analysed once.
    """
    try:
        asked = BatchRequestSchema().load(json_body(MAX_BYTES))
    except ValidationError as error:
        raise Problem("invalid-arguments", "The batch is not valid.", argument_errors(error.messages)) from None
    service = current()
    addresses = [service.store.sources.check(text, pointer_to("sources", place)) for place, text in enumerate(asked["sources"])]
    batch = service.engines.batching.begin(project(), addresses, unsettled(asked["options"]), asked.get("model"))
    return _response(batch, 202)


@blueprint.route("/<batch_id>", methods=["GET"])
@blueprint.response(200, BatchSchema, description="The batch.")
@blueprint.problems(404)
def get_batch(batch_id: str) -> Response:
    """See how far a batch is"""
    return _response(find_batch(batch_id), 200)


@blueprint.route("/<batch_id>/items", methods=["GET"])
@blueprint.arguments(BatchItemsQuerySchema, location="query")
@blueprint.response(200, BatchItemsSchema, description="In the order in which they were listed.")
@blueprint.problems(404)
def list_batch_items(query: Chosen, batch_id: str) -> object:
    """List the models of a batch"""
    batch, limit = find_batch(batch_id), query["limit"]
    items = current().store.batches.items(batch.project, batch.id, limit + 1, query["cursor"] - 1, query.get("state"))
    following = items[limit].number if len(items) > limit else None
    return {"items": [item_document(item) for item in items[:limit]], "next_cursor": following}


@blueprint.route("/<batch_id>", methods=["DELETE"])
@blueprint.response(204, description="No more of its models are taken, and those under way are stopped; reports that were made stay.")
@blueprint.problems(404)
def cancel_batch(batch_id: str) -> object:
    """Cancel a batch"""
    batch = find_batch(batch_id)
    current().store.batches.cancel(batch.project, batch.id)
    return ""


@blueprint.route("/<batch_id>/events", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", description="An event `status` for each change.")
@blueprint.problems(404)
def follow_batch(batch_id: str) -> Response:
    """Follow a batch by server-sent events

    Each event `status` holds the batch; the stream ends with it.
    """
    events = stream_with_context(_events(current(), find_batch(batch_id)))
    return Response(events, content_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _events(service: Service, batch: Batch) -> Iterator[str]:
    """One event for the batch as it is, and one for each change. Where too many wait, the stream ends early, and browsers ask again."""
    shown, quiet = batch_document(batch), 0
    yield f"retry: {RETRY_MILLISECONDS}\n{_event(shown)}"
    with service.waits.place() as free:
        while free and shown["status"] == "running":
            time.sleep(EVENT_SECONDS)
            latest = service.store.batches.get(batch.project, batch.id)
            if latest is None:
                return
            document, quiet = batch_document(latest), quiet + 1
            if (document["status"], document["counts"]) != (shown["status"], shown["counts"]):
                shown, quiet = document, 0
                yield _event(shown)
            elif quiet % QUIET_TURNS == 0:
                yield ": still at it\n\n"


def _event(document: Mapping[str, Any]) -> str:
    return f"event: status\ndata: {json.dumps(document)}\n\n"


def batch_document(batch: Batch) -> dict[str, Any]:
    """A batch as JSON data."""
    base = f"/v1/batches/{batch.id}"
    counts = current().store.batches.counts(batch.project, batch.id)
    return {
        "id": batch.id,
        "status": batch.state,
        "created_at": batch.created_at,
        "updated_at": batch.updated_at,
        "model": batch.model,
        "counts": {**dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 0), **counts, "total": sum(counts.values())},
        "listed": not batch.openings,
        "problems": [{"source": each["source"], **_problem(each)} for each in batch.problems],
        "links": {"self": base, "items": f"{base}/items", "events": f"{base}/events", "html": f"/batches/{batch.id}"},
    }


def item_document(item: Item) -> dict[str, Any]:
    """An item as JSON data."""
    problem = None if item.problem is None else _problem(item.problem)
    return {"number": item.number, "source": item.source, "status": item.state, "analysis": item.report_id, "problem": problem}


def _problem(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = kept_problem(record)
    return {"title": kept.title, "status": kept.status, "detail": kept.detail, "code": kept.code, "errors": kept.errors}


def _response(batch: Batch, status: int) -> Response:
    response = Response(json.dumps(batch_document(batch)), status, content_type=JSON, headers={"Cache-Control": "no-store"})
    if status == 202:
        response.headers["Location"] = f"/v1/batches/{batch.id}"
    return response


def find_batch(batch_id: str) -> Batch:
    """The batch of that id, else the problem that there is none."""
    batch = current().store.batches.get(project(), batch_id)
    if batch is None:
        raise Problem("batch-not-found", f"There is no batch {batch_id[:64]}.")
    return batch
