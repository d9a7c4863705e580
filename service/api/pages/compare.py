"""The page that compares two analyses."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from service.api.features.analyses import find_report
from service.api.features.comparisons import compared
from service.api.http.caller import project
from service.api.http.negotiation import REVALIDATE
from service.api.http.problems import Problem, read_problem
from service.api.http.responses import sent, told
from service.api.pages.web import page
from service.api.services import current
from service.faults import Refused
from service.render.formats import COMPARISON_FORMATS
from service.render.words.difference import BUDGET_FIELDS, difference
from service.report.comparison import Comparison

RECENT = 100
_ID = re.compile(r"sha256-[0-9a-f]{8,64}")

blueprint = Blueprint("compare_page", __name__)


@blueprint.route("/compare")
def compare() -> Response:
    """Choose two analyses and budgets; the difference and the verdict."""
    recent = current().store.reports.page(project(), RECENT).items
    base, head = request.args.get("base", ""), request.args.get("head", "")
    budgets = {field.name: request.args.get(field.name, "").strip() for field in BUDGET_FIELDS}
    record, problem = None, None
    if base and head:
        try:
            record = _compared(base, head, _limits(budgets))
        except Problem as raised:
            problem = raised
    query = urlencode({"base": base, "head": head, **{name: text for name, text in budgets.items() if text}})
    values: dict[str, object] = {
        "query": query,
        "recent": recent,
        "base": base,
        "head": head,
        "budgets": budgets,
        "fields": BUDGET_FIELDS,
        "problem": problem,
    }
    values["pictured"] = [json.loads(told("pictured", find_report(side))) for side in (base, head)] if record else []
    return page("compare.html", problem.status if problem else 200, difference=difference(record) if record else None, **values)


@blueprint.route("/compare.<form>")
def compare_as(form: str) -> Response:
    """The same comparison in another form, for a link: Markdown, JUnit XML, a badge, one HTML file or JSON."""
    if form not in COMPARISON_FORMATS:
        raise Problem("not-found", f"Got the form {form[:40]!r}, expected one of {', '.join(COMPARISON_FORMATS)}.")
    budgets = {field.name: request.args.get(field.name, "").strip() for field in BUDGET_FIELDS}
    record = _compared(request.args.get("base", ""), request.args.get("head", ""), _limits(budgets))
    chosen = COMPARISON_FORMATS[form]
    return sent(chosen.write(record), chosen.media_type, {"Cache-Control": REVALIDATE})


def _compared(base: str, head: str, limits: dict[str, object]) -> Comparison:
    """The comparison of two analyses by their ids."""
    if not _ID.fullmatch(base) or not _ID.fullmatch(head):
        raise Problem("invalid-arguments", "An analysis is chosen by its id: sha256- and 8 to 64 digits.")
    try:
        return compared(find_report(base), find_report(head), limits)
    except Refused as error:
        raise read_problem(error) from None


def _limits(budgets: dict[str, str]) -> dict[str, object]:
    """The budgets that were set, in the units of the comparison: a change of 5 % is 0.05."""
    limits: dict[str, object] = {}
    for field in BUDGET_FIELDS:
        text = budgets[field.name]
        if not text:
            continue
        if field.unit == "yes":
            limits[field.name] = True
            continue
        try:
            limits[field.name] = float(text) / (100 if field.unit == "%" else 1)
        except ValueError:
            raise Problem("invalid-arguments", f"The budget “{field.label}” takes a number.") from None
    return limits
