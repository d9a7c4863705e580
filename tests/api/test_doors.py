"""The doors: names, origins, limits and quotas, each at its bound and one past it."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings
from tests.api.conftest import FAKE, SMALL

Served = Callable[..., AbstractContextManager[FlaskClient]]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    @contextlib.contextmanager
    def serve(**settings: Any) -> Iterator[FlaskClient]:
        app = create_app(replace(SMALL, data_dir=tmp_path / "data", **settings), FAKE)
        yield app.test_client()
        app.extensions[EXTENSION].close()

    return serve


def code(response: TestResponse) -> tuple[int, str]:
    return response.status_code, json.loads(response.data)["code"]


def post(client: FlaskClient, body: bytes = b"model", **headers: str) -> TestResponse:
    return client.post("/v1/analyses", data=body, content_type="application/onnx", headers=headers)


def test_service_is_asked_by_its_names_alone(served: Served) -> None:
    with served(hosts="receptive.example.com, .internal") as client:
        for host, status in (
            ("receptive.example.com", 200),
            ("receptive.example.com:8080", 200),
            ("a.internal", 200),
            ("evil.example", 421),
        ):
            assert client.get("/v1/analyses", headers={"Host": host}).status_code == status
        assert code(client.get("/v1/analyses", headers={"Host": "evil.example"})) == (421, "unknown-host")
        assert client.get("/livez", headers={"Host": "10.0.0.7:8080"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://localhost"}, 201),
        ({"Origin": "https://localhost"}, 201),
        ({"Origin": "https://dash.example.com"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
    ids=str,
)
def test_page_of_another_site_changes_nothing(served: Served, headers: dict[str, str], status: int) -> None:
    with served(cors_origins="https://dash.example.com") as client:
        response = post(client, **headers)
        assert response.status_code == status
        if status == 403:
            assert code(response)[1] == "cross-origin"
            assert client.post("/specs", data={"spec": "{}"}, headers=headers).status_code == 403
            assert client.get("/v1/analyses", headers=headers).status_code == 200


def test_browsers_are_told_which_origins_may_read(served: Served) -> None:
    with served(cors_origins="https://dash.example.com") as client:
        answers = {
            origin: client.get("/v1/analyses", headers={"Origin": origin}).headers for origin in ("https://dash.example.com", "https://x.y")
        }
        allowed = {origin: headers.get("Access-Control-Allow-Origin") for origin, headers in answers.items()}
        assert allowed == {"https://dash.example.com": "https://dash.example.com", "https://x.y": None}
        asked = {
            "Origin": "https://dash.example.com",
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "Authorization",
        }
        preflight = client.options("/v1/analyses/sha256-" + "0" * 64, headers=asked)
        assert preflight.status_code == 200 and "DELETE" in preflight.headers["Access-Control-Allow-Methods"]
    with served() as client:
        assert "Access-Control-Allow-Origin" not in client.get("/v1/analyses", headers={"Origin": "https://x.y"}).headers


def test_frames_are_for_whom_the_operator_says(served: Served) -> None:
    with served() as client:
        assert "frame-ancestors 'none'" in client.get("/").headers["Content-Security-Policy"]
    with served(frame_ancestors="'self' https://dash.example.com") as client:
        assert client.get("/").headers["Content-Security-Policy"].endswith("frame-ancestors 'self' https://dash.example.com")


def test_one_request_past_the_limit_is_told_when_to_come_again(served: Served) -> None:
    with served(rate_limit="3 per minute") as client:
        answers = [client.get("/v1/analyses") for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert [each.headers["RateLimit"].split(";")[1] for each in answers] == ["r=2", "r=1", "r=0", "r=0"]
        assert answers[0].headers["RateLimit-Policy"] == '"requests";q=3;w=60'
        assert code(answers[3])[1] == "too-many-requests" and 0 < int(answers[3].headers["Retry-After"]) <= 60
        assert [client.get("/livez").status_code for _ in range(5)] == [200] * 5
        assert client.get("/v1/analyses", environ_overrides={"REMOTE_ADDR": "10.0.0.9"}).status_code == 200


def test_changes_have_a_limit_of_their_own(served: Served) -> None:
    with served(rate_limit_changes="1 per minute") as client:
        assert [post(client, b"one").status_code, post(client, b"two").status_code] == [201, 429]
        assert [client.get("/v1/analyses").status_code for _ in range(3)] == [200] * 3


def test_what_is_no_limit_is_refused_at_the_start(served: Served) -> None:
    with pytest.raises(ValueError, match="parse"), served(rate_limit="many"):
        pass


def test_project_stores_no_more_than_its_quota(served: Served) -> None:
    with served(max_project_analyses=2) as client:
        places = [post(client, body).headers["Location"] for body in (b"one", b"two")]
        assert code(post(client, b"three")) == (403, "quota-exceeded")
        assert post(client, b"one").status_code == 200, "what is known is not new"
        assert client.delete(places[0]).status_code == 204 and post(client, b"three").status_code == 201
    with served(max_project_bytes=20_000) as client:
        assert post(client, b"x" * 3000).status_code == 201
        statuses = [post(client, bytes([65 + number]) * 4000).status_code for number in range(5)]
        assert statuses[0] == 201 and statuses[-1] == 403


def test_answers_are_packed_and_known_again(served: Served) -> None:
    with served() as client:
        place = post(client).headers["Location"]
        for address in (place, f"{place}.md", "/"):
            plain, packed = client.get(address), client.get(address, headers={"Accept-Encoding": "gzip"})
            assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
            assert "Accept-Encoding" in packed.headers["Vary"]
            if "ETag" in packed.headers:
                assert packed.headers["ETag"] != plain.headers["ETag"]
                for known in (packed.headers["ETag"], plain.headers["ETag"]):
                    assert client.get(address, headers={"If-None-Match": known}).status_code == 304
        assert client.get(f"{place}.json", headers={"If-None-Match": '"another"'}).status_code == 200


def test_settings_that_do_nothing_by_default() -> None:
    settings = Settings()
    assert (settings.hosts, settings.cors_origins, settings.rate_limit, settings.closed) == ("", "", "", False)
