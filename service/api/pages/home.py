"""The pages where an analysis begins: upload, pasted spec, examples, the list of what was analysed, and the wait for a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from service.api.features.analyses import find_report, take_in
from service.api.features.jobs import find_job
from service.api.features.schemas import make_options
from service.api.http.caller import caller, project
from service.api.http.problems import MEDIA_TYPE, Problem, http_problem, kept_problem, other_problem, read_problem
from service.api.pages import analysis as analysis_pages
from service.api.pages import batches as batch_pages
from service.api.pages import compare as compare_page
from service.api.pages import learn as learn_pages
from service.api.pages import models as model_pages
from service.api.pages import shapes as shape_pages
from service.api.pages import web
from service.api.pages.examples import EXAMPLES, examples
from service.api.pages.onward import onward, see_other
from service.api.pages.web import page, problem_page
from service.api.services import current
from service.faults import Refused
from service.jobs.intake import Accepted
from service.options import ChannelOrder, ExternalMissing, ReadWeights
from service.render.json_lines import line_of
from service.report.identity import Question

RECENT = 20
SEARCHED = 1000
"""Analyses that are looked through for a name."""

OPTIONS = (
    ("read_weights", "Weights that are read", get_args(ReadWeights)),
    ("channel_order", "Order of the colours", get_args(ChannelOrder)),
    ("external_missing", "Missing external data", get_args(ExternalMissing)),
)
"""What can be chosen of an upload, with the values, the usual one first."""

blueprint = Blueprint("pages", __name__)
API = "/v1/"
BLUEPRINTS = (
    web.blueprint,
    blueprint,
    analysis_pages.blueprint,
    compare_page.blueprint,
    batch_pages.blueprint,
    learn_pages.blueprint,
    shape_pages.blueprint,
    model_pages.blueprint,
)
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
    values = {"examples": examples(), "spec": spec, "problem": problem, "listing": _listing(spec, problem), "options": OPTIONS}
    wanted = request.args.get("name", "").strip()[:200]
    return page("home.html", status, recent=_recent(wanted), wanted=wanted, **values)


def _recent(wanted: str) -> list[Mapping[str, object]]:
    """The newest analyses, or those of the newest whose name holds what is looked for."""
    if not wanted:
        return list(current().store.reports.page(project(), RECENT).items)
    entries = current().store.reports.page(project(), SEARCHED).items
    return [entry for entry in entries if wanted.lower() in str(entry["name"] or "").lower()][:RECENT]


@blueprint.route("/analyses", methods=["POST"])
def upload() -> Response:
    """Analyse the model of a form that was sent without a script."""
    return onward(take_in({}))


@blueprint.route("/specs", methods=["POST"])
def paste() -> Response:
    """Analyse a pasted layer spec; what is wrong with it is said at its lines."""
    # Browsers send the lines of a text field with CR LF.
    spec = request.form.get("spec", "").replace("\r\n", "\n")
    try:
        return onward(_submitted(spec.encode()))
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
    return onward(_submitted(path.read_bytes(), **label))


@blueprint.route("/analyses/<report:report_id>/delete", methods=["GET", "POST"])
def delete(report_id: str) -> Response:
    """Ask whether a report is to be deleted, and delete it where the answer is yes."""
    report = find_report(report_id)
    if request.method == "GET":
        return page("delete.html", report=report)
    current().store.forget(project(), report.id)
    return see_other("/")


@blueprint.route("/jobs/<job_id>")
def job(job_id: str) -> Response:
    """Wait for an analysis."""
    found = find_job(job_id)
    if found.state == "done":
        return see_other(f"/analyses/{found.report_id}")
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
        return service.engines.intake.accept(project(), {"": part}, Question.of_digests(part.digest, {}, options), client=caller().name)


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
