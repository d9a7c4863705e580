"""Jobs: analyses that are not finished when their request is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Response, stream_with_context

from service.api.features.schemas import JobSchema
from service.api.http.caller import project
from service.api.http.problems import Problem, kept_problem
from service.api.http.specification import Feature
from service.api.services import Service, current
from service.store.interfaces import Job

blueprint = Feature("jobs", __name__, url_prefix="/v1/jobs", description="Analyses under way.")

EVENT_SECONDS = 1.0
RETRY_MILLISECONDS = 2000
# A comment now and then keeps proxies from closing the stream.
QUIET_TURNS = 15


def job_document(job: Job) -> dict[str, object]:
    """A job as JSON data."""
    base = f"/v1/jobs/{job.id}"
    links = {"self": base, "events": f"{base}/events"}
    if job.state == "done":
        links["analysis"] = f"/v1/analyses/{job.report_id}"
    problem = None
    if job.problem is not None:
        kept = kept_problem(job.problem)
        problem = {"title": kept.title, "status": kept.status, "detail": kept.detail, "code": kept.code, "errors": kept.errors}
    return {
        "id": job.id,
        "status": job.state,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "problem": problem,
        "links": links,
    }


def job_response(job: Job, status: int) -> Response:
    """The answer that shows a job; with 202, where to ask again."""
    response = Response(json.dumps(job_document(job)), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if status == 202:
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        response.headers["Retry-After"] = "1"
    return response


@blueprint.route("/<job_id>", methods=["GET"])
@blueprint.response(200, JobSchema, description="The job.")
@blueprint.problems(404)
def get_job(job_id: str) -> Response:
    """See what became of a job"""
    return job_response(find_job(job_id), 200)


@blueprint.route("/<job_id>", methods=["DELETE"])
@blueprint.response(204, description="The job is asked to stop; a finished one stays as it is.")
@blueprint.problems(404)
def cancel_job(job_id: str) -> object:
    """Cancel a job"""
    find_job(job_id)
    current().engines.watch.cancel(job_id)
    return ""


@blueprint.route("/<job_id>/events", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", description="An event `status` for each change.")
@blueprint.problems(404)
def follow_job(job_id: str) -> Response:
    """Follow a job by server-sent events

    Each event `status` holds the job; the stream ends when it is finished.
    """
    job = find_job(job_id)
    events = stream_with_context(_events(current(), job))
    return Response(events, content_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _events(service: Service, job: Job) -> Iterator[str]:
    """One event for the job as it is, and one for each change. Where too many wait, the stream ends early, and browsers ask again."""
    yield f"retry: {RETRY_MILLISECONDS}\n{_event(job)}"
    shown, quiet = job.state, 0
    with service.waits.place() as free:
        while free and not job.finished:
            latest = service.engines.keeper.wait(job, EVENT_SECONDS)
            if latest is None:
                return
            job, quiet = latest, quiet + 1
            if job.state != shown:
                shown, quiet = job.state, 0
                yield _event(job)
            elif quiet % QUIET_TURNS == 0:
                yield ": still at it\n\n"


def _event(job: Job) -> str:
    return f"event: status\ndata: {json.dumps(job_document(job))}\n\n"


def find_job(job_id: str) -> Job:
    """The job of that id, else the problem that there is none."""
    job = current().store.jobs.get(project(), job_id)
    if job is None:
        raise Problem("job-not-found", f"There is no job {job_id[:64]}.")
    return job
