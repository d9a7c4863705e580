"""Tokens of an OpenID Connect provider: a stand-in on this machine publishes its keys, as a real one does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.api.http import oidc
from service.api.http.caller import Caller
from service.api.http.oidc import Provider, UnknownToken
from service.report.identity import Project
from service.settings import Settings

KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("first", "second", "stranger")}
RSA = rsa.generate_private_key(65537, 2048)


class Publisher:
    """A provider that publishes some of its keys."""

    def __init__(self) -> None:
        self.published, self.asked = ["first"], 0
        self.issuer = ""
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = publisher.document(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("openid-configuration"):
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.asked += 1
        keys = [jwt.algorithms.ECAlgorithm.to_jwk(KEYS[name].public_key(), as_dict=True) | {"kid": name} for name in self.published]
        return {"keys": [*keys, jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True) | {"kid": "rsa"}]}


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    made = Publisher()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def provider(publisher: Publisher) -> Provider:
    publisher.published = ["first"]
    made = Provider.of(Settings(oidc_issuer=publisher.issuer))
    assert made is not None
    return made


def claims(publisher: Publisher, **changes: Any) -> dict[str, Any]:
    made = {
        "iss": publisher.issuer,
        "aud": "receptive",
        "sub": "ann",
        "exp": time.time() + 60,
        "project": "vision",
        "scope": "openid write",
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def signed(publisher: Publisher, key: str = "first", kid: str | None = None, **changes: Any) -> str:
    return jwt.encode(claims(publisher, **changes), KEYS[key], "ES256", headers={"kid": kid or key})


def test_token_of_the_provider_says_project_scope_and_name(provider: Provider, publisher: Publisher) -> None:
    assert provider.caller(signed(publisher)) == Caller(Project("vision"), "write", "oidc:ann")
    rs256 = jwt.encode(claims(publisher, scope=["receptive:read", "receptive:admin"]), RSA, "RS256", headers={"kid": "rsa"})
    assert provider.caller(rs256).scope == "admin"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"nbf": 2**33},
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://login.example.com"},
        {"sub": None},
        {"project": None},
        {"project": ""},
        {"project": ["vision"]},
        {"project": "x" * 65},
        {"scope": "openid profile"},
        {"scope": None},
        {"scope": {"write": True}},
    ],
    ids=str,
)
def test_token_that_lacks_something_is_refused(provider: Provider, publisher: Publisher, changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownToken):
        provider.caller(signed(publisher, **changes))


def test_token_that_somebody_else_signed_is_refused(provider: Provider, publisher: Publisher) -> None:
    shared = jwt.encode(claims(publisher), "s" * 64, "HS256", headers={"kid": "rsa"})
    unsigned = jwt.encode(claims(publisher), None, "none", headers={"kid": "first"})
    genuine = signed(publisher)
    altered = genuine[:-8] + ("AAAAAAAA" if genuine[-8:] != "AAAAAAAA" else "BBBBBBBB")
    for token in (signed(publisher, "stranger"), signed(publisher, "stranger", kid="first"), shared, unsigned, altered, "a.b.c", "", "é"):
        with pytest.raises(UnknownToken):
            provider.caller(token)


def test_new_key_is_fetched_but_not_for_every_token(provider: Provider, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider.caller(signed(publisher)).name == "oidc:ann"
    publisher.published = ["first", "second"]
    asked = publisher.asked
    for _ in range(5):
        with pytest.raises(UnknownToken):
            provider.caller(signed(publisher, "second"))
    assert publisher.asked == asked
    monkeypatch.setattr(oidc, "COOL_SECONDS", 0.0)
    assert provider.caller(signed(publisher, "second")).name == "oidc:ann"


def test_provider_that_is_away_or_another_lets_nobody_in(publisher: Publisher) -> None:
    for issuer in ("http://127.0.0.1:9/realm", f"{publisher.issuer}/", "file:///etc/passwd"):
        provider = Provider.of(Settings(oidc_issuer=issuer))
        assert provider is not None
        with pytest.raises(UnknownToken):
            provider.caller(signed(publisher))


def test_without_a_setting_there_is_no_provider() -> None:
    assert Provider.of(Settings()) is None
