"""The summary of a fleet: how its numbers are distributed, what it holds twice, and what to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask import Response
from marshmallow import Schema, fields

from service.api.http.caller import project
from service.api.http.negotiation import REVALIDATE
from service.api.http.responses import answer, tag
from service.api.http.specification import Feature
from service.api.services import current
from service.api.watched.model_schemas import ModelVersionSchema
from service.api.watched.models import version_row
from service.render.tables import Row, write_csv
from service.store.fleet import Ranked, Summary
from service.work.made import CSV, JSON, made_json

MAX_SHOWN = 20
"""Entries of each list."""

blueprint = Feature("fleet", __name__, description="All analyses in sum.")


class BinSchema(Schema):
    """How many analyses have a number from `low` to below `high`."""

    low = fields.Float(required=True, allow_none=True)
    high = fields.Float(required=True, allow_none=True)
    count = fields.Integer(required=True)


class DistributionSchema(Schema):
    """How a number is distributed over the analyses that have it."""

    count = fields.Integer(required=True)
    min = fields.Float(required=True, allow_none=True)
    mean = fields.Float(required=True, allow_none=True)
    max = fields.Float(required=True, allow_none=True)
    bins = fields.List(fields.Nested(BinSchema), required=True)


class RankedSchema(Schema):
    """An analysis and the number that it is ranked by."""

    analysis = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    value = fields.Float(required=True)


class DuplicateSchema(Schema):
    """A structure that several analyses have."""

    structure_digest = fields.String(required=True)
    count = fields.Integer(required=True)
    examples = fields.List(fields.Dict(keys=fields.String()), required=True, metadata={"description": "Some of them: `analysis`, `name`."})


class BrokenSchema(ModelVersionSchema):
    """The newest version of a model, which breaks a budget."""

    model = fields.String(required=True)


class FleetSchema(Schema):
    """All analyses in sum. Lists hold the first few."""

    analyses = fields.Integer(required=True)
    structures = fields.Integer(required=True, metadata={"description": "Networks that differ in more than names, values and input size."})
    duplicated = fields.Integer(required=True, metadata={"description": "Analyses whose structure another one has too."})
    unproductive = fields.Integer(required=True, metadata={"description": "Analyses with unproductive layers."})
    global_outputs = fields.Integer(required=True, metadata={"description": "Analyses whose output sees everything."})
    models = fields.Integer(required=True, metadata={"description": "Watched models with a version."})
    broken = fields.Integer(required=True, metadata={"description": "Of those, how many break a budget by their newest version."})
    distributions = fields.Dict(keys=fields.String(), values=fields.Nested(DistributionSchema), required=True)
    duplicates = fields.List(fields.Nested(DuplicateSchema), required=True)
    most_shared = fields.List(fields.Nested(RankedSchema), required=True, metadata={"description": "By uses per weight."})
    most_unproductive = fields.List(fields.Nested(RankedSchema), required=True, metadata={"description": "By unproductive layers."})
    broken_budgets = fields.List(fields.Nested(BrokenSchema), required=True)


@blueprint.route("/v1/fleet", methods=["GET"])
@blueprint.response(200, FleetSchema, description="Distributions, duplicates, and what to look at first.")
@blueprint.alt_response(304, description="The summary is the one that If-None-Match names.")
def get_fleet() -> Response:
    """Sum up all analyses

    Receptive field against input, sharing, sparsity and parameters as distributions; structures that occur more than once; the analyses
    that share most and those with unproductive layers; and the watched models whose newest version breaks a budget.
    """
    document = fleet_document()
    return answer(tag("fleet", document), lambda: made_json(document), JSON, REVALIDATE)


@blueprint.route("/v1/fleet.csv", methods=["GET"])
@blueprint.response(200, {"type": "string"}, content_type="text/csv", description="One row a bin.")
@blueprint.alt_response(304, description="The summary is the one that If-None-Match names.")
def get_fleet_csv() -> Response:
    """Sum up all analyses, as the bins of every distribution in CSV"""
    summary = current().store.fleet.summary(project(), MAX_SHOWN)
    rows: list[Row] = [{"number": name, **asdict(each)} for name, shape in summary.distributions.items() for each in shape.bins]
    return answer(tag("fleet.csv", rows), lambda: write_csv(rows, ("number", "low", "high", "count")), CSV, REVALIDATE)


def fleet_document() -> dict[str, Any]:
    """The summary as JSON data."""
    summary = current().store.fleet.summary(project(), MAX_SHOWN)
    return {
        "analyses": summary.reports,
        "structures": summary.structures,
        "duplicated": summary.duplicated,
        "unproductive": summary.unproductive,
        "global_outputs": summary.global_outputs,
        "models": summary.models,
        "broken": summary.broken,
        "distributions": {name: asdict(shape) for name, shape in summary.distributions.items()},
        **_lists(summary),
    }


def _lists(summary: Summary) -> dict[str, Any]:
    duplicates = [
        {
            "structure_digest": each.structure_digest,
            "count": each.count,
            "examples": [{"analysis": report_id, "name": name} for report_id, name in each.examples],
        }
        for each in summary.duplicates
    ]
    return {
        "duplicates": duplicates,
        "most_shared": _ranking(summary.most_shared),
        "most_unproductive": _ranking(summary.most_unproductive),
        "broken_budgets": [{"model": version.label.model, **version_row(version)} for version in summary.broken_versions],
    }


def _ranking(ranked: Sequence[Ranked]) -> list[dict[str, Any]]:
    return [{"analysis": each.report_id, "name": each.name, "value": each.value} for each in ranked]
