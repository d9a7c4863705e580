"""What operators see: health, version, request ids, log lines, and a page that describes the interface."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.api import create_app, openapi
from service.api.http.logs import trace
from service.api.http.model_problems import model_problems_table
from service.api.http.problem_types import PROBLEM_TYPES, problems_table
from service.api.services import EXTENSION
from service.settings import Settings, load_settings, settings_table
from service.store import keep_private
from tests.serving import asked, gunicorn, wait_until_ready

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_service_is_well(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.get_json()["status"] == "ok"


def test_service_without_its_store_is_alive_but_not_ready(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path / "data"))
    client = app.test_client()
    app.extensions[EXTENSION].store.close()
    shutil.rmtree(tmp_path / "data")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["checks"]["database"] != "ok"
    assert client.get("/livez").status_code == 200
    problem = client.get("/v1/analyses")
    assert (problem.status_code, problem.get_json()["code"]) == (503, "storage-unavailable")
    app.extensions[EXTENSION].close()


def test_version_is_told(client: FlaskClient) -> None:
    assert client.get("/version").get_json()["version"] == __version__


def test_request_id_is_taken_over_or_made(client: FlaskClient) -> None:
    assert client.get("/version", headers={"X-Request-ID": "abc-1.2:3_x"}).headers["X-Request-ID"] == "abc-1.2:3_x"
    for forged in ("", "a b", "a" * 129, '{"level": "error"}', "é"):
        made = client.get("/version", headers={"X-Request-ID": forged}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", made)


def test_log_lines_are_json_and_cannot_be_forged(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    client.get("/a%0a{%22event%22:%22forged%22}", headers={"X-Request-ID": "r1", "traceparent": parent})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["request_id"], line["status"]) for line in lines] == [("request", "r1", 404)]
    assert lines[0]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_committed_description_is_the_applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    openapi.main()
    committed = (REPOSITORY / "openapi.yaml").read_text()
    assert (tmp_path / "openapi.yaml").read_text() == committed, "run `python -m service.api.openapi`"


def test_description_is_valid_and_whole(client: FlaskClient, app: Flask) -> None:
    specification = client.get("/openapi.json").get_json()
    validate(specification)
    assert yaml.safe_load(client.get("/openapi.yaml").data) == specification
    assert specification["openapi"].startswith("3.1")
    features = app.extensions["flask-smorest"]["blp_name_to_api"]
    rules = [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[0] in features]
    routes = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in rules}
    assert set(specification["paths"]) == routes
    for path, item in specification["paths"].items():
        for operation in (item[method] for method in ("get", "post", "delete") if method in item):
            assert operation["summary"], path
            assert operation["responses"].pop("default") == {"$ref": "#/components/responses/DEFAULT_ERROR"}
            for status, answer in operation["responses"].items():
                problem = int(status) >= 400 and path not in ("/readyz", "/healthz")
                assert ("application/problem+json" in answer.get("content", {})) == problem, (path, status)


def test_description_limits_in_the_words_of_json_schema(client: FlaskClient) -> None:
    """Expressions are those of ECMA-262, which match anywhere and have no `\\Z`; the number of an object's members is `maxProperties`."""

    def schemas(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            yield part
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from schemas(inner)

    limited = list(schemas(client.get("/openapi.json").get_json()))
    patterns = {schema["pattern"] for schema in limited if isinstance(schema.get("pattern"), str)}
    assert "^sha256-[0-9a-f]{8,64}$" in patterns
    assert all(pattern.startswith("^") and pattern.endswith("$") and r"\Z" not in pattern for pattern in patterns)
    assert {schema["type"] for schema in limited if "maxLength" in schema} == {"string"}


def test_page_describes_every_route_and_problem_and_loads_nothing(client: FlaskClient) -> None:
    response = client.get("/docs")
    page = response.text
    assert response.mimetype == "text/html"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<img|https?://", page)
    for path in client.get("/openapi.json").get_json()["paths"]:
        assert f">{path}<" in page
    for code in PROBLEM_TYPES:
        assert f'id="problem-{code}"' in page


def test_documentation_lists_every_problem_and_setting() -> None:
    assert model_problems_table() in (REPOSITORY / "docs" / "problems.md").read_text()
    assert problems_table() in (REPOSITORY / "docs" / "problems.md").read_text()
    assert settings_table() in (REPOSITORY / "docs" / "settings.md").read_text()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings() == Settings()
    monkeypatch.setenv("RECEPTIVE_DATA_DIR", "/srv/receptive")
    monkeypatch.setenv("RECEPTIVE_POOL_SIZE", "7")
    monkeypatch.setenv("RECEPTIVE_WAIT_SECONDS", "0.5")
    monkeypatch.setenv("RECEPTIVE_LOG_LEVEL", "DEBUG")
    settings = load_settings()
    assert (settings.data_dir, settings.pool_size, settings.wait_seconds, settings.log_level) == (Path("/srv/receptive"), 7, 0.5, "DEBUG")
    assert settings.database == "sqlite:////srv/receptive/receptive.sqlite3"


@pytest.mark.parametrize(("name", "value"), [("POOL_SIZE", "many"), ("POOL_SIZE", "0"), ("WAIT_SECONDS", "-1"), ("LOG_LEVEL", "LOUD")])
def test_wrong_settings_stop_the_service_with_a_reason(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RECEPTIVE_{name}", value)
    with pytest.raises(SystemExit, match=f"RECEPTIVE_{name}"):
        load_settings()


def test_setting_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "database"
    secret.write_text("postgresql+psycopg://u:p@h/d\n")
    monkeypatch.setenv("RECEPTIVE_DATABASE_URL_FILE", str(secret))
    assert load_settings().database == "postgresql+psycopg://u:p@h/d"
    monkeypatch.setenv("RECEPTIVE_DATABASE_URL", "sqlite://")
    with pytest.raises(SystemExit, match="both set"):
        load_settings()
    monkeypatch.delenv("RECEPTIVE_DATABASE_URL")
    monkeypatch.setenv("RECEPTIVE_DATABASE_URL_FILE", str(tmp_path / "absent"))
    with pytest.raises(SystemExit, match="RECEPTIVE_DATABASE_URL_FILE"):
        load_settings()


@pytest.mark.parametrize(("name", "hint"), [("POOLSIZE", "RECEPTIVE_POOL_SIZE"), ("POOL_SIZE_FILES", "RECEPTIVE_POOL_SIZE"), ("X", "docs")])
def test_unknown_setting_stops_the_service_and_names_the_nearest(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(f"RECEPTIVE_{name}", "1")
    with pytest.raises(SystemExit, match=f"RECEPTIVE_{name} is not a setting.*{hint}"):
        load_settings()


@pytest.mark.parametrize("name", ["SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP_ADDR", "URL", "TOKEN"])
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Kubernetes names the ports of a service that is called receptive."""
    monkeypatch.setenv(f"RECEPTIVE_{name}", "tcp://10.0.0.1:80")
    assert load_settings() == Settings()


@pytest.mark.parametrize("variable", ["RECEPTIVE_POOL_SIZE", "RECEPTIVE_POOLSIZE"])
def test_server_with_a_wrong_setting_ends_with_one_line(tmp_path: Path, variable: str) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.api:create_app()"]
    environment = {**os.environ, "RECEPTIVE_DATA_DIR": str(tmp_path), "PORT": "0", variable: "many"}
    run = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in run.stderr.splitlines() if "[INFO]" not in line]
    assert run.returncode != 0
    assert len(lines) == 1 and variable in lines[0]
    assert "Booting worker" not in run.stderr


def test_data_directory_is_for_its_user_alone(app: Flask, settings: Settings, tmp_path: Path) -> None:
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    keep_private(shared)
    assert shared.stat().st_mode & 0o7777 == 0o1777


def samples(text: str) -> dict[str, float]:
    """Every number of an exposition, by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_metrics_count_requests_refusals_and_analyses(client: FlaskClient) -> None:
    before = samples(client.get("/metrics").text)
    posted = client.post("/v1/analyses", data=b"fake", content_type="application/onnx", headers={"Prefer": "wait=20"})
    assert posted.status_code == 201
    assert client.post("/v1/analyses", data=b"", content_type="application/onnx").status_code == 400
    assert client.open("/nothing", method="BREW").status_code == 404
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    after = samples(answer.text)

    def more(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    assert more("receptive_http_requests_total{endpoint=analyses.create_analysis,method=POST,status=201}") == 1
    assert more("receptive_http_requests_total{endpoint=none,method=other,status=404}") == 1
    assert more("receptive_http_request_seconds_count{endpoint=analyses.create_analysis}") == 2
    assert more("receptive_http_bytes_total{direction=in}") == len(b"fake")
    assert more("receptive_refusals_total{code=empty-body}") == 1
    assert more("receptive_analyses_total{code=,outcome=done}") == 1
    assert more("receptive_analysis_seconds_count{phase=working}") == 1
    assert after["receptive_jobs{queue=local}"] == 0
    assert more("receptive_store_reports{store=local}") == 1
    assert after["receptive_store_free_bytes{store=local}"] > 0


def test_metrics_of_several_processes_add_up(tmp_path: Path) -> None:
    with gunicorn(tmp_path / "data", GUNICORN_CMD_ARGS="--workers 2") as (_, port):
        wait_until_ready(port)
        for _ in range(20):
            assert asked(port, "GET", "/version").status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            counted = samples(answer.read().decode())
    assert counted["receptive_http_requests_total{endpoint=operations.version,method=GET,status=200}"] == 20


@pytest.mark.parametrize(
    ("parent", "found"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like", True),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("", False),
    ],
)
def test_trace_of_a_request(parent: str, found: bool) -> None:
    assert tuple(trace(parent).values()) == (tuple(parent.split("-")[1:3]) if found else ())


def test_readiness_names_the_process_that_starts_jobs(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/readyz").get_json()["checks"]["workers"] == "ok"

    def broken() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("service.jobs.local.pool.load_fork_server", broken)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["checks"]["workers"]) == (503, os.strerror(errno.EAGAIN))
