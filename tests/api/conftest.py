"""An application in a directory of its own, with a stand-in for the analysis or with the real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api import create_app
from service.api.services import EXTENSION, Work
from service.report.identity import DEFAULT_PROJECT
from service.settings import Settings
from tests.jobs import fakes

FAKE = Work(fakes.REPORT, fakes.PICTURE)
SMALL = Settings(max_upload_bytes=4096, max_upload_parts=10, job_memory_bytes=1 << 30, job_cpu_seconds=10, job_wall_seconds=5.0)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(SMALL, data_dir=tmp_path_factory.mktemp("service") / "data")


@pytest.fixture(scope="module")
def shared_app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings, FAKE)
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """An application without analyses; making one takes a while, so the tests of a file share it."""
    yield shared_app
    service = shared_app.extensions[EXTENSION]
    for job in service.store.jobs.active():
        service.engines.watch.cancel(job.id)
        service.engines.keeper.wait(job, 10)
    for entry in service.store.reports.page(DEFAULT_PROJECT, 1000).items:
        service.store.forget(DEFAULT_PROJECT, entry["id"])
    deadline = time.monotonic() + 10
    while left_over(service.settings) and time.monotonic() < deadline:
        time.sleep(0.01)  # a job has ended a moment before its files are gone
    assert left_over(service.settings) == []


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application with the real analysis, which the tests of a file share, reports and all."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("real") / "data", wait_seconds=120.0))
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture(scope="module")
def http(service: Flask) -> FlaskClient:
    return service.test_client()


def left_over(settings: Settings) -> list[str]:
    """The files under the data directory apart from the database and the locks."""
    kept = (path for path in settings.data_dir.rglob("*") if path.is_file())
    return sorted(path.name for path in kept if path.suffix != ".lock" and path.name != "lock" and "sqlite3" not in path.name)
