"""The pages of watched models and of the fleet; a script keeps them up to date."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from service.api.http.caller import project
from service.api.pages.web import page
from service.api.services import current
from service.api.watched.fleet import fleet_document
from service.api.watched.models import find_model, find_version, model_address, version_row
from service.render.figures.history import Point
from service.render.words.text import shown
from service.render.words.watched import DISTRIBUTIONS, SHOWN, VERDICTS, Cell, bars, cells
from service.store.watched import Label, Version, WatchedModel

blueprint = Blueprint("model_pages", __name__)

MAX_MODELS = 200
MAX_POINTS = 20
"""Versions that a sparkline goes through."""

MAX_ROWS = 100
"""Versions in the table of one model."""


@blueprint.route("/models")
def models() -> Response:
    """All watched models: the newest numbers of each, how they changed, and the verdict."""
    store, after = current().store.models, request.args.get("after", "")
    found = store.page(project(), MAX_MODELS + 1, after)
    shown = found[:MAX_MODELS]
    newest = store.newest(project(), [model.name for model in shown], MAX_POINTS)
    rows = [_row(model, newest.get(model.name, [])) for model in shown]
    following = shown[-1].name if len(found) > len(shown) else ""
    return page("models.html", 200, state=_state(), rows=rows, heads=_heads(), verdicts=VERDICTS, following=following)


@blueprint.route("/models/<name>")
def model(name: str) -> Response:
    """One model: its history as charts, the verdict on each version, and the filters of two versions side by side."""
    found = find_model(name)
    versions = current().store.models.newest(project(), [name], MAX_ROWS).get(name, [])
    rows = [(version, version_row(version), cells(_points(versions[place : place + MAX_POINTS]))) for place, version in enumerate(versions)]
    pair = [_chosen(found, versions, side) for side in ("left", "right")]
    shown_pair = [each for each in pair if each]
    words = {"heads": _heads(), "verdicts": VERDICTS, "labels": LABELS}
    return page("model.html", 200, state=_state(), model=found, rows=rows, pair=shown_pair, api=model_address(name), **words)


@blueprint.route("/models/<name>/history")
def history(name: str) -> Response:
    """The numbers of a model against its versions, as a chart alone: for panels of other pages."""
    find_model(name)
    metric = request.args.get("metric")
    query = f"?{urlencode({'metric': metric})}" if metric else ""
    title = f"{shown(name, 80)}: numbers against versions"
    return page("chart.html", title=title, chart=f"{model_address(name)}/history", query=query, live=_state())


@blueprint.route("/fleet")
def fleet() -> Response:
    """All analyses in sum, and what to look at first."""
    document = fleet_document()
    shapes = []
    for name, (title, form, meaning) in DISTRIBUTIONS.items():
        shape = document["distributions"][name]
        bins = [(each["low"], each["high"], each["count"]) for each in shape["bins"]]
        shapes.append((title, meaning, shape["count"], bars(bins, form)))
    return page("fleet.html", 200, state=_state(), fleet=document, shapes=shapes)


LABELS = {"left": "Before", "right": "After"}


def _state() -> str:
    """What the page shows, so that its script knows whether it is still so."""
    return current().store.fleet.state(project())


def _heads() -> list[str]:
    return [words for words, _ in SHOWN.values()]


def _points(versions: Sequence[Version]) -> list[Point]:
    """Versions, which are given newest first, as points from the oldest on."""
    return [Point(each.label.version, each.verdict, each.entry.get("metrics", {})) for each in reversed(versions)]


def _row(model: WatchedModel, versions: Sequence[Version]) -> tuple[WatchedModel, Version | None, list[Cell]]:
    return model, versions[0] if versions else None, cells(_points(versions)) if versions else []


def _chosen(model: WatchedModel, versions: Sequence[Version], side: str) -> Version | None:
    """The version on one side of the filters: the one asked for; else the newest on the right, and what it is held against on the left."""
    asked = request.args.get(side)
    if asked:
        return find_version(Label(project(), model.name, asked))
    if not versions:
        return None
    if side == "right":
        return versions[0]
    base = versions[0].base
    held = next((version for version in versions if version.label.version == base), None)
    return held if held is not None and held != versions[0] else versions[min(1, len(versions) - 1)]
