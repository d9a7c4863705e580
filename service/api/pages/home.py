"""The pages where an analysis begins: upload, pasted spec, examples, the list of what was analysed, and the wait for a job."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import HTTPException

from service.api.features.analyses import take_in
from service.api.features.jobs import find_job
from service.api.features.schemas import make_options
from service.api.http.caller import project
from service.api.http.problems import MEDIA_TYPE, Problem, http_problem, kept_problem, other_problem, read_problem
from service.api.pages import analysis as analysis_pages
from service.api.pages import compare as compare_page
from service.api.pages import learn as learn_pages
from service.api.pages import web
from service.api.pages.web import page, problem_page
from service.api.services import current
from service.faults import Refused
from service.jobs.intake import Accepted
from service.render.json_lines import line_of
from service.report.identity import Question

EXAMPLES = Path(__file__).parents[3] / "examples"
TRAINED = {
    "photographs": "Four convolutions trained on photographs: learned filters, and how colour comes with depth.",
    "photographs-pruned": "The same with 60 % of its weights at zero: compare the two.",
}
"""What the ONNX examples show."""

RECENT = 20
PAGE_WAIT_SECONDS = 2.0
"""A page shows the wait instead of waiting longer than this."""

blueprint = Blueprint("pages", __name__)
API = "/v1/"
BLUEPRINTS = (web.blueprint, blueprint, analysis_pages.blueprint, compare_page.blueprint, learn_pages.blueprint)
for each in BLUEPRINTS:
    each.register_error_handler(Problem, problem_page)
    each.register_error_handler(Refused, lambda error: problem_page(read_problem(error)))
    each.register_error_handler(HTTPException, lambda error: problem_page(http_problem(error)))
    each.register_error_handler(Exception, lambda error: problem_page(other_problem(error)))


@blueprint.app_errorhandler(404)
@blueprint.app_errorhandler(405)
def unknown(error: HTTPException) -> Response:
    """A browser that asks for an address that there is not, or not in this way, gets a page; the API and other clients get the document."""
    problem = http_problem(error)
    routed = request.routing_exception is None or request.path.startswith(API)
    pages = request.accept_mimetypes.best_match((MEDIA_TYPE, "application/json", "text/html")) == "text/html"
    return problem.response() if routed or not pages else problem_page(problem)


@blueprint.route("/")
def home() -> Response:
    """Analyse a model, or go on reading a report."""
    return _home()


def _home(status: int = 200, spec: str = "", problem: Problem | None = None) -> Response:
    recent = current().store.reports.page(project(), RECENT).items
    return page("home.html", status, recent=recent, examples=examples(), spec=spec, problem=problem, listing=_listing(spec, problem))


def examples() -> list[tuple[str, str, str]]:
    """The models that can be tried: file, name, and what each shows."""
    found = []
    for path in sorted(EXAMPLES.glob("*.json")):
        document = json.loads(path.read_bytes())
        found.append((path.name, document["name"], document.get("description", "")))
    for path in sorted(EXAMPLES.glob("*.onnx"), key=lambda each: each.stem):
        found.append((path.name, path.stem, TRAINED.get(path.stem, "An ONNX model with its learned weights.")))
    return found


@blueprint.route("/analyses", methods=["POST"])
def upload() -> Response:
    """Analyse the model of a form that was sent without a script."""
    return _onward(take_in({}))


@blueprint.route("/specs", methods=["POST"])
def paste() -> Response:
    """Analyse a pasted layer spec; what is wrong with it is said at its lines."""
    # Browsers send the lines of a text field with CR LF.
    spec = request.form.get("spec", "").replace("\r\n", "\n")
    try:
        return _onward(_submitted(spec.encode()))
    except Problem as problem:
        return _home(problem.status, spec, problem)


@blueprint.route("/examples/<name>", methods=["POST"])
def example(name: str) -> Response:
    """Analyse one of the examples."""
    known = [file for file, _, _ in examples()]
    if name not in known:
        raise Problem("not-found", "There is no such example.")
    path = EXAMPLES / name
    label = {"name": path.stem} if path.suffix == ".onnx" else {}
    return _onward(_submitted(path.read_bytes(), **label))


@blueprint.route("/jobs/<job_id>")
def job(job_id: str) -> Response:
    """Wait for an analysis."""
    found = find_job(job_id)
    if found.state == "done":
        return _see_other(f"/analyses/{found.report_id}")
    problem = kept_problem(found.problem) if found.problem is not None else None
    return page("job.html", problem.status if problem else 200, job=found, problem=problem)


def _submitted(content: bytes, **chosen: str) -> Accepted:
    """Starts the analysis of a model that is at hand."""
    service = current()
    if not content.strip():
        raise Problem("empty-body", "There is nothing to analyse.")
    with service.store.uploads.begin() as upload:
        part = upload.part()
        part.write(content)
        options = make_options(chosen, part.size, service.settings.auto_read_bytes)
        return service.engines.intake.accept(project(), {"": part}, Question.of_digests(part.digest, {}, options))


def _onward(accepted: Accepted) -> Response:
    """To the report, or to the page that waits for it. Raises the problem of a model that was refused."""
    service = current()
    if accepted.job is None:
        return _see_other(f"/analyses/{accepted.report_id}")
    with service.waits.place() as free:
        job = service.engines.keeper.wait(accepted.job, PAGE_WAIT_SECONDS if free else 0.0)
    if job is not None and job.problem is not None:
        raise kept_problem(job.problem)
    if job is not None and job.state == "done":
        return _see_other(f"/analyses/{accepted.report_id}")
    return _see_other(f"/jobs/{accepted.job.id}")


def _see_other(address: str) -> Response:
    response = redirect(address, 303)
    assert isinstance(response, Response)
    return response


def _listing(spec: str, problem: Problem | None) -> list[dict[str, object]]:
    """The lines of a spec with the messages that belong to each; of a long one only those around messages."""
    if problem is None or not spec.strip():
        return []
    messages: dict[int, list[str]] = {}
    for error in problem.errors:
        messages.setdefault(line_of(spec, error["pointer"]), []).append(f"{error['detail']} ({error['pointer'] or 'the document'})")
    lines = spec.split("\n")
    shown = range(1, len(lines) + 1) if len(lines) <= 40 else sorted({n for line in messages for n in range(line - 2, line + 3)})
    return [{"number": n, "text": lines[n - 1], "messages": messages.get(n, [])} for n in shown if 1 <= n <= len(lines)]
