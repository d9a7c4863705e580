"""What changes in a fleet, as server-sent events: pages that show it stay up to date."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, stream_with_context

from service.api.http.caller import project
from service.api.http.specification import Feature
from service.api.services import Service, current
from service.report.identity import Project

blueprint = Feature("events", __name__, description="What changes.")

TURN_SECONDS = 2.0
RETRY_MILLISECONDS, CROWDED_MILLISECONDS = 2000, 15000
QUIET_TURNS = 3
"""So often a comment is sent, which keeps proxies from closing the stream and finds out whether the reader is gone."""

MAX_TURNS = 300
"""After so many turns a stream ends and the browser asks again: a reader who is gone holds no place for ever."""


@blueprint.route("/v1/fleet/events", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", description="An event `state` at first and for each change.")
def follow_fleet() -> Response:
    """Follow the watched models and the fleet by server-sent events

    The data of an event `state` is a text that differs from the one before where a version came, was judged or went, or an analysis did.
    """
    events = stream_with_context(_events(current(), project()))
    return Response(events, content_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _events(service: Service, mine: Project) -> Iterator[str]:
    """Where too many follow, the stream ends early, and browsers ask again later."""
    shown = service.store.fleet.state(mine)
    with service.followers.place() as free:
        yield f"retry: {RETRY_MILLISECONDS if free else CROWDED_MILLISECONDS}\n{_event(shown)}"
        for turn in range(MAX_TURNS if free else 0):
            if service.engines.keeper.pause(TURN_SECONDS):
                return
            state = service.store.fleet.state(mine)
            if state != shown:
                shown = state
                yield _event(state)
            elif turn % QUIET_TURNS == 0:
                yield ": nothing new\n\n"


def _event(state: str) -> str:
    return f"event: state\ndata: {state}\n\n"
