"""The HTTP interface. It receives, answers and documents; it never parses a model."""

from __future__ import annotations

from flask import Flask

from service.api.features import (
    analyses,
    badge,
    batches,
    charts,
    comparisons,
    connectivity,
    documentation,
    filters,
    hierarchy,
    jobs,
    layers,
    metrics,
    operations,
    overlay,
    proposals,
    sweep,
    variants,
)
from service.api.http import connection, counts, logs, problems
from service.api.http.access import Access
from service.api.http.doors import Doors
from service.api.http.specification import LayerConverter, ProblemApi, ReportIdConverter
from service.api.pages import home as pages
from service.api.services import EXTENSION, Service, Work
from service.api.watched import events, fleet, history, model_versions, models, models_metrics, oembed
from service.logs import configure
from service.settings import Settings, load_settings
from service.store import open_store

FEATURES = (
    analyses,
    layers,
    metrics,
    connectivity,
    filters,
    hierarchy,
    overlay,
    charts,
    badge,
    sweep,
    variants,
    proposals,
    comparisons,
    models,
    model_versions,
    history,
    fleet,
    events,
    models_metrics,
    oembed,
    jobs,
    batches,
    operations,
    documentation,
)


def create_app(settings: Settings | None = None, tasks: Work | None = None) -> Flask:
    """The application: opens the store, brings it up to date, and registers every feature.

    `settings` default to the environment's; `tasks` are what jobs do (another set is for tests).
    """
    settings = settings or load_settings()
    configure(settings.log_level)
    app = Flask("service.api", static_folder=None, template_folder="../web/templates")
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_options_bytes,
        MAX_FORM_PARTS=settings.max_upload_parts,
        API_TITLE="Receptive",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
    )
    store = open_store(settings)
    if not settings.broker_url:
        store.jobs.take_back()
    app.extensions[EXTENSION] = Service(settings, store, tasks or Work())
    # Names of layers may hold "//".
    app.url_map.merge_slashes = False
    app.url_map.converters.update(report=ReportIdConverter, layer=LayerConverter)
    logs.register(app)
    counts.register(app)
    Access(app, settings, store.tokens)
    Doors(app, settings)
    connection.register(app)
    api = ProblemApi(app, spec_kwargs=documentation.SPECIFICATION)
    api.register_converter(ReportIdConverter, lambda _: {"type": "string", "pattern": "^sha256-[0-9a-f]{8,64}$"})
    problems.register(app)
    for feature in FEATURES:
        api.register_blueprint(feature.blueprint)
    for blueprint in pages.BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app
