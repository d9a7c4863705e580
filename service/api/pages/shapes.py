"""The form of a report whose model leaves axes open: the same model, analysed with a size of its inputs."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, request

from service.api.features.analyses import find_report
from service.api.http.problems import Problem
from service.api.pages.onward import onward
from service.api.services import current
from service.options import LARGEST_AXIS, MOST_AXES, whole_numbers
from service.report.identity import Identity, Question, read_options

FIELD = "shape:"
"""What the field for an input begins with; the name of the input follows."""

blueprint = Blueprint("shape_pages", __name__, url_prefix="/analyses")


@blueprint.route("/<report:report_id>/shapes", methods=["POST"])
def choose_shapes(report_id: str) -> Response:
    """Analyse the model of a report with the shapes that were chosen for its open inputs."""
    base = find_report(report_id)
    fields = {name.removeprefix(FIELD): text for name, text in request.form.items() if name.startswith(FIELD)}
    if not fields:
        raise Problem("invalid-arguments", "Got no shape, expected one for each open input.")
    options = read_options(base.options)
    shapes = {name: _shape(name, text) for name, text in fields.items()}
    options = replace(options, input_shapes={**options.input_shapes, **shapes})
    externals = {name: Identity.of_digest(digest) for name, digest in base.blobs.items() if name}
    question = Question(Identity.parsed(base.digest), externals, options)
    return onward(current().engines.intake.accept(base.project, {}, question))


def _shape(name: str, text: str) -> tuple[int, ...]:
    """The shape that was written for an input."""
    shape = tuple(whole_numbers(text.replace(" ", ""), MOST_AXES))
    if not shape or not all(1 <= axis <= LARGEST_AXIS for axis in shape):
        got = f"got {text[:100]!r}" if text.strip() else "got nothing"
        raise Problem("invalid-arguments", f"The shape of {name[:100]!r}: {got}, expected numbers such as 1,3,224,224.")
    return shape
