"""Where a reader goes who has sent something to be analysed: to the report, or to the page that waits for it."""

from __future__ import annotations

from flask import Response, redirect

from service.api.http.problems import kept_problem
from service.api.services import current
from service.jobs.intake import Accepted

PAGE_WAIT_SECONDS = 2.0
"""A page shows the wait instead of waiting longer than this."""


def onward(accepted: Accepted) -> Response:
    """To the report, or to the page that waits for it. Raises the problem of a model that was refused."""
    service = current()
    if accepted.job is None:
        return see_other(f"/analyses/{accepted.report_id}")
    with service.waits.place() as free:
        job = service.engines.keeper.wait(accepted.job, PAGE_WAIT_SECONDS if free else 0.0)
    if job is not None and job.problem is not None:
        raise kept_problem(job.problem)
    if job is not None and job.state == "done":
        return see_other(f"/analyses/{accepted.report_id}")
    return see_other(f"/jobs/{accepted.job.id}")


def see_other(address: str) -> Response:
    """To another address, with GET."""
    response = redirect(address, 303)
    assert isinstance(response, Response)
    return response
