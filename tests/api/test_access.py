"""Who is let in, and what he finds: every route states a scope, and one project never learns of another's analyses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from service.api import create_app
from service.api.http import access
from service.api.http.caller import project
from service.api.services import EXTENSION
from service.clock import now
from service.report.identity import Project
from service.settings import Settings
from service.store.access import digest_of
from service.store.interfaces import SCOPES, Scope, Token
from tests.api.conftest import FAKE, SMALL

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
HEALTH = ("/livez", "/readyz", "/healthz", "/version")
UNKNOWN = "sha256-" + "0" * 64
Asks = Callable[..., TestResponse]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A service that wants tokens, with one of each scope for two projects."""
    app = create_app(replace(SMALL, data_dir=tmp_path_factory.mktemp("closed") / "data", require_token=True), FAKE)
    tokens = app.extensions[EXTENSION].store.tokens
    for whose in ("ours", "theirs"):
        for scope in SCOPES:
            tokens.add(Token(Project(whose), scope, scope, scope, now()), digest_of(f"{whose} {scope}"))
    tokens.add(Token(Project("ours"), "expired", "expired", "admin", now(), now(1)), digest_of("expired"))
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture
def ask(closed: Flask) -> Asks:
    client = closed.test_client()

    def asks(method: str, path: str, token: str | None = None, **options: Any) -> TestResponse:
        headers = {**options.pop("headers", {}), **({} if token is None else {"Authorization": f"Bearer {token}"})}
        return client.open(path, method=method, headers=headers, **options)

    return asks


def code(response: TestResponse) -> tuple[int, str]:
    return response.status_code, json.loads(response.data)["code"]


def post(ask: Asks, token: str, body: bytes = b"model") -> TestResponse:
    return ask("POST", "/v1/analyses", token, data=body, content_type="application/onnx")


def path_of(app: Flask, rule: Rule) -> str:
    """An address of a rule whose parts are made up."""
    values = {"report_id": UNKNOWN, "job_id": "0" * 32, "layer": "0", "depth": 1, "name": "x"}
    with app.test_request_context():
        _, path = rule.build({name: values.get(name, "x") for name in rule.arguments}) or ("", "")
    return path


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """Every endpoint, method and address there is."""
    found = [
        (rule.endpoint, method, path_of(app, rule)) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) & METHODS
    ]
    assert len(found) > 40
    return sorted(found)


def test_every_route_states_a_scope(closed: Flask) -> None:
    """A new route belongs into the table of service/api/http/access.py, by its blueprint or its endpoint."""
    assert [endpoint for endpoint, method, _ in routes(closed) if access.stated(endpoint, method) is None] == []
    known = {endpoint.partition(".")[0] for endpoint, _, _ in routes(closed)} | {endpoint for endpoint, _, _ in routes(closed)}
    assert set(access.SCOPES) <= known, "the table names what does not exist"


def test_only_health_and_the_description_are_open(closed: Flask, ask: Asks) -> None:
    opened = set()
    for endpoint, method, path in routes(closed):
        response = ask(method, path)
        if access.stated(endpoint, method) == "open":
            assert response.status_code not in (401, 403), path
            opened.add(path)
        else:
            assert (response.status_code, "WWW-Authenticate" in response.headers) == (401, True), (method, path)
    described = {"/openapi.yaml", "/openapi.json", "/docs", "/docs/try", "/v1/schemas/layer-spec.json", "/static/x"}
    assert opened == {*HEALTH, *described, "/oembed"}


def test_open_address_works_for_no_project(closed: Flask) -> None:
    """Whatever an open route looks up, it finds nothing of anybody's."""
    with closed.test_client() as client:
        client.get("/version")
        assert project() == ""
        client.get("/v1/analyses", headers={"Authorization": "Bearer ours read"})
        assert project() == "ours"


def test_address_that_does_not_exist_tells_nothing_without_a_token(ask: Asks) -> None:
    for method, path in (("GET", "/v1/nothing"), ("GET", "/nothing"), ("POST", "/livez"), ("PUT", "/v1/analyses")):
        assert ask(method, path).status_code == 401
    assert code(ask("GET", "/v1/nothing", "ours read")) == (404, "not-found")


def test_each_scope_includes_those_before_it(closed: Flask, ask: Asks) -> None:
    for endpoint, method, path in routes(closed):
        wanted = access.stated(endpoint, method)
        if wanted == "open" or wanted is None:
            continue
        for scope in SCOPES:
            refused = ask(method, path, f"ours {scope}").status_code == 403
            assert refused == (SCOPES.index(scope) < SCOPES.index(wanted)), (scope, method, path)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nonsense", "Bearer expired", "Basic bm9uZQ==", "Digest x=y", "Bearer \xff"]
)
def test_what_is_no_token_lets_nobody_in(ask: Asks, authorization: str) -> None:
    response = ask("GET", "/v1/analyses", headers={"Authorization": authorization})
    assert code(response) in ((401, "token-missing"), (401, "token-invalid"))
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_browser_is_asked_for_the_token_as_a_password(closed: Flask, ask: Asks) -> None:
    assert ask("GET", "/").headers["WWW-Authenticate"].startswith("Basic")
    assert closed.test_client().get("/", auth=("anything", "ours read")).status_code == 200


def test_revoked_token_lets_nobody_in(closed: Flask, ask: Asks) -> None:
    tokens = closed.extensions[EXTENSION].store.tokens
    tokens.add(Token(Project("ours"), "short", "short", "read", now()), digest_of("short"))
    assert ask("GET", "/v1/analyses", "short").status_code == 200
    tokens.revoke(Project("ours"), "short", now())
    assert code(ask("GET", "/v1/analyses", "short")) == (401, "token-invalid")


# -- one project and another ---------------------------------------------------------------------------------------


def test_same_model_of_two_projects_is_new_to_both(ask: Asks) -> None:
    first, again = post(ask, "ours write", b"both"), post(ask, "ours write", b"both")
    other, other_again = post(ask, "theirs write", b"both"), post(ask, "theirs write", b"both")
    assert [each.status_code for each in (first, again, other, other_again)] == [201, 200, 201, 200]
    place = first.headers["Location"]
    assert ask("DELETE", place, "theirs write").status_code == 204
    assert (ask("GET", place, "theirs read").status_code, ask("GET", place, "ours read").status_code) == (404, 200)
    assert ask("GET", f"{place}/filters.map.json", "ours read").status_code != 503, "the shared file is still there"


def test_no_route_tells_a_report_of_another_project_from_one_that_does_not_exist(closed: Flask, ask: Asks) -> None:
    place = post(ask, "ours write", b"secret").headers["Location"]
    report_id = place.rpartition("/")[2]
    asked = 0
    for endpoint, method, path in routes(closed):
        if UNKNOWN not in path:
            continue
        asked += 1
        answers = [ask(method, path.replace(UNKNOWN, name), "theirs admin", json={}) for name in (UNKNOWN, report_id, report_id[:20])]
        statuses = {each.status_code for each in answers}
        texts = {each.get_data(as_text=True).replace(report_id, UNKNOWN).replace(report_id[:20], UNKNOWN) for each in answers}
        without_id = {"".join(json.loads(text)[key] for key in ("code", "detail")) if text.startswith("{") else "" for text in texts}
        assert len(statuses) == 1 and statuses <= {404, 422, 415, 400} and len(without_id) == 1, (endpoint, method, statuses)
    assert asked > 25
    assert ask("GET", place, "ours read").status_code == 200


def test_lists_comparisons_and_badges_show_the_projects_own_alone(ask: Asks) -> None:
    ours = post(ask, "ours write", b"listed").headers["Location"].rpartition("/")[2]
    theirs = post(ask, "theirs write", b"other").headers["Location"].rpartition("/")[2]
    listed = [item["id"] for item in json.loads(ask("GET", "/v1/analyses?limit=100", "theirs read").data)["items"]]
    assert theirs in listed and ours not in listed
    for page in ("/", "/compare", "/learn"):
        assert ours not in ask("GET", page, "theirs read").get_data(as_text=True)
    assert ask("POST", "/v1/comparisons", "theirs read", json={"base": ours, "head": theirs, "budgets": {}}).status_code == 404
    assert ask("GET", f"/v1/analyses/{theirs}/badge.json?metric=verdict&base={ours}&budgets={{}}", "theirs read").status_code == 404
    assert ask("GET", f"/compare?base={ours}&head={theirs}", "theirs read").status_code == 404


def test_job_of_another_project_is_not_there(ask: Asks) -> None:
    started = ask(
        "POST", "/v1/analyses", "ours write", data=b"slow 0.5", content_type="application/onnx", headers={"Prefer": "respond-async"}
    )
    place = started.headers["Location"]
    for method, path in (("GET", place), ("GET", f"{place}/events"), ("DELETE", place), ("GET", place.removeprefix("/v1"))):
        assert ask(method, path, "theirs admin").status_code == 404
    assert ask("GET", place, "ours read").status_code == 200
    joined = ask("POST", "/v1/analyses", "theirs write", data=b"slow 0.5", content_type="application/onnx")
    assert joined.status_code == 201, "the same question of another project is another job"


# -- what is said --------------------------------------------------------------------------------------------------


def test_every_change_is_written_down_with_who_and_how_it_ended(ask: Asks) -> None:
    with structlog.testing.capture_logs() as lines:
        place = post(ask, "ours write", b"audited").headers["Location"]
        ask("GET", place, "ours read")
        ask("DELETE", place, "ours read")
        ask("DELETE", place, "ours write")
        ask("DELETE", place)
    said = [(each["who"], each["project"], each["method"], each["outcome"]) for each in lines if each["event"] == "audit"]
    ours = [("token:write", "ours", "POST", 201), ("token:read", "ours", "DELETE", 403), ("token:write", "ours", "DELETE", 204)]
    assert said == [*ours, ("unknown", None, "DELETE", 401)]
    assert place in [each["made"] for each in lines if each["event"] == "audit"]


@pytest.mark.parametrize(
    ("hosts", "settings", "warned"),
    [
        (["127.0.0.1", "::1", "localhost", "/run/receptive.sock"], Settings(), False),
        (["0.0.0.0"], Settings(), True),
        (["127.0.0.1", "::"], Settings(), True),
        (["0.0.0.0"], Settings(require_token=True), False),
        (["0.0.0.0"], Settings(oidc_issuer="https://login.example.com"), False),
    ],
)
def test_open_service_beyond_this_machine_is_warned_of(hosts: list[str], settings: Settings, warned: bool) -> None:
    with structlog.testing.capture_logs() as lines:
        access.warn_where_open(settings, hosts)
    assert [each["event"] for each in lines] == (["no-token-required"] if warned else [])


def test_without_tokens_everybody_may_do_everything(client: FlaskClient) -> None:
    response = client.post("/v1/analyses", data=b"open", content_type="application/onnx", headers={"Authorization": "Bearer whatever"})
    assert response.status_code == 201 and client.get("/metrics").status_code == 200


def test_route_without_a_stated_scope_is_refused(tmp_path: Path) -> None:
    app = create_app(replace(SMALL, data_dir=tmp_path / "data", require_token=True), FAKE)
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    tokens = app.extensions[EXTENSION].store.tokens
    scope: Scope = "admin"
    tokens.add(Token(Project("ours"), "a", "a", scope, now()), digest_of("a"))
    assert app.test_client().get("/forgotten", headers={"Authorization": "Bearer a"}).status_code == 403
    app.extensions[EXTENSION].close()
